"""The schedule of the nights over the days on which clocks are changed."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
import yaml
from prefect.server.schemas.schedules import CronSchedule
from toy_graph import PROJECT

CHANGES = {"spring": datetime(2026, 3, 28, tzinfo=UTC), "autumn": datetime(2026, 10, 24, tzinfo=UTC)}
BERLIN = {"cron": "30 2 * * *", "timezone": "Europe/Berlin"}  # of the hour that is missing once, and comes twice once


def nights(schedule: dict[str, str], first: datetime) -> set[datetime]:
    """The nights of two days as the server plans them: again and again, always from now on."""
    planned = CronSchedule(**schedule)
    looks = [first + timedelta(minutes=20 * look) for look in range(3 * 48)]
    found = (asyncio.run(planned.get_dates(n=3, start=look)) for look in looks)
    return {date for dates in found for date in dates if date < first + timedelta(days=3)}


@pytest.mark.parametrize("season", CHANGES)
def test_the_projects_schedule_has_one_night_every_day_at_the_same_hour(season: str) -> None:
    [deployment] = yaml.safe_load((PROJECT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
    [schedule] = deployment["schedules"]
    times = sorted(date.astimezone(UTC) for date in nights(schedule, CHANGES[season]))
    assert [later - earlier for earlier, later in pairwise(times)] == [timedelta(days=1)] * 2


@pytest.mark.parametrize("season", CHANGES)
def test_an_hour_that_is_missing_or_comes_twice_still_has_one_night(season: str) -> None:
    there = ZoneInfo(BERLIN["timezone"])
    days = Counter(date.astimezone(there).date() for date in nights(BERLIN, CHANGES[season]))
    assert set(days.values()) == {1}
    assert len(days) == 3
