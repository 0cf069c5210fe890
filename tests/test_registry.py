"""The registry of students, in a real git repository with an origin."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from handful import history, registry
from handful.errors import RegistryError

LOCK = "stages:\n  evaluate:\n    outs:\n    - path: out/student\n    - path: out/metrics.json\n"


def git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository without versions."""
    folder = tmp_path / "root"
    (folder / "out").mkdir(parents=True)
    git(folder, "init", "--quiet")
    return folder


def add_version(root: Path, accuracy: float) -> str:
    (root / "dvc.lock").write_text(LOCK)
    (root / "out" / "metrics.json").write_text(json.dumps({"rows": 5, "student": {"accuracy": accuracy}}))
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--allow-empty", "--message", "a night")
    return registry.register(root, git(root, "rev-parse", "HEAD")).name


def command(root: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    call = [sys.executable, "-m", "handful.cli", *arguments]
    return subprocess.run(call, cwd=root, env=environment, capture_output=True, text=True, check=False)


def at_prod(root: Path) -> str | None:
    champion = registry.read(root).champion
    return champion.name if champion else None


def test_versions_count_up_and_a_commit_has_only_one(root: Path) -> None:
    assert [add_version(root, 0.5) for _ in range(3)] == ["v1.0.0", "v2.0.0", "v3.0.0"]
    assert registry.register(root, git(root, "rev-parse", "HEAD")).name == "v3.0.0"
    assert git(root, "tag").splitlines() == ["student@v1.0.0", "student@v2.0.0", "student@v3.0.0"]


def test_rolling_back_goes_along_what_was_at_prod_and_ends_at_the_first(root: Path) -> None:
    for _ in range(3):
        add_version(root, 0.5)
    for name in ("v1", "3", "v2.0.0"):
        registry.promote(root, name)
    assert registry.roll_back(root, None).name == "v3.0.0"
    assert registry.roll_back(root, None).name == "v1.0.0"
    with pytest.raises(RegistryError, match=r"v1\.0\.0 is the first at prod"):
        registry.roll_back(root, None)
    registry.promote(root, None)
    assert registry.roll_back(root, None).name == "v1.0.0"


def test_a_rollback_is_one_tag_and_counts_for_dvc_in_the_same_second(root: Path) -> None:
    for _ in range(2):
        add_version(root, 0.5)
        registry.promote(root, None)
    before = git(root, "tag").splitlines()
    registry.roll_back(root, None)
    assert len(git(root, "tag").splitlines()) == len(before) + 1
    subprocess.run([sys.executable, "-m", "dvc", "init", "--quiet"], cwd=root, check=True)
    from dvc.repo import Repo

    with Repo(str(root)) as repo:
        assert repo.artifacts.get_rev("student", stage="prod") == registry.read(root).find("v1").revision


def test_a_clock_that_was_set_back_does_not_hide_a_promotion(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_version(root, 0.5)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 7200)
    registry.promote(root, "v1")
    monkeypatch.setattr(time, "time", lambda: now)
    add_version(root, 0.6)
    registry.promote(root, "v2")
    assert at_prod(root) == "v2.0.0"


def test_what_people_do_by_gto_itself_is_understood(root: Path) -> None:
    gto = str(Path(sys.executable).with_name("gto"))
    names = [add_version(root, 0.5) for _ in range(2)]
    for name in names:
        time.sleep(1.1)  # gto dates by the second
        subprocess.run([gto, "assign", "student", "--version", name, "--stage", "prod"], cwd=root, check=True)
    assert at_prod(root) == "v2.0.0"
    subprocess.run([gto, "deprecate", "student", "v1.0.0"], cwd=root, check=True)
    assert [version.name for version in registry.read(root).versions] == ["v2.0.0"]
    assert at_prod(root) == "v2.0.0"


def test_a_number_that_any_tag_bears_is_not_given_out_again(root: Path) -> None:
    for _ in range(2):
        add_version(root, 0.5)
    gto = str(Path(sys.executable).with_name("gto"))
    subprocess.run([gto, "deprecate", "student", "v2.0.0"], cwd=root, check=True)
    assert add_version(root, 0.5) == "v3.0.0"
    git(root, "tag", "student@v4.0.0")
    assert add_version(root, 0.5) == "v5.0.0"


def test_a_version_whose_tag_somebody_deleted_at_prod_leaves_a_way_out(root: Path) -> None:
    for _ in range(3):
        add_version(root, 0.5)
    for name in ("v1", "v2"):
        registry.promote(root, name)
    git(root, "tag", "--delete", "student@v2.0.0")
    assert (at_prod(root), len(list(history.lines(root)))) == ("v1.0.0", 3)
    subprocess.run([sys.executable, "-m", "dvc", "init", "--quiet"], cwd=root, check=True)
    from dvc.repo import Repo

    with Repo(str(root)) as repo:  # which gave out the deleted one until now
        registry.roll_back(root, "v1")
        assert repo.artifacts.get_rev("student", stage="prod") == registry.read(root).find("v1").revision
    registry.promote(root, "v3")
    assert registry.roll_back(root, None).name == "v1.0.0"


def test_mistakes_say_what_there_is(root: Path, tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="no git repository"):
        registry.read(tmp_path)
    git(root, "commit", "--quiet", "--allow-empty", "--message", "nothing")
    with pytest.raises(RegistryError, match="Nothing is registered yet"):
        registry.promote(root, None)
    with pytest.raises(RegistryError, match="Nothing is at prod"):
        registry.roll_back(root, None)
    add_version(root, 0.5)
    with pytest.raises(RegistryError, match=r"no version v7\. There are v1\.0\.0"):
        registry.promote(root, "v7")
    registry.promote(root, "v1")
    with pytest.raises(RegistryError, match=r"v1\.0\.0 is at prod already"):
        registry.promote(root, None)


def test_the_history_shows_when_how_good_and_what_is_at_prod(root: Path) -> None:
    for accuracy in (0.5, 0.75):
        add_version(root, accuracy)
        registry.promote(root, None)
    registry.roll_back(root, None)
    _, second, first = history.lines(root)
    assert second.split()[0::3][:2] == ["v2.0.0", "0.7500"]
    assert "now" not in second
    assert first.split()[3] == "0.5000"
    assert [word for word in ("now", "promoted", "rolled back to") if word in first] == [
        "now",
        "promoted",
        "rolled back to",
    ]


def test_the_commands_tell_origin_within_five_seconds(root: Path, tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "--bare", "origin.git")
    git(root, "remote", "add", "origin", str(tmp_path / "origin.git"))
    for accuracy in (0.5, 0.75):
        add_version(root, accuracy)
        assert command(root, "promote").returncode == 0
    began = time.monotonic()
    done = command(root, "rollback")
    assert time.monotonic() - began < 5
    assert (done.returncode, done.stdout) == (0, "v1.0.0 is at prod.\nOrigin knows.\n")
    assert git(tmp_path / "origin.git", "tag") == git(root, "tag")
    assert command(root, "history").stdout.count("\n") == 3


@pytest.fixture
def clones(root: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A repository with v1 at prod, and another clone of its origin."""
    git(tmp_path, "init", "--quiet", "--bare", "origin.git")
    git(root, "remote", "add", "origin", str(tmp_path / "origin.git"))
    add_version(root, 0.5)
    registry.promote(root, "v1")
    git(root, "push", "--quiet", "origin", "HEAD")
    registry.push(root)
    git(tmp_path, "clone", "--quiet", "--no-tags", "origin.git", "other")
    return root, tmp_path / "other"


def test_another_clone_goes_by_what_is_at_prod_by_now(clones: tuple[Path, Path]) -> None:
    root, other = clones
    assert "v1.0.0" in command(other, "history").stdout
    add_version(root, 0.75)
    registry.promote(root, "v2")
    registry.push(root)
    done = command(other, "rollback")
    assert (done.returncode, done.stdout, done.stderr) == (0, "v1.0.0 is at prod.\nOrigin knows.\n", "")
    assert registry.fetch(root) is None
    assert at_prod(root) == "v1.0.0"


def test_a_hook_of_another_repository_changes_the_clone_that_is_named_and_its_origin(
    clones: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, _ = clones
    add_version(root, 0.75)
    with monkeypatch.context() as patch:
        patch.setenv("GIT_DIR", ".")  # as git has it while a hook of a bare repository runs
        done = command(root.parent / "origin.git", "promote", "--repository", str(root))
        told = command(root.parent / "origin.git", "history", "--repository", str(root))
    assert (done.returncode, done.stdout) == (0, "v2.0.0 is at prod.\nOrigin knows.\n")
    assert git(root.parent / "origin.git", "tag") == git(root, "tag")
    assert "0.7500" in told.stdout


def test_what_two_people_change_at_once_is_undone_for_the_second(
    clones: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, other = clones
    add_version(root, 0.75)
    registry.push(root)
    registry.fetch(other)
    registry.promote(root, "v2")
    registry.push(root)
    monkeypatch.setenv("GIT_COMMITTER_NAME", "Somebody else")
    registry.promote(other, "v2")
    with pytest.raises(RegistryError, match=r"Nothing was changed.*handful history"):
        registry.push(other)
    assert git(other, "show-ref", "--tags") == git(root, "show-ref", "--tags")


def test_a_push_that_failed_is_said_and_what_was_promoted_stays(root: Path, tmp_path: Path) -> None:
    git(root, "remote", "add", "origin", str(tmp_path / "nowhere"))
    add_version(root, 0.5)
    done = command(root, "promote", "v1")
    assert (done.returncode, done.stdout) == (1, "v1.0.0 is at prod.\n")
    assert "origin cannot be asked" in done.stderr
    assert "origin was not told" in done.stderr
    assert "nowhere" in done.stderr
    assert at_prod(root) == "v1.0.0"


def test_an_unknown_version_ends_a_command_with_one_paragraph(root: Path) -> None:
    add_version(root, 0.5)
    done = command(root, "rollback", "--to", "v9")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "handful: There is no version v9. There are v1.0.0.\n"


def test_settings_of_a_person_lose_no_version_and_keep_none_from_origin(clones: tuple[Path, Path]) -> None:
    root, _ = clones
    add_version(root, 0.75)
    git(root, "config", "fetch.prune", "true")
    hook = root / ".git" / "hooks" / "pre-push"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    assert command(root, "history").stdout.count("v2.0.0") == 1
    assert command(root, "promote", "v2").stdout == "v2.0.0 is at prod.\nOrigin knows.\n"


def test_an_empty_name_is_no_version_and_no_folder_no_clone(root: Path, tmp_path: Path) -> None:
    add_version(root, 0.5)
    for words in (["promote", ""], ["rollback", "--to", ""]):
        done = command(root, *words)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert "v1.0.0" in done.stderr
    done = command(root, "history", "--repository", str(tmp_path / "nowhere"))
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "nowhere" in done.stderr
