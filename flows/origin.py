"""The git remote of the clone, where there is one: other clones' nights and versions come in, this one's go out."""

from collections.abc import Callable, Iterable
from pathlib import Path

from flows.commands import CommandError, git, over_network
from handful.registry import TAGS

SECONDS = 600.0
BRANCHES = "refs/heads/*:refs/remotes/origin/*"


def fetch(root: Path, say: Callable[[str], None]) -> None:
    """Learn of origin's branches and of what is at prod; what a version is, origin knows best."""
    if exists(root):
        command = ["fetch", "--quiet", "--no-tags", "origin", *(f"+{names}" for names in (BRANCHES, *TAGS))]
        over_network(say, lambda: git(root, *command, timeout_seconds=SECONDS))


def fetch_all(root: Path, say: Callable[[str], None]) -> None:
    """Learn of every branch and tag that origin has.

    Raises:
        CommandError: origin cannot be reached, or has another commit under a tag of this clone.
    """
    fetch(root, say)
    if exists(root):
        command = ["fetch", "--quiet", "--no-tags", "origin", "refs/tags/*:refs/tags/*"]
        over_network(say, lambda: git(root, *command, timeout_seconds=SECONDS))


def push(root: Path, names: Iterable[str], say: Callable[[str], None]) -> None:
    """Push branches or tags, all or none; where origin refuses, take over what it has.

    Raises:
        CommandError: origin refused, or cannot be reached.
    """
    if not exists(root):
        return
    try:
        over_network(say, lambda: git(root, "push", "--quiet", "--atomic", "origin", *names, timeout_seconds=SECONDS))
    except CommandError as error:
        if error.refused:
            fetch(root, say)
        raise


def exists(root: Path) -> bool:
    """Tell whether the clone has one."""
    return "origin" in git(root, "remote").split()
