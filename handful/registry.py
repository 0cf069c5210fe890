"""The registry: which students were made, and which of them is at prod, as git tags that gto writes and DVC reads."""

import os
import re
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from handful.errors import MissingExtraError, RegistryError

ARTIFACT, STAGE = "student", "prod"
NUMBERED = re.compile(rf"{ARTIFACT}@v(\d+)")
TAGS = [f"refs/tags/{ARTIFACT}{mark}*:refs/tags/{ARTIFACT}{mark}*" for mark in "@#"]
# Whatever a person's settings say, tags that origin does not know stay: they may be versions that are yet to be pushed.
FETCH = ("fetch", "--quiet", "--no-tags", "--no-prune", "origin")
ANOTHER = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR")  # a hook's variables name its repository
FETCH_SECONDS, PUSH_SECONDS = 3.0, 60.0  # a rollback must not wait for an origin that does not answer


@dataclass(frozen=True)
class Version:
    """One registered student: its name (`v3.0.0`), the commit that made it, and when it was registered."""

    name: str
    revision: str
    registered: datetime


@dataclass(frozen=True)
class Assignment:
    """One change of what is at prod; `back` says that the version had been there before and was returned to."""

    version: str
    at: datetime
    back: bool


@dataclass(frozen=True)
class Registry:
    """The registry of one repository as its tags say, oldest first; `line` is what a rollback goes back along.

    `told` is the version of the last tag on prod, from which DVC takes what it gives out even if the version is gone.
    """

    versions: list[Version]
    assignments: list[Assignment]
    line: list[str]
    told: str | None
    changed: datetime | None

    @property
    def champion(self) -> Version | None:
        """The version at prod."""
        return self.find(self.line[-1]) if self.line else None

    @property
    def newest(self) -> Version | None:
        """The version with the highest number."""
        return self.versions[-1] if self.versions else None

    def find(self, name: str) -> Version:
        """Return the version of this name; `3` and `v3` are short for `v3.0.0`.

        Raises:
            RegistryError: there is no such version.
        """
        short = name.removeprefix("v")
        wanted = f"v{short}" if "." in short else f"v{short}.0.0"
        for version in self.versions:
            if version.name == wanted:
                return version
        there = ", ".join(version.name for version in self.versions)
        raise RegistryError(f"There is no version {name}. {f'There are {there}.' if there else NONE_YET}")

    def made_by(self, revision: str) -> Version | None:
        """Return the version that this commit made."""
        return next((version for version in self.versions if version.revision == revision), None)


NONE_YET = "Nothing is registered yet: a night registers what it made."


def read(root: Path) -> Registry:
    """Read the registry of the git repository at `root`.

    Raises:
        RegistryError: there is no git repository.
    """
    with _gto(root) as gto:
        student = gto.get_artifacts().get(ARTIFACT)
    events = sorted(student.get_events(), key=lambda event: (event.created_at, event.priority)) if student else []
    gone = {event.version for event in events if event.event == "deregistration"}
    versions = [
        Version(event.version, event.commit_hexsha, event.created_at.astimezone(UTC))
        for event in events
        if event.event == "registration" and event.version not in gone
    ]
    moves = [event for event in events if getattr(event, "stage", None) == STAGE]
    there = {version.name for version in versions}  # not one whose tag was deleted, nor one that is deregistered
    assignments, line = _follow(move for move in moves if move.version in there)
    told = moves[-1].version if moves else None
    changed = events[-1].created_at if events else None
    return Registry(sorted(versions, key=lambda version: _number(version.name)), assignments, line, told, changed)


def _follow(moves: Iterable[Any]) -> tuple[list[Assignment], list[str]]:
    """What was at prod, in order, and the line behind today's: going back to a version forgets those after it."""
    assignments, line = list[Assignment](), list[str]()
    for move in moves:
        name = move.version
        if move.event == "unassignment":
            line = [other for other in line if other != name]
            continue
        back = name in line
        line = [*line[: line.index(name)], name] if back else [*line, name]
        assignments.append(Assignment(name, move.created_at.astimezone(UTC), back))
    return assignments, line


def register(root: Path, revision: str) -> Version:
    """Make the student of this commit the next version; one that it has already is returned."""
    registry = read(root)
    known = registry.made_by(revision)
    if known is None:
        with _gto(root) as gto, _after(registry):
            # Of all tags, for a number is given out once: a version may be gone, and a person's own tag is no version.
            taken = [int(found[1]) for tag in gto.scm.list_tags() if (found := NUMBERED.match(tag))]
            gto.register(ARTIFACT, revision, version=f"v{max(taken, default=0) + 1}.0.0", simple=True)
    return known or read(root).versions[-1]


def promote(root: Path, name: str | None) -> Version:
    """Put a version at prod, the newest if none is named: one tag, so it happens or does not.

    Raises:
        RegistryError: there is no such version, or it is at prod.
    """
    registry = read(root)
    version = registry.newest if name is None else registry.find(name)
    if version is None:
        raise RegistryError(f"There is no version to promote. {NONE_YET}")
    return _assign(root, registry, version)


