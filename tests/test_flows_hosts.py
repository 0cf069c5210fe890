"""A night whose stages run in another clone: git, a DVC remote and nothing else between the two."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from toy_graph import SHORT, commit, toy_repository

from flows import commands, gpus, handover, likeness
from flows.checkout import VISITS, VisitError
from flows.commands import CommandError, dvc, git
from flows.course import Hands, pass_night
from flows.graph import Stage
from flows.handover import bring_home, can_share, hand_over
from flows.launch import launch
from flows.likeness import UnlikeError
from flows.night import Night, NightError
from flows.outcome import PROMOTED, Outcome
from flows.place import place
from flows.visit import give_back, visit
from handful import registry

DATE = "2026-11-22"


def quiet(line: str) -> None:
    """Take a line and do nothing with it."""


def elsewhere(clone: Path, night: Night, stage: Stage, stages: list[Stage]) -> str:
    """Do what a worker of the other clone does, and what the night does around it; return DVC's outcome there."""
    handed = hand_over(night, stage, stages, quiet)
    with visit(clone, place(night.root), stage.name, handed, quiet) as (described, folder):
        outcome = launch(described.name, folder, None, quiet, pull=True)
        give_back(described, folder, quiet)
    bring_home(night, stage, quiet)
    return outcome


def night_elsewhere(root: Path, clone: Path, date: str = DATE) -> tuple[Outcome, dict[str, str]]:
    outcomes: dict[str, str] = {}

    def run(night: Night, stages: list[Stage]) -> None:
        for stage in stages:
            outcomes[stage.name] = elsewhere(clone, night, stage, stages)

    return pass_night(root, date, Hands(run, lambda outcome, stages: None, quiet)), outcomes


@pytest.fixture
def clones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """The clone whose night it is, and another, with an origin and a DVC remote between them."""
    monkeypatch.setattr(commands, "PAUSES_SECONDS", (0.1, 0.1))
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Test")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "test@localhost")
    root = toy_repository(tmp_path / "home", SHORT)
    dvc(root, "remote", "add", "--default", "store", str(tmp_path / "store"))
    commit(root)
    git(tmp_path, "init", "--quiet", "--bare", "origin.git")
    git(root, "remote", "add", "origin", str(tmp_path / "origin.git"))
    git(root, "push", "--quiet", "origin", "HEAD")
    git(tmp_path, "clone", "--quiet", str(tmp_path / "origin.git"), "away")
    return root, tmp_path / "away"


def change(root: Path, text: str) -> None:
    (root / "raw.txt").write_text(text)
    commit(root)


def test_a_night_whose_stages_run_in_another_clone_ends_as_one_at_home_and_the_champion_comes_along(
    clones: tuple[Path, Path],
) -> None:
    home, away = clones
    first, outcomes = night_elsewhere(home, away)
    assert (first.kind, set(outcomes.values())) == (PROMOTED, {"ran"})
    change(home, "rows\nmore\n")  # without any word to the other clone
    second, outcomes = night_elsewhere(home, away, "2026-11-23")
    assert (second.kind, second.version.name, second.verdict.champion) == (PROMOTED, "v2.0.0", "v1.0.0")
    assert not (away / "data" / "ingest").exists()
    assert list((away / VISITS).glob("[0-9]*")) == []
    assert git(home, "status", "--porcelain") == git(away, "status", "--porcelain") == ""
