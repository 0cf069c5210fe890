"""What is new to a night since the last run of its stages, with real git and DVC."""

from pathlib import Path

from toy_graph import SHORT, commit, toy_repository

from flows.commands import dvc, git
from flows.graph import read_stages
from flows.inputs import changes
from flows.night import Night
from flows.worktree import share_cache

ADDED = """  summary:
    cmd: python work.py summary ${out}/validate ${out}/summary
    deps: ['${out}/validate']
    outs: ['${out}/summary']
"""
BESIDE = "deps: [work.py, '${out}/validate', "  # the stage evaluate


def test_a_stage_and_a_dependency_on_another_stage_that_somebody_adds_are_news_and_absent_results_are_not(
    tmp_path: Path,
) -> None:
    root = toy_repository(tmp_path / "clone", SHORT)
    dvc(root, "repro", "--quiet")
    commit(root)
    night = Night(root, "2026-11-22")
    git(root, "worktree", "add", "--quiet", "-b", night.branch, str(night.folder))
    share_cache(root, night.folder)
    assert changes(night, read_stages(night.folder)) == {}
    graph = SHORT.replace(BESIDE, f"{BESIDE}'${{out}}/ingest', ") + ADDED
    (night.folder / "dvc.yaml").write_text(graph)
    assert changes(night, read_stages(night.folder)) == {
        "evaluate": ["data/ingest deleted"],
        "summary": ["data/validate deleted", "data/summary deleted"],
    }
