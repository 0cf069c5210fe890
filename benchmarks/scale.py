"""`python -m benchmarks.scale`: seconds and memory of each stage on pools of any size, made of real texts."""

import argparse
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from handful import parameters, readers
from handful.errors import DataError, HandfulError

ROOT = Path(__file__).parents[1]
ROWS_PER_GROUP = 50_000
PARTS = 3  # of a made text; each comes from another real one and keeps its place
POOL = "pool.parquet"


@dataclass(frozen=True)
class Measured:
    """What one stage took: seconds on the clock and of the processor, and the most memory it held."""

    stage: str
    seconds: float
    processor_seconds: float
    peak_rss_bytes: int


def main(arguments: Sequence[str] | None = None) -> None:
    """Make each pool, run the stages on it one by one, and print a table as it grows; status 1 if a stage fails."""
    asked = _parse(arguments)
    say("| pool rows | stage | seconds | processor seconds | peak memory, MB |\n|---|---|---|---|---|")
    try:
        for rows in map(int, asked.rows.split(",")):
            folder = asked.work / str(rows)
            prepare(asked.params, folder, rows, asked.seed)
            _tell(f"{rows:,}", run(folder, asked.stages))
            if asked.added:
                prepare(asked.params, folder, rows + asked.added, asked.seed)
                _tell(f"{rows:,} + {asked.added:,}", run(folder, asked.stages))
    except HandfulError as error:
        sys.exit(f"benchmarks.scale: {error}")


def _tell(rows: str, found: Iterator[Measured]) -> None:
    for one in found:
        seconds = f"{one.seconds:,.1f} | {one.processor_seconds:,.1f}"
        say(f"| {rows} | {one.stage} | {seconds} | {one.peak_rss_bytes / 1e6:,.0f} |")


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--params", type=Path, default=ROOT / "params.yaml", help="its tables are what pools are of")
    parser.add_argument("--rows", default="10000,100000,1000000", help="sizes of the pools")
    parser.add_argument("--added", type=int, default=0, help="so many rows join each pool for a second, warm run")
    known = list(_graph()["stages"])
    parser.add_argument("--stages", help="which, by their names; all of dvc.yaml if this is left out")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, required=True, help="a new folder for pools, results, logs and embeddings")
    asked = parser.parse_args(arguments)
    asked.stages = asked.stages.split(",") if asked.stages else known
    if unknown := [name for name in asked.stages if name not in known]:
        parser.error(f"--stages: {', '.join(unknown)}: not in dvc.yaml, which has {', '.join(known)}")
    return asked


def say(line: str) -> None:
    """Print at once, although the output may go to a file."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def prepare(params: Path, folder: Path, rows: int, seed: int) -> None:
    """Write a raw folder whose pool has `rows` texts, and the parameters that name it."""
    values: dict[str, Any] = yaml.safe_load(params.read_text(encoding="utf-8"))
    given, raw = parameters.read(params), ROOT / values["raw"]
    tables = [readers.read(table, raw, given.ingest.columns, False, "text") for table in _pools(given)]
    texts = [text for table in tables for text in table["content"].dropna()]
    copied = folder / "raw"
    (folder / "data" / "champion").mkdir(parents=True, exist_ok=True)
    shutil.copytree(raw, copied, dirs_exist_ok=True)
    write_pool(copied / POOL, texts, rows, seed, given.ingest.columns.content)
    values["raw"], values["ingest"]["unlabelled"] = str(copied), {"kind": "file", "path": POOL}
    (folder / "params.yaml").write_text(yaml.safe_dump(values, allow_unicode=True), encoding="utf-8")


def _pools(given: parameters.Parameters) -> list[Any]:
    return [given.ingest.training, given.ingest.unlabelled]


def write_pool(path: Path, texts: Sequence[str], rows: int, seed: int, column: str) -> None:
    """Write distinct texts as Parquet, a group of rows at a time."""
    schema = pa.schema({column: pa.string()})
    made = recombined(texts, seed)
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for start in range(0, rows, ROWS_PER_GROUP):
            group = [next(made) for _ in range(min(ROWS_PER_GROUP, rows - start))]
            writer.write_table(pa.table({column: group}, schema))


def recombined(texts: Sequence[str], seed: int) -> Iterator[str]:
    """Distinct texts without end: the first third of the words of one, the middle of another, the end of a third.

    With the same seed a longer pool begins with the rows of a shorter one. Only a hash of each text is remembered.

    Raises:
        DataError: so many distinct ones cannot be made.
    """
    random, words = np.random.default_rng(seed), [text.split() for text in texts]
    seen: set[bytes] = set()
    before = -1
    while before < len(seen):
        before = len(seen)
        for chosen in random.integers(len(words), size=(ROWS_PER_GROUP, PARTS)):
            parts = (_part(words[row], place) for place, row in enumerate(chosen))
            text = " ".join(word for part in parts for word in part)
            name = hashlib.blake2b(text.encode(), digest_size=16).digest()
            if text and name not in seen:
                seen.add(name)
                yield text
    raise DataError(f"Of {len(texts)} texts only {len(seen)} others could be made. Name a data set that has more.")


def _part(words: list[str], place: int) -> list[str]:
    return words[len(words) * place // PARTS : len(words) * (place + 1) // PARTS]


def run(folder: Path, stages: Sequence[str]) -> Iterator[Measured]:
    """Run the commands of dvc.yaml in `folder`, each in a fresh process; what they say goes to a log beside.

    The cache of embeddings lies in the folder too, so that the first run finds it empty.

    Raises:
        HandfulError: a stage failed.
    """
    raw = yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))["raw"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HANDFUL_CACHE": str((folder / "cache").resolve())}
    for stage in stages:
        command = shlex.split(_graph()["stages"][stage]["cmd"].replace("${raw}", raw))
        with (folder / f"{stage}.log").open("w", encoding="utf-8") as log:
            began = time.perf_counter()
            process = subprocess.Popen(
                [sys.executable, *command[1:]], cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT
            )
            _, status, used = os.wait4(process.pid, 0)  # unlike Popen.wait, it tells what the process used
            process.returncode = os.waitstatus_to_exitcode(status)
        if status:
            raise HandfulError(f"{stage} failed on the pool in {folder}. Its words are in {log.name}.")
        yield Measured(stage, time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)


def _graph() -> dict[str, Any]:
    graph: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    return graph


if __name__ == "__main__":
    main()
