"""Processes that are found again: by their id and time of start, or by a mark in their environment."""

import json
from contextlib import suppress
from pathlib import Path
from subprocess import DEVNULL, Popen
from typing import Any

import psutil

GRACE_SECONDS = 10.0
BOOT = Path("/proc/sys/kernel/random/boot_id")  # of Linux


def record(state: dict[str, Any], file: Path) -> None:
    """Write down what was started, whole or not at all: the disk may be full, and the power may go."""
    unfinished = file.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(state))
    unfinished.replace(file)


def recall(file: Path) -> dict[str, Any]:
    """Read what was started. A file that is missing or damaged names nothing; marked processes are found without it."""
    try:
        return dict(json.loads(file.read_text()))
    except (FileNotFoundError, ValueError):
        return {"processes": []}


def begin(command: list[str], folder: Path, variables: dict[str, str], log: Path) -> tuple[int, str]:
    """Start what outlives this process; return its id and its time of start."""
    with log.open("a") as said:  # what is there may tell why the one before ended
        process = Popen(
            command, cwd=folder, env=variables, stdin=DEVNULL, stdout=said, stderr=said, start_new_session=True
        )
    return process.pid, started_at(process.pid)


def started_at(pid: int) -> str:
    """Say when the process with this id was started, in ticks since a boot: the clock may be set right meanwhile."""
    if not BOOT.exists():
        return str(psutil.Process(pid).create_time())
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()  # from the third on
    return f"{fields[22 - 3]} of {BOOT.read_text().strip()}"


def find_process(pid: int, started: str) -> psutil.Process | None:
    """Return the process that had this id at that time, or None if it is gone: its id may be another's by now."""
    with suppress(psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
        process = psutil.Process(pid)
        if started_at(pid) == started and process.status() != psutil.STATUS_ZOMBIE:
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
