"""Ingest: read the raw tables, draw the labelled rows, and keep near-duplicates of test rows out of training."""

import hashlib
import logging
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd

from handful import readers, repeats
from handful.modality import part
from handful.parameters import Parameters
from handful.parameters.tables import Ingest, SplitTable
from handful.storage import write_json, write_table
from tasks import start

log = logging.getLogger("handful.ingest")

COLUMNS = ["id", "content", "label", "key", "origin"]
TABLES = ["labelled", "unlabelled", "test", "source"]
# What a fingerprint of nothing would be: the id of rows whose content is missing.
MISSING = hashlib.blake2b(b"", digest_size=16).hexdigest()


def ingest(
    training: pd.DataFrame,
    unlabelled: pd.DataFrame,
    test: pd.DataFrame | None,
    source: pd.DataFrame,
    parameters: Ingest,
    content: ModuleType,
    seed: int,
) -> dict[str, pd.DataFrame]:
    """Sort the raw rows into the tables labelled, unlabelled, test, source and set_aside; each row lands in one.

    Raw tables have the columns content, label, key, origin; `test` is None where a share of training is split off.
    """
    given = {"labelled": training, "unlabelled": unlabelled, "test": test, "source": source}
    named = [table.assign(table=name) for name, table in given.items() if table is not None]
    rows = pd.concat(named, ignore_index=True)
    rows["id"] = [MISSING if value is None else content.fingerprint(value) for value in rows["content"]]
    rows[["from", "reason"]] = pd.DataFrame(pd.NA, rows.index, ["from", "reason"], dtype="str")
    rows.loc[(rows["table"] == "labelled") & rows["label"].isna(), "table"] = "unlabelled"
    if isinstance(parameters.test, SplitTable):
        share = parameters.test.share
        rows.loc[_drawn(rows, lambda size: _split_size(size, share), f"test {seed}"), "table"] = "test"
    _set_aside(rows, repeats.of_test_rows(rows, content, parameters.near_duplicate_similarity))
    if parameters.shots is not None:
        shots = parameters.shots
        drawn = _drawn(rows, lambda size: min(size, shots), f"shots {seed}")
        rows.loc[(rows["table"] == "labelled") & ~drawn, "table"] = "unlabelled"
    rows.loc[rows["table"] == "unlabelled", "label"] = pd.NA
    _set_aside(rows, repeats.of_labelled_rows(rows, content, parameters.near_duplicate_similarity))
    tables = _separated(rows)
    assert sum(map(len, tables.values())) == sum(len(table) for table in given.values() if table is not None)
    return tables


def _split_size(size: int, share: float) -> int:
    """Count the test rows of a class: at least one, but never its last."""
    return min(max(1, round(share * size)), size - 1)


def _drawn(rows: pd.DataFrame, wanted: Callable[[int], int], salt: str) -> Any:
    """Draw `wanted(size)` rows of each labelled class; repeats and rows without content come last.

    Rows are ranked by a hash of salt and id, so that neither their order nor other rows decide which are drawn.
    """
    labelled = rows[rows["table"] == "labelled"]
    ranks = [hashlib.blake2b(f"{salt} {row}".encode(), digest_size=8).hexdigest() for row in labelled["id"]]
    late = labelled["content"].isna() | (labelled.groupby(["label", "id"]).cumcount() > 0)
    ranked = labelled.assign(late=late, rank=ranks).sort_values(["late", "rank"], kind="stable")
    classes = ranked.groupby("label")["label"]
    drawn = classes.cumcount() < classes.transform("size").map(wanted)
    return drawn.reindex(rows.index, fill_value=False)


def _set_aside(rows: pd.DataFrame, reasons: pd.Series) -> None:
    """Move the rows that have a reason for it out of their tables."""
    rows.loc[reasons.index, "from"] = rows.loc[reasons.index, "table"]
    rows.loc[reasons.index, "reason"] = reasons
    rows.loc[reasons.index, "table"] = "set_aside"


def _separated(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    tables = {name: _identified(rows[rows["table"] == name])[COLUMNS] for name in TABLES}
    aside = _identified(rows[rows["table"] == "set_aside"])
    tables["set_aside"] = aside.assign(table=aside["from"].astype("str"))[[*COLUMNS, "table", "reason"]]
    return tables


def _identified(table: pd.DataFrame) -> pd.DataFrame:
    """Make ids unique: exact repeats get -1, -2 … in reading order."""
    repeats = table.groupby("id").cumcount()
    ids = [f"{row}-{repeat}" if repeat else row for row, repeat in zip(table["id"], repeats, strict=True)]
    return table.assign(id=pd.Series(ids, index=table.index, dtype="str")).reset_index(drop=True)


def main(parameters: Parameters, raw: Path, output: Path) -> None:
    given, columns, modality = parameters.ingest, parameters.ingest.columns, parameters.modality
    training = readers.read(given.training, raw, columns, True, modality)
    unlabelled = readers.read(given.unlabelled, raw, columns, False, modality)
    test = None if isinstance(given.test, SplitTable) else readers.read(given.test, raw, columns, True, modality)
    source = readers.read(given.source, raw, columns, True, modality)
    tables = ingest(training, unlabelled, test, source, given, part(modality, "content"), parameters.seed)
    for name, table in tables.items():
        write_table(table, output / f"{name}.parquet")
        log.info("%s: %d rows", name, len(table))
    rows, aside = {name: len(table) for name, table in tables.items()}, tables["set_aside"]["table"].value_counts()
    write_json({"rows": rows, "set_aside": aside.to_dict()}, output / "ingest.json")


if __name__ == "__main__":
    start(main)
