"""`python -m flows worker`: this host's workers for a server that runs elsewhere, until they are stopped."""

import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path

from flows import environment
from flows.access import LOOPBACK, Access
from flows.gpus import what_they_see
from flows.server import UpError, answers, require_address
from flows.stack import Stack
from flows.up import wait
from flows.worktree import only_one

URL, AUTH = "PREFECT_API_URL", "PREFECT_API_AUTH_STRING"


def work(root: Path, pool: str, say: Callable[[str], None]) -> None:
    """Run the workers of a pool, one for each GPU of this host, until one ends or somebody ends this process.

    Raises:
        UpError: there is no server, pool, origin or DVC remote to work with, a worker ended, or others run already.
    """
    with only_one(root, f"workers-{pool}") as ours:
        if not ours:
            raise UpError(f"Workers of pool {pool} already run in this clone. Stop them with Ctrl-C there first.")
        url, stack = _enter(root), Stack(root, f"workers-{pool}")
        _require(root, pool, url)
        for ending in (signal.SIGINT, signal.SIGTERM):  # so that an init system stops the workers too
            signal.signal(ending, lambda *_: sys.exit())
        stack.stop()  # what a crash has left
        from flows.workers import RUNS_AT_ONCE, start_workers

        try:
            count = start_workers(stack, pool, RUNS_AT_ONCE, partial(wait, stack))
            say(f"Workers of pool {pool} for {url}: {count}, {what_they_see(pool)}. Ctrl-C stops them.")
            while len(stack.running()) == count:
                time.sleep(1.0)
            raise UpError(f"A worker has ended. Look into {stack.file.parent}/worker-{pool}*.log")
        finally:
            stack.stop()


def _enter(root: Path) -> str:
    """Enter the environment of this clone, with the server and the password that are set from outside."""
    if URL not in os.environ:
        raise UpError(f"Set {URL} to the server of the nights, such as http://10.0.0.5:4200/api.")
    url = os.environ[URL].rstrip("/").removesuffix("/api")
    require_address(url)
    access = Access(address=IPv4Address(LOOPBACK), auth=os.environ.get(AUTH), database=None)
    environment.enter(root, url, access)
    return url


def _require(root: Path, pool: str, url: str) -> None:
    """Check what can be known before any run comes."""
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError

    from flows.handover import can_share

    if Stack(root).running():
        raise UpError("The stack of this clone is up and has workers of its own. Run make down first.")
    if not ((root / ".dvc").is_dir() and can_share(root)):
        raise UpError("Start workers in a clone with an `origin` and a default DVC remote: hosts share data by those.")
    if not answers(url):
        raise UpError(f"No server answers at {url}. Is it up, and does it listen there (`address` in server.yaml)?")
    try:
        with get_client(sync_client=True) as client:
            client.read_work_pool(pool)
    except ObjectNotFound:
        raise UpError(f"The server at {url} has no work pool {pool}.") from None
    except PrefectHTTPStatusError as error:
        raise UpError(f"The server at {url} refuses: {error}. Is {AUTH} set as `auth` in its server.yaml?") from None
