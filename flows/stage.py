"""One stage as Prefect sees it: a task that hands it to DVC, and a flow around it for the work pools."""

from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.states import Completed, State

from flows.artifacts import Progress, publish
from flows.graph import Stage, read_stages
from flows.launch import RAN, launch


@task(cache_policy=NO_CACHE)  # DVC caches; twice would be once too often
def reproduce(stage: Stage, root: Path) -> State[str]:
    """Let DVC bring one stage up to date, line by line in the log; the state says what DVC did."""
    log, progress = get_run_logger(), Progress(stage.name)

    def say(line: str) -> None:
        log.info("%s", line)
        progress.follow(line)

    outcome = launch(stage.name, root, stage.timeout_seconds, say)
    publish(stage, root)
    name = "Completed" if outcome == RAN else outcome.capitalize()
    return Completed(name=name, message=f"DVC: {outcome}", data=outcome)


def as_task(stage: Stage) -> Any:
    """Return the task of one stage: its name, tags and retries."""
    return reproduce.with_options(
        name=stage.name, task_run_name=stage.name, tags=["stage", stage.name, stage.pool], retries=stage.retries
    )


@flow(name="stage", flow_run_name="{stage}")
def run_stage(stage: str) -> State[str]:
    """Bring one stage of the working folder's dvc.yaml up to date."""
    root = Path.cwd()
    [described] = [one for one in read_stages(root) if one.name == stage]
    return as_task(described)(described, root, return_state=True)
