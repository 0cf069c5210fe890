"""What a night commits and pushes, with real git and DVC."""

from pathlib import Path

import pytest
from toy_graph import commit, toy_repository

from flows import versions
from flows.commands import dvc, git
from flows.graph import read_stages
from flows.handover import hand_over
from flows.night import Night
from flows.versions import Verdict
from flows.worktree import share_cache

GRAPH = """stages:
  count:
    cmd: cp raw.txt rows.json && cp raw.txt few.json
    deps: [raw.txt]
    metrics:
      - rows.json
      - few.json: {cache: false}
"""
VERDICT = Verdict(decision="first", reason="nothing is at prod", champion=None)


@pytest.fixture
def night(tmp_path: Path) -> Night:
    """A night whose only stage is done."""
    root = toy_repository(tmp_path / "clone", GRAPH)
    (root / "raw.txt").write_text('{"rows": 5}')
    commit(root)
    made = Night(root, "2026-11-22")
    git(root, "worktree", "add", "--quiet", "-b", made.branch, str(made.folder))
    share_cache(root, made.folder)
    dvc(made.folder, "repro", "--quiet")
    return made


def test_metrics_that_dvc_keeps_in_its_cache_are_committed_by_their_lock_alone(night: Night) -> None:
    [stage] = stages = read_stages(night.folder)
    handed = hand_over(night, stage, stages, print)
    versions.commit(night, stages, VERDICT)
    for revision in (handed, night.revision):
        names = git(night.root, "ls-tree", "--name-only", revision).split()
        assert {"dvc.lock", "few.json", "rows.json"} & set(names) == {"dvc.lock", "few.json"}


def test_a_remote_that_is_not_the_default_is_no_place_for_what_a_night_makes(night: Night, tmp_path: Path) -> None:
    stages = read_stages(night.folder)
    dvc(night.root, "remote", "add", "imports", str(tmp_path / "imports"))
    share_cache(night.root, night.folder)
    versions.push(night, stages, print)
    dvc(night.root, "remote", "add", "--default", "store", str(tmp_path / "store"))
    share_cache(night.root, night.folder)
    versions.push(night, stages, print)
    assert [path.name for path in tmp_path.iterdir() if path.name in ("imports", "store")] == ["store"]
