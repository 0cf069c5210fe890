"""How a night can end: with a student at prod, with one beside it, with nothing to do, or stopped."""

from dataclasses import dataclass

from flows.night import Night
from flows.versions import Verdict
from handful.registry import Version

PROMOTED, KEPT, UNCHANGED, STOPPED = "promoted", "kept", "unchanged", "stopped"


@dataclass(frozen=True)
class Outcome:
    """How a night that was not stopped ended, why, the newest version, which was at prod before, and the verdict."""

    kind: str
    reason: str
    night: Night
    version: Version | None
    before: Version | None
    verdict: Verdict | None
