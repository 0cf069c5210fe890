"""What a night takes from origin, without DVC: commits are enough."""

from pathlib import Path

import pytest
from toy_graph import commit

from flows import commands, origin
from flows.commands import git
from flows.stopped_summary import left_out


@pytest.fixture
def clones(tmp_path: Path) -> tuple[Path, Path]:
    """Two clones of one origin."""
    git(tmp_path, "init", "--quiet", "--bare", "origin.git")
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    git(tmp_path, "init", "--quiet", "ours")
    git(ours, "remote", "add", "origin", str(tmp_path / "origin.git"))
    commit(ours)
    git(ours, "push", "--quiet", "origin", "HEAD")
    git(tmp_path, "clone", "--quiet", "origin.git", "theirs")
    return ours, theirs


def pushed(clone: Path) -> str:
    commit(clone)
    git(clone, "push", "--quiet", "origin", "HEAD")
    return head(clone)


def test_a_page_before_the_first_commit_says_what_nobody_committed(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "rows.txt").write_text("rows\n")
    assert "rows.txt" in left_out(tmp_path)[1]


def head(clone: Path) -> str:
    return git(clone, "rev-parse", "HEAD").strip()


def test_a_night_works_on_what_the_team_has_pushed(clones: tuple[Path, Path]) -> None:
    ours, theirs = clones
    newest = pushed(theirs)
    assert origin.latest(ours) == (head(ours), 0)
    origin.fetch(ours, print)
    assert origin.latest(ours) == (newest, 0)
    assert left_out(ours) == []
    assert head(ours) != newest  # the clone itself is left alone


def test_what_only_a_person_can_join_is_left_out_and_said(clones: tuple[Path, Path]) -> None:
    ours, theirs = clones
    pushed(theirs)
    pushed(theirs)
    (ours / "own.txt").write_text("committed\n")
    commit(ours)
    (ours / "own.txt").write_text("and changed\n")
    origin.fetch(ours, print)
    assert origin.latest(ours) == (head(ours), 2)
    assert "own.txt" in left_out(ours)[1]
    assert "Commits at origin: 2" in left_out(ours)[3]


def test_a_branch_follows_what_it_was_told_to_and_else_the_one_of_its_name(clones: tuple[Path, Path]) -> None:
    ours, theirs = clones
    git(theirs, "switch", "--quiet", "--create", "labels")
    labels = pushed(theirs)
    origin.fetch(ours, print)
    before = head(ours)
    assert origin.latest(ours) == (before, 0)
    git(ours, "branch", "--quiet", "--set-upstream-to", "origin/labels")
    assert origin.latest(ours) == (labels, 0)
    git(ours, "switch", "--quiet", "--create", "mine", "--no-track")
    assert origin.latest(ours) == (before, 0)
    git(ours, "switch", "--quiet", "--detach")
    assert origin.latest(ours) == (before, 0)


def test_a_branch_does_not_follow_one_whose_name_begins_with_its_own(clones: tuple[Path, Path]) -> None:
    ours, theirs = clones
    git(theirs, "switch", "--quiet", "--create", "labels/trial")
    pushed(theirs)
    git(ours, "switch", "--quiet", "--create", "labels")
    origin.fetch(ours, print)
    assert origin.latest(ours) == (head(ours), 0)


def test_a_branch_may_take_the_place_of_one_that_was_deleted(
    clones: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "PAUSES_SECONDS", (0.0, 0.0))
    ours, theirs = clones
    git(ours, "config", "fetch.prune", "true")
    git(theirs, "push", "--quiet", "origin", "HEAD:refs/heads/labels")
    origin.fetch(ours, print)
    git(ours, "tag", "student@v1.0.0")  # which origin does not know
    git(theirs, "push", "--quiet", "origin", ":refs/heads/labels")
    git(theirs, "push", "--quiet", "origin", "HEAD:refs/heads/labels/new")
    origin.fetch(ours, print)
    assert "origin/labels/new" in git(ours, "branch", "--remotes")
    assert git(ours, "tag") == "student@v1.0.0\n"
