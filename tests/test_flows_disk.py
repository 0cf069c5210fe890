"""A night on a disk that gets full, and the same night when there is room again."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_flows_course import bytes_of_student, change, night_of
from toy_graph import PROJECT, SHORT, commit, toy_repository

from benchmarks import toy
from handful import registry

ROWS = "a row of which there are many\n" * 100_000
# How many bytes stay free, and what they do not suffice for.
LEFT = {"making the worktree": 0, "a stage's output": 5_000_000, "the cache": 8_000_000}
SECONDS = 300.0
NIGHTS = """
import shutil, subprocess, sys
from pathlib import Path
from flows import process_group
from test_flows_course import night_of
process_group.FULL_SECONDS = 2.0
clone, disk, left = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100m", "none", disk], check=True)
root = Path(shutil.copytree(clone, disk / "clone", symlinks=True))
with (disk / "filler").open("wb") as filler:
    filler.write(bytes(shutil.disk_usage(disk).free - left))
try:
    night_of(root, "2026-11-23")
except Exception as error:
    print(type(error).__name__, error)
else:
    sys.exit("The night did not notice.")
(disk / "filler").unlink()
shutil.copytree(root, clone.parent / "stopped", symlinks=True)
"""


def may_mount() -> bool:
    done = subprocess.run(["unshare", "--map-root-user", "--mount", "true"], capture_output=True, check=False)
    return done.returncode == 0


@pytest.fixture(scope="module")
def passed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A clone with one night behind it and many new rows, to be copied."""
    root = toy_repository(tmp_path_factory.mktemp("passed") / "clone", SHORT)
    with pytest.MonkeyPatch.context() as patch:
        for role in ("AUTHOR", "COMMITTER"):
            patch.setenv(f"GIT_{role}_NAME", "Test")
            patch.setenv(f"GIT_{role}_EMAIL", "test@localhost")
        commit(root)
        night_of(root)
        change(root, ROWS)
        yield root


@pytest.mark.skipif(not may_mount(), reason="a file system of a given size may not be mounted here")
@pytest.mark.parametrize(
    "left",
    [pytest.param(left, id=name, marks=[] if "output" in name else [pytest.mark.slow]) for name, left in LEFT.items()],
)
def test_a_night_on_a_full_disk_fails_and_is_whole_when_there_is_room_again(
    passed: Path, tmp_path: Path, left: int
) -> None:
    clone, disk = Path(shutil.copytree(passed, tmp_path / "clone", symlinks=True)), tmp_path / "disk"
    disk.mkdir()
    paths = os.pathsep.join([str(PROJECT), str(PROJECT / "tests")])
    command = ["unshare", "--map-root-user", "--mount", sys.executable, "-c", NIGHTS, *map(str, (clone, disk, left))]
    settings = {"cwd": tmp_path, "env": os.environ | {"PYTHONPATH": paths}, "timeout": SECONDS}
    done = subprocess.run(command, capture_output=True, text=True, check=False, **settings)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No space left" in done.stdout
    stopped = tmp_path / "stopped"
    assert [version.name for version in registry.read(stopped).versions] == ["v1.0.0"]
    assert registry.read(stopped).champion.name == "v1.0.0"
    assert night_of(stopped, "2026-11-23")[0].version.name == "v2.0.0"
    assert bytes_of_student(stopped, tmp_path, "student") == b"validate" + ROWS.encode()
    assert toy.half_written(stopped, toy.newest(stopped)) == []
