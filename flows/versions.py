"""What a night gives to the world: its commit, its data, a version of the student, and prod if the verdict says so."""

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel

from flows import origin
from flows.artifacts import read_metrics
from flows.commands import git
from flows.graph import Stage
from flows.inputs import LOCK
from flows.night import TRAILER, Night
from flows.results import has_remote, push_all
from handful import registry
from handful.registry import TAGS, Version

UNJUDGED = "no stage of dvc.yaml gives a verdict, so a person has to decide: handful promote"


class Verdict(BaseModel):
    """What evaluate decided, and which champion it saw."""

    decision: str
    reason: str
    champion: str | None


def read_verdict(night: Night, stages: list[Stage]) -> Verdict:
    """Read the verdict from the night's metrics."""
    for path in [path for stage in stages for path in stage.metrics]:
        metrics: dict[str, Any] = read_metrics(night.folder, path)
        if "verdict" in metrics:
            seen = metrics["champion"]["version"] if "champion" in metrics else None  # DVC drops a null
            return Verdict(**{key: metrics["verdict"][key] for key in ("decision", "reason")}, champion=seen)
    return Verdict(decision="none", reason=UNJUDGED, champion=None)


def commit(night: Night, stages: list[Stage], verdict: Verdict) -> None:
    """Commit what the night made: lock file, metrics and, where imported data changed, what names it."""
    folder = night.folder
    git(folder, "add", "--update")
    git(folder, "add", LOCK, *(path for stage in stages for path in stage.committed))
    message = [f"Night of {night.name}", f"Verdict: {verdict.decision}. {verdict.reason}", f"{TRAILER}: {night.name}"]
    paragraphs = [part for text in message for part in ("--message", text)]
    git(folder, "commit", "--quiet", "--allow-empty", "--no-verify", *paragraphs)


def push(night: Night, stages: list[Stage], say: Callable[[str], None]) -> None:
    """Push the results to the DVC remote and the commit to origin, where there are such."""
    if has_remote(night.folder):
        push_all(night.folder, stages, say)
    origin.push(night.root, [f"refs/heads/{night.branch}"], say)


def register(night: Night, say: Callable[[str], None]) -> Version:
    """Make the night's student a version, here and at origin."""
    origin.fetch(night.root, say)
    version = registry.register(night.root, night.revision)
    origin.push(night.root, TAGS, say)
    return version


def promote(night: Night, version: Version, verdict: Verdict, say: Callable[[str], None]) -> str | None:
    """Put the version at prod if the verdict says so and still holds; return why not, or None."""
    known = registry.read(night.root)
    if any(move.version == version.name for move in known.assignments):
        return None if known.champion == version else f"{version.name} was at prod, and a person took it away"
    if verdict.decision not in ("promote", "first"):
        return verdict.reason
    now = known.champion.name if known.champion else None
    if now != verdict.champion:
        return f"it was compared with {verdict.champion}, and meanwhile {now} came to prod"
    registry.promote(night.root, version.name)
    origin.push(night.root, TAGS, say)
    return None
