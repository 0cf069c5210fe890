"""The runs that a run has started, which end when it is cancelled."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter
from prefect.exceptions import TerminationSignal
from prefect.runtime import flow_run
from prefect.states import Cancelling

UNFINISHED = ["SCHEDULED", "PENDING", "RUNNING"]


@contextmanager
def cancelled_together() -> Iterator[None]:
    """Inside a flow: when it is cancelled, cancel the runs that it has started too.

    The server would do so only after the flow's process is gone, and too late for the ten seconds that a person waits.
    """
    try:
        yield
    except (KeyboardInterrupt, TerminationSignal):
        _cancel_children()
        raise


def _cancel_children() -> None:
    unfinished: dict[str, Any] = {
        "parent_flow_run_id": {"any_": [flow_run.get_id()]},
        "state": {"type": {"any_": UNFINISHED}},
    }
    with get_client(sync_client=True) as client:
        for run in client.read_flow_runs(flow_run_filter=FlowRunFilter.model_validate(unfinished)):
            client.set_flow_run_state(run.id, Cancelling(message="The run that started it was cancelled."))
