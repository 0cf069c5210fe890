"""Processes that are found again: by their id and time of start, or by a mark in their environment."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

GRACE_SECONDS = 10.0
CLOCK_SECONDS = 2.0  # times of start are reckoned from the clock, which may be set right meanwhile


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
