"""The whole graph on this machine: each stage a task inside one flow."""

from pathlib import Path
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Cancelled, Completed

from flows import stage
from flows.cancellation import CancelledInDashboardError, cancellable
from flows.graph import read_stages


@flow(name="retrain", flow_run_name="retrain")
def retrain() -> State[Any]:
    """Bring every stage of the working folder's dvc.yaml up to date; the first that fails ends the run."""
    try:
        with cancellable():
            return _reproduce(Path.cwd())
    except CancelledInDashboardError:
        return Cancelled(message="Cancelled in the dashboard.")


def _reproduce(root: Path) -> State[Any]:
    states: dict[str, State[Any]] = {}
    for one in read_stages(root):
        states[one.name] = stage.run(one, root, [states[name] for name in one.upstream])
        if not states[one.name].is_completed():
            return stage.final(states[one.name])
    return Completed()
