"""How the world learns of a night whose stages are done and committed: tonight's, and those that could not be told."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from flows import versions
from flows.graph import Stage, read_stages
from flows.night import Night
from flows.outcome import KEPT, PROMOTED, Outcome
from flows.worktree import nights


@dataclass(frozen=True)
class Hands:
    """Who does what is not git's and DVC's: runs the stages, shows people how it ended, and says what happens."""

    run: Callable[[Night, list[Stage]], None]
    show: Callable[[Outcome, list[Stage]], None]
    say: Callable[[str], None]


def tell(night: Night, hands: Hands) -> Outcome:
    """Push the night's commit, register it, put it at prod if its verdict says so, and show that."""
    stages = read_stages(night.folder)
    verdict = versions.read_verdict(night, stages)
    versions.push(night, stages, hands.say)
    version = versions.register(night, hands.say)
    against = versions.promote(night, version, verdict, hands.say)
    kind, reason = (KEPT, against) if against else (PROMOTED, verdict.reason)
    outcome = Outcome(kind, reason, night, version, verdict)
    hands.show(outcome, stages)
    for earlier in filter(Night.is_committed, nights(night.root)):
        if earlier.name < night.name:
            earlier.finish()  # it is too late for a version of its own; the branch keeps it
    night.finish()
    return outcome


def tell_late(root: Path, date: str, hands: Hands) -> Outcome | None:
    """Tell the newest of the nights that were committed and not told; it has all that those before it had.

    One that origin refuses, or whose page cannot be written, is no reason to leave out tonight: it is tried again until
    a later one is told.
    """
    for late in filter(Night.is_committed, reversed(nights(root))):
        if late.is_elsewhere():
            late.forget()
            continue
        try:
            return tell(late, hands)
        except Exception as error:  # whatever it is, it may be so every night
            if late.name.startswith(date):
                raise
            hands.say(f"The night of {late.name} is not told yet: {error}\nTonight's goes on.")
            return None
    return None
