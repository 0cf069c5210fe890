"""The records of a benchmark: what makes two of them the same, how they are kept, and the tables at the end."""

import hashlib
import platform
import statistics
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from importlib import metadata
from modulefinder import ModuleFinder
from pathlib import Path
from typing import Any

import handful
from benchmarks import peers
from benchmarks.folders import DataFolder
from handful import storage
from handful.errors import DataError
from handful.parameters import Parameters

Record = dict[str, Any]
ROOT = Path(__file__).parents[1]

# What names a record, and what must agree beside that for a record to still stand.
KEY = ("data", "system", "shots", "seed")
IDENTITY = (*KEY, "data_fingerprint", "settings", "versions")
# The parameters that the pipeline's numbers depend on: raw, seed and most of ingest are the benchmark's own.
USED: dict[str, Any] = {
    **dict.fromkeys(["modality", "pool_rows", "backbone", "probe", "validate_", "augment", "select"], True),
    "pretrain_transfer": True,
    "ingest": {"near_duplicate_similarity"},
    "evaluate": {"calibration_bins"},
}
USED_BY = {"teacher": USED, "student": {**USED, "distill": True}}
BY_NAME = ("content", "backbone", "augmentation", "student", "prediction")  # modules that `handful.modality` looks up
PACKAGES = ("numpy", "scikit-learn", "tokenizers", "torch", "transformers")
FURTHER_PACKAGES = {
    "teacher": ("onnxruntime",),
    "student": ("onnxruntime",),
    "linear_probe": (),
    "setfit": ("setfit", "sentence-transformers"),
    "model2vec": ("model2vec",),
}
RATIOS = ("accuracy", "macro_f1", "train_seconds", "predict_per_second", "size_bytes", "peak_rss_bytes")
COLUMNS: tuple[tuple[str, str, float, int], ...] = (
    # heading, key in a record, factor, decimals
    ("accuracy %", "accuracy", 100, 1),
    ("macro F1 %", "macro_f1", 100, 1),
    ("MCC × 100", "mcc", 100, 1),
    ("calibration error %", "calibration_error", 100, 1),
    ("out of scope AUROC %", "out_of_scope_auroc", 100, 1),
    ("train s", "train_seconds", 1, 1),
    ("rows/s", "predict_per_second", 1, 0),
    ("size MB", "size_bytes", 1e-6, 1),
    ("peak memory MB", "peak_rss_bytes", 1e-6, 0),
)


def identity(folder: DataFolder, system: str, shots: int, seed: int, parameters: Parameters) -> Record:
    """What a record says about its origin, known before it is measured."""
    return {
        "data": folder.name,
        "data_fingerprint": folder.fingerprint,
        "system": system,
        "shots": shots,
        "seed": seed,
        "settings": _settings(system, parameters),
        "versions": _versions(system, parameters.modality),
    }


def read(path: Path) -> list[Record]:
    """Return the records of an earlier run, none if there was none.

    Raises:
        DataError: the file holds something else.
    """
    if not path.is_file():
        return []
    try:
        records: list[Record] = storage.read_json(path)
        stand = all(set(IDENTITY) <= set(record) for record in records)
    except (ValueError, TypeError) as error:
        raise DataError(f"{path} is no JSON list of records ({error}). Name another file with --out.") from None
    if not stand:
        raise DataError(f"{path} holds records without {', '.join(IDENTITY)}. Name another file with --out.")
    return records


def add(records: list[Record], record: Record) -> list[Record]:
    """Return the records with the new one in the place of the one that it makes out of date."""
    return [*(kept for kept in records if not _agree(kept, record, KEY)), record]


def standing(records: Iterable[Record], wanted: Record) -> Record | None:
    """Return the record that already answers `wanted`: the same data, draw, settings and versions."""
    return next((record for record in records if _agree(record, wanted, IDENTITY)), None)


