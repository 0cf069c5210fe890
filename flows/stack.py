"""The running server and its workers: started once, found again, and stopped to the last process."""

import os
import sys
from pathlib import Path
from typing import Any

import psutil

from flows import environment
from flows.access import LOOPBACK, Access
from flows.place import HOME, home
from flows.processes import begin, find_process, marked, recall, record, stop_family
from flows.server import answers_in_time

SERVER, PORT = "server", 4200
MARK = "HANDFUL_STACK"  # all that a worker starts inherits it, so that it is found when its worker was killed


class Stack:
    """The processes that `make up` started, kept in a file: a process is known by its id and its time of start."""

    def __init__(self, root: Path, name: str = "stack") -> None:
        self.root = root
        self.file = root / HOME / f"{name}.json"
        self.state: dict[str, Any] = {"address": LOOPBACK, "port": PORT} | recall(self.file)

    @property
    def url(self) -> str:
        """The address at which this machine reaches the server."""
        return f"http://{self.state['address']}:{self.state['port']}"

    def settle(self, access: Access, port: int) -> None:
        """Keep where the server will be, and by which settings."""
        self.state |= {"address": access.reached_at, "port": port, "settings": access.fingerprint}

    def obeys(self, access: Access) -> bool:
        """Tell whether it was started with these settings."""
        return bool(self.state["settings"] == access.fingerprint)

    def running(self) -> dict[str, psutil.Process]:
        """Return those of the recorded processes that live; another process with an old id is not one of them."""
        found = {name: find_process(pid, started) for name, pid, started in self.state["processes"]}
        return {name: process for name, process in found.items() if process is not None}

    def is_up(self) -> bool:
        """Tell whether the server lives and answers, be it late: it may have much to do. The workers do not matter."""
        return answers_in_time(self.url, lambda: SERVER in self.running())

    def forget_dead(self) -> None:
        """Forget the processes that have died, so that they are started again. A night under way is left alone."""
        living = self.running()
        self.state["processes"] = [one for one in self.state["processes"] if one[0] in living]
        record(self.state, self.file)

    def start(self, name: str, *command: str, **variables: str) -> None:
        """Start a Python that outlives this one, and record it before anything else happens."""
        home(self.root)
        given = os.environ | variables | {"PATH": environment.path(), MARK: str(self.file)}
        begun = begin([sys.executable, *command], self.root, given, self.log(name))
        self.state["processes"].append([name, *begun])
        record(self.state, self.file)

    def log(self, name: str) -> Path:
        """Return the file of what a process says."""
        return self.file.parent / f"{name}.log"

    def processes(self) -> list[psutil.Process]:
        """Return all that lives of it: the workers, then the server, then what those that died have left."""
        running = [*self.running().values()][::-1]
        return [*running, *(process for process in marked(MARK, str(self.file)) if process not in running)]

    def stop(self) -> int:
        """Stop all that lives of it; return how many processes that were. The file still says where the server was."""
        found = self.processes()
        for process in found:
            stop_family(process)
        self.state["processes"] = []
        return len(found)
