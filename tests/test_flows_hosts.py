"""A night whose stages run in another clone: git, a DVC remote and nothing else between the two."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from running import flows
from toy_graph import PROJECT, SHORT, commit, toy_repository

from flows import commands
from flows.checkout import VISITS, VisitError
from flows.commands import dvc, git
from flows.course import pass_night
from flows.gpus import VARIABLE, shares, what_they_see
from flows.graph import Stage, read_stages
from flows.handover import Handed, bring_home, hand_over
from flows.launch import launch
from flows.likeness import UnlikeError, installed
from flows.needs import needs
from flows.night import Night, NightError
from flows.outcome import PROMOTED
from flows.place import place, short
from flows.telling import Hands
from flows.visit import give_back, visit
from flows.worktree import begin, only_one

DATE = "2026-11-22"


def quiet(line: str) -> None:
    """Take a line and do nothing with it."""


def visited(away: Path, night: Night, stage: str, commit: str | None) -> str:
    """Do what a worker of the other clone does; return DVC's outcome there."""
    with visit(away, place(night.root), stage, commit, quiet) as (described, folder):
        outcome = launch(described.name, folder, None, quiet, pull=True)
        give_back(described, folder, quiet)
    return outcome


def elsewhere(away: Path, night: Night, stage: Stage, stages: list[Stage]) -> str:
    """Do what the night does around it, too."""
    outcome = visited(away, night, stage.name, hand_over(night, stage, stages, quiet))
    bring_home(night, stage, quiet)
    return outcome


def pass_with(root: Path, away: Path, date: str, moved: set[str]) -> str:
    """Pass a night some of whose stages are run in the other clone."""

    def run(night: Night, stages: list[Stage]) -> None:
        for stage in stages:
            here = stage.name not in moved
            done = launch(stage.name, night.folder, None, quiet) if here else elsewhere(away, night, stage, stages)
            assert done == "ran"

    outcome = pass_night(root, date, Hands(run, lambda outcome, stages: None, quiet))
    assert outcome.verdict is not None
    return f"{outcome.kind} {outcome.verdict.champion}"


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


@pytest.mark.slow
def test_a_night_whose_stages_run_in_another_clone_ends_as_one_at_home_and_the_champion_comes_along(
    clones: tuple[Path, Path],
) -> None:
    home, away = clones
    every = {stage.name for stage in read_stages(home)}
    assert pass_with(home, away, DATE, every) == f"{PROMOTED} None"
    change(home, "rows\nmore\n")  # without any word to the other clone
    assert pass_with(home, away, "2026-11-23", every) == f"{PROMOTED} v1.0.0"
    assert not (away / "data" / "ingest").exists()
    assert list((away / VISITS).glob("[0-9]*")) == []
    assert git(home, "status", "--porcelain") == git(away, "status", "--porcelain") == ""


def test_what_another_clone_made_comes_home_and_no_third_one_computes_it_again(clones: tuple[Path, Path]) -> None:
    home, away = clones
    night = begin(home, DATE, print)
    ingest, validate, _ = stages = read_stages(night.folder)
    launch(ingest.name, night.folder, None, quiet)
    handed = hand_over(night, validate, stages, quiet)
    assert visited(away, night, "validate", handed) == "ran"
    git(away.parent, "clone", "--quiet", str(away.parent / "origin.git"), "third")
    assert visited(away.parent / "third", night, "validate", handed) == "cached"
    bring_home(night, validate, quiet)
    assert (night.folder / "data" / "validate" / "rows.txt").read_text() == "validaterows\n"
    assert not (away / "data" / "ingest").exists()
    assert list((away / VISITS).glob("[0-9]*")) == []
    assert git(away, "status", "--porcelain") == ""


def test_a_stage_with_metrics_in_git_comes_home_from_another_clone_too(clones: tuple[Path, Path]) -> None:
    home, away = clones
    assert pass_with(home, away, DATE, {"evaluate"}) == f"{PROMOTED} None"


