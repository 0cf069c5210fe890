"""The running server and its workers: started once, found again, and stopped to the last process."""

import json
import subprocess
import sys
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from flows.environment import ADDRESS

GRACE_SECONDS = 15.0
CLOCK_SECONDS = 2.0  # times of start are reckoned from the clock, which may be set right meanwhile


class Stack:
    """The processes that `make up` started, kept in a file: a process is known by its id and its time of start."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.file = root / ".prefect" / "stack.json"
        self.state = json.loads(self.file.read_text()) if self.file.exists() else {"port": None, "processes": []}

    @property
    def url(self) -> str:
        return f"http://{ADDRESS}:{self.state['port']}"

    def running(self) -> list[psutil.Process]:
        """Return those of the recorded processes that live; another process with an old id is not one of them."""
        return [process for _, pid, started in self.state["processes"] if (process := _same(pid, started)) is not None]

    def is_up(self) -> bool:
        """Tell whether all that was started lives and the server answers."""
        return 0 < len(self.state["processes"]) == len(self.running()) and self.answers()

    def answers(self) -> bool:
        """Tell whether the server is ready."""
        try:
            with urllib.request.urlopen(f"{self.url}/api/health", timeout=5) as response:
                return bool(response.status == 200)
        except OSError:
            return False

    def start(self, name: str, *command: str) -> None:
        """Start one Prefect process that outlives this one, and record it before anything else happens."""
        self.file.parent.mkdir(exist_ok=True)
        settings: dict[str, Any] = {"cwd": self.root, "stdin": subprocess.DEVNULL, "start_new_session": True}
        with self.log(name).open("w") as log:
            command = (sys.executable, "-m", "prefect", *command)
            process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, **settings)
        self.state["processes"].append([name, process.pid, psutil.Process(process.pid).create_time()])
        self.file.write_text(json.dumps(self.state))

    def log(self, name: str) -> Path:
        """Return the file of what a process says."""
        return self.file.parent / f"{name}.log"

    def stop(self) -> int:
        """Stop what was started and all that grew from it, workers before the server; return how many there were."""
        running = self.running()
        for process in reversed(running):
            with suppress(psutil.NoSuchProcess):
                _stop([*process.children(recursive=True), process])
        self.file.unlink(missing_ok=True)
        self.state = {"port": None, "processes": []}
        return len(running)


def _same(pid: int, started: float) -> psutil.Process | None:
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        if abs(process.create_time() - started) < CLOCK_SECONDS and process.status() != psutil.STATUS_ZOMBIE:
            return process
    return None


def _stop(family: list[psutil.Process]) -> None:
    for member in family:
        with suppress(psutil.NoSuchProcess):
            member.terminate()
    for member in psutil.wait_procs(family, timeout=GRACE_SECONDS)[1]:
        with suppress(psutil.NoSuchProcess):
            member.kill()
