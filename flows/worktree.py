"""Where a night works: a git worktree over the clone's DVC cache, so that the clone's own files are left alone."""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from pathlib import Path

from flows import git_locks, origin, stage_locks
from flows.commands import CommandError, git
from flows.night import Night
from flows.place import HOME, home


def only_night(root: Path) -> AbstractContextManager[bool]:
    """Hold the clone's lock on nights and say whether we got it."""
    return only_one(root, "night")


@contextmanager
def only_one(root: Path, what: str) -> Iterator[bool]:
    """Hold a lock of the clone and say whether we got it. It cannot outlive this process, however that ends."""
    with (home(root) / f"{what}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def nights(root: Path, what: str = "nights") -> list[Night]:
    """List the nights that have not ended well, or whose `results` are still there; the oldest first, -2 before -10."""
    there = [Night(root, folder.name) for folder in (root / HOME / what).glob("*")]
    return sorted(there, key=lambda night: (night.date, len(night.name), night.name))


def begin(root: Path, date: str, say: Callable[[str], None]) -> Night:
    """Give the night of this date a worktree at the newest commit; one that was cut short keeps the results it has."""
    git_locks.release(root)
    for night in nights(root):
        if not night.is_committed() and not (night.name.startswith(date) and _is_whole(night)):
            night.forget()  # what its stages made is in the cache
    names = (date if number == 1 else f"{date}-{number}" for number in count(1))
    candidates = (Night(root, name) for name in names)
    night = next(night for night in candidates if not night.is_committed() and not night.is_elsewhere())
    head, _ = origin.latest(root)
    if not night.folder.exists():
        git(root, "worktree", "add", "--quiet", "--force", "-B", night.branch, str(night.folder), head)
    stage_locks.take_over(night.folder, say)
    git_locks.release_index(night.folder)
    git(night.folder, "reset", "--quiet", "--hard", head)
    share_cache(root, night.folder)
    return night


def _is_whole(night: Night) -> bool:
    try:
        return git(night.folder, "rev-parse", "--abbrev-ref", "HEAD").strip() == night.branch
    except CommandError:  # killed while it was being made
        return False


def share_cache(root: Path, folder: Path, **core: bool) -> None:
    """Give DVC in the worktree the clone's cache, remotes and credentials; all else it keeps goes with the worktree."""
    from dvc.config import Config, merge
    from dvc.repo import Repo

    with Repo(str(root)) as repo:
        cache = repo.cache.local_cache_dir
    ours = Config(dvc_dir=str(root / Repo.DVC_DIR))
    there = folder / Repo.DVC_DIR
    with Config(dvc_dir=str(there)).edit("local") as config:
        for level in ("repo", "local"):
            merge(config, ours.load_one(level))  # relative paths are told anew from where they are written
        merge(config, {"cache": {"dir": cache}, "core": {"site_cache_dir": str(there / "tmp" / "site"), **core}})
