"""The night: each stage as a run of its own on its work pool, in DVC's order."""

from pathlib import Path
from typing import Any, cast

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import FlowRun, State
from prefect.deployments import run_deployment
from prefect.states import Completed, Failed

from flows.artifacts import publish
from flows.children import cancelled_together
from flows.deployments import deploy_stages
from flows.graph import read_stages
from flows.summary import summary

SECONDS_BETWEEN_LOOKS = 1.0


@flow(name="nightly", flow_run_name="nightly")
def nightly() -> State[Any]:
    """Bring every stage of the working folder's dvc.yaml up to date; the first that fails ends the night."""
    root = Path.cwd()
    stages = read_stages(root)
    deploy_stages(stages, root)  # dvc.yaml may have got another stage since the last night
    for stage in stages:
        with cancelled_together():
            run = cast(FlowRun, run_deployment(f"stage/{stage.name}", poll_interval=SECONDS_BETWEEN_LOOKS))
        if run.state is None or not run.state.is_completed():
            return Failed(message=f"{run.state_name}: {run.state.message if run.state else stage.name}")
    for stage in stages:
        publish(stage, root, "nightly")
    get_run_logger().info(summary(stages, root))
    return Completed()
