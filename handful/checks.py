"""Rules for tables, judged by Great Expectations: which hold, which rows break them, and what was observed."""

import importlib
import logging
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

# A fatal finding stops the stage, a row finding quarantines the rows that break the rule, a warning is only reported.
Severity = Literal["fatal", "row", "warning"]
GX_SEVERITY = {"fatal": "critical", "row": "warning", "warning": "info"}
RESULT_FORMAT = {"result_format": "COMPLETE", "return_unexpected_index_query": False}
ROWS_NAMED = 10


@dataclass(frozen=True)
class Rule:
    """One expectation: its Great Expectations type and arguments, and what to say where it does not hold."""

    severity: Severity
    expectation: str
    arguments: dict[str, Any]
    reason: str
    remedy: str = ""


@dataclass(frozen=True)
class Finding:
    """What came of one rule on one table; `broken_by` holds positions of rows, `observed` a number for whole tables."""

    table: str
    rule: Rule
    success: bool
    rows: int
    broken_by: tuple[int, ...]
    observed: Any

    def record(self) -> dict[str, Any]:
        """Give the finding as JSON can hold it."""
        return {
            "table": self.table,
            "expectation": self.rule.expectation,
            "arguments": self.rule.arguments,
            "severity": self.rule.severity,
            "reason": self.rule.reason,
            "success": self.success,
            "rows": self.rows,
            "unexpected": len(self.broken_by),
            "observed": self.observed,
        }


def examine(tables: dict[str, pd.DataFrame], rules: Mapping[str, Sequence[Rule]]) -> list[Finding]:
    """Judge each table by the rules of its name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it imports a module that Python deprecates
        context, expectations = _context()
        frames = context.data_sources.add_pandas("tables")
        findings = []
        for name, table in tables.items():
            asset = frames.add_dataframe_asset(name).add_batch_definition_whole_dataframe("all")
            batch = asset.get_batch({"dataframe": table.reset_index(drop=True)})
            results = batch.validate(_suite(expectations, name, rules[name]), result_format=RESULT_FORMAT).results
            found = {result.expectation_config.meta["rule"]: result for result in results}
            findings += [_finding(name, rule, len(table), found[place]) for place, rule in enumerate(rules[name])]
    return findings


def _context() -> tuple[Any, Any]:
    """Open a context that lives in memory and tells nobody. Imported here because it takes seconds."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    import great_expectations

    types = importlib.import_module("great_expectations.data_context.types.base")
    # Without a site of documents, which would be left in the folder of temporary files.
    stores = types.InMemoryStoreBackendDefaults(init_temp_docs_sites=False)
    configuration = types.DataContextConfig(store_backend_defaults=stores, progress_bars={"globally": False})
    context = great_expectations.get_context(mode="ephemeral", project_config=configuration)
    return context, great_expectations.expectations


def _suite(expectations: Any, name: str, rules: Sequence[Rule]) -> Any:
    # The place of each rule is written on its expectation, because the results come in any order.
    return importlib.import_module("great_expectations").ExpectationSuite(
        name=name,
        expectations=[
            getattr(expectations, rule.expectation)(
                **rule.arguments, severity=GX_SEVERITY[rule.severity], meta={"rule": place}
            )
            for place, rule in enumerate(rules)
        ],
    )


def _finding(table: str, rule: Rule, rows: int, result: Any) -> Finding:
    if "raised_exception" not in result.exception_info or result.exception_info["raised_exception"]:
        raise RuntimeError(f"Great Expectations could not judge {rule} on table {table}: {result.exception_info}")
    details = result.result
    if "observed_value" in details:
        return Finding(table, rule, bool(result.success), rows, (), details["observed_value"])
    broken_by = tuple(sorted(details["unexpected_index_list"] or ()))
    return Finding(table, rule, bool(result.success), rows, broken_by, len(broken_by))


def failure(findings: Sequence[Finding], tables: Mapping[str, pd.DataFrame]) -> str:
    """Lay out broken rules as a table: where, what is wrong, what was observed, what is allowed, what to do.

    A table may have a column `shown` that says for each row what a person wants to know of it.
    """
    cells = [("table", "what is wrong", "observed", "allowed")]
    cells += [(f.table, f.rule.reason, _observed(f, tables[f.table]), _bound(f.rule)) for f in findings]
    remedies = dict.fromkeys(finding.rule.remedy for finding in findings)
    told = (f"What to do: {remedy}" for remedy in remedies)
    return "\n".join(["The tables cannot be used:", *aligned(cells), *told])


def warnings_of(findings: Sequence[Finding], tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """Say in one line each which rules do not hold that stop nothing, and of what; `tables` as above."""
    broken = [finding for finding in findings if finding.rule.severity == "warning" and not finding.success]
    return [f"{finding.rule.reason}: {_observed(finding, tables[finding.table])}" for finding in broken]


def aligned(cells: Sequence[tuple[str, ...]]) -> list[str]:
    """Lay out rows of cells as lines whose columns stand below each other."""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in cells]


def _observed(finding: Finding, table: pd.DataFrame) -> str:
    if not finding.broken_by:
        return str(finding.observed)
    named = [str(table["shown"].iloc[position]) for position in finding.broken_by[:ROWS_NAMED]]
    more = len(finding.broken_by) - ROWS_NAMED
    return ", ".join([*named, *([f"and {more} more"] if more > 0 else [])])


def _bound(rule: Rule) -> str:
    words = {"min_value": "at least", "max_value": "at most", "column_set": "exactly"}
    return " and ".join(f"{words[key]} {value}" for key, value in rule.arguments.items() if key in words)
