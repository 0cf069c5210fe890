"""Locks that a killed git leaves behind: they would keep out every later one."""

import time
from contextlib import suppress
from pathlib import Path

from flows.commands import git

STALE_SECONDS = 600.0  # git holds the lock on the names of branches for less than one


def release(root: Path) -> None:
    """Remove a stale lock on the clone's packed refs: with it no branch could be deleted any more.

    A young one may be that of a person who works in the clone.
    """
    lock = root / git(root, "rev-parse", "--git-common-dir").strip() / "packed-refs.lock"
    with suppress(FileNotFoundError):
        if time.time() - lock.stat().st_mtime > STALE_SECONDS:
            lock.unlink()


def release_index(folder: Path) -> None:
    """Remove the lock on the index of a night's worktree, in which nobody else works."""
    Path(git(folder, "rev-parse", "--absolute-git-dir").strip(), "index.lock").unlink(missing_ok=True)
