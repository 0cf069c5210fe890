"""Whether this host may run a stage of another one: only with the same orchestration and the same package versions."""

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from flows.commands import git

PINS = "constraints.txt"


class UnlikeError(Exception):
    """This host differs from the one that asks; names every difference."""


def installed(folder: Path) -> dict[str, str]:
    """Return the versions that are installed here of Python and of every package that the project pins."""
    lines = (folder / PINS).read_text(encoding="utf-8").splitlines()
    names = [line.split("==")[0] for line in lines if "==" in line and not line.startswith("#")]
    found = {name: _version(name) for name in names}
    return {"python": ".".join(platform.python_version_tuple()[:2])} | {name: one for name, one in found.items() if one}


def require_alike(clone: Path, folder: Path, commit: str, theirs: dict[str, str]) -> None:
    """Compare the clone with a commit, and what is installed with what is there.

    A package that only one side has is no difference: a stage that needs it says so itself.

    Raises:
        UnlikeError: the orchestration or a version differs.
    """
    code = git(clone, "diff", "--name-only", commit, "--", "flows").split()
    head = git(clone, "rev-parse", "--short", "HEAD").strip()
    wrong = [f"{path} is not as in commit {commit[:7]} (this clone is at {head})" for path in code]
    ours = installed(folder)
    pairs = {name: (ours[name], theirs[name]) for name in sorted(ours.keys() & theirs.keys())}
    wrong += [f"{name} is {here} here and {there} there" for name, (here, there) in pairs.items() if here != there]
    if wrong:
        raise UnlikeError(
            f"{'; '.join(wrong)}. Bring both to the same commit (git pull) and the same packages "
            f"(pip install -c {PINS}), and start the worker again."
        )


def _version(name: str) -> str | None:
    try:
        return version(name).split("+")[0]  # builds of torch for one device and another are of one version
    except PackageNotFoundError:
        return None
