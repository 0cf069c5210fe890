"""The record of what was started, with real processes."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from itertools import chain, repeat
from pathlib import Path

import psutil
import pytest
from running import flows

from flows import server
from flows.commands import dvc, git
from flows.processes import recall, record, started_at
from flows.server import UpError, require_free
from flows.stack import MARK, SERVER, Stack
from flows.worktree import only_one

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[tuple[Stack, "subprocess.Popen[bytes]"]]:
    """A stack of a worker that lives and one that has died."""
    (tmp_path / ".prefect").mkdir()
    stack = Stack(tmp_path)
    with subprocess.Popen(SLEEP, env=os.environ | {MARK: str(stack.file)}) as process:
        started = started_at(process.pid)
        stack.state["processes"] = [["worker-flow", process.pid, started], ["worker-gpu", process.pid, "earlier"]]
        record(stack.state, stack.file)
        yield stack, process
        process.kill()


def test_only_the_dead_are_forgotten_and_those_that_live_are_left_alone(
    stack: tuple[Stack, "subprocess.Popen[bytes]"],
) -> None:
    stack[0].forget_dead()
    assert Stack(stack[0].root).running().keys() == {"worker-flow"}
    assert [name for name, _, _ in recall(stack[0].file)["processes"]] == ["worker-flow"]
    assert stack[1].poll() is None


def test_a_clock_that_is_set_right_after_the_start_loses_no_process(
    stack: tuple[Stack, "subprocess.Popen[bytes]"], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = psutil.Process.create_time
    monkeypatch.setattr(psutil.Process, "create_time", lambda process: real(process) + 3600)
    assert Stack(stack[0].root).running().keys() == {"worker-flow"}


@pytest.mark.parametrize(("seconds", "in_time"), [(300.0, True), (0.3, False)])
def test_a_server_that_lives_is_asked_until_it_answers_and_not_for_ever(
    stack: tuple[Stack, "subprocess.Popen[bytes]"], monkeypatch: pytest.MonkeyPatch, seconds: float, in_time: bool
) -> None:
    answers = chain([False] * 5, repeat(True))
    monkeypatch.setattr(server, "WAIT_SECONDS", seconds)
    monkeypatch.setattr(server, "answers", lambda url: next(answers))
    up = stack[0]
    up.state |= {"settings": "", "address": "127.0.0.1", "port": 4242}
    assert not up.is_up()  # there is no server in it, and nobody is waited for
    up.state["processes"][0][0] = SERVER
    assert up.is_up() == in_time


def test_a_stack_that_was_stopped_remembers_its_port(stack: tuple[Stack, "subprocess.Popen[bytes]"]) -> None:
    up = stack[0]
    assert up.state["port"] == 4200
    up.state["port"] = 4300
    record(up.state, up.file)
    assert up.stop() == 1
    again = Stack(up.root)
    assert (again.state["port"], again.running(), again.stop()) == (4300, {}, 0)


def test_a_port_of_somebody_else_is_refused_while_all_is_left_running_and_ones_own_is_not(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UpError, match=f"Port {port} of 127.0.0.1 is taken.*PORT={port + 1}"):
            require_free("127.0.0.1", port, [])
        require_free("127.0.0.1", port, [psutil.Process()])


def test_up_leaves_alone_what_runs_where_the_port_that_it_is_told_is_taken(
    stack: tuple[Stack, "subprocess.Popen[bytes]"],
) -> None:
    git(stack[0].root, "init", "--quiet")
    dvc(stack[0].root, "init", "--quiet")
    (stack[0].root / "dvc.yaml").write_text("stages: {}\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = flows(stack[0].root, "up", "--port", port, PYTHONPATH=str(Path(__file__).parents[1]))
    assert done.returncode == 1
    assert f"Port {port} of 127.0.0.1 is taken." in done.stderr
    assert stack[1].poll() is None


def test_a_damaged_record_hides_no_process(stack: tuple[Stack, "subprocess.Popen[bytes]"]) -> None:
    stack[0].file.write_text("")
    assert Stack(stack[0].root).running() == {}
    done = flows(stack[0].root, "down", PYTHONPATH=str(Path(__file__).parents[1]))
    assert (done.returncode, done.stdout) == (0, "Down.\n")
    assert stack[1].wait(timeout=10) != 0


def test_a_record_that_cannot_be_written_leaves_the_one_before(tmp_path: Path) -> None:
    file = tmp_path / "stack.json"
    record({"processes": [["server", 1, "then"]]}, file)
    file.with_suffix(".unfinished").mkdir()  # as a full disk would, it lets nothing be written
    with pytest.raises(OSError, match="unfinished"):
        record({"processes": []}, file)
    assert recall(file) == {"processes": [["server", 1, "then"]]}


@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")  # it outlives who started it
def test_what_a_process_said_at_its_end_is_still_there_when_the_next_one_has_started(tmp_path: Path) -> None:
    stack = Stack(tmp_path)
    for module in ("no_such_module", "platform"):
        stack.start("server", "-m", module)
        psutil.wait_procs(stack.running().values())
    assert "no_such_module" in stack.log("server").read_text()


def test_two_at_once_do_not_start_two_stacks(tmp_path: Path) -> None:
    with only_one(tmp_path, "stack") as ours:
        done = flows(tmp_path, "up", PYTHONPATH=str(Path(__file__).parents[1]))
    assert ours
    assert done.returncode == 1
    assert "Another make up is at work" in done.stderr
