"""Where the trials of a sweep run: as processes of this machine, or where Ray has room for them."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from flows.plan import InProcess, Ray, Sweep
from handful.address import require_answer
from handful.errors import MissingExtraError


def task_runner(settings: Sweep) -> TaskRunner[Any]:
    """Return who runs the trials.

    Raises:
        ComputeError: nobody answers at the address of Ray.
        MissingExtraError: what hands the trials to Ray is not installed.
    """
    if not isinstance(settings.runner, Ray):
        return ThreadPoolTaskRunner(max_workers=settings.at_once)
    address = settings.runner.address
    if address is not None:
        require_answer(address, "runner in sweep.yaml", "run the trials without it: {kind: in_process}")
    try:
        from prefect_ray import RayTaskRunner
    except ImportError:
        raise MissingExtraError("prefect-ray", "sweep-ray") from None
    if address is not None:
        return cast(TaskRunner[Any], RayTaskRunner(address=address))
    # Without "local" it would join whatever was last started on this machine, dead or alive.
    return cast(TaskRunner[Any], RayTaskRunner(init_kwargs={"address": "local", "include_dashboard": False}))


def room(runner: InProcess | Ray) -> AbstractContextManager[None]:
    """Ask for what a trial needs while it is handed over."""
    if not isinstance(runner, Ray):
        return nullcontext()
    from prefect_ray.context import remote_options

    return cast(AbstractContextManager[None], remote_options(num_cpus=runner.cpus, num_gpus=runner.gpus))


def lacking(runner: InProcess | Ray) -> str | None:
    """Say what a trial asks for and no node has, for Ray would wait for it for ever."""
    if not isinstance(runner, Ray):
        return None
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if any(node.get("CPU", 0) >= runner.cpus and node.get("GPU", 0) >= runner.gpus for node in nodes):
        return None
    found = "; ".join(f"{node.get('CPU', 0):g} CPUs and {node.get('GPU', 0):g} GPUs" for node in nodes)
    asked = f"the {runner.cpus:g} CPUs and {runner.gpus:g} GPUs of a trial"
    return f"No node of Ray has {asked}. They have: {found}. Ask for less under runner in sweep.yaml."
