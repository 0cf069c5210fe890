"""Nights that were committed and could not be told: they hold up no later one."""

from pathlib import Path

import pytest
from test_flows_course import Seen, change, night_of
from test_flows_course import clone as clone  # the fixture
from toy_graph import SHORT

from flows.commands import CommandError, git
from flows.course import pass_night
from flows.graph import Stage
from flows.night import Night
from flows.night_summary import page
from flows.outcome import PROMOTED, UNCHANGED, Outcome
from flows.place import HOME
from flows.telling import Hands
from flows.worktree import nights
from handful import registry

GATES = "gates: {Verdict: {file: data/evaluate/metrics.json, inside: others, columns: [name, accurracy]}}"
HOOK = "#!/bin/sh\n! grep --quiet nightly/2026-11-23\n"  # of a team that has forbidden a name


def test_a_night_that_origin_refuses_for_good_is_told_by_the_next_one(clone: Path, tmp_path: Path) -> None:
    night_of(clone)
    hook = tmp_path / "origin.git" / "hooks" / "pre-receive"
    hook.write_text(HOOK)
    hook.chmod(0o755)
    change(clone, "rows\nmore\n")
    with pytest.raises(CommandError, match="rejected"):
        night_of(clone, "2026-11-23")
    outcome, seen = night_of(clone, "2026-11-24")
    assert (outcome.kind, outcome.version.name) == (PROMOTED, "v2.0.0")
    assert set(seen.runs.values()) == {"cached"}
    assert "2026-11-23 is not told yet" in "".join(seen.said)
    assert nights(clone) == []
    assert Night(clone, "2026-11-23").is_committed()


@pytest.mark.slow
def test_of_several_nights_that_were_not_told_the_newest_takes_the_place_of_all(clone: Path, tmp_path: Path) -> None:
    night_of(clone)
    away = (tmp_path / "store").rename(tmp_path / "away")
    (tmp_path / "store").write_text("no folder")
    for date, rows in (("2026-11-23", "rows\nmore\n"), ("2026-11-24", "rows\nmore\nand more\n")):
        change(clone, rows)
        with pytest.raises(CommandError, match="push"):
            night_of(clone, date)
    (tmp_path / "store").unlink()
    away.rename(tmp_path / "store")
    outcome, seen = night_of(clone, "2026-11-25")
    assert [(shown.night.name, shown.kind) for shown in seen.shown] == [
        ("2026-11-24", PROMOTED),
        ("2026-11-25", UNCHANGED),
    ]
    assert outcome.version.name == registry.read(clone).champion.name == "v2.0.0"
    assert nights(clone) == []


@pytest.mark.slow
def test_a_typo_in_what_a_page_shows_costs_that_part_of_the_page_alone(clone: Path) -> None:
    (clone / "dvc.yaml").write_text(SHORT.replace("meta:\n", f"meta:\n      {GATES}\n"))
    change(clone, "rows\n")
    pages, seen = [], Seen()
    hands = Hands(seen.run, lambda outcome, stages: pages.append(page(outcome, stages)), seen.said.append)
    assert pass_night(clone, "2026-11-23", hands).kind == PROMOTED
    assert "challenger v1.0.0" in pages[0]
    assert "metrics.json has no 'accurracy'. Correct that name." in pages[0]
    assert nights(clone) == []


def test_the_page_names_the_champion_whose_numbers_it_shows(clone: Path) -> None:
    for date, rows in (("2026-11-22", "rows\n"), ("2026-11-23", "rows\nmore\n")):
        change(clone, rows)
        night_of(clone, date)
    change(clone, "rows\nmore\nand more\n")
    pages, seen = [], Seen()

    def run(night: Night, stages: list[Stage]) -> None:
        seen.run(night, stages)
        registry.roll_back(clone, None)

    pass_night(clone, "2026-11-24", Hands(run, lambda *known: pages.append(page(*known)), seen.said.append))
    assert "champion v2.0.0 | challenger v3.0.0" in pages[0]


@pytest.mark.slow
def test_a_page_that_cannot_be_shown_does_not_hold_up_the_next_night(clone: Path) -> None:
    def fail(outcome: Outcome, stages: list[Stage]) -> None:
        if outcome.night.name == "2026-11-22":
            raise OSError("The server is gone.")

    seen = Seen()
    with pytest.raises(OSError, match="gone"):
        pass_night(clone, "2026-11-22", Hands(seen.run, fail, seen.said.append))
    change(clone, "rows\nmore\n")
    outcome = pass_night(clone, "2026-11-23", Hands(seen.run, fail, seen.said.append))
    assert (outcome.kind, outcome.version.name) == (PROMOTED, "v2.0.0")
    assert git(clone, "status", "--porcelain") == ""


def test_the_nights_of_a_date_come_in_the_order_in_which_they_began(tmp_path: Path) -> None:
    names = ["2026-11-22", "2026-11-22-2", "2026-11-22-10", "2026-11-23", "2026-11-23-2"]
    for name in reversed(names):
        (tmp_path / HOME / "nights" / name).mkdir(parents=True)
    assert [night.name for night in nights(tmp_path)] == names
