"""The page of a night that was stopped, with real git and DVC."""

from pathlib import Path
from shutil import rmtree

import pytest
from test_flows_course import change, night_of
from toy_graph import SHORT, commit, toy_repository

from flows.commands import dvc, git
from flows.launch import StageError
from flows.stopped_summary import stopped
from handful import registry

DEPS = "    deps: [work.py, '${raw}']\n"
ANNOUNCED = f"{DEPS}    meta: {{announce: {{rows: '${{out}}/ingest/rows.txt'}}}}\n"
OUTS = "    outs: ['${out}/validate']\n"
GATES = """    meta:
      gates:
        Rows let in:
          file: data/validate/validation.json
          inside: tables
          columns: [name, rows_in, accepted]
          beside: [rows_in]
        Drift: {file: data/validate/drift.json, columns: [name]}
"""


def page_of_stopped(root: Path, date: str) -> str:
    before = registry.read(root).champion
    with pytest.raises(StageError, match="Half of the rows are broken"):
        night_of(root, date)
    return stopped(root, date, "Half of the rows are broken.", before)


def test_what_a_stopped_night_announces_is_kept_and_named(tmp_path: Path) -> None:
    root = toy_repository(tmp_path / "clone", SHORT.replace(DEPS, ANNOUNCED))
    (root / "raw.txt").write_text("broken\n")
    commit(root)
    text = page_of_stopped(root, "2026-11-22")
    kept = root / ".prefect" / "results" / "2026-11-22" / "rows.txt"
    assert f"Rows: `{kept}`" in text
    assert f"`{root}/.prefect/nights/2026-11-22`" in text
    assert "There is no version before." in text
    assert "Nothing is at prod." in text
    assert kept.read_text() == "broken\n"


def test_a_stopped_night_says_what_changed_and_what_the_gates_that_it_came_to_have_said(tmp_path: Path) -> None:
    root = toy_repository(tmp_path / "clone", SHORT.replace(OUTS, OUTS + GATES))
    commit(root)
    night_of(root, "2026-11-22")
    change(root, "rows\nbroken\nmore\n")
    text = page_of_stopped(root, "2026-11-23")
    assert "| raw.txt | 2 lines more, 0 less |" in text
    assert "| name | rows in | rows in before | accepted |\n| --- | --- | --- | --- |\n| labelled | 3 | 1 | 2 |" in text
    assert "## Drift" not in text
    assert "v1.0.0 stays at prod." in text
    assert "dvc.lock" not in text


def test_of_data_that_came_without_git_the_rows_are_counted_beside_those_before(tmp_path: Path) -> None:
    root, source = toy_repository(tmp_path / "clone", SHORT.replace(OUTS, OUTS + GATES)), tmp_path / "source.txt"
    (root / "raw.txt").unlink()
    source.write_text("rows\n")
    dvc(root, "import-url", str(source), "raw.txt")
    commit(root)
    night_of(root, "2026-11-22")
    source.write_text("rows\nbroken\nmore\n")
    text = page_of_stopped(root, "2026-11-23")
    assert "| raw.txt | other content |" in text
    assert "| labelled | 3 | 1 | 2 |" in text
    rmtree(root / ".dvc" / "cache" / "files")
    assert "| labelled | 3 | 2 |" in stopped(root, "2026-11-23", "Half of the rows are broken.", None)


def test_a_night_that_git_itself_stopped_has_a_page_too(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "rows.txt").write_text("rows\n")
    commit(tmp_path)
    git(tmp_path, "tag", "--annotate", "--message", "of no commit", "student@v1.0.0", "HEAD:rows.txt")
    git(tmp_path, "switch", "--quiet", "--orphan", "empty")
    assert "Such a tag cannot be read." in stopped(tmp_path, "2026-11-22", "Such a tag cannot be read.", None)
