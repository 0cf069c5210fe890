"""The page of a night with nothing to do: what is at prod, and where the last version's results lie."""

from collections.abc import Iterator
from pathlib import Path

from flows.announced import kept, shown
from flows.artifacts import readable
from flows.commands import git
from flows.earlier import read_earlier
from flows.graph import Stage
from flows.markdown import section, table
from flows.night import TRAILER, Night
from handful import registry
from handful.registry import Registry, Version


def unchanged(root: Path, stages: list[Stage], newest: Version) -> Iterator[str]:
    """Give the sections between the reason and what was left out."""
    yield from section("Champion", _champion(root, stages, registry.read(root)))
    trailer = f"--format=%(trailers:key={TRAILER},valueonly)"
    made_by = Night(root, git(root, "log", "-1", trailer, newest.revision).strip())
    yield f"## Results of {newest.name}, the newest version"
    files = kept(made_by, stages)
    if not files:  # it is another clone's, or somebody has cleaned up
        yield f"This clone has kept none. Get one with `dvc get . PATH --rev {newest.revision}`."
    for name, path in files.items():
        yield from shown(name, path)


def _champion(root: Path, stages: list[Stage], known: Registry) -> str:
    champion = known.champion
    if champion is None:
        return "Nothing is at prod."
    since = f"{champion.name} is at prod since {known.assignments[-1].at:%Y-%m-%d %H:%M} UTC."
    metrics = [read_earlier(root, champion.revision, path) or {} for stage in stages for path in stage.metrics]
    numbers = {name: value for one in metrics for name, value in (one.get("student") or {}).items()}
    rows = ([name, readable(value)] for name, value in numbers.items() if isinstance(value, int | float))
    return "\n\n".join([since, table(["", champion.name], rows)]).strip()
