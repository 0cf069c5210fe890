"""One stage under DVC in a process group of its own, which never outlives the process that started it."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

GRACE_SECONDS = 5.0
LAST_LINES = 20
# DVC says one of these before the stage can print: https://dvc.org/doc/command-reference/repro
RAN, UNCHANGED, CACHED = "ran", "unchanged", "cached"
SAYINGS = {
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
    """Start DVC as leader of a new process group, and leave none of the group alive, however this process ends."""
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", "--single-item", stage]
    search = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    process = subprocess.Popen(
        command, cwd=root, env=os.environ | {"PATH": search, "PYTHONUNBUFFERED": "1"}, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
    )  # fmt: skip
    # The guard reads a pipe that this process alone writes to, so it wakes even if we are killed outright.
    # PR_SET_PDEATHSIG would reach DVC only, not a stage that does not ask for it, and exists on Linux alone.
    guard = ["/bin/sh", "-c", 'read -r _; kill -KILL -- "-$0"', str(process.pid)]
    with subprocess.Popen(guard, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True) as watching:
        try:
            yield process
        finally:
            _stop(process)
            watching.kill()


def _stop(process: "subprocess.Popen[str]") -> None:
    with suppress(ProcessLookupError):  # nobody of the group is left
        os.killpg(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + GRACE_SECONDS
        while time.monotonic() < deadline:
            process.poll()
            os.killpg(process.pid, 0)
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextmanager
def _time_limit(process: "subprocess.Popen[str]", seconds: float | None) -> Iterator[threading.Event]:
    expired = threading.Event()
    timer = threading.Timer(threading.TIMEOUT_MAX if seconds is None else seconds, lambda: (expired.set(), _stop(process)))
    timer.start()
    try:
        yield expired
    finally:
        timer.cancel()
