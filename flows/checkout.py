"""A worktree at a commit that another clone gave to origin, as long as one run needs it."""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from flows import origin
from flows.commands import git, over_network
from flows.place import HOME

VISITS = HOME / "visits"


class VisitError(Exception):
    """This host cannot run the stage of another clone's night; says why."""


@contextmanager
def checked_out(clone: Path, ref: str, commit: str, say: Callable[[str], None]) -> Iterator[Path]:
    """Fetch a commit by its name at origin, and give a worktree at it.

    Raises:
        VisitError: origin has another one under that name by now.
    """
    folder = clone / VISITS / str(os.getpid())
    try:
        _check_out(clone, folder, ref, commit, say)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _check_out(clone: Path, folder: Path, ref: str, commit: str, say: Callable[[str], None]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several workers of this clone may come at once
        for left in folder.parent.iterdir():
            if left.is_dir() and (left == folder or not psutil.pid_exists(int(left.name))):
                shutil.rmtree(left)  # of one that was killed
        git(clone, "worktree", "prune")
        origin.fetch(clone, say)  # for the champion
        command = ["fetch", "--quiet", "--no-tags", "origin", f"+{ref}:{ref}"]
        over_network(say, lambda: git(clone, *command, timeout_seconds=origin.SECONDS))
        if git(clone, "rev-parse", ref).strip() != commit:
            raise VisitError(f"Another night of that clone has begun: {ref} at origin is no longer commit {commit}.")
        git(clone, "worktree", "add", "--quiet", "--force", "--detach", str(folder), commit)