@pytest.fixture
def handed(clones: tuple[Path, Path]) -> tuple[Night, Stage, Path, str]:
    """A night whose first stage was handed over to the other clone."""
    home, away = clones
    night = begin(home, DATE, print)
    stages = read_stages(night.folder)
    return night, stages[0], away, hand_over(night, stages[0], stages, quiet)


WORKER = """
import sys
from pathlib import Path
from test_flows_hosts import DATE, visited
from flows.night import Night
print(visited(Path(sys.argv[1]), Night(Path(sys.argv[2]), DATE), "ingest", sys.argv[3]))
"""


@pytest.mark.slow
def test_two_clones_that_run_the_same_stage_at_once_leave_one_whole_result(
    handed: tuple[Night, Stage, Path, str], tmp_path: Path
) -> None:
    night, stage, away, commit = handed
    git(tmp_path, "clone", "--quiet", str(tmp_path / "origin.git"), "third")
    paths = os.environ | {"PYTHONPATH": os.pathsep.join([str(PROJECT), str(PROJECT / "tests")])}
    command = [sys.executable, "-c", WORKER]
    workers = [
        subprocess.Popen([*command, str(clone), str(night.root), commit], env=paths, stdout=subprocess.PIPE, text=True)
        for clone in (away, tmp_path / "third")
    ]
    assert all(worker.communicate()[0].strip() in ("ran", "cached") and worker.returncode == 0 for worker in workers)
    stored = [path for path in (tmp_path / "store" / "files" / "md5").rglob("*") if path.is_file()]
    assert stored
    assert all(hashlib.md5(path.read_bytes()).hexdigest() == f"{path.parent.name}{path.stem}" for path in stored)
    bring_home(night, stage, quiet)
    assert (night.folder / "data" / "ingest" / "rows.txt").read_text() == "rows\n"


