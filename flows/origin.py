"""The git remote of the clone, where there is one: other clones' nights and versions come in, this one's go out."""

from collections.abc import Callable, Iterable
from pathlib import Path

from flows.commands import CommandError, git, over_network
from handful.registry import FETCH, TAGS

SECONDS = 600.0
BRANCHES = "refs/heads/*:refs/remotes/origin/*"
IN_THE_WAY = "; cannot create"  # what is still known of a branch that was deleted there: `a`, where now `a/b` is


def fetch(root: Path, say: Callable[[str], None]) -> None:
    """Learn of origin's branches and of what is at prod; what a version is, origin knows best."""
    _fetch(root, say, [f"+{names}" for names in (BRANCHES, *TAGS)])


def fetch_all(root: Path, say: Callable[[str], None]) -> None:
    """Learn of every branch and tag that origin has; another commit under a tag of this clone is a CommandError."""
    fetch(root, say)
    _fetch(root, say, ["refs/tags/*:refs/tags/*"])


def _fetch(root: Path, say: Callable[[str], None], names: list[str]) -> None:
    def ask() -> str:
        try:
            return git(root, *FETCH, *names, timeout_seconds=SECONDS)
        except CommandError as error:
            if IN_THE_WAY in str(error):
                git(root, "remote", "prune", "origin", timeout_seconds=SECONDS)
            raise  # over_network asks again

    if exists(root):
        over_network(say, ask)


def latest(root: Path) -> tuple[str, int]:
    """Return the commit that a night works on, and how many commits at origin it leaves out.

    Where the branch at origin is merely further on than the clone's, by labels that others pushed, it is origin's.
    Where each has commits of its own, only a person can join them, and it is the clone's.
    """
    ours, theirs = git(root, "rev-parse", "HEAD").strip(), _upstream(root)
    if not theirs:
        return ours, 0
    own, missing = map(int, git(root, "rev-list", "--left-right", "--count", f"HEAD...{theirs}").split())
    return (ours, missing) if own else (git(root, "rev-parse", theirs).strip(), 0)


def _upstream(root: Path) -> str:
    """Name origin's branch that the clone's follows, else the one of the same name (not `a/b` for `a`), or nothing."""
    branch = git(root, "rev-parse", "--symbolic-full-name", "HEAD").strip()
    if branch == "HEAD":  # at no branch
        return ""
    follows = "%(if:equals=origin)%(upstream:remotename)%(then)%(upstream)%(end)"
    name = git(root, "for-each-ref", f"--format={follows}", branch).strip()
    wanted = name or branch.replace("refs/heads/", "refs/remotes/origin/")
    return wanted if wanted in git(root, "for-each-ref", "--format=%(refname)", wanted).split() else ""


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
