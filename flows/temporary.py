"""A server for one run, where none is up."""

import atexit
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from flows import environment
from flows.access import LOOPBACK, read_access
from flows.place import home
from flows.process_group import Limits, process_group
from flows.server import SERVE, UpError, answers_in_time
from flows.stack import Stack


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
    log = home(root) / "server.log"
    command = [sys.executable, *SERVE]
    with (
        log.open("w") as said,
        process_group(command, Limits(None, None), cwd=root, stdout=said, stderr=subprocess.STDOUT) as server,
    ):

        def wait() -> None:
            if not answers_in_time(url, lambda: server.poll() is None):
                raise UpError(f"The temporary server did not come up. It last said:\n{log.read_text()[-2000:]}")

        yield wait


def enter_prefect(root: Path) -> Callable[[], None]:
    """Make this process use the server that is up, else one of its own; call what is given to wait until it answers."""
    access, stack = read_access(root), Stack(root)
    if stack.is_up():
        if not stack.obeys(access):
            raise UpError("server.yaml has changed since the server was started. Run make up, or make down, and again.")
        environment.enter(root, stack.url, access)
        return lambda: None
    url = free_address()
    environment.enter(root, url, access.alone())
    server = ExitStack()
    atexit.register(server.close)  # before Prefect registers what it must still tell the server at the end
    return server.enter_context(temporary_server(url, root))