def test_a_host_with_other_versions_or_another_orchestration_is_refused_and_each_difference_is_named(
    handed: tuple[Night, Stage, Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    night, stage, away, commit = handed
    told = Handed.model_validate_json(git(night.root, "log", "-1", "--format=%B", commit))
    assert told.installed == installed(night.folder)
    theirs = told.installed | {"numpy": "1.0.0", "only-there": "1"}
    monkeypatch.setattr("flows.handover.installed", lambda folder: theirs)
    other = hand_over(night, stage, read_stages(night.folder), quiet)
    with (away / "flows" / "launch.py").open("a") as code:
        code.write("# edited on that host\n")
    with pytest.raises(UnlikeError) as caught:
        visited(away, night, stage.name, other)
    assert f"numpy is {told.installed['numpy']} here and 1.0.0 there" in str(caught.value)
    assert "flows/launch.py" in str(caught.value)
    assert "only-there" not in str(caught.value)
    assert list((away / VISITS).glob("[0-9]*")) == []


def test_a_run_that_was_meant_for_the_home_of_the_night_or_is_of_an_earlier_one_is_refused(
    handed: tuple[Night, Stage, Path, str],
) -> None:
    night, stage, away, commit = handed
    with pytest.raises(VisitError, match="for the workers there alone"):
        visited(away, night, stage.name, None)
    (night.folder / "raw.txt").write_text("later\n")
    hand_over(night, stage, read_stages(night.folder), quiet)
    with pytest.raises(VisitError, match="Another night"):
        visited(away, night, stage.name, commit)


def test_a_remote_that_takes_nothing_is_named_and_the_result_is_not_lost(
    handed: tuple[Night, Stage, Path, str], tmp_path: Path
) -> None:
    night, stage, away, commit = handed
    shutil.rmtree(tmp_path / "store", ignore_errors=True)
    (tmp_path / "store").write_text("no folder")
    with visit(away, place(night.root), stage.name, commit, quiet) as (described, folder):
        assert launch(described.name, folder, None, quiet) == "ran"
        with pytest.raises(VisitError, match="is done, but the DVC remote does not take"):
            give_back(described, folder, quiet)
    (tmp_path / "store").unlink()
    assert visited(away, night, stage.name, commit) == "cached"


def test_a_stage_that_the_remote_does_not_have_is_not_computed_at_home(handed: tuple[Night, Stage, Path, str]) -> None:
    night, stage, _, _ = handed
    # A stage that takes its time, as real ones do: it is ended when it begins, which a busy machine notices late.
    (night.folder / "seconds.txt").write_text("60")
    with pytest.raises(NightError, match="not on the DVC remote"):
        bring_home(night, stage, quiet)
    assert not (night.folder / "data" / "ingest" / "rows.txt").exists()


def test_a_stage_needs_what_it_depends_on_and_nothing_else(tmp_path: Path) -> None:
    root = toy_repository(tmp_path)
    (root / "raw.txt.dvc").write_text("outs:\n- path: raw.txt\n  hash: md5\n")
    stages = {stage.name: stage for stage in read_stages(root)}
    assert needs(stages["ingest"], root) == ["raw.txt"]
    assert needs(stages["select"], root) == ["data/augment", "data/validate"]


def test_hosts_of_one_name_are_told_apart_by_the_id_of_the_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ids = tmp_path / "machine-id"
    monkeypatch.setattr("flows.place.MACHINE", ids)
    places = [place(tmp_path)]
    for machine in ("4f1c\n", "9b20\n"):
        ids.write_text(machine)
        places.append(place(tmp_path))
    assert len(set(places)) == len(set(map(short, places))) == 3
    assert not any(machine in one for one in places for machine in ("4f1c", "9b20"))


@pytest.mark.parametrize(
    ("there", "said"), [([], "Start workers in a clone"), ([".dvc"], "git remote: fatal: not a git repository")]
)
def test_outside_a_clone_nobody_starts_workers_and_the_reason_is_one_line(
    tmp_path: Path, there: list[str], said: str
) -> None:
    for name in there:
        (tmp_path / name).mkdir()
    done = flows(tmp_path, "worker", PREFECT_API_URL="http://127.0.0.1:9/api", PYTHONPATH=str(PROJECT))
    assert done.returncode == 1
    assert done.stderr.startswith(said)
    assert len(done.stderr.splitlines()) == 1


def test_workers_that_run_are_left_alone_by_those_who_would_start_them_a_second_time(tmp_path: Path) -> None:
    root = toy_repository(tmp_path, SHORT)
    with only_one(root, "workers-gpu"):
        done = flows(root, "worker", "--pool", "gpu", PREFECT_API_URL="http://127.0.0.1:9/api")
    assert done.returncode != 0
    assert "Workers of pool gpu already run in this clone" in done.stderr


@pytest.mark.parametrize(
    ("visible", "pool", "seen"),
    [
        ("0,1,3", "gpu", ["0", "1", "3"]),
        ("GPU-8a5e, MIG-1f", "large-gpu", ["GPU-8a5e", "MIG-1f"]),
        ("0,1", "cpu", ["-1"]),
        ("", "gpu", [None]),
        ("-1", "gpu", [None]),
    ],
)
def test_each_worker_of_a_pool_for_gpus_sees_one_and_those_of_others_none(
    monkeypatch: pytest.MonkeyPatch, visible: str, pool: str, seen: list[str | None]
) -> None:
    monkeypatch.setenv(VARIABLE, visible)
    assert [share.get(VARIABLE) for share in shares(pool)] == seen


@pytest.mark.parametrize(
    ("visible", "pool", "said"),
    [
        ("0,1", "a100", "a part of the name must be `gpu`"),
        ("0,1", "gpu2", "a part of the name must be `gpu`"),
        ("0,1", "a100-gpu", "each with a GPU"),
        ("", "gpu", "this host has none"),
    ],
)
def test_workers_without_a_gpu_say_why(monkeypatch: pytest.MonkeyPatch, visible: str, pool: str, said: str) -> None:
    monkeypatch.setenv(VARIABLE, visible)
    assert said in what_they_see(pool)


def test_without_the_drivers_variable_the_driver_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    driver = tmp_path / "nvidia-smi"
    driver.write_text("#!/bin/sh\necho GPU-aaa\necho GPU-bbb\n")
    driver.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert [share[VARIABLE] for share in shares("gpu")] == ["GPU-aaa", "GPU-bbb"]
    driver.write_text("#!/bin/sh\nexit 9\n")
    assert shares("gpu") == [{}]
