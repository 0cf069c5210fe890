"""A night from its first look at origin to prod, with real git, DVC and gto."""

import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from running import wait_for
from toy_graph import PROJECT, SHORT, commit, toy_repository

from flows import commands
from flows.commands import CommandError, dvc, git
from flows.course import pass_night
from flows.graph import Stage
from flows.launch import StageError, launch
from flows.night import Night, NightError
from flows.outcome import KEPT, PROMOTED, UNCHANGED, Outcome
from flows.telling import Hands
from handful import registry

DATE = "2026-11-22"


@dataclass
class Seen:
    """What a night of the tests did: which stages ran how, and what was shown and said."""

    runs: dict[str, str] = field(default_factory=dict)
    shown: list[Outcome] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def run(self, night: Night, stages: list[Stage]) -> None:
        for stage in stages:
            self.runs[stage.name] = launch(stage.name, night.folder, None, lambda line: None)

    def hands(self) -> Hands:
        return Hands(self.run, lambda outcome, stages: self.shown.append(outcome), self.said.append)


def night_of(root: Path, date: str = DATE) -> tuple[Outcome, Seen]:
    seen = Seen()
    return pass_night(root, date, seen.hands()), seen


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A committed toy with an origin and a DVC remote of its own, both beside it."""
    monkeypatch.setattr(commands, "PAUSES_SECONDS", (0.1, 0.1))
    root = toy_repository(tmp_path / "clone", SHORT)
    dvc(root, "remote", "add", "--default", "store", str(tmp_path / "store"))
    commit(root)
    git(tmp_path, "init", "--quiet", "--bare", "origin.git")
    git(root, "remote", "add", "origin", str(tmp_path / "origin.git"))
    git(root, "push", "--quiet", "origin", "HEAD")
    return root


def without_heads(references: str) -> list[str]:
    return [line for line in references.splitlines() if "refs/heads/ma" not in line]


def change(root: Path, text: str) -> None:
    (root / "raw.txt").write_text(text)
    commit(root)


def test_the_first_night_is_promoted_and_pushed_and_a_consumer_gets_the_student(clone: Path, tmp_path: Path) -> None:
    outcome, seen = night_of(clone)
    assert (outcome.kind, outcome.version.name) == (PROMOTED, "v1.0.0")
    assert set(seen.runs.values()) == {"ran"}
    assert len(seen.shown) == 1
    assert git(clone, "status", "--porcelain") == ""
    assert not outcome.night.folder.exists()
    shutil.rmtree(clone)  # the consumer has origin and the remote alone
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    where = [str(tmp_path / "origin.git"), "student", "--stage", "prod", "--out", "student"]
    dvc(elsewhere, "artifacts", "get", *where)
    assert (elsewhere / "student" / "rows.txt").read_text().endswith("rows\n")


def test_a_night_on_which_nothing_changed_runs_no_stage_and_leaves_nothing(clone: Path) -> None:
    night_of(clone)
    before = git(clone, "for-each-ref")
    change(clone, "rows\n")  # a commit of something else
    began = time.monotonic()
    outcome, seen = night_of(clone, "2026-11-23")
    assert time.monotonic() - began < 30
    assert (outcome.kind, seen.runs, seen.shown) == (UNCHANGED, {}, [outcome])
    assert "v1.0.0" in outcome.reason
    assert without_heads(git(clone, "for-each-ref")) == without_heads(before)
    assert not outcome.night.folder.exists()


def test_a_lock_that_a_killed_git_left_behind_keeps_no_night_out(clone: Path) -> None:
    night_of(clone)
    lock = clone / ".git" / "packed-refs.lock"
    lock.touch()
    with pytest.raises(CommandError, match=r"packed-refs\.lock"):
        night_of(clone, "2026-11-23")  # a young one may be somebody's
    os.utime(lock, (time.time() - 3600,) * 2)
    outcome, _ = night_of(clone, "2026-11-23")
    assert outcome.kind == UNCHANGED
    assert not lock.exists()


def test_a_night_goes_on_from_a_version_in_a_shallow_clone_whatever_files_are_called(
    clone: Path, tmp_path: Path
) -> None:
    (clone / "données.csv").write_text("labels\n")
    dvc(clone, "add", "données.csv")
    commit(clone)
    night_of(clone)
    change(clone, "rows\nmore\n")
    git(clone, "push", "--quiet", "origin", "HEAD")
    branch = git(clone, "rev-parse", "--abbrev-ref", "HEAD").strip()
    origin = f"file://{tmp_path / 'origin.git'}"
    git(tmp_path, "clone", "--quiet", "--depth", "1", "--branch", branch, origin, "shallow")
    outcome, seen = night_of(tmp_path / "shallow", "2026-11-23")
    assert (outcome.kind, outcome.version.name) == (PROMOTED, "v2.0.0")
    assert "ran" in seen.runs.values()


def test_new_rows_make_a_version_that_replaces_the_champion_and_a_worse_one_does_not(clone: Path) -> None:
    night_of(clone)
    change(clone, "rows\nmore\n")
    second, _ = night_of(clone, "2026-11-23")
    assert (second.kind, second.version.name) == (PROMOTED, "v2.0.0")
    assert second.verdict.champion == "v1.0.0"
    change(clone, "worse\n")
    third, _ = night_of(clone, "2026-11-24")
    assert (third.kind, third.version.name) == (KEPT, "v3.0.0")
    assert third.reason == "0.5 beside 0.84371"
    assert registry.read(clone).champion.name == "v2.0.0"
    assert night_of(clone, "2026-11-25")[0].kind == UNCHANGED
    assert git(clone, "status", "--porcelain") == ""


@pytest.mark.slow
def test_after_a_rollback_new_rows_are_compared_with_what_was_rolled_back_to(clone: Path) -> None:
    night_of(clone)
    change(clone, "rows\nmore\n")
    night_of(clone, "2026-11-23")
    registry.roll_back(clone, None)
    assert night_of(clone, "2026-11-24")[0].kind == UNCHANGED
    assert registry.read(clone).champion.name == "v1.0.0"
    change(clone, "rows\nother\n")
    outcome, _ = night_of(clone, "2026-11-25")
    assert (outcome.kind, outcome.verdict.champion) == (PROMOTED, "v1.0.0")


def test_what_is_not_committed_in_the_clone_is_neither_used_nor_touched(clone: Path) -> None:
    (clone / "raw.txt").write_text("worse, and not committed\n")
    (clone / "untracked.txt").write_text("mine\n")
    outcome, _ = night_of(clone)
    assert outcome.verdict.reason == "0.84371 beside None"
    assert (clone / "raw.txt").read_text() == "worse, and not committed\n"
    assert git(clone, "status", "--porcelain") == " M raw.txt\n?? untracked.txt\n"
    assert not (clone / "dvc.lock").exists()


def test_a_failed_stage_stops_the_night_and_the_champion_stays_until_it_is_repaired(
    clone: Path,
) -> None:
    night_of(clone)
    change(clone, "broken\n")
    with pytest.raises(StageError, match="Half of the rows are broken"):
        night_of(clone, "2026-11-23")
    assert [version.name for version in registry.read(clone).versions] == ["v1.0.0"]
    change(clone, "rows\nrepaired\n")
    outcome, _ = night_of(clone, "2026-11-23")
    assert (outcome.kind, outcome.night.name, outcome.version.name) == (PROMOTED, "2026-11-23", "v2.0.0")


@pytest.mark.slow
def test_the_night_after_a_failed_one_begins_anew_and_clears_it_away(clone: Path) -> None:
    change(clone, "broken\n")
    with pytest.raises(StageError):
        night_of(clone)
    failed = Night(clone, DATE)
    assert failed.folder.exists()
    change(clone, "rows\n")
    assert night_of(clone, "2026-11-23")[0].kind == PROMOTED
    assert not failed.folder.exists()
    assert git(clone, "for-each-ref", f"refs/heads/{failed.branch}") == ""


@pytest.mark.slow
def test_a_second_night_of_a_date_gets_a_name_of_its_own(clone: Path) -> None:
    night_of(clone)
    change(clone, "rows\nmore\n")
    assert night_of(clone)[0].night.name == f"{DATE}-2"


def test_imported_rows_are_fetched_anew_and_only_new_ones_make_a_version(clone: Path, tmp_path: Path) -> None:
    source = tmp_path / "source.txt"
    source.write_text("rows\n")
    git(clone, "rm", "--quiet", "raw.txt")
    dvc(clone, "import-url", str(source), "raw.txt")
    commit(clone)
    imported = (clone / "raw.txt.dvc").read_text()
    night_of(clone)
    source.write_text("rows\nnew\n")
    outcome, _ = night_of(clone, "2026-11-23")
    assert outcome.version.name == "v2.0.0"
    assert git(clone, "diff", "--name-only", "HEAD", outcome.night.branch, "--", "raw.txt.dvc") == "raw.txt.dvc\n"
    assert night_of(clone, "2026-11-24")[0].kind == UNCHANGED
    assert (clone / "raw.txt.dvc").read_text() == imported


def test_without_a_commit_the_night_says_so(tmp_path: Path) -> None:
    with pytest.raises(NightError, match="no commit yet"):
        night_of(toy_repository(tmp_path / "clone", SHORT))


def test_with_no_origin_and_no_dvc_remote_a_night_is_as_good(tmp_path: Path) -> None:
    root = toy_repository(tmp_path / "clone", SHORT)
    commit(root)
    assert night_of(root)[0].kind == PROMOTED


def test_an_unreachable_dvc_remote_stops_the_night_after_its_commit_and_the_next_one_publishes_it(
    clone: Path, tmp_path: Path
) -> None:
    (tmp_path / "store").write_text("no folder")
    seen = Seen()
    with pytest.raises(CommandError, match="push"):
        pass_night(clone, DATE, seen.hands())
    assert len(seen.said) >= 2  # tried three times
    assert registry.read(clone).versions == []
    (tmp_path / "store").unlink()
    outcome, seen = night_of(clone, "2026-11-23")
    assert [shown.night.name for shown in seen.shown] == [DATE, "2026-11-23"]
    assert [shown.kind for shown in seen.shown] == [PROMOTED, UNCHANGED]
    assert seen.runs == {}
    assert outcome.version.name == "v1.0.0"


def other_clone(clone: Path) -> Path:
    return Path(shutil.copytree(clone, clone.parent / "other", ignore=shutil.ignore_patterns(".prefect")))


def test_a_refused_push_stops_the_night_and_started_again_it_takes_another_name(clone: Path) -> None:
    other = other_clone(clone)
    other_night, seen = Night(other, DATE), Seen()

    def run(night: Night, stages: list[Stage]) -> None:
        seen.run(night, stages)
        change(other, "rows\nof the other clone\n")
        assert night_of(other)[0].kind == PROMOTED

    with pytest.raises(CommandError, match="rejected"):
        pass_night(clone, DATE, Hands(run, lambda outcome, stages: None, seen.said.append))
    assert registry.read(clone).champion.revision == other_night.revision  # as origin has it
    outcome, again = night_of(clone)
    assert (outcome.night.name, outcome.version.name) == (f"{DATE}-2", "v2.0.0")
    assert again.runs["ingest"] == "cached"


def test_a_champion_that_changed_meanwhile_is_not_replaced(clone: Path) -> None:
    night_of(clone)
    change(clone, "rows\nmore\n")
    night_of(clone, "2026-11-23")
    change(clone, "rows\nand more\n")
    seen = Seen()

    def run(night: Night, stages: list[Stage]) -> None:
        seen.run(night, stages)
        registry.roll_back(clone, None)

    outcome = pass_night(clone, "2026-11-24", Hands(run, lambda outcome, stages: None, seen.said.append))
    assert (outcome.kind, registry.read(clone).champion.name) == (KEPT, "v1.0.0")
    assert "meanwhile v1.0.0" in outcome.reason


def test_a_night_that_goes_on_waits_for_a_stage_that_outlived_the_one_before(tmp_path: Path) -> None:
    root, printed, before = toy_repository(tmp_path / "clone", SHORT, seconds=5.0), list[str](), Seen()
    commit(root)

    with ThreadPoolExecutor(1) as worker:

        def leave(night: Night, stages: list[Stage]) -> None:
            living.append(worker.submit(launch, "ingest", night.folder, None, printed.append))
            wait_for(lambda: any(line.startswith("> python") for line in printed), "the stage at work", seconds=60)
            raise NightError("The flow is gone.")

        living = list[Future[str]]()
        with pytest.raises(NightError, match="gone"):
            pass_night(root, DATE, Hands(leave, lambda outcome, stages: None, before.said.append))
        outcome, seen = night_of(root)
        assert living[0].result() == "ran"
    assert (outcome.kind, seen.runs["ingest"]) == (PROMOTED, "unchanged")
    assert "Stage ingest still runs in this folder; waiting for its end." in seen.said


KILLED_AFTER = {
    "making the worktree": "flows.worktree.share_cache",
    "comparing with the last version": "flows.inputs.changes",
    "filling the champion's place": "flows.champion.fill",
    "committing": "flows.versions.commit",
    "pushing": "flows.versions.push",
    "telling origin of the version": "handful.registry.register",
    "promoting": "flows.versions.promote",
    "clearing up": "pathlib.Path.rename",
}
ALWAYS = ("filling the champion's place", "telling origin of the version")  # before the stages, and between two tags
STEPS = [
    pytest.param(step, id=name, marks=() if name in ALWAYS else pytest.mark.slow) for name, step in KILLED_AFTER.items()
]
KILLED_NIGHT = """
import os, signal, sys
from pathlib import Path
from pkgutil import resolve_name
from test_flows_course import Seen
from flows.course import pass_night
where, _, name = sys.argv[1].rpartition(".")
owner = resolve_name(where)
step = getattr(owner, name)

