"""A command and all that grows from it, which end together."""

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Leads the group and reads a pipe that only we can write to: it wakes when we are gone, even if killed outright, and
# takes the whole group along. PR_SET_PDEATHSIG would reach DVC alone, and exists on Linux alone.
GUARD = ["/bin/sh", "-c", "trap '' INT; read -r _; kill -KILL 0"]
GRACE_SECONDS = 4.0  # a cancelled run has 10 seconds, and Prefect takes its share of them
FULL_BYTES, FULL_SECONDS = 1_000_000, 20.0


@dataclass
class Limits:
    """What a command may take, and why it was ended, if it was.

    On a full disk DVC would wait for ever, and at full speed, for a place to note what it knows of files.
    """

    seconds: float | None
    disk: Path | None
    broken: str | None = None


@contextmanager
def process_group(command: list[str], limits: Limits, **settings: Any) -> Iterator["subprocess.Popen[str]"]:
    """Run a command in a new process group; leave nobody of the group alive when it ends, or this process does."""
    with subprocess.Popen(GUARD, stdin=subprocess.PIPE, process_group=0) as guard:
        settings |= {"text": True, "errors": "replace", "process_group": guard.pid}
        with subprocess.Popen(command, **settings) as process:
            watch = threading.Thread(target=_watch, args=(process, guard.pid, limits), daemon=True)
            watch.start()
            try:
                yield process
            finally:
                _end(process, guard.pid)
                watch.join()


def _watch(process: "subprocess.Popen[str]", group: int, limits: Limits) -> None:
    started = room = time.monotonic()
    while limits.broken is None:
        now = time.monotonic()
        left = FULL_SECONDS if limits.seconds is None else started + limits.seconds - now
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, min(left, FULL_SECONDS / 2)))
            break
        now = time.monotonic()
        if limits.disk is None or shutil.disk_usage(limits.disk).free >= FULL_BYTES:
            room = now
        if limits.seconds is not None and now - started >= limits.seconds:
            limits.broken = f"took longer than {limits.seconds:.0f} seconds"
        elif now - room >= FULL_SECONDS:
            limits.broken = f"was ended, because the disk of {limits.disk} is full (No space left on device)"
    _end(process, group)


def _end(process: "subprocess.Popen[str]", group: int) -> None:
    if process.poll() is None:
        os.killpg(group, signal.SIGINT)  # DVC lets its stage end first and then gives back its locks
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS)
    os.killpg(group, signal.SIGKILL)  # the guard, and what a stage may have left behind
    process.wait()
