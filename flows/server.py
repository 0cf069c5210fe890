"""A server from outside: what starts it, whether its place is free, whether it answers, and its error if not."""

import socket
import urllib.request
from contextlib import closing
from pathlib import Path

# What Python is told to start, by its place: it works in a folder that need not hold this code.
SERVE = ("-P", str(Path(__file__).with_name("serve.py")), "server", "start")
# Of glibc: without it each of its threads has a heap of its own, full of holes that no other one may use.
ONE_HEAP = {"MALLOC_ARENA_MAX": "1"}


class UpError(Exception):
    """A server or a worker did not come up; says why and what it last said."""


def require_free(address: str, port: int) -> None:
    """Check that nobody listens there.

    Raises:
        UpError: somebody does.
    """
    with closing(socket.socket()) as probe:
        if probe.connect_ex((address, port)) == 0:
            taken = f"Port {port} of {address} is taken."
            raise UpError(f"{taken} Free it, or choose another: make up PORT={port + 1}")


def answers(url: str) -> bool:
    """Tell whether a server is ready there. Prefect answers this one question to those without a password too."""
    try:
        with urllib.request.urlopen(f"{url}/api/health", timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False