def roll_back(root: Path, name: str | None) -> Version:
    """Put the version at prod again that was there before today's, or the one that is named: one tag.

    Raises:
        RegistryError: nothing was at prod before, or the named version is unknown or is at prod.
    """
    registry = read(root)
    if name is None and len(registry.line) < 2:
        there = f"{registry.line[0]} is the first" if registry.line else "Nothing is"
        raise RegistryError(
            f"There is nothing to go back to: {there} at prod. Choose one with: handful promote VERSION"
        )
    return _assign(root, registry, registry.find(registry.line[-2] if name is None else name))


def _assign(root: Path, registry: Registry, version: Version) -> Version:
    if version == registry.champion and version.name == registry.told:
        raise RegistryError(f"{version.name} is at prod already; nothing was changed.")
    with _gto(root) as gto, _after(registry):
        # Without force, gto would not let a version return to where it has been.
        gto.assign(ARTIFACT, STAGE, version=version.name, force=True)
    return version


def fetch(root: Path) -> str | None:
    """Take over what `origin` knows, where it and this repository differ; return why it could not be asked, if so."""
    if not _has_origin(root):
        return None
    return _origin(root, FETCH_SECONDS, *FETCH, *(f"+{tags}" for tags in TAGS))


def push(root: Path) -> bool:
    """Tell `origin` of every version and assignment; False if this repository has no `origin`.

    Raises:
        RegistryError: origin did not take them. If it has changed meanwhile, the change is undone here, else it stays.
    """
    if not _has_origin(root):
        return False
    said = _origin(root, PUSH_SECONDS, "push", "--quiet", "--atomic", "--no-verify", "origin", *TAGS)
    if said is None:
        return True
    if "[rejected]" in said and fetch(root) is None:
        raise RegistryError(
            "Nothing was changed: origin has changed meanwhile. Look at what is at prod now (handful history), and "
            "repeat the command if it is still right."
        )
    raise RegistryError(
        f"The registry was changed here, but origin was not told: {said}. Who gets the student from origin still gets "
        f"the one before. Push again with: git push origin {' '.join(repr(tag) for tag in TAGS)}"
    )


def _has_origin(root: Path) -> bool:
    try:
        done = git(root, "remote")
    except OSError as error:
        raise RegistryError(
            f"{root} cannot be looked into ({error}). Name the clone whose students are meant."
        ) from None
    return "origin" in done.stdout.split()


def _origin(root: Path, seconds: float, *arguments: str) -> str | None:
    """Run git against origin; return why it failed, or None."""
    try:
        done = git(root, *arguments, timeout_seconds=seconds)
    except subprocess.TimeoutExpired:
        return f"no answer within {seconds:.0f} seconds"
    return None if done.returncode == 0 else done.stderr.strip()


def git(root: Path, *arguments: str, timeout_seconds: float | None = None) -> "subprocess.CompletedProcess[str]":
    """Run git in the repository at `root`, whatever hook calls us, and in English, because its words are read."""
    given = {name: value for name, value in os.environ.items() if name not in ANOTHER} | {"LANGUAGE": "en"}
    settings: dict[str, Any] = {"capture_output": True, "text": True, "check": False, "timeout": timeout_seconds}
    return subprocess.run(["git", *arguments], cwd=root, env=given, stdin=subprocess.DEVNULL, **settings)


@contextmanager
def _gto(root: Path) -> Iterator[Any]:
    try:
        from git import GitCommandError
        from gto.exceptions import GTOException
        from gto.registry import GitRegistry
        from scmrepo.exceptions import SCMError
        from scmrepo.git import Git
    except ModuleNotFoundError:
        raise MissingExtraError("gto", "registry") from None
    try:
        repository: Any = Git(str(root))
    except SCMError:
        raise RegistryError(f"{root} is no git repository. Go to the clone whose students are meant.") from None
    repository.tag = repository.gitpython.tag  # the other ways do not let a tag be dated
    try:
        with closing(repository), GitRegistry.from_scm(repository) as registry:
            yield registry
    except (GTOException, GitCommandError) as error:
        said = str(getattr(error, "stderr", "") or error).strip()
        raise RegistryError(f"The registry of {root} was not changed: {said}") from None


@contextmanager
def _after(registry: Registry) -> Iterator[None]:
    """Date the tag later than every other: what is at prod is the latest assignment, and clocks are set back."""
    earliest = int(registry.changed.timestamp()) + 1 if registry.changed else 0
    before = os.environ.get("GIT_COMMITTER_DATE")
    os.environ["GIT_COMMITTER_DATE"] = f"@{max(int(time.time()), earliest)} +0000"
    try:
        yield
    finally:
        os.environ.pop("GIT_COMMITTER_DATE")
        if before is not None:
            os.environ["GIT_COMMITTER_DATE"] = before


def _number(name: str) -> tuple[int, ...]:
    return tuple(int(part) for part in name.removeprefix("v").split("-")[0].split("."))
