"""A server for one run, where none is up."""

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from flows.access import LOOPBACK
from flows.process_group import Limits, process_group
from flows.server import UpError, answers

WAIT_SECONDS = 300.0  # on a machine with much else to do; one that has died is not waited for


def free_address() -> str:
    """Return an address on which nobody listens."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return f"http://{LOOPBACK}:{probe.getsockname()[1]}"


@contextmanager
def temporary_server(url: str, root: Path) -> Iterator[Callable[[], None]]:
    """Start a server that ends with this process; call what is given to wait until it answers.

    Prefect could do this by itself, but it would load the whole server into this process too, which takes longer.
    """
    log = root / ".prefect" / "server.log"
    log.parent.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "prefect", "server", "start"]
    with (
        log.open("w") as said,
        process_group(command, Limits(None, None), cwd=root, stdout=said, stderr=subprocess.STDOUT) as server,
    ):

        def wait() -> None:
            deadline = time.monotonic() + WAIT_SECONDS
            while not answers(url):
                if time.monotonic() > deadline or server.poll() is not None:
                    raise UpError(f"The temporary server did not come up. It last said:\n{log.read_text()[-2000:]}")
                time.sleep(0.1)

        yield wait