def killed(*arguments, **named):
    step(*arguments, **named)
    os.kill(os.getpid(), signal.SIGKILL)

setattr(owner, name, killed)
pass_night(Path.cwd(), "2026-11-23", Seen().hands())
"""


def bytes_of_student(root: Path, tmp_path: Path, name: str) -> bytes:
    dvc(root, "artifacts", "get", ".", "student", "--stage", "prod", "--out", str(tmp_path / name))
    return (tmp_path / name / "rows.txt").read_bytes()


@pytest.fixture(scope="module")
def passed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone with one night behind it and new rows, to be copied."""
    folder = tmp_path_factory.mktemp("passed")
    root = toy_repository(folder / "clone", SHORT)
    commit(root)
    night_of(root)
    change(root, "rows\nmore\n")
    return root


@pytest.mark.parametrize("step", STEPS)
def test_a_night_killed_after_any_step_goes_on_and_ends_as_an_undisturbed_one(
    passed: Path, tmp_path: Path, step: str
) -> None:
    root = Path(shutil.copytree(passed, tmp_path / "clone", symlinks=True))
    paths = os.pathsep.join([str(PROJECT), str(PROJECT / "tests")])
    command = [sys.executable, "-c", KILLED_NIGHT, step]
    killed = subprocess.run(command, cwd=root, env=os.environ | {"PYTHONPATH": paths}, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    outcome, _ = night_of(root, "2026-11-23")
    known = registry.read(root)
    assert (outcome.kind, outcome.version.name) == (UNCHANGED if "rename" in step else PROMOTED, "v2.0.0")
    assert (known.champion.name, len(known.versions), len(known.assignments)) == ("v2.0.0", 2, 2)
    assert bytes_of_student(root, tmp_path, "student") == b"validaterows\nmore\n"
    assert not list((root / ".prefect" / "nights").glob("*"))
    assert git(root, "status", "--porcelain") == ""
