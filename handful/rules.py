"""What a good row and a usable set of tables are: the rules, and the measurements that they judge."""

import unicodedata
from collections import Counter
from types import ModuleType

import pandas as pd

from handful.checks import Finding, Rule
from handful.parameters.tables import Validate

COLUMNS = ["id", "content", "label", "key", "origin"]
WITH_LABELS = ("labelled", "test", "source")
# Where a rule on one of these columns is broken, the reason is what the modality's own check says: the column unusable.
CHECKED = ("size", "unusable")
SEPARATOR = "; "

SCHEMA = Rule(
    "fatal", "ExpectTableColumnsToMatchSet", {"column_set": COLUMNS}, "wrong columns", "make the tables with: dvc repro"
)


def measure_rows(tables: dict[str, pd.DataFrame], parameters: Validate, content: ModuleType) -> dict[str, pd.DataFrame]:
    """Add to each row what the rules look at; a count is null where the content is missing."""
    prints = {name: _fingerprints(table, content) for name, table in tables.items()}
    test_rows = prints["test"].value_counts()
    return {
        name: table.assign(
            size=table["content"].dropna().map(content.size).astype(float).reindex(table.index),
            unusable=_complaints(table, parameters, content),
            earlier_repeats=_earlier(pd.DataFrame({"content": prints[name], "label": table["label"]}), prints[name]),
            labels_of_content=table.groupby(prints[name])["label"].transform("nunique"),
            test_rows=prints[name].map(test_rows).where(prints[name].isna(), prints[name].map(test_rows).fillna(0)),
        )
        for name, table in tables.items()
    }


def _fingerprints(table: pd.DataFrame, content: ModuleType) -> pd.Series:
    missing = table["content"].isna()
    prints = [
        None if gone else content.fingerprint(value) for value, gone in zip(table["content"], missing, strict=True)
    ]
    return pd.Series(prints, index=table.index, dtype="str")


def _complaints(table: pd.DataFrame, parameters: Validate, content: ModuleType) -> pd.Series:
    present = table["content"].dropna()
    reasons = [content.check(value, parameters.minimum_size, parameters.maximum_size) for value in present]
    return pd.Series(reasons, index=present.index, dtype="str").reindex(table.index)


def _earlier(same: pd.DataFrame, given: pd.Series) -> pd.Series:
    """Count the earlier rows that are equal in all columns of `same`, where `given` is not null."""
    return same.groupby(list(same.columns), dropna=False).cumcount().where(given.notna())


def row_rules(table: str, labels: list[str], parameters: Validate) -> list[Rule]:
    """Give the rules for the rows of a table; `labels` are those that labelled rows came with."""
    sizes = {"min_value": parameters.minimum_size, "max_value": parameters.maximum_size}
    rules = [
        Rule("row", "ExpectColumnValuesToNotBeNull", {"column": "content"}, "content is missing"),
        Rule("row", "ExpectColumnValuesToBeBetween", {"column": "size", **sizes}, "size out of range"),
        Rule("row", "ExpectColumnValuesToBeNull", {"column": "unusable"}, "unusable content"),
        _at_most("earlier_repeats", 0, "exact repeat of an earlier row"),
    ]
    if table in WITH_LABELS:
        rules.append(Rule("row", "ExpectColumnValuesToNotBeNull", {"column": "label"}, "label is missing"))
        rules.append(_at_most("labels_of_content", 1, "same content with different labels"))
    if table == "test":
        within = {"column": "label", "value_set": labels}
        rules.append(Rule("row", "ExpectColumnValuesToBeInSet", within, "label that no labelled row has"))
    else:
        rules.append(_at_most("test_rows", 0, "content of a test row"))
    return rules


def _at_most(column: str, bound: float, reason: str) -> Rule:
    return Rule("row", "ExpectColumnValuesToBeBetween", {"column": column, "max_value": bound}, reason)


def measure_keys(tables: dict[str, pd.DataFrame], reasons: dict[str, pd.Series]) -> dict[str, pd.DataFrame]:
    """Count for each row the earlier good rows of its raw table that have its key; null where the key is missing.

    Raw tables may number their rows alike, and training rows join those of the pool: what an origin says before its
    number tells them apart. A row that is quarantined for one of `reasons` takes its key from no other.
    """
    return {name: pd.DataFrame({"earlier_keys": _keys_taken(tables[name], reasons[name] == "")}) for name in tables}


def _keys_taken(table: pd.DataFrame, good: pd.Series) -> pd.Series:
    raw_tables = table["origin"].str.rstrip("0123456789")
    taken = good.astype(int).groupby([raw_tables, table["key"]], dropna=False).cumsum() - good
    return taken.where(table["key"].notna())


def key_rules() -> list[Rule]:
    """Give the rules for what measure_keys counts: they are judged when the other reasons are known."""
    return [_at_most("earlier_keys", 0, "key of an earlier row")]


