"""The stages of a night, each a run of its own on its work pool, one after the other."""

from typing import Any, cast

from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment

from flows.children import cancelled_together
from flows.deployments import deploy_stages
from flows.graph import Stage
from flows.night import Night, NightError

SECONDS_BETWEEN_LOOKS = 1.0


def run_stages(night: Night, stages: list[Stage]) -> None:
    """Run every stage in the night's worktree.

    Raises:
        NightError: a stage did not complete; the text is what its run said.
    """
    deploy_stages(stages, night.root)  # dvc.yaml may have got another stage since the last night
    for stage in stages:
        given: dict[str, Any] = {"parameters": {"stage": stage.name, "folder": str(night.folder)}}
        with cancelled_together():
            run = cast(FlowRun, run_deployment(f"stage/{stage.name}", poll_interval=SECONDS_BETWEEN_LOOKS, **given))
        if run.state is None or not run.state.is_completed():
            raise NightError(f"{run.state_name}: {run.state.message if run.state else stage.name}")
