"""Validate: quarantine the rows that break a rule, and stop where the tables as a whole cannot be used."""

import logging
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd

from handful import champion, drift, pool, profile, rules
from handful.checks import Finding, examine, failure, warnings_of
from handful.errors import DataError
from handful.modality import part
from handful.parameters import Parameters
from handful.parameters.tables import Validate
from handful.storage import read_table, write_json, write_table
from tasks import start

log = logging.getLogger("handful.validate")

TABLES = ["labelled", "unlabelled", "test", "source", "set_aside"]


@dataclass(frozen=True)
class Validated:
    """The accepted tables, the quarantined rows with table and reasons, and the report."""

    tables: dict[str, pd.DataFrame]
    quarantined: pd.DataFrame
    report: dict[str, Any]

    def require_usable(self) -> None:
        """Raise a DataError that lays out the broken fatal rules, if there are any."""
        if self.report["problem"] is not None:
            raise DataError(self.report["problem"])


def validate(given: dict[str, pd.DataFrame], parameters: Validate, content: ModuleType) -> Validated:
    """Split each table but set_aside into accepted and quarantined rows, and judge what is left as a whole.

    Raises:
        DataError: a table lacks columns, so that its rows cannot be judged.
    """
    tables, set_aside = {name: table for name, table in given.items() if name != "set_aside"}, given["set_aside"]
    _require_columns(tables)
    measured = rules.measure_rows(tables, parameters, content)
    labelled = [tables["labelled"]["label"], set_aside.loc[set_aside["table"] == "labelled", "label"]]
    labels = sorted(pd.concat(labelled).dropna().unique())
    findings = examine(measured, {name: rules.row_rules(name, labels, parameters) for name in tables})
    keys = rules.measure_keys(tables, _reasons(measured, findings))
    findings += examine(keys, {name: rules.key_rules() for name in tables})
    reasons = _reasons(measured, findings)
    kept = {name: table[(reasons[name] == "").to_numpy()].reset_index(drop=True) for name, table in tables.items()}
    judged = [table.assign(table=name, reasons=reasons[name]) for name, table in tables.items()]
    rows = pd.concat(judged, ignore_index=True)
    quarantined = rows[rows["reasons"] != ""].reset_index(drop=True)
    assert len(rows) == len(quarantined) + sum(map(len, kept.values()))
    summed = rules.measure_wholes(tables, kept, quarantined, set_aside)
    whole = _judge_wholes(summed, parameters)
    fatal = [finding for finding in whole if finding.rule.severity == "fatal" and not finding.success]
    report = {
        "tables": {name: _counts(table, kept[name]) for name, table in tables.items()},
        "reasons": rules.count_reasons(quarantined),
        "expectations": [finding.record() for finding in [*findings, *whole]],
        "classes": sorted(kept["labelled"]["label"].unique()),
        "warnings": warnings_of(whole, summed),
        "problem": failure(fatal, summed) if fatal else None,
    }
    return Validated(kept, quarantined, report)


def _reasons(measured: dict[str, pd.DataFrame], findings: list[Finding]) -> dict[str, pd.Series]:
    return {name: rules.reasons(rows, [f for f in findings if f.table == name]) for name, rows in measured.items()}


def _require_columns(tables: dict[str, pd.DataFrame]) -> None:
    broken = [f for f in examine(tables, {name: [rules.SCHEMA] for name in tables}) if not f.success]
    if broken:
        raise DataError(failure(broken, tables))


def _judge_wholes(summed: dict[str, pd.DataFrame], parameters: Validate) -> list[Finding]:
    wanted = {name: rules.table_rules(name, parameters) for name in summed} | {"classes": rules.class_rules(parameters)}
    return examine(summed, wanted)


def _counts(table: pd.DataFrame, kept: pd.DataFrame) -> dict[str, int]:
    return {"rows_in": len(table), "accepted": len(kept), "quarantined": len(table) - len(kept)}


def main(parameters: Parameters, ingested: Path, champion_folder: Path, rows: Path, drifted: Path) -> None:
    """Write the accepted and the quarantined rows, their profile, and how far it lies from the champion's."""
    tables = {name: read_table(ingested / f"{name}.parquet") for name in TABLES}
    reference = champion.read(champion_folder)
    content = part(parameters.modality, "content")
    validated = validate(tables, parameters.validate_, content)
    # Written before it may fail, so that a person can look at what was quarantined and why.
    for name, table in [*validated.tables.items(), ("quarantined", validated.quarantined)]:
        write_table(table, rows / f"{name}.parquet")
        log.info("%s: %d rows", name, len(table))
    write_json(validated.report, rows / "validation.json")
    for warning in validated.report["warnings"]:
        log.warning("Warning: %s", warning)
    validated.require_usable()
    wanted = parameters.validate_.drift.embeddings is not None
    backbone = part(parameters.modality, "backbone").load(parameters.backbone, parameters.seed) if wanted else None
    looked_at = pool.drawn(validated.tables["unlabelled"], parameters.pool_rows, parameters.seed)
    tables = {**validated.tables, "unlabelled": looked_at}
    current = profile.profile(tables, parameters.modality, content, backbone)
    write_json(current.model_dump(mode="json"), rows / "profile.json")
    found = drift.judge(current, reference, parameters.validate_.drift, parameters.seed)
    write_json(found, drifted)
    if found["problem"] is not None:
        raise DataError(found["problem"])


if __name__ == "__main__":
    start(main)
