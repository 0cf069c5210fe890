"""Commands over a network: what is tried again, with real git and DVC."""

import subprocess
import sys
from pathlib import Path

import pytest
from test_flows_disk import may_mount
from toy_graph import SHORT, toy_repository

from flows import commands
from flows.commands import CommandError, git, over_network, transfer

NAP = ["-c", "alias.nap=!sleep 60", "nap"]
PUSH = """
import subprocess, sys
from pathlib import Path
from flows.commands import CommandError, dvc, transfer
root, remote = Path(sys.argv[1]), Path(sys.argv[2])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", remote], check=True)
(root / "rows.bin").write_bytes(bytes(1_000_000))
dvc(root, "add", "rows.bin")
dvc(root, "remote", "add", "--force", "--default", "shared", str(remote))
try:
    transfer(root, print, "push", "rows.bin")
except CommandError as error:
    print(error, file=sys.stderr)
"""


@pytest.fixture(autouse=True)
def _in_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "PAUSES_SECONDS", (0.1, 0.1))


def test_what_hangs_is_ended_and_not_tried_again(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    said: list[str] = []
    with pytest.raises(CommandError, match="took longer than 1 seconds"):
        over_network(said.append, lambda: git(tmp_path, *NAP, timeout_seconds=1.0))
    assert said == []


def test_data_are_transferred_within_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "TRANSFER_SECONDS", 0.2)
    with pytest.raises(CommandError, match="took longer"):
        transfer(toy_repository(tmp_path, SHORT), print, "pull")


def test_a_source_that_is_gone_is_asked_once_and_a_remote_that_may_come_back_three_times(tmp_path: Path) -> None:
    root, said = toy_repository(tmp_path / "clone", SHORT), list[str]()
    with pytest.raises(CommandError, match="does not exist"):
        transfer(root, said.append, "import-url", str(tmp_path / "gone.txt"), "rows.txt")
    assert said == []
    with pytest.raises(CommandError, match="gone"):
        over_network(said.append, lambda: git(root, "ls-remote", "https://gone.invalid/clone.git"))
    assert len(said) == 2


@pytest.mark.skipif(not may_mount(), reason="a file system of a given size may not be mounted here")
def test_a_remote_that_is_full_is_asked_once(tmp_path: Path) -> None:
    root, remote = toy_repository(tmp_path / "clone", SHORT), tmp_path / "remote"
    remote.mkdir()
    command = ["unshare", "--map-root-user", "--mount", sys.executable, "-c", PUSH, str(root), str(remote)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "No space left on device" in done.stderr
    assert done.stdout == ""


def test_the_repository_of_a_hook_is_not_taken_for_the_one_that_is_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("meant", "of_the_hook"):
        git(tmp_path, "init", "--quiet", name)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "of_the_hook" / ".git"))
    assert Path(git(tmp_path / "meant", "rev-parse", "--absolute-git-dir").strip()) == tmp_path / "meant" / ".git"
