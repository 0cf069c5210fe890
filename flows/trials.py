"""The sweep as Prefect sees it: a task for each trial, and after each batch of points a table of what came of them."""

from pathlib import Path
from typing import Any, cast

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture
from prefect.states import Completed, Failed

from flows.artifacts import key
from flows.commands import CommandError
from flows.experiment import Experiment
from flows.plan import Sweep, read_sweep
from flows.room import lacking, room
from flows.space import SweepError
from flows.standing import rows
from flows.study import Study


@task(cache_policy=NO_CACHE)  # DVC caches
def attempt(experiment: Experiment) -> Any:
    """Make one experiment, unless it is there, and return its figures."""
    try:
        if not experiment.is_made():
            get_run_logger().info("%s", experiment.make())
        return experiment.figures()
    except (CommandError, SweepError) as error:
        return Failed(message=str(error))  # raised, it would bury the stage's own words under our traceback


@flow(name="sweep", flow_run_name="sweep")
def sweep(root: Path) -> State[Any]:
    """Try each point with every seed. A point may fail, but the first, which is what is in use, ends the sweep."""
    study = Study(root, read_sweep(root))
    study.begin(root)
    if missing := lacking(study.sweep.runner):
        return Failed(message=missing)
    while points := study.ask():
        runs = [[_submit(one, study.sweep) for one in study.trials(root, point)] for point in points]
        for point, futures in zip(points, runs, strict=True):
            states = [_ended(future) for future in futures]
            failed = [state for state in states if not state.is_completed()]
            if failed and point.number == 0:
                return Failed(message=failed[0].message)  # not told, so that it is tried again
            study.tell(point, [] if failed else [cast(dict[str, float], state.result()) for state in states])
        create_table_artifact(rows(study), key=key("sweep", study.sweep.name), description="Means over the seeds")
    return Completed()


def _submit(experiment: Experiment, settings: Sweep) -> PrefectFuture[Any]:
    with room(settings.runner):
        return attempt.with_options(task_run_name=experiment.name).submit(experiment)


def _ended(future: PrefectFuture[Any]) -> State[Any]:
    future.wait()
    return future.state
