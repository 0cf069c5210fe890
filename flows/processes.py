"""Processes that must not be lost: groups that end as one, and single ones that are found again."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psutil

# Leads the group and reads a pipe that only we can write to: it wakes when we are gone, even if killed outright, and
# takes the whole group along. PR_SET_PDEATHSIG would reach DVC alone, and exists on Linux alone.
GUARD = ["/bin/sh", "-c", "trap '' INT; read -r _; kill -KILL 0"]
GRACE_SECONDS = 10.0
CLOCK_SECONDS = 2.0  # times of start are reckoned from the clock, which may be set right meanwhile


@contextmanager
def process_group(command: list[str], **settings: Any) -> Iterator["subprocess.Popen[str]"]:
    """Start a command in a new process group, and leave nobody of the group alive, however this process ends."""
    with subprocess.Popen(GUARD, stdin=subprocess.PIPE, process_group=0) as guard:
        process = subprocess.Popen(command, text=True, errors="replace", process_group=guard.pid, **settings)
        try:
            yield process
        finally:
            end_group(process, guard.pid)


def end_group(process: "subprocess.Popen[str]", group: int) -> None:
    """Ask the group to stop, wait for its first process, and kill what is left."""
    if process.poll() is None:
        os.killpg(group, signal.SIGINT)  # DVC lets its stage end first and then gives back its locks
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS)
    os.killpg(group, signal.SIGKILL)  # the guard, and what a stage may have left behind
    process.wait()


def find_process(pid: int, started: float) -> psutil.Process | None:
    """Return the process that had this id at that time, or None if it is gone: its id may be another's by now."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        if abs(process.create_time() - started) < CLOCK_SECONDS and process.status() != psutil.STATUS_ZOMBIE:
            return process
    return None


def marked(name: str, value: str) -> list[psutil.Process]:
    """Return the living processes that have this variable in their environment."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(name) == value and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def stop_family(process: psutil.Process) -> None:
    """Stop a process and all that grew from it."""
    with suppress(psutil.NoSuchProcess):
        family = [*process.children(recursive=True), process]
        for member in family:
            with suppress(psutil.NoSuchProcess):
                member.terminate()
        for member in psutil.wait_procs(family, timeout=GRACE_SECONDS)[1]:
            with suppress(psutil.NoSuchProcess):
                member.kill()
