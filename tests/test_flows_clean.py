"""The clean-up, with real git, DVC and gto."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from running import wait_for
from toy_graph import commit

from flows import collect, commands
from flows.clean import clean
from flows.commands import CommandError, dvc, git
from flows.night import TRAILER, NightError
from flows.worktree import only_night
from handful import registry

GRAPH = """artifacts:
  student: {path: student.txt, type: model}
stages:
  make:
    cmd: cp rows.txt student.txt
    deps: [rows.txt]
    outs: [student.txt]
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone with versions v1 to v5, of which v2 was at prod once and v3 is, to be copied."""
    folder = tmp_path_factory.mktemp("made") / "clone"
    folder.mkdir()
    git(folder, "init", "--quiet")
    dvc(folder, "init", "--quiet")
    (folder / "dvc.yaml").write_text(GRAPH)
    (folder / ".gitignore").write_text("/.prefect/\n/student.txt\n")
    for number in range(1, 6):
        make(folder, f"rows {number}\n")
        commit(folder, f"Night\n\n{TRAILER}: 2026-11-0{number}")
        git(folder, "update-ref", f"refs/heads/nightly/2026-11-0{number}", "HEAD")
        registry.register(folder, git(folder, "rev-parse", "HEAD").strip())
        if number in (2, 3):
            registry.promote(folder, None)
    return folder


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "clone", symlinks=True))


def make(root: Path, rows: str) -> None:
    (root / "rows.txt").write_text(rows)
    dvc(root, "repro", "--quiet")


def whole(root: Path) -> list[str]:
    """The versions whose student can still be had."""
    found = []
    for version in registry.read(root).versions:
        command = [sys.executable, "-m", "dvc", "get", ".", "student.txt", "--rev", version.revision, "--force"]
        done = subprocess.run([*command, "--out", "../got.txt"], cwd=root, capture_output=True, check=False)
        found += [version.name] if done.returncode == 0 else []
    return found


def test_the_last_versions_and_all_that_was_ever_at_prod_stay_and_so_does_the_work_in_progress(root: Path) -> None:
    make(root, "not committed\n")
    tags = git(root, "tag")
    (root / "student.txt").unlink()
    clean(root, 1, remote=False)
    assert whole(root) == ["v2.0.0", "v3.0.0", "v5.0.0"]
    assert git(root, "tag") == tags
    dvc(root, "checkout")
    assert (root / "student.txt").read_text() == "not committed\n"
    assert git(root, "status", "--porcelain") == " M dvc.lock\n M rows.txt\n"


def test_data_that_nobody_has_told_git_of_yet_stay(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("COUNT", "1"), ("KEY_0", "clone.defaultRemoteName"), ("VALUE_0", "upstream")):
        monkeypatch.setenv(f"GIT_CONFIG_{name}", value)  # as many have it in their settings
    dvc(root, "remote", "add", "--local", "--default", "store", str(tmp_path / "store"))
    folder = root / "new"
    folder.mkdir()
    (folder / "données.csv").write_text("labelled today\n")
    dvc(folder, "add", "données.csv")
    dvc(root, "push", "--quiet")
    clean(root, 1, remote=True)
    for cache in (root / ".dvc" / "cache", tmp_path / "store"):
        assert "labelled today\n" in [file.read_text() for file in cache.rglob("??/*") if file.is_file()]
    assert git(root, "status", "--porcelain") == "?? new/\n"


@pytest.mark.slow
def test_what_a_branch_of_a_person_needs_stays(root: Path) -> None:
    git(root, "branch", "mine", registry.read(root).find("v1").revision)
    clean(root, 1, remote=False)
    assert whole(root) == ["v1.0.0", "v2.0.0", "v3.0.0", "v5.0.0"]


def test_the_remote_is_cleaned_only_when_told(root: Path, tmp_path: Path) -> None:
    dvc(root, "remote", "add", "--local", "--default", "store", "../store")
    dvc(root, "push", "--quiet", "--all-tags")
    there = len(list((tmp_path / "store").rglob("??/*")))
    clean(root, 1, remote=False)
    assert len(list((tmp_path / "store").rglob("??/*"))) == there
    clean(root, 1, remote=True)
    assert len(list((tmp_path / "store").rglob("??/*"))) == there - 2


def test_what_others_promoted_and_pushed_stays_on_the_remote_that_is_shared(root: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    dvc(root, "remote", "add", "--local", "--default", "store", str(store))
    git(tmp_path, "init", "--quiet", "--bare", "origin.git")
    git(root, "remote", "add", "origin", str(tmp_path / "origin.git"))
    git(root, "push", "--quiet", "origin", "HEAD", "refs/tags/*:refs/tags/*")
    dvc(root, "push", "--quiet", "--all-tags")
    other = Path(shutil.copytree(root, tmp_path / "other", symlinks=True))
    registry.promote(other, "v4")
    registry.push(other)
    git(other, "checkout", "--quiet", "-b", "colleague")
    make(other, "rows of a colleague\n")
    commit(other)
    dvc(other, "push", "--quiet")
    git(other, "push", "--quiet", "origin", "colleague")
    (other / "rows.txt").write_text("an experiment of a colleague\n")
    dvc(other, "exp", "run", "--quiet", "--name", "promising")
    dvc(other, "exp", "push", "origin", "promising")
    there = set(store.rglob("??/*"))
    assert clean(root, 1, remote=True)
    assert (
        len(there - set(store.rglob("??/*"))) == 1
    )  # the student of v1, which alone was neither at prod nor is among the last
    assert git(root, "for-each-ref", "refs/exps") == ""


def test_the_remote_is_not_cleaned_where_origin_cannot_be_asked(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "PAUSES_SECONDS", (0.1, 0.1))
    dvc(root, "remote", "add", "--local", "--default", "store", "../store")
    dvc(root, "push", "--quiet", "--all-tags")
    git(root, "remote", "add", "origin", str(tmp_path / "gone.git"))
    there = len(list((tmp_path / "store").rglob("??/*")))
    with pytest.raises(CommandError, match=r"gone\.git"):
        clean(root, 1, remote=True)
    assert len(list((tmp_path / "store").rglob("??/*"))) == there


def test_what_people_could_look_at_goes_with_the_version_and_with_later_stopped_nights(root: Path) -> None:
    results = root / ".prefect" / "results"
    for night in ("2026-11-01", "2026-11-03", "2026-11-05", "2026-11-06", "2026-11-07"):  # the last two were stopped
        (results / night).mkdir(parents=True)
    clean(root, 1, remote=False)
    assert sorted(path.name for path in results.iterdir()) == ["2026-11-03", "2026-11-05", "2026-11-07"]


def test_nothing_is_cleaned_while_a_night_runs(root: Path) -> None:
    with only_night(root), pytest.raises(NightError, match="night is running"):
        clean(root, 1, remote=False)
    assert len(whole(root)) == 5


def test_nothing_is_cleaned_while_a_stage_runs_in_the_clone_nor_does_one_run_meanwhile(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go = tmp_path / "begun", tmp_path / "go"
    waits = f"touch {begun}; while ! test -e {go}; do sleep 0.1; done; cp rows.txt student.txt"
    (root / "dvc.yaml").write_text(GRAPH.replace("cp rows.txt student.txt", waits))
    with subprocess.Popen([sys.executable, "-m", "dvc", "repro", "--quiet"], cwd=root) as repro:
        try:
            wait_for(begun.exists, "the stage at work", seconds=60)
            with pytest.raises(NightError, match="DVC is at work"):
                clean(root, 1, remote=False)
        finally:
            go.touch()
    assert repro.returncode == 0

    def collect_beside(folder: Path, *arguments: str) -> str:
        (root / "rows.txt").write_text("made meanwhile\n")
        codes.append(subprocess.run([sys.executable, "-m", "dvc", "repro"], cwd=root, check=False).returncode)
        return dvc(folder, *arguments)

    codes = list[int]()
    monkeypatch.setattr(collect, "dvc", collect_beside)
    clean(root, 1, remote=False)
    assert codes == [255]  # at once, not after its work
