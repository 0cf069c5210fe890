"""The course of a night from the first look at origin to prod. Each step may be repeated, so one cut short goes on."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from flows import champion, inputs, origin, versions
from flows.commands import CommandError, git
from flows.graph import Stage, read_stages
from flows.night import Night, NightError
from flows.outcome import KEPT, PROMOTED, UNCHANGED, Outcome
from flows.worktree import begin, nights
from handful import registry


@dataclass(frozen=True)
class Hands:
    """Who does what is not git's and DVC's: runs the stages, shows people how it ended, and says what happens."""

    run: Callable[[Night, list[Stage]], None]
    show: Callable[[Outcome, list[Stage]], None]
    say: Callable[[str], None]


def pass_night(root: Path, date: str, hands: Hands) -> Outcome:
    """Bring the night of this date to its end, after what an earlier one left to be told."""
    try:
        origin.fetch(root, hands.say)
    except CommandError as error:  # the stages do not need it, and when they are done it may be back
        hands.say(f"{error}\nThe night goes on with what is known here.")
    for late in [night for night in nights(root) if night.is_committed()]:
        if late.is_elsewhere():
            late.forget()
        elif (outcome := _tell(late, hands)).night.name.startswith(date):
            return outcome
    return _work(root, date, hands)


def _work(root: Path, date: str, hands: Hands) -> Outcome:
    if not git(root, "rev-list", "-1", "--all"):
        raise NightError(
            f"{root} has no commit yet. Commit your data and parameters: a night works on what is committed."
        )
    night, known = begin(root, date), registry.read(root)
    stages = read_stages(night.folder)
    if known.newest is not None:
        inputs.take_results(night, stages, known.newest)
    inputs.fetch_data(night, hands.say)
    changes = inputs.changes(night, stages)
    if known.newest is not None and not changes:
        reason = f"Nothing has changed since {known.newest.name}, so there is no commit and no new version."
        outcome = Outcome(UNCHANGED, reason, night, known.newest, known.champion, None)
        hands.show(outcome, stages)
        night.forget()
        return outcome
    hands.say("\n".join(f"{name}: {', '.join(words)}" for name, words in changes.items()))
    champion.fill(night.folder, stages, known.champion, hands.say)
    hands.run(night, stages)
    versions.commit(night, stages, versions.read_verdict(night, stages))
    return _tell(night, hands)


def _tell(night: Night, hands: Hands) -> Outcome:
    stages, before = read_stages(night.folder), registry.read(night.root).champion
    verdict = versions.read_verdict(night, stages)
    versions.push(night, stages, hands.say)
    version = versions.register(night, hands.say)
    against = versions.promote(night, version, verdict, hands.say)
    kind, reason = (KEPT, against) if against else (PROMOTED, verdict.reason)
    outcome = Outcome(kind, reason, night, version, before, verdict)
    hands.show(outcome, stages)
    night.finish()
    return outcome
