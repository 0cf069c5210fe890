"""The runs whose process died with the server, a worker or the machine: ended, and a night is started once more."""

from datetime import UTC, datetime
from typing import Any

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowFilter, FlowRunFilter
from prefect.client.schemas.objects import State
from prefect.client.schemas.sorting import FlowRunSort
from prefect.states import Cancelled, Crashed

from flows.outcome import SKIPPED

MISSED = "Missed"
NIGHT = FlowFilter.model_validate({"name": {"any_": ["nightly"]}})  # as prefect.yaml has it


def settle_runs() -> None:
    """End what an earlier server left unfinished: it would keep its place in the pool for ever, or start overdue."""
    lost = {"state": {"type": {"any_": ["RUNNING", "PENDING", "CANCELLING"]}}}
    _end(lost, Crashed(message="The server or the worker was stopped meanwhile."))
    missed = {"state": {"type": {"any_": ["SCHEDULED"]}}, "expected_start_time": {"before_": datetime.now(UTC)}}
    _end(missed, Cancelled(name=MISSED, message="No server was up when it was due."))


def _end(which: dict[str, Any], state: State[Any]) -> None:
    chosen = FlowRunFilter.model_validate(which)
    with get_client(sync_client=True) as client:
        while runs := client.read_flow_runs(flow_run_filter=chosen):  # page by page
            for run in runs:
                client.set_flow_run_state(run.id, state, force=True)


def resume_night() -> None:
    """Start the last night again if its process died. If it did so twice in a row, the next night has to do.

    Those that were due while nothing was up, or while another one ran, did nothing and do not count.
    """
    passed_over = {"name": {"not_any_": [MISSED, SKIPPED.capitalize()]}}
    due = FlowRunFilter.model_validate({"expected_start_time": {"before_": datetime.now(UTC)}, "state": passed_over})
    with get_client(sync_client=True) as client:
        order = FlowRunSort.EXPECTED_START_TIME_DESC
        runs = client.read_flow_runs(flow_filter=NIGHT, flow_run_filter=due, sort=order, limit=2)
        crashed = [run.state is not None and run.state.is_crashed() for run in runs]
        if crashed in ([True], [True, False]) and (deployment := runs[0].deployment_id):
            client.create_flow_run_from_deployment(deployment)
