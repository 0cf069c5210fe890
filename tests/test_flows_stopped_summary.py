"""The page of a night that was stopped, with real git and DVC."""

from pathlib import Path

import pytest
from test_flows_course import change, night_of
from toy_graph import SHORT, commit, toy_repository

from flows.launch import StageError
from flows.stopped_summary import stopped

DEPS = "    deps: [work.py, '${raw}']\n"
ANNOUNCED = f"{DEPS}    meta: {{announce: {{rows: '${{out}}/ingest/rows.txt'}}}}\n"
OUTS = "    outs: ['${out}/validate']\n"
GATES = """    meta:
      gates:
        Rows let in: {file: data/validate/validation.json, inside: tables, columns: [name, rows_in, accepted]}
        Drift: {file: data/validate/drift.json, columns: [name]}
"""


def page_of_stopped(root: Path, date: str) -> str:
    with pytest.raises(StageError, match="Half of the rows are broken"):
        night_of(root, date)
    return stopped(root, date, "Half of the rows are broken.", None)


def test_what_a_stopped_night_announces_is_kept_and_named(tmp_path: Path) -> None:
    root = toy_repository(tmp_path / "clone", SHORT.replace(DEPS, ANNOUNCED))
    (root / "raw.txt").write_text("broken\n")
    commit(root)
    text = page_of_stopped(root, "2026-11-22")
    kept = root / ".prefect" / "results" / "2026-11-22" / "rows.txt"
    assert f"Rows: `{kept}`" in text
    assert f"`{root}/.prefect/nights/2026-11-22`" in text
    assert "There is no version before." in text
    assert kept.read_text() == "broken\n"


def test_a_stopped_night_says_what_changed_and_what_the_gates_that_it_came_to_have_said(tmp_path: Path) -> None:
    root = toy_repository(tmp_path / "clone", SHORT.replace(OUTS, OUTS + GATES))
    commit(root)
    night_of(root, "2026-11-22")
    change(root, "rows\nbroken\nmore\n")
    text = page_of_stopped(root, "2026-11-23")
    assert "| raw.txt | 2 | 0 |" in text
    assert "## Rows let in\n\n| name | rows in | accepted |\n| --- | --- | --- |\n| labelled | 3 | 2 |" in text
    assert "## Drift" not in text
    assert "dvc.lock" not in text
