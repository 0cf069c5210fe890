"""One stage under DVC in a process group of its own, which never outlives the process that started it."""

import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

GRACE_SECONDS = 5.0
LAST_LINES = 20
RAN, UNCHANGED, CACHED = "ran", "unchanged", "cached"
# Leads the group and reads a pipe that only we can write to: it wakes when we are gone, even if killed outright, and
# takes the whole group along. PR_SET_PDEATHSIG would reach DVC alone, and exists on Linux alone.
GUARD = ["/bin/sh", "-c", "trap '' INT; read -r _; kill -KILL 0"]
SAYINGS = {  # DVC says one of these before the stage can print anything
    "Running stage '{}':": RAN,
    "Stage '{}' didn't change, skipping": UNCHANGED,
    "Stage '{}' is cached - skipping run, checking out outputs": CACHED,
}


class StageError(Exception):
    """A stage failed or took too long; the text ends with the last lines that it printed."""


def launch(stage: str, root: Path, timeout_seconds: float | None, say: Callable[[str], None]) -> str:
    """Run `dvc repro` for one stage in `root`, pass on each line as it comes, and return RAN, UNCHANGED or CACHED.

    Raises:
        StageError: the stage failed, or ran longer than `timeout_seconds`.
    """
    verdicts = {saying.format(stage): verdict for saying, verdict in SAYINGS.items()}
    outcome, tail = None, deque[str](maxlen=LAST_LINES)
    with _process_group(stage, root) as process, _time_limit(process, timeout_seconds) as expired:
        for line in map(str.rstrip, process.stdout or ()):
            outcome = outcome or verdicts.get(line)
            tail.append(line)
            say(line)
        process.wait()
    if outcome is None or process.returncode != 0:
        why = f"took longer than {timeout_seconds} seconds" if expired.is_set() else f"ended with {process.returncode}"
        raise StageError(f"Stage {stage} {why}. Its last lines:\n" + "\n".join(tail))
    return outcome


@contextmanager
def _process_group(stage: str, root: Path) -> Iterator["subprocess.Popen[str]"]:
    """Start DVC in a new process group, and leave nobody of the group alive, however this process ends."""
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", "--single-item", stage]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # a stage's cmd says `python`
    settings: dict[str, Any] = {"cwd": root, "env": os.environ | {"PATH": path, "PYTHONUNBUFFERED": "1"}}
    settings |= {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(GUARD, stdin=subprocess.PIPE, process_group=0) as guard:
        process = subprocess.Popen(command, text=True, errors="replace", process_group=guard.pid, **settings)
        try:
            yield process
        finally:
            _end(process, guard.pid)


def _end(process: "subprocess.Popen[str]", group: int) -> None:
    if process.poll() is None:
        os.killpg(group, signal.SIGINT)  # DVC lets the stage end first and then gives back its locks
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS)
    os.killpg(group, signal.SIGKILL)  # the guard, and what the stage may have left behind
    process.wait()


@contextmanager
def _time_limit(process: "subprocess.Popen[str]", seconds: float | None) -> Iterator[threading.Event]:
    """Stop the process after some seconds; the event says whether it came to that."""
    expired = threading.Event()

    def expire() -> None:
        expired.set()
        _end(process, os.getpgid(process.pid))

    timer = threading.Timer(threading.TIMEOUT_MAX if seconds is None else seconds, expire)
    timer.start()
    try:
        yield expired
    finally:
        timer.cancel()
