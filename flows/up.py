"""`make up`: the server, the work pools, the deployments and the workers of this host."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from flows import environment
from flows.access import read_access
from flows.graph import Stage, read_stages
from flows.server import ONE_HEAP, SERVE, WAIT_SECONDS, UpError, answers, require_free
from flows.stack import SERVER, Stack

if TYPE_CHECKING:
    from flows.rules import Rules


def up(stack: Stack, root: Path, port: int | None, elsewhere: set[str]) -> bool:
    """Start what does not run, tell the server what the files of the clone say now, and return when all is ready.

    What is up keeps its port, whatever `port` says; without one it is where it was before. The answer is whether it was
    up with the settings of now.
    """
    access, stages = read_access(root), read_stages(root)  # mistakes show before anything starts or stops
    is_up = stack.is_up()
    port = stack.state["port"] if is_up or port is None else port
    environment.enter(root, f"http://{access.reached_at}:{port}", access)
    from flows.rules import read_rules  # Prefect reads its settings when it is imported

    rules = read_rules(root)
    if is_up and stack.obeys(access):
        stack.forget_dead()
        _register(stack, stages, rules, elsewhere)
        return True
    require_free(access.reached_at, port, stack.processes())
    stack.stop()  # what a crash has left, or what other settings have started
    stack.settle(access, port)
    _start(stack, stages, rules, elsewhere)
    return False


def _start(stack: Stack, stages: list[Stage], rules: "Rules", elsewhere: set[str]) -> None:
    try:
        stack.start(SERVER, *SERVE, **ONE_HEAP)
        wait(stack, partial(answers, stack.url), "server")
        from flows import lost

        lost.settle_runs()
        _register(stack, stages, rules, elsewhere)
    except BaseException:
        stack.stop()
        raise


def _register(stack: Stack, stages: list[Stage], rules: "Rules", elsewhere: set[str]) -> None:
    from flows import automations, deployments, lost, schedule, workers

    limits = deployments.work_pools(stages, root := stack.root)
    pools = deployments.create_work_pools(limits, root)
    deployments.deploy_stages(stages, root)
    schedule.deploy(root)
    automations.register(rules)
    for pool in (pool for pool in pools if pool not in elsewhere):
        workers.start_workers(stack, pool, limits[pool], partial(wait, stack))
    lost.resume_night()


def wait(stack: Stack, ready: Callable[[], bool], name: str) -> None:
    """Wait until what was started is ready. It is an UpError if it ends instead, or takes too long."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not ready():
        if time.monotonic() > deadline or len(stack.running()) < len(stack.state["processes"]):
            raise UpError(f"The {name} did not come up. It last said:\n{stack.log(name).read_text()[-2000:]}")
        time.sleep(0.2)
