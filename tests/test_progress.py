"""The time that is left is told from the work done so far, and only where the work is long."""

import logging

import pytest

from handful import progress
from handful.progress import Pace, duration


class Clock:
    """A clock that a test moves on."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(progress, "time", made)
    return made


def test_the_time_left_follows_the_units_that_are_done(clock: Clock) -> None:
    pace = Pace(1000, "embedding")
    for units, seconds, left in ((100, 30, 270), (400, 20, 50), (400, 100, 16.7)):
        clock.seconds += seconds
        pace.advance(units)
        assert pace.seconds_left() == pytest.approx(left, abs=0.1)
    pace.advance(100)
    assert pace.seconds_left() is None


def test_nothing_is_promised_before_a_rate_is_known(clock: Clock) -> None:
    pace = Pace(1000, "embedding")
    clock.seconds += 100
    assert pace.seconds_left() is None
    pace = Pace(1000, "embedding")
    clock.seconds += 1
    pace.advance(500)
    assert pace.seconds_left() is None


def test_long_work_is_spoken_of_now_and_then_and_quick_work_not_at_all(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "handful")
    for step, least, most in ((0.001, 0, 0), (0.5, 8, 10)):
        caplog.clear()
        pace = Pace(100, "embedding")
        for _ in range(100):
            clock.seconds += step
            pace.advance(1)
        assert least <= len(caplog.records) <= most


@pytest.mark.parametrize(("seconds", "said"), [(3.4, "3 s"), (89, "89 s"), (150, "2 min"), (12_000, "3 h 20 min")])
def test_a_duration_is_told_as_a_person_says_it(seconds: float, said: str) -> None:
    assert duration(seconds) == said
