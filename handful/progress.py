"""Progress of long work, as log lines that a person and an orchestrator can both read."""

import logging
import time

log = logging.getLogger("handful.progress")

SECONDS_BETWEEN_LINES = 5.0
SECONDS_OF_A_RATE = 10.0  # before that, how fast it goes is not known well enough to promise anything


def report(share: float, what: str) -> None:
    """Say that `share` (0 to 1) of `what` is done: a line such as `[ 42%] fine-tuning, fold 2 of 3`."""
    log.info("[%3.0f%%] %s", 100 * share, what)


class Pace:
    """Work of `total` units of equal cost, such as tokens, and the time that is left at the rate so far.

    Work that is done within seconds is not spoken of.
    """

    def __init__(self, total: int, what: str) -> None:
        self.total, self.what, self.done = total, what, 0
        self.started = self.said = time.monotonic()

    def advance(self, units: int) -> None:
        """Note that so many more units are done, and say so unless that was said just before."""
        self.done += units
        if time.monotonic() - self.said >= SECONDS_BETWEEN_LINES:
            self.said = time.monotonic()
            left = self.seconds_left()
            report(self.done / self.total, self.what if left is None else f"{self.what}, {duration(left)} left")

    def seconds_left(self) -> float | None:
        """How long the rest takes at the rate so far; None where nothing is left or too little is known."""
        seconds = time.monotonic() - self.started
        if seconds < SECONDS_OF_A_RATE or not 0 < self.done < self.total:
            return None
        return seconds * (self.total - self.done) / self.done


def duration(seconds: float) -> str:
    """A time as a person says it: 40 s, 12 min, 3 h 20 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
