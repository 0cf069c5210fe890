"""`make up`: the server, the work pools, the deployments and one worker for each pool."""

import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from flows.environment import ADDRESS
from flows.graph import Stage, read_stages
from flows.stack import Stack, UpError, answers

WAIT_SECONDS = 120.0


def up(stack: Stack, root: Path, port: int) -> None:
    """Start what does not run, tell the server what dvc.yaml and prefect.yaml say now, and return when all is ready."""
    stages = read_stages(root)  # a mistake in dvc.yaml shows before anything is started
    if stack.is_up():
        return _register(stack, stages, root)
    stack.stop()  # what a crash has left
    with closing(socket.socket()) as probe:
        if probe.connect_ex((ADDRESS, port)) == 0:
            raise UpError(f"Port {port} of {ADDRESS} is taken. Free it, or choose another: make up PORT={port + 1}")
    try:
        stack.state["port"] = port
        stack.start("server", "server", "start")
        _wait(stack, partial(answers, stack.url), "server")
        from flows import deployments

        deployments.settle_lost_runs()
        _register(stack, stages, root)
    except BaseException:
        stack.stop()
        raise


def _register(stack: Stack, stages: list[Stage], root: Path) -> None:
    from flows import deployments

    pools = deployments.work_pools(stages, root)
    deployments.create_work_pools(pools)
    deployments.deploy_stages(stages, root)
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
    done = subprocess.run(command, cwd=root, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UpError(f"prefect.yaml could not be deployed:\n{done.stdout}{done.stderr}")
    for pool in (pool for pool in pools if not stack.has(f"worker-{pool}")):
        since = datetime.now(UTC)
        stack.start(f"worker-{pool}", "worker", "start", "--pool", pool, "--name", pool)
        _wait(stack, partial(deployments.has_worker, pool, since), f"worker-{pool}")


def _wait(stack: Stack, ready: Callable[[], bool], name: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not ready():
        if time.monotonic() > deadline or len(stack.running()) < len(stack.state["processes"]):
            raise UpError(f"The {name} did not come up. It last said:\n{stack.log(name).read_text()[-2000:]}")
        time.sleep(0.2)
