"""One stage as Prefect sees it: a task that hands it to DVC, and a flow around the task for the work pools."""

from pathlib import Path
from typing import Any, cast

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Cancelled, Completed, Crashed, Failed

from flows.artifacts import publish
from flows.checkout import VisitError
from flows.commands import CommandError
from flows.graph import Stage, read_stages
from flows.launch import RAN, StageError, launch
from flows.likeness import UnlikeError
from flows.place import CLONE, place
from flows.progress import Progress
from flows.stage_locks import TakenOverError
from flows.visit import give_back, visit


@task(cache_policy=NO_CACHE)  # DVC caches; twice would be once too often
def reproduce(stage: Stage, root: Path, pull: bool) -> State[Any]:
    """Let DVC bring one stage up to date, line by line in the log; the state says what DVC did."""
    log, progress = get_run_logger(), Progress(stage.name)

    def say(line: str) -> None:
        log.info("%s", line)
        progress.follow(line)

    try:
        outcome = launch(stage.name, root, stage.timeout_seconds, say, pull)
    except StageError as error:
        return Failed(message=str(error))  # raised, it would bury the stage's own words under our traceback
    except TakenOverError as error:
        return Cancelled(message=str(error))
    publish(stage, root)
    return Completed(name="Completed" if outcome == RAN else outcome.capitalize(), message=f"DVC: {outcome}")


def run(stage: Stage, root: Path, upstream: list[State[Any]], pull: bool = False) -> State[Any]:
    """Run the task of one stage, under its name and with its tags and retries, in the flow that calls."""
    tags = ["stage", stage.name]
    named = reproduce.with_options(name=stage.name, task_run_name=stage.name, tags=tags, retries=stage.retries)
    return cast(State[Any], named(stage, root, pull, wait_for=upstream, return_state=True))


def final(state: State[Any]) -> State[Any]:
    """Return the state of a task as one of its flow's own; as it is, Prefect would say `1/1 states failed`."""
    return State(type=state.type, name=state.name, message=state.message)


@flow(name="stage", flow_run_name="{stage}")
def run_stage(stage: str, folder: Path, home: str, commit: str | None) -> State[Any]:
    """Bring one stage of the dvc.yaml in the folder up to date: the clone's, or a night's worktree.

    The folder is that of the clone which `home` names. A worker of another one takes the commit instead.
    """
    if home == place(CLONE):
        [described] = [one for one in read_stages(folder) if one.name == stage]
        return final(run(described, folder, upstream=[]))
    say = get_run_logger().info
    try:
        with visit(CLONE, home, stage, commit, say) as (described, worktree):
            state = final(run(described, worktree, upstream=[], pull=True))
            if state.is_completed():
                give_back(described, worktree, say)
            return state
    except (VisitError, UnlikeError, CommandError) as error:
        # Where nothing was handed over, the night knew of no other host: it starts a run that crashed once more.
        return (Crashed if commit is None else Failed)(message=f"{place(CLONE)}: {error}")
