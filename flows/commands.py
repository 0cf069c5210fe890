"""Git and DVC as commands: their words when they fail, and what is tried again because it goes over a network."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flows import environment
from flows.process_group import Limits, process_group
from flows.unattended import unattended
from handful.registry import ANOTHER

PAUSES_SECONDS = (5.0, 30.0)  # before the second and the third try
TRANSFER_SECONDS = 6 * 3600.0  # of data: one that hangs would keep out all later nights
REFUSED = ("[rejected]", "[remote rejected]")  # an answer, which does not change when asked again
LATE = "took longer than"
DENIED = ("Authentication failed", "could not read Username", "Permission denied")
# What a second try would hear again: no leave, no such thing, no room. All else may be the network.
HOPELESS = (*REFUSED, *DENIED, LATE, "does not exist", "No space left on device")


class CommandError(Exception):
    """A command failed; the text is its last words."""

    @property
    def refused(self) -> bool:
        """Whether the other side was reached, and said no."""
        return any(sign in str(self) for sign in REFUSED)

    @property
    def hopeless(self) -> bool:
        """Whether the same command would only fail again."""
        return any(sign in str(self) for sign in HOPELESS)


def git(folder: Path, *arguments: str, timeout_seconds: float | None = None) -> str:
    """Run git where `folder` is the top of a repository or worktree, never on one around it; return what it prints."""
    return _run("git", ["git", *arguments], folder, timeout_seconds)


def dvc(folder: Path, *arguments: str, timeout_seconds: float | None = None) -> str:
    """Run DVC in `folder`; it waits for its lock, which another command may hold."""
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", *arguments]
    return _run("dvc", command, folder, timeout_seconds)


def over_network(say: Callable[[str], None], command: Callable[[], str]) -> str:
    """Call again what failed, after a while, where that may help."""
    for pause in PAUSES_SECONDS:
        try:
            return command()
        except CommandError as error:
            if error.hopeless:
                raise
            say(f"{error}\nTrying again in {pause:.0f} seconds.")
            time.sleep(pause)
    return command()


def transfer(folder: Path, say: Callable[[str], None], *arguments: str) -> None:
    """Run a command of DVC that brings data from elsewhere or there."""
    over_network(say, lambda: dvc(folder, *arguments, timeout_seconds=TRANSFER_SECONDS))


def _run(name: str, command: list[str], folder: Path, timeout_seconds: float | None) -> str:
    mine = {"PATH": environment.path(), "GIT_CEILING_DIRECTORIES": str(folder.parent), "PYTHONPATH": str(folder)}
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    given = {name: value for name, value in os.environ.items() if name not in ANOTHER}
    settings: dict[str, Any] = {"cwd": folder, "env": given | unattended() | mine, **pipes}
    limits = Limits(timeout_seconds, folder)
    with process_group(command, limits, **settings) as process:
        printed, said = process.communicate()
    if process.returncode == 0:
        return str(printed)
    why = f"{said}{printed}".strip() if limits.broken is None else f"it {limits.broken}"
    raise CommandError(f"{name} {' '.join(command[command.index(name) + 1 :])}: {why}")
