"""The workers of a pool: those of this clone, each for one run at a time with a GPU to itself, and those of others."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import Worker, WorkerStatus

from flows.gpus import shares
from flows.place import place, short
from flows.stack import Stack

RUNS_AT_ONCE = 1  # of a stage's worker, which has one GPU: more would only wait for it


def start_workers(stack: Stack, pool: str, limit: int | None, wait: Callable[[Callable[[], bool], str], None]) -> int:
    """Start the workers that this host has for a pool and that do not run yet; return how many it has."""
    environments = shares(pool)
    for number, environment in enumerate(environments):
        process = f"worker-{pool}" if len(environments) == 1 else f"worker-{pool}-{number}"
        if process in stack.running():
            continue
        name, since = f"{_prefix(stack.root)}{number}", datetime.now(UTC)
        command = ["worker", "start", "--pool", pool, "--name", name]
        limited = [] if limit is None else ["--limit", str(limit)]
        stack.start(process, *command, *limited, **environment)
        wait(partial(_reported, pool, name, since), process)
    return len(environments)


def others(pool: str, root: Path) -> bool:
    """Tell whether workers of other clones serve the pool."""
    return any(not worker.name.startswith(_prefix(root)) for worker in _online(pool))


def seen(pool: str, since: datetime) -> bool:
    """Tell whether a worker of the pool has reported since then."""
    with get_client(sync_client=True) as client:
        beats = [one.last_heartbeat_time for one in client.read_workers_for_work_pool(pool)]
    return any(beat is not None and beat >= since for beat in beats)


def _prefix(root: Path) -> str:
    return f"{short(place(root))}-"


def _online(pool: str) -> list[Worker]:
    with get_client(sync_client=True) as client:
        return [one for one in client.read_workers_for_work_pool(pool) if one.status == WorkerStatus.ONLINE]


def _reported(pool: str, name: str, since: datetime) -> bool:
    with get_client(sync_client=True) as client:
        beats = [one.last_heartbeat_time for one in client.read_workers_for_work_pool(pool) if one.name == name]
    return any(beat is not None and beat >= since for beat in beats)