def tables(records: Sequence[Record]) -> str:
    """Return Markdown: mean ± standard deviation over seeds, then ratios to the teacher and to the student."""
    groups = _group(records, lambda record: (record["data"], record["shots"], record["system"]))
    header = ["data", "shots", "system", "seeds", *(heading for heading, *_ in COLUMNS)]
    cells = {key: [_cell(group, *column[1:]) for column in COLUMNS] for key, group in groups.items()}
    parts = [markdown(header, [[*map(str, key), str(len(groups[key])), *line] for key, line in cells.items()])]
    for reference in ("teacher", "student"):
        beside = {key: _ratios(group, records, reference) for key, group in groups.items()}
        if ratios := [[*map(str, key), *line] for key, line in beside.items() if line]:
            header = ["data", "shots", f"÷ {reference}", *(name.removesuffix("_bytes") for name in RATIOS)]
            parts.append(markdown(header, ratios))
    return "\n\n".join([*parts, *_unequal_draws(records)]) + "\n"


def _settings(system: str, parameters: Parameters) -> Record:
    backbone = parameters.backbone.model_dump(mode="json")
    if system in peers.SETTINGS:
        return {**peers.SETTINGS[system], "backbone": backbone}
    used = parameters.model_dump_json(include=USED_BY[system])
    return {"parameters": _digest(used.encode()), "backbone": backbone}


def _versions(system: str, modality: str) -> dict[str, str]:
    versions = {name: metadata.version(name) for name in (*PACKAGES, *FURTHER_PACKAGES[system])}
    if system not in peers.PEERS:
        versions["handful"] = f"{handful.__version__}+{_digest(b''.join(map(_told, _sources(modality))))}"
    return {**versions, "python": platform.python_version()}


@cache
def _sources(modality: str) -> tuple[Path, ...]:
    """The files of the library and the stages that the pipeline imports: no other can change a number of it.

    The version alone would not change with each change of them.
    """
    finder = ModuleFinder([str(ROOT)])
    for name in ("benchmarks.pipeline", *(f"handful.{modality}.{part}" for part in BY_NAME)):
        finder.import_hook(name)
    files = {Path(module.__file__) for module in finder.modules.values() if module.__file__}  # type: ignore[attr-defined]
    return tuple(sorted(path for path in files if path.relative_to(ROOT).parts[0] in ("handful", "tasks")))


def _told(path: Path) -> bytes:
    return str(path.relative_to(ROOT)).encode() + path.read_bytes()


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=6).hexdigest()


def _agree(first: Record, second: Record, keys: Sequence[str]) -> bool:
    return all(first[key] == second[key] for key in keys)


def _group(records: Iterable[Record], key: Callable[[Record], tuple[Any, ...]]) -> dict[tuple[Any, ...], list[Record]]:
    groups: dict[tuple[Any, ...], list[Record]] = {}
    for record in records:
        groups.setdefault(key(record), []).append(record)
    return groups


def _cell(group: Sequence[Record], name: str, factor: float, decimals: int) -> str:
    values = [record[name] * factor for record in group if record[name] is not None]
    if not values:
        return "–"
    spread = f" ± {statistics.stdev(values):.{decimals}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.{decimals}f}{spread}"


def _ratios(group: Sequence[Record], records: Sequence[Record], reference: str) -> list[str]:
    """The mean over seeds of what this system has, divided by what the reference has on the same draw."""
    same = ("data", "shots", "seed")
    pairs = [
        (record, other)
        for record in group
        for other in records
        if other["system"] == reference != record["system"] and _agree(record, other, same)
    ]
    if not pairs:
        return []
    return [f"{statistics.mean(first[name] / second[name] for first, second in pairs):.3g}" for name in RATIOS]


def _unequal_draws(records: Sequence[Record]) -> list[str]:
    draws = _group(records, lambda record: (record["data"], record["shots"], record["seed"]))
    return [
        f"The systems did not learn from the same rows of {data}, {shots} shots, seed {seed}: some records are older "
        "than the way in which rows are drawn now. Remove them from the file and run again."
        for (data, shots, seed), group in draws.items()
        if len({record["draw"] for record in group}) > 1
    ]


def markdown(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table, padded so that it reads well as text too."""
    widths = [max(map(len, column)) for column in zip(header, *lines, strict=True)]
    rows = [header, ["-" * width for width in widths], *lines]
    padded = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in padded)
