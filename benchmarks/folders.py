"""The data folders of a benchmark: what lies in them, and the one draw that every system learns from."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from handful import readers
from handful.errors import DataError
from handful.modality import MODALITIES, part
from handful.parameters import Parameters
from handful.parameters.tables import Columns, FileTable, Ingest, NoTable
from tasks.ingest import ingest

TRAIN, TEST, UNLABELLED = "train.parquet", "test.parquet", "unlabelled.parquet"
OUT_OF_SCOPE = "oos_test.parquet"


@dataclass(frozen=True)
class DataFolder:
    """A folder with train.parquet and test.parquet; the column of the contents is called like the modality."""

    path: Path
    modality: str

    @property
    def name(self) -> str:
        """What records call it: the folder's own name."""
        return self.path.name

    @property
    def has_pool(self) -> bool:
        """Whether rows without labels lie beside the training rows."""
        return (self.path / UNLABELLED).is_file()

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the tables as they are: other data under the same name is not the same benchmark."""
        digest = hashlib.blake2b(digest_size=8)
        for name in (TRAIN, TEST, UNLABELLED, OUT_OF_SCOPE):
            if (self.path / name).is_file():
                digest.update(name.encode() + (self.path / name).read_bytes())
        return digest.hexdigest()


def find(path: Path) -> DataFolder:
    """Check the files and columns of a data folder without reading its rows.

    Raises:
        DataError: a file or a column is missing, or a file is no Parquet.
    """
    if not path.is_dir():
        raise DataError(f"There is no data folder {path}. It has to hold {TRAIN} and {TEST}; see benchmarks/README.md.")
    columns = {name: _columns(path / name) for name in (TRAIN, TEST)}
    modality = next((name for name in MODALITIES if name in columns[TRAIN]), None)
    if modality is None:
        raise DataError(_missing(path / TRAIN, [" or ".join(MODALITIES)], columns[TRAIN]))
    needed = {TRAIN: [modality, "label"], TEST: [modality, "label"]}
    for name in (UNLABELLED, OUT_OF_SCOPE):
        if (path / name).is_file():
            columns[name], needed[name] = _columns(path / name), [modality]
    for name, names in needed.items():
        if missing := [column for column in names if column not in columns[name]]:
            raise DataError(_missing(path / name, missing, columns[name]))
    return DataFolder(path.resolve(), modality)


def _missing(path: Path, missing: list[str], there: list[str]) -> str:
    return (
        f"{path} has no column {' and no column '.join(missing)}; its columns are {', '.join(there)}. "
        "Rename the columns: the content is called text or image, the label is called label."
    )


def _columns(path: Path) -> list[str]:
    try:
        return list(pq.read_schema(path).names)
    except FileNotFoundError:
        raise DataError(f"The data folder {path.parent} has no {path.name}. See benchmarks/README.md.") from None
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"{path} is not a readable Parquet file ({error}). Write it again.") from None


def ingest_parameters(parameters: Parameters, folder: DataFolder, shots: int) -> Ingest:
    """The ingest section of the parameters, with this folder's tables and `shots` rows per class."""
    pool = FileTable(kind="file", path=str(folder.path / UNLABELLED)) if folder.has_pool else NoTable(kind="none")
    tables = {
        "training": FileTable(kind="file", path=str(folder.path / TRAIN)),
        "unlabelled": pool,
        "test": FileTable(kind="file", path=str(folder.path / TEST)),
        "source": NoTable(kind="none"),
        "columns": Columns(content=folder.modality, label="label", key=None),
        "shots": shots,
    }
    return parameters.ingest.model_copy(update=tables)


def draw(parameters: Parameters, folder: DataFolder, shots: int, seed: int) -> dict[str, pd.DataFrame]:
    """Read the folder and run the ingest stage: labelled, unlabelled, test, source and set_aside tables."""
    given = ingest_parameters(parameters, folder, shots)
    raw = {
        name: readers.read(table, folder.path, given.columns, name == "training", folder.modality)
        for name, table in (("training", given.training), ("unlabelled", given.unlabelled), ("source", given.source))
    }
    content = part(folder.modality, "content")
    return ingest(raw["training"], raw["unlabelled"], test_rows(folder), raw["source"], given, content, seed)


def test_rows(folder: DataFolder) -> pd.DataFrame:
    """Every row of the test file as it is given, for scoring: whatever validation says of some of them.

    Raises:
        DataError: a row has no content or no label and so cannot be scored.
    """
    columns = Columns(content=folder.modality, label="label", key=None)
    rows = readers.read(FileTable(kind="file", path=TEST), folder.path, columns, True, folder.modality)
    unusable = rows[rows["content"].isna() | rows["label"].isna()]
    if len(unusable):
        raise DataError(
            f"{unusable['origin'].iloc[0]} in {folder.path} has no {folder.modality} or no label and cannot be scored "
            f"({len(unusable)} such rows). Complete or remove them."
        )
    return rows


def out_of_scope(folder: DataFolder) -> list[Any]:
    """The contents that belong to no class, for scoring alone; none if there is no such file."""
    if not (folder.path / OUT_OF_SCOPE).is_file():
        return []
    return list(pd.read_parquet(folder.path / OUT_OF_SCOPE)[folder.modality].dropna())


def fingerprint(labelled: pd.DataFrame) -> str:
    """A hash of the labelled rows that were drawn: equal for all systems that learn from the same ones."""
    rows = sorted(f"{row} {label}" for row, label in zip(labelled["id"], labelled["label"], strict=True))
    return hashlib.blake2b("\n".join(rows).encode(), digest_size=8).hexdigest()
