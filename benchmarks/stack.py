"""The stack of `make up` from outside: started, asked over its API, and its processes found by what they do."""

import json
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psutil

ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
UNDER_WAY = ["PENDING", "RUNNING", "CANCELLING"]
SIGNS = {  # how the command line of each target is told from the others
    "stage": lambda words: "work.py" in words,
    "dvc": lambda words: "dvc" in words and "repro" in words,
    "flow": lambda words: "prefect.engine" in words,
    "worker": lambda words: "worker" in words and "start" in words,
    "server": lambda words: "server" in words and "start" in words,
}


class Stack:
    """The stack of one repository; `with` brings it up and takes it down."""

    def __init__(self, root: Path) -> None:
        self.root = root
        with closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])

    def __enter__(self) -> "Stack":
        self.up()
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    def up(self) -> None:
        """Do what a person or an init system does after a crash, as after a start."""
        self._flows("up", "--port", str(self.port))

    def down(self) -> None:
        """Stop all of it."""
        self._flows("down")

    def _flows(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "flows", *arguments]
        done = subprocess.run(command, cwd=self.root, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"flows {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Call the API; ask again while the server is away or busy, as Prefect's own clients do."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/{path}", data, {"content-type": "application/json"}
        )
        for _ in range(60):
            with suppress(OSError), urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)
            time.sleep(0.5)
        raise RuntimeError(f"The server does not answer {path}.")

    def trigger(self, deployment: str) -> str:
        """Start a run of a deployment; return its id."""
        found = self.ask(f"deployments/name/{deployment}")["id"]
        once = {"idempotency_key": str(uuid.uuid4())}  # asked again, it is the same run
        return str(self.ask(f"deployments/{found}/create_flow_run", once)["id"])

    def state(self, run: str) -> str:
        """Return the type of a run's state."""
        return str(self.ask(f"flow_runs/{run}")["state_type"])

    def slots(self) -> int:
        """Return how many runs hold a place in a pool."""
        return int(self.ask("flow_runs/count", {"flow_runs": {"state": {"type": {"any_": UNDER_WAY}}}}))

    def processor_seconds(self) -> float:
        """Return what server and workers have used, with all that they have started and seen to its end."""
        used = [process.cpu_times() for kind in ("server", "worker") for process in self.processes(kind)]
        return float(sum(one.user + one.system + one.children_user + one.children_system for one in used))

    def processes(self, kind: str) -> list[psutil.Process]:
        """Return the living processes of one kind in this repository."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                ours = process.environ().get("PREFECT_HOME") == str(self.root / ".prefect")
                if ours and process.status() != psutil.STATUS_ZOMBIE and SIGNS[kind](process.cmdline()):
                    found.append(process)
        return found


def wait_for(true: Callable[[], bool], seconds: float) -> bool:
    """Wait until it is true, or the time is over; return which."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True
