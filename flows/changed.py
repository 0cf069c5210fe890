"""What changed in the files since the version before: by commits, and by what a night imported."""

from collections.abc import Iterable

from flows.commands import git
from flows.graph import Stage
from flows.inputs import LOCK
from flows.markdown import table
from flows.night import Night
from handful.registry import Version

CHANGED = "What changed since the version before"
DATA = ".dvc"  # by DVC's convention, where git has this file in place of the data


def changed(night: Night, stages: Iterable[Stage], before: Version | None) -> str:
    """Write a table of the files that are not as they were, but for those that the night itself writes."""
    if before is None:
        return "There is no version before."
    made = {LOCK, *(path for stage in stages for path in stage.metrics)}
    # Against the files themselves: in a night that was stopped, what was imported is not committed.
    said = git(night.folder, "diff", "--numstat", before.revision).splitlines()
    found = (line.split("\t") for line in said)
    return table(["file", "change"], (_row(*one) for one in found if one[-1] not in made))


def _row(more: str, less: str, path: str) -> list[str]:
    if more == "-" or path.endswith(DATA):  # what lines cannot tell of tables and pictures, the gates' counts do
        return [path.removesuffix(DATA), "other content"]
    return [path, f"{more} lines more, {less} less"]
