"""A command and all that grows from it, which end together."""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

# Leads the group and reads a pipe that only we can write to: it wakes when we are gone, even if killed outright, and
# takes the whole group along. PR_SET_PDEATHSIG would reach DVC alone, and exists on Linux alone.
GUARD = ["/bin/sh", "-c", "trap '' INT; read -r _; kill -KILL 0"]
GRACE_SECONDS = 4.0  # a cancelled run has 10 seconds, and Prefect takes its share of them


@contextmanager
def process_group(
    command: list[str], timeout_seconds: float | None, **settings: Any
) -> Iterator[tuple["subprocess.Popen[str]", threading.Event]]:
    """Run a command in a new process group; leave nobody of the group alive when it ends, or this process does.

    The event says whether the command was ended because its time was up.
    """
    expired = threading.Event()
    with subprocess.Popen(GUARD, stdin=subprocess.PIPE, process_group=0) as guard:
        settings |= {"text": True, "errors": "replace", "process_group": guard.pid}
        with subprocess.Popen(command, **settings) as process:
            watch = threading.Thread(target=_watch, args=(process, guard.pid, timeout_seconds, expired), daemon=True)
            watch.start()
            try:
                yield process, expired
            finally:
                _end(process, guard.pid)
                watch.join()


def _watch(
    process: "subprocess.Popen[str]", group: int, timeout_seconds: float | None, expired: threading.Event
) -> None:
    try:
        process.wait(timeout_seconds)
    except subprocess.TimeoutExpired:
        expired.set()
    _end(process, group)


def _end(process: "subprocess.Popen[str]", group: int) -> None:
    if process.poll() is None:
        os.killpg(group, signal.SIGINT)  # DVC lets its stage end first and then gives back its locks
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS)
    os.killpg(group, signal.SIGKILL)  # the guard, and what a stage may have left behind
    process.wait()
