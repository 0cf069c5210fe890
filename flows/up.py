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
from flows.graph import read_stages
from flows.stack import Stack

WAIT_SECONDS = 120.0


class UpError(Exception):
    """The server or a worker did not come up; says why and where its log is."""


def up(stack: Stack, root: Path, port: int) -> None:
    """Start what is not there, and return when scheduled runs will be made and taken."""
    stages = read_stages(root)  # a mistake in dvc.yaml shows before anything is started
    stack.stop()  # what a crash has left
    with closing(socket.socket()) as probe:
        if probe.connect_ex((ADDRESS, port)) == 0:
            raise UpError(
                f"Port {port} on {ADDRESS} is taken by another program. Stop it, or choose another: make up PORT=4300"
            )
    try:
        stack.state["port"] = port
        stack.start("server", "server", "start")
        _wait(stack, stack.answers, "server")
        from flows import deployments

        deployments.settle_lost_runs()
        pools = deployments.work_pools(stages, root)
        deployments.create_work_pools(pools)
        deployments.deploy_stages(stages, root)
        _deploy_the_nightly(root)
        started = datetime.now(UTC)
        for pool in pools:
            stack.start(f"worker-{pool}", "worker", "start", "--pool", pool, "--name", pool)
        for pool in pools:
            _wait(stack, partial(deployments.has_worker, pool, started), f"worker-{pool}")
    except BaseException:
        stack.stop()
        raise


def _deploy_the_nightly(root: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"],
        cwd=root, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise UpError(f"prefect.yaml could not be deployed:\n{done.stdout}{done.stderr}")


def _wait(stack: Stack, ready: Callable[[], bool], name: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not ready():
        if time.monotonic() > deadline or len(stack.running()) < len(stack.state["processes"]):
            raise UpError(f"The {name} did not come up. Its last lines:\n{stack.log(name).read_text()[-2000:]}")
        time.sleep(0.2)
