"""The night's page, which answers in the morning: what changed, what was decided, how good, and what to do next."""

from collections.abc import Iterator

from flows.announced import keep, shown
from flows.artifacts import read_metrics, readable
from flows.changed import CHANGED, changed
from flows.earlier import version_before
from flows.gates import named, said
from flows.graph import Stage
from flows.markdown import section, table
from flows.outcome import Outcome
from flows.stopped_summary import left_out
from flows.unchanged_summary import unchanged


def page(outcome: Outcome, stages: list[Stage]) -> str:
    """Write the page of a night that ended well; the files that `meta.announce` names are kept where it says."""
    night = outcome.night
    parts = [f"# Night of {night.name}: {outcome.kind}", outcome.reason]
    try:
        parts += _details(outcome, stages) if outcome.verdict else unchanged(night.root, stages, outcome.version)
    except Exception as error:  # the world knows of the student already; a typo in `meta` costs the page alone
        parts.append(f"The rest of this page could not be written. {type(error).__name__}: {error}")
    return "\n\n".join([*parts, *left_out(night.root)]) + "\n"


def _details(outcome: Outcome, stages: list[Stage]) -> Iterator[str]:
    yield from section("Champion beside challenger", _compared(outcome, stages))
    before = version_before(outcome.night)
    yield from section(CHANGED, changed(outcome.night, stages, before))
    kept = keep(outcome.night, stages)
    yield from said(outcome.night, named(stages), before)
    for name, path in kept.items():
        yield from shown(name, path)


def _compared(outcome: Outcome, stages: list[Stage]) -> str:
    for path in [path for stage in stages for path in stage.metrics]:
        metrics = read_metrics(outcome.night.folder, path)
        ours, theirs = metrics.get("student") or {}, metrics.get("champion") or {}
        numbers = {name: value for name, value in ours.items() if isinstance(value, int | float)}
        rows = ([name, readable(theirs[name]) if name in theirs else "", readable(numbers[name])] for name in numbers)
        if numbers:
            return table(["", f"champion {theirs.get('version', 'none')}", f"challenger {outcome.version.name}"], rows)
    return ""
