"""A stack that is up, for the tests: asked over its API, triggered, and searched for processes."""

import base64
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from flows import environment
from flows.access import read_access
from flows.temporary import free_address, temporary_server

SECONDS = 600.0
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


@dataclass(frozen=True)
class Running:
    """A repository whose stack is up, and the name and password of its server."""

    root: Path
    url: str
    auth: str | None = None

    def ask(self, path: str, **filters: Any) -> Any:
        return self._call(path, json.dumps(filters).encode())

    def look(self, path: str) -> Any:
        return self._call(path, None)

    def change(self, path: str, **values: Any) -> None:
        self._call(path, json.dumps(values).encode(), "PATCH")

    def _call(self, path: str, body: bytes | None, method: str | None = None) -> Any:
        headers = {"content-type": "application/json"}
        if self.auth is not None:
            headers["authorization"] = f"Basic {base64.b64encode(self.auth.encode()).decode()}"
        request = urllib.request.Request(f"{self.url}/api/{path}", body, headers, method=method)
        while True:
            try:
                with urllib.request.urlopen(request, timeout=120) as response:
                    return json.loads(response.read() or "null")
            except urllib.error.HTTPError as error:
                if error.code != 503:  # SQLite is busy: Prefect's own clients ask again, too
                    raise
                error.close()
            time.sleep(0.2)

    def trigger(self, deployment: str) -> str:
        found = self.look(f"deployments/name/{deployment}")
        return str(self.ask(f"deployments/{found['id']}/create_flow_run")["id"])

    def cancel(self, run: str) -> None:
        """Do what the dashboard does."""
        self.ask(f"flow_runs/{run}/set_state", state={"type": "CANCELLING"}, force=False)

    def ended(self, run: str) -> dict[str, Any]:
        return wait_for(lambda: (state := self.look(f"flow_runs/{run}"))["state_type"] in ENDED and state, f"run {run}")

    def workers(self) -> dict[str, psutil.Process]:
        """The processes that `make up` has started, by name."""
        started = json.loads((self.root / ".prefect" / "stack.json").read_text())["processes"]
        return {name: psutil.Process(pid) for name, pid, _ in started}


def wait_for(find: Callable[[], Any], what: str, seconds: float = SECONDS) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := find()):
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.2)
    return found


def flows(root: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Call what the Makefile calls, in the repository."""
    return subprocess.run(
        [sys.executable, "-m", "flows", *arguments],
        cwd=root,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def of_stack(root: Path) -> list[psutil.Process]:
    """Every living process that was started for the stack of this repository, by whom ever."""
    found = []
    for process in psutil.process_iter():
        try:
            ours = process.environ().get("PREFECT_HOME") == str(root / ".prefect")
            if ours and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


@contextmanager
def server(root: Path) -> Iterator[str]:
    """A server for the clients of this process alone, with what it keeps in `root`; its address."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    before, url = dict(os.environ), free_address()
    try:
        environment.enter(root, url, read_access(root))
        with temporary_server(url, root) as wait, temporary_settings({PREFECT_API_URL: f"{url}/api"}):
            wait()
            yield url
    finally:
        os.environ.clear()
        os.environ.update(before)
