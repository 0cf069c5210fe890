"""Locks of a killed git, without DVC: a few references are enough."""

import os
import time
from pathlib import Path

import pytest
from toy_graph import commit

from flows.commands import CommandError, git
from flows.git_locks import release, release_index

OLD_SECONDS = 3600


def locked(folder: Path, name: str, age_seconds: float = 0.0) -> None:
    lock = folder / f"{name}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.touch()
    os.utime(lock, (time.time() - age_seconds,) * 2)


def test_a_stale_lock_on_a_reference_goes_and_a_young_one_that_may_be_a_persons_stays(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    commit(tmp_path)
    there = tmp_path / ".git"
    for name in ("packed-refs", "refs/tags/student@v1.0.0", "refs/remotes/origin/nightly/2026-11-22"):
        locked(there, name, OLD_SECONDS)
    for name in ("refs/heads/nightly/2026-11-22", "refs/heads/mine"):
        locked(there, name)
    release(tmp_path)
    assert [path.name for path in there.rglob("*.lock")] == ["mine.lock"]
    git(tmp_path, "tag", "student@v1.0.0")
    git(tmp_path, "branch", "nightly/2026-11-22")
    with pytest.raises(CommandError, match=r"mine\.lock"):
        git(tmp_path, "branch", "mine")


def test_a_night_gets_its_worktree_back_from_a_git_that_was_killed_there(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "clone")
    root, folder = tmp_path / "clone", tmp_path / "night"
    commit(root)
    git(root, "worktree", "add", "--quiet", "-b", "nightly/2026-11-22", str(folder))
    own = Path(git(folder, "rev-parse", "--absolute-git-dir").strip())
    for name in ("index", "HEAD"):
        locked(own, name)
    release_index(folder)
    commit(folder)
    git(folder, "switch", "--quiet", "--detach")
