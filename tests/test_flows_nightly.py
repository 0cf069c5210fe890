"""The nightly flow on a real server, its stages run in its own process: what it says at the end of a night."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from prefect.client.schemas.objects import State
from running import Running, server, wait_for
from test_flows_course import Seen, change
from toy_graph import SHORT, commit, toy_repository

from flows import commands, nightly
from flows.commands import dvc, git
from flows.night import NightError
from flows.worktree import only_night


@dataclass(frozen=True)
class Nights:
    """A clone with a server to which its nights report."""

    root: Path
    server: Running

    def run(self) -> State[Any]:
        return nightly.nightly(return_state=True)

    def events(self, count: int) -> list[dict[str, Any]]:
        """The events of nights, at least so many, the earliest first."""
        since = {"since": datetime(2020, 1, 1, tzinfo=UTC).isoformat(), "until": datetime.now(UTC).isoformat()}
        wanted = {"event": {"prefix": ["handful.night."]}, "occurred": since, "order": "ASC"}

        found: list[dict[str, Any]] = []

        def enough() -> bool:
            found[:] = self.server.ask("events/filter", filter=wanted, limit=50)["events"]
            return len(found) >= count

        wait_for(enough, "the events", seconds=60)
        return found

    def page(self) -> str:
        found = self.server.ask("artifacts/filter", artifacts={"key": {"any_": ["night"]}}, sort="CREATED_DESC")
        return str(found[0]["data"])


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nights]:
    folder, before = tmp_path_factory.mktemp("nightly"), Path.cwd()
    root = toy_repository(folder / "clone", SHORT)
    dvc(root, "remote", "add", "--default", "store", str(folder / "store"))
    commit(root)
    with server(folder) as url, pytest.MonkeyPatch.context() as patch:
        patch.setattr(nightly, "run_stages", Seen().run)
        patch.setattr(commands, "PAUSES_SECONDS", (0.1, 0.1))
        os.chdir(root)
        yield Nights(root, Running(root, url))
        os.chdir(before)


@pytest.mark.slow
def test_a_night_that_was_told_late_is_in_the_state_and_the_events(nights: Nights) -> None:
    store = nights.root.parent / "store"
    store.write_text("no folder")
    failed = nights.run()
    assert failed.is_failed()
    assert "Nothing is at prod." in nights.page()
    store.unlink()
    name = datetime.now(UTC).date().isoformat()
    earlier = nights.root / ".prefect" / "nights" / "2026-01-01"  # as if it had been another date's
    git(nights.root, "worktree", "move", str(nights.root / ".prefect" / "nights" / name), str(earlier))
    git(earlier, "branch", "--quiet", "--move", "nightly/2026-01-01")
    git(earlier, "commit", "--quiet", "--amend", "--message", "Night of 2026-01-01\n\nNight: 2026-01-01")
    state = nights.run()
    assert (state.type.name, state.name) == ("COMPLETED", "Promoted")
    assert "v1.0.0 promoted. " in state.message
    assert "v1.0.0 unchanged. " in state.message
    stopped, promoted, unchanged = nights.events(3)
    assert [event["event"] for event in (stopped, promoted, unchanged)] == [
        "handful.night.stopped",
        "handful.night.promoted",
        "handful.night.unchanged",
    ]
    assert (promoted["payload"]["date"], promoted["payload"]["version"]) == ("2026-01-01", "v1.0.0")
    runs = nights.server.ask("flow_runs/filter")
    assert {run["name"] for run in runs} == {f"nightly {name}"}


def test_a_second_night_at_once_tells_that_it_was_skipped(nights: Nights) -> None:
    before = len(nights.events(0))
    with only_night(nights.root):
        state = nights.run()
    assert (state.type.name, state.name) == ("COMPLETED", "Skipped")
    assert nights.events(before + 1)[-1]["event"] == "handful.night.skipped"


def test_a_stage_that_stops_a_night_is_named_in_the_event(nights: Nights, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise NightError("Stage validate Failed: half of the rows are broken", stage="validate")

    before = len(nights.events(0))
    change(nights.root, "rows\nbroken\n")
    monkeypatch.setattr(nightly, "run_stages", stop)
    assert nights.run().is_failed()
    assert nights.events(before + 1)[-1]["payload"]["stage"] == "validate"


def test_a_night_that_cannot_begin_is_told_as_one_that_was_stopped(nights: Nights) -> None:
    before = len(nights.events(0))
    git(nights.root, "tag", "--annotate", "--message", "of no commit", "student@v9.0.0", "HEAD:raw.txt")
    assert nights.run().is_failed()
    git(nights.root, "tag", "--delete", "student@v9.0.0")
    assert nights.events(before + 1)[-1]["event"] == "handful.night.stopped"
    assert "stopped" in nights.page()