def reasons(measured: pd.DataFrame, findings: list[Finding]) -> pd.Series:
    """Join for each row the reasons of the rules that it breaks; "" for a good row."""
    found: list[list[str]] = [[] for _ in range(len(measured))]
    for finding in findings:
        own = finding.rule.arguments["column"] in CHECKED
        for position in finding.broken_by:
            found[position].append(measured["unusable"].iloc[position] if own else finding.rule.reason)
    return pd.Series([SEPARATOR.join(dict.fromkeys(some)) for some in found], index=measured.index, dtype="str")


def count_reasons(quarantined: pd.DataFrame) -> dict[str, int]:
    """Count the quarantined rows by reason, sorted; a row of two reasons counts for both."""
    found = (reason for row in quarantined["reasons"] for reason in row.split(SEPARATOR))
    return dict(sorted(Counter(found).items()))


def measure_wholes(
    tables: dict[str, pd.DataFrame], kept: dict[str, pd.DataFrame], quarantined: pd.DataFrame, set_aside: pd.DataFrame
) -> dict[str, pd.DataFrame]:
    """Sum up each table, and as `classes` those that the labelled rows came with."""
    summed = {
        name: measure_table(
            len(table),
            len(kept[name]),
            count_reasons(quarantined[quarantined["table"] == name]),
            int((set_aside["table"] == name).sum()),
        )
        for name, table in tables.items()
    }
    aside = set_aside[set_aside["table"] == "labelled"]
    return summed | {"classes": measure_classes(tables["labelled"], aside, kept["labelled"])}


def measure_classes(given: pd.DataFrame, set_aside: pd.DataFrame, accepted: pd.DataFrame) -> pd.DataFrame:
    """Give one row per label that labelled rows came with: accepted rows, and labels that are spelt alike.

    Those that were set aside count as well: a class that lost all its rows to them must not vanish unseen.
    """
    came = pd.concat([given[["label", "origin"]], set_aside[["label", "origin"]]])
    labels = pd.Series(sorted(came["label"].dropna().unique()), dtype="str")
    rows, aside = (labels.map(table["label"].value_counts()).fillna(0).astype(int) for table in (accepted, set_aside))
    folded = labels.map(_folded)
    origins = came.groupby("label")["origin"].first()
    shown = [
        f"{label!r}: {count} accepted{f', {gone} set aside' if gone else ''} (first in {origins[label]})"
        for label, count, gone in zip(labels, rows, aside, strict=True)
    ]
    return pd.DataFrame(
        {"label": labels, "rows": rows, "spellings": folded.map(folded.value_counts()).astype(int), "shown": shown}
    )


def _folded(label: str) -> str:
    """Give what labels have in common that a reader takes for one: é may be one character or two."""
    return " ".join(unicodedata.normalize("NFKC", label).casefold().split())


def measure_table(rows_in: int, accepted: int, reasons: dict[str, int], set_aside: int) -> pd.DataFrame:
    """Give one row that sums up a table; `set_aside` rows never came in."""
    told = [f"{reason} ({count})" for reason, count in reasons.items()]
    told += [f"{set_aside} more were set aside by ingest"] if set_aside else []
    shown = f"{accepted} of {rows_in} rows accepted: {', '.join(told) or 'it was empty'}"
    share = (rows_in - accepted) / rows_in if rows_in else 0.0
    return pd.DataFrame({"accepted": [accepted], "share_quarantined": [share], "shown": [shown]})


def class_rules(parameters: Validate) -> list[Rule]:
    """Give the rules for the classes as a whole."""
    between = "ExpectColumnValuesToBeBetween"
    enough = {"column": "rows", "min_value": parameters.minimum_rows_per_class}
    more = "label more rows of these classes, or remove them; set_aside.parquet says why rows were set aside"
    return [
        Rule("fatal", between, enough, "classes with too few rows", more),
        Rule(
            "fatal",
            "ExpectTableRowCountToBeBetween",
            {"min_value": 2},
            "too few classes",
            "label rows of two classes or more, and check that ingest.columns.label in params.yaml is the right one",
        ),
        Rule(
            "warning",
            between,
            {"column": "spellings", "max_value": 1},
            "labels that differ only in case, white space or the form of their characters",
        ),
    ]


def table_rules(table: str, parameters: Validate) -> list[Rule]:
    """Give the rules for a table as a whole."""
    between = "ExpectColumnValuesToBeBetween"
    share = {"column": "share_quarantined", "max_value": parameters.maximum_share_quarantined}
    look = "see why in quarantined.parquet or set_aside.parquet and correct the data, or change validate in params.yaml"
    rules = [Rule("fatal", between, share, "too many rows quarantined", look)]
    if table in ("labelled", "test"):
        rules.append(Rule("fatal", between, {"column": "accepted", "min_value": 1}, "no rows left", look))
    return rules
