"""A server from outside: what starts it, whether its place is free, whether it answers, and its error if not."""

import os
import socket
import time
import urllib.request
from collections.abc import Callable
from contextlib import closing, suppress
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlsplit

import psutil

# What Python is told to start, by its place: it works in a folder that need not hold this code.
SERVE = ("-P", str(Path(__file__).with_name("serve.py")), "server", "start")
# Of glibc: without it each of its threads has a heap of its own, full of holes that no other one may use.
ONE_HEAP = {"MALLOC_ARENA_MAX": "1"}
WAIT_SECONDS = 300.0  # on a machine with much else to do; one that has died is not waited for


class UpError(Exception):
    """A server or a worker did not come up; says why and what it last said."""


def require_free(address: str, port: int, ours: list[psutil.Process]) -> None:
    """Check that nobody listens there but perhaps one of our processes, which are to be stopped.

    Raises:
        UpError: somebody does.
    """
    with closing(socket.socket()) as probe:
        if probe.connect_ex((address, port)) == 0 and not any(_listens(process, port) for process in ours):
            taken = f"Port {port} of {address} is taken."
            raise UpError(f"{taken} Free it, or choose another: make up PORT={port + 1}")


def _listens(process: psutil.Process, port: int) -> bool:
    with suppress(psutil.Error):
        ports = [one.laddr.port for one in process.net_connections("tcp") if one.status == psutil.CONN_LISTEN]
        return port in ports
    return False


def answers(url: str) -> bool:
    """Tell whether a server is ready there. Prefect answers this one question to those without a password too."""
    directly = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy for the web does not know it
    try:
        with directly.open(f"{url}/api/health", timeout=5) as response:
            return bool(response.status == 200)
    except (OSError, HTTPException):  # nobody listens, or somebody who speaks of something else
        return False


def require_address(url: str) -> None:
    """Check that a server may be there. It is an UpError if that is the address of none."""
    with suppress(ValueError):  # of a port that is no number, or out of bounds
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
            return
    raise UpError(f"{url} is no address of a server. One is http://10.0.0.5:4200, with a port from 1 to 65535.")


def answers_in_time(url: str, lives: Callable[[], bool]) -> bool:
    """Wait until a server that lives is ready there, and tell whether it was before it died or the time was over."""
    deadline = time.monotonic() + WAIT_SECONDS
    while lives() and time.monotonic() < deadline:
        if answers(url):
            return True
        time.sleep(0.1)
    return False


def without_proxy(url: str) -> dict[str, str]:
    """Return the variables by which programs reach the server as `answers` does, and whom else they reached so."""
    names = ("no_proxy", "NO_PROXY")  # some programs heed the one, some the other
    known = [one.strip() for name in names for one in os.environ.get(name, "").split(",") if one.strip()]
    hosts = dict.fromkeys([*known, str(urlsplit(url).hostname)])
    return dict.fromkeys(names, "*" if "*" in known else ",".join(hosts))
