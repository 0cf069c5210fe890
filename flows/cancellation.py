"""Cancel in the dashboard, for a run that no worker has started and could stop: it looks for itself, and ends."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from httpx import HTTPError
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.runtime import flow_run

SECONDS_BETWEEN_LOOKS = 2.0
SIGNAL = signal.SIGUSR1  # not SIGINT: a command that a script starts in the background ignores that one


class CancelledInDashboardError(Exception):
    """A person has cancelled the run that is under way."""


@contextmanager
def cancellable() -> Iterator[None]:
    """Inside a flow, in the main thread: interrupt what runs there when somebody cancels the flow's run.

    Raises:
        CancelledInDashboardError: somebody did.
    """
    over, asked = threading.Event(), threading.Event()
    watch = threading.Thread(target=_watch, args=(UUID(flow_run.get_id()), over, asked), daemon=True)
    before = signal.signal(SIGNAL, signal.default_int_handler)
    watch.start()
    try:
        yield
    except KeyboardInterrupt:
        if asked.is_set():
            raise CancelledInDashboardError from None
        raise  # by Ctrl-C, where it was started
    finally:
        over.set()
        watch.join()
        signal.signal(SIGNAL, before)


def _watch(run: UUID, over: threading.Event, asked: threading.Event) -> None:
    with get_client(sync_client=True) as client:
        while not over.wait(SECONDS_BETWEEN_LOOKS):
            if _is_cancelled(client, run):
                asked.set()
                os.kill(os.getpid(), SIGNAL)
                return


def _is_cancelled(client: SyncPrefectClient, run: UUID) -> bool:
    try:
        state = client.read_flow_run(run).state
    except HTTPError:  # the server is away or busy; whether that ends the run is for the flow to find out
        return False
    return state is not None and (state.is_cancelling() or state.is_cancelled())
