"""How a night can end: with a student at prod, with one beside it, with nothing to do, or stopped."""

from dataclasses import dataclass

from flows.night import Night
from flows.versions import Verdict
from handful.registry import Version

KINDS = PROMOTED, KEPT, UNCHANGED = "promoted", "kept", "unchanged"  # of a night that ended well, the best news first
STOPPED, SKIPPED = "stopped", "skipped"


@dataclass(frozen=True)
class Outcome:
    """How a night that was not stopped ended, why, the newest version, and the verdict, if it trained."""

    kind: str
    reason: str
    night: Night
    version: Version
    verdict: Verdict | None
