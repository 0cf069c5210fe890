"""One night: its name, its worktree, its branch, and how far it got. Git alone remembers."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from flows.commands import git
from flows.place import HOME

TRAILER = "Night"  # the last line of a night's commit, by which it is known


class NightError(Exception):
    """A night cannot go on; with the stage that says so, if it was one."""

    def __init__(self, text: str, stage: str | None = None) -> None:
        super().__init__(text)
        self.stage = stage


@dataclass(frozen=True)
class Night:
    """One night of the clone at `root`: its name is its date, with `-2` and so on for a second one of that date."""

    root: Path
    name: str

    @property
    def date(self) -> str:
        """The day on which it began, in UTC."""
        return self.name[: len("2026-11-22")]

    @property
    def folder(self) -> Path:
        """The worktree; it is there until the night has ended well."""
        return self.root / HOME / "nights" / self.name

    @property
    def results(self) -> Path:
        """What is kept of the night's results outside the cache, for people."""
        return self.root / HOME / "results" / self.name

    @property
    def branch(self) -> str:
        """The branch that keeps the night's commit."""
        return f"nightly/{self.name}"

    @property
    def revision(self) -> str:
        """The commit of the night."""
        return git(self.root, "rev-parse", f"refs/heads/{self.branch}").strip()

    def is_committed(self) -> bool:
        """Tell whether the stages are done and committed, so that only telling the world is left."""
        trailer = f"--format=%(contents:trailers:key={TRAILER},valueonly)"
        return git(self.root, "for-each-ref", trailer, f"refs/heads/{self.branch}").strip() == self.name

    def is_elsewhere(self) -> bool:
        """Tell whether origin has another night of this name, by another clone, as the last fetch saw it."""
        ours, theirs = f"refs/heads/{self.branch}", f"refs/remotes/origin/{self.branch}"
        base = ours if git(self.root, "for-each-ref", ours) else "HEAD"
        return git(self.root, "for-each-ref", f"--no-merged={base}", theirs) != ""

    def finish(self) -> None:
        """Remove the worktree; the branch keeps what was committed."""
        removed = self.root / HOME / "removed"
        shutil.rmtree(removed, ignore_errors=True)
        if self.folder.exists():
            self.folder.rename(removed)  # at once: half of a worktree would look like a night to be gone on with
            shutil.rmtree(removed)
        git(self.root, "worktree", "prune")

    def forget(self) -> None:
        """Remove the worktree and the branch."""
        self.finish()
        git(self.root, "update-ref", "-d", f"refs/heads/{self.branch}")
