"""A stage under DVC: its outcome, its lines, its end."""

import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from toy_graph import toy_repository

from flows.launch import CACHED, RAN, UNCHANGED, StageError, launch

# The second command keeps the shell between DVC and the stage, and the first leaves a process behind it.
LONG = """stages:
  long:
    cmd: sleep 300 & echo $! > other.pid; python work.py long && true
"""
LONG_WORK = """import os, pathlib, time
pathlib.Path("stage.pid").write_text(str(os.getpid()))
print("under way")
time.sleep(300)
"""
# Each ends only when both have begun.
PAIR = """stages:
  meet:
    foreach: [one, two]
    do:
      cmd: touch ${item}.begun; until [ -e one.begun -a -e two.begun ]; do sleep 0.1; done; echo ${item} > ${item}.txt
      outs: ['${item}.txt']
"""
SECONDS = 60.0


def quiet(line: str) -> None:
    """Take a line and do nothing with it."""


def wait_until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < deadline, f"still not: {what}"
        time.sleep(0.05)


def lives(root: Path, file: str) -> bool:
    pid = int((root / file).read_text())
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


@pytest.fixture
def long_running(tmp_path: Path) -> Path:
    root = toy_repository(tmp_path, LONG)
    (root / "work.py").write_text(LONG_WORK)
    return root


def nobody_is_left(root: Path) -> None:
    for file in ("stage.pid", "other.pid"):
        wait_until(lambda file=file: not lives(root, file), f"the process of {file} is gone")
    here = [process for process in psutil.process_iter(["cwd"]) if process.info["cwd"] == str(root)]
    wait_until(lambda: not any(process.is_running() for process in here), f"{here} are gone")


def test_the_outcome_is_what_dvc_did(tmp_path: Path) -> None:
    root = toy_repository(tmp_path)
    assert launch("ingest", root, None, quiet) == RAN
    assert launch("ingest", root, None, quiet) == UNCHANGED
    (root / "raw.txt").write_text("other rows\n")
    assert launch("ingest", root, None, quiet) == RAN
    (root / "raw.txt").write_text("rows\n")
    assert launch("ingest", root, None, quiet) == CACHED


def test_what_dvc_advises_a_person_to_do_is_left_out(tmp_path: Path) -> None:
    lines = list[str]()
    launch("ingest", toy_repository(tmp_path), None, lines.append)
    assert "Updating lock file 'dvc.lock'" in lines or "Generating lock file 'dvc.lock'" in lines
    assert not [line for line in lines if "git" in line or "autostage" in line or "dvc push" in line]


def test_a_stage_cannot_feign_an_outcome_by_what_it_prints(tmp_path: Path) -> None:
    graph = """stages:\n  only:\n    cmd: "echo \\"Stage 'only' didn't change, skipping\\""\n"""
    assert launch("only", toy_repository(tmp_path, graph), None, quiet) == RAN


def test_lines_arrive_while_the_stage_still_runs(tmp_path: Path) -> None:
    root = toy_repository(tmp_path, "stages:\n  only:\n    cmd: python work.py\n")
    # The stage ends well only if somebody reads its first line and answers it.
    (root / "work.py").write_text(
        "import pathlib, time\n"
        "print('may I go on?')\n"
        "for _ in range(600):\n"
        "    time.sleep(0.1)\n"
        "    if pathlib.Path('yes').exists():\n"
        "        print('thanks')\n"
        "        raise SystemExit\n"
        "raise SystemExit('nobody answered')\n"
    )
    lines: list[str] = []

    def answer(line: str) -> None:
        lines.append(line)
        if line == "may I go on?":
            (root / "yes").touch()

    assert launch("only", root, SECONDS, answer) == RAN
    assert lines.index("may I go on?") < lines.index("thanks")


def test_a_failing_stage_is_an_error_that_ends_with_its_own_words(tmp_path: Path) -> None:
    root = toy_repository(tmp_path, "stages:\n  broken:\n    cmd: python work.py broken data/broken\n")
    with pytest.raises(StageError, match="The seventh row of the table has no label"):
        launch("broken", root, None, quiet)


def test_a_stage_over_its_time_limit_is_stopped_with_all_that_it_started(long_running: Path) -> None:
    with pytest.raises(StageError, match="took longer than 8 seconds"):
        launch("long", long_running, 8, quiet)
    nobody_is_left(long_running)


def test_a_cancelled_stage_is_stopped_with_all_that_it_started(long_running: Path) -> None:
    def cancel(line: str) -> None:
        if line == "under way":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        launch("long", long_running, None, cancel)
    nobody_is_left(long_running)


def test_stages_that_do_not_read_each_other_run_in_one_folder_at_once(tmp_path: Path) -> None:
    root = toy_repository(tmp_path, PAIR)
    with ThreadPoolExecutor() as threads:
        runs = [threads.submit(launch, f"meet@{item}", root, SECONDS, quiet) for item in ("one", "two")]
        assert [run.result() for run in runs] == [RAN, RAN]
    assert [launch(f"meet@{item}", root, None, quiet) for item in ("one", "two")] == [UNCHANGED, UNCHANGED]


def test_a_stage_waits_for_itself_where_it_already_runs_in_the_folder(tmp_path: Path) -> None:
    root, lines = toy_repository(tmp_path, seconds=2), deque[str]()
    with ThreadPoolExecutor() as threads:
        runs = [threads.submit(launch, "ingest", root, None, lines.append) for _ in range(2)]
        assert sorted(run.result() for run in runs) == [RAN, UNCHANGED]


def test_a_killed_launcher_takes_dvc_and_the_stage_along_and_the_stage_can_run_again(long_running: Path) -> None:
    code = "from flows.launch import launch; from pathlib import Path; launch('long', Path.cwd(), None, print)"
    launcher = subprocess.Popen([sys.executable, "-c", code], cwd=long_running, env=os.environ | {"PYTHONPATH": "."})
    wait_until((long_running / "stage.pid").exists, "the stage runs")
    os.kill(launcher.pid, signal.SIGKILL)
    launcher.wait()
    nobody_is_left(long_running)
    (long_running / "work.py").write_text("")
    assert launch("long", long_running, SECONDS, quiet) == RAN
