"""The stages of a night, each a run of its own on its work pool, one after the other."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from prefect import get_run_logger
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.deployments import run_deployment
from prefect.states import Cancelled

from flows.children import cancelled_together
from flows.deployments import deploy_stages, has_worker
from flows.graph import Stage
from flows.night import Night, NightError

SECONDS_BETWEEN_LOOKS = 1.0
WORKERLESS = timedelta(minutes=5)  # a worker that has been silent for so long is gone


def run_stages(night: Night, stages: list[Stage]) -> None:
    """Run every stage in the night's worktree.

    Raises:
        NightError: a stage did not complete, or nobody is there to run it; the text is what its run said.
    """
    deploy_stages(stages, night.root)  # dvc.yaml may have got another stage since the last night
    for stage in stages:
        state = _run(night, stage)
        if state.is_crashed():  # it says of the process, or of a machine too busy to hear it, and nothing of the stage
            get_run_logger().warning("%s: %s Once more.", stage.name, state.message)
            state = _run(night, stage)
        if not state.is_completed():
            raise NightError(f"{state.name}: {state.message}")


def _run(night: Night, stage: Stage) -> State[Any]:
    given: dict[str, Any] = {"parameters": {"stage": stage.name, "folder": str(night.folder)}}
    with cancelled_together(), get_client(sync_client=True) as client:
        run = cast(FlowRun, run_deployment(f"stage/{stage.name}", timeout=0, **given))
        while True:
            state = cast(State[Any], client.read_flow_run(run.id).state)
            if state.is_final():
                return state
            if state.is_scheduled():
                _require_worker(client, run, stage.pool)
            time.sleep(SECONDS_BETWEEN_LOOKS)


def _require_worker(client: SyncPrefectClient, run: FlowRun, pool: str) -> None:
    """Give up a run that waits for a worker where there is none: it, and all later nights, would wait for ever."""
    if has_worker(pool, since=datetime.now(UTC) - WORKERLESS):
        return
    silent = f"The work pool {pool} has had no worker for {WORKERLESS.seconds // 60} minutes."
    message = f"{silent} Start one (make up), and then the night again."
    client.set_flow_run_state(run.id, Cancelled(message=message), force=True)
    raise NightError(message)
