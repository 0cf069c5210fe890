"""Locks that a killed git leaves behind: they would keep out every later one."""

import time
from contextlib import suppress
from pathlib import Path

from flows.commands import git

STALE_SECONDS = 600.0  # git holds the lock on the names of branches for less than one
OURS = Path("heads", "nightly")  # the branches of nights, which nothing but a night changes


def release(root: Path) -> None:
    """Remove stale locks on the clone's branches and tags: with them none could be changed or deleted any more.

    A young one may be that of a person who works in the clone, but for those of nights.
    """
    common = root / git(root, "rev-parse", "--git-common-dir").strip()
    ours = set((common / "refs" / OURS).rglob("*.lock"))
    for lock in [common / "packed-refs.lock", *(common / "refs").rglob("*.lock")]:
        with suppress(FileNotFoundError):
            if lock in ours or time.time() - lock.stat().st_mtime > STALE_SECONDS:
                lock.unlink()


def release_index(folder: Path) -> None:
    """Remove the locks on the index and the head of a night's worktree, in which nobody else works."""
    own = Path(git(folder, "rev-parse", "--absolute-git-dir").strip())
    for name in ("index.lock", "HEAD.lock"):
        (own / name).unlink(missing_ok=True)
