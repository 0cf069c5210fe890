"""The course of a night from the first look at origin to prod. Each step may be repeated, so one cut short goes on."""

from pathlib import Path

from flows import champion, inputs, origin, versions
from flows.commands import CommandError, git
from flows.graph import read_stages
from flows.night import NightError
from flows.outcome import UNCHANGED, Outcome
from flows.telling import Hands, tell, tell_late
from flows.worktree import begin
from handful import registry


def pass_night(root: Path, date: str, hands: Hands) -> Outcome:
    """Bring the night of this date to its end, after what earlier ones left to be told."""
    try:
        origin.fetch(root, hands.say)
    except CommandError as error:  # the stages do not need it, and when they are done it may be back
        hands.say(f"{error}\nThe night goes on with what is known here.")
    told = tell_late(root, date, hands)
    return told if told and told.night.name.startswith(date) else _work(root, date, hands)


def _work(root: Path, date: str, hands: Hands) -> Outcome:
    if not git(root, "rev-list", "-1", "--all"):
        raise NightError(
            f"{root} has no commit yet. Commit your data and parameters: a night works on what is committed."
        )
    night, known = begin(root, date, hands.say), registry.read(root)
    stages = read_stages(night.folder)
    if known.newest is not None:
        inputs.take_results(night, stages, known.newest)
    inputs.fetch_data(night, hands.say)
    changes = inputs.changes(night, stages)
    if known.newest is not None and not changes:
        reason = f"Nothing has changed since {known.newest.name}, so there is no commit and no new version."
        outcome = Outcome(UNCHANGED, reason, night, known.newest, None)
        hands.show(outcome, stages)
        night.forget()
        return outcome
    hands.say("\n".join(f"{name}: {', '.join(words)}" for name, words in changes.items()))
    champion.fill(night.folder, stages, known.champion, hands.say)
    hands.run(night, stages)
    versions.commit(night, stages, versions.read_verdict(night, stages))
    return tell(night, hands)
