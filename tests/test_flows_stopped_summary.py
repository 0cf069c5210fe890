"""The page of a night that was stopped, with real git and DVC."""

from pathlib import Path

import pytest
from test_flows_course import night_of
from toy_graph import SHORT, commit, toy_repository

from flows.launch import StageError
from flows.stopped_summary import stopped

DEPS = "    deps: [work.py, '${raw}']\n"
ANNOUNCED = f"{DEPS}    meta: {{announce: {{rows: '${{out}}/ingest/rows.txt'}}}}\n"


def test_what_a_stopped_night_announces_is_kept_and_named(tmp_path: Path) -> None:
    root = toy_repository(tmp_path / "clone", SHORT.replace(DEPS, ANNOUNCED))
    (root / "raw.txt").write_text("broken\n")
    commit(root)
    with pytest.raises(StageError, match="Half of the rows are broken"):
        night_of(root, "2026-11-22")
    kept = root / ".prefect" / "results" / "2026-11-22" / "rows.txt"
    text = stopped(root, "2026-11-22", "Half of the rows are broken.", None)
    assert f"Rows: `{kept}`" in text
    assert f"`{root}/.prefect/nights/2026-11-22`" in text
    assert kept.read_text() == "broken\n"
