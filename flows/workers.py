"""The workers of a pool: those of this clone, each for one run at a time with a GPU to itself, and those of others."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import Worker

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
        command = ["-m", "prefect", "worker", "start", "--pool", pool, "--name", name]
        limited = [] if limit is None else ["--limit", str(limit)]
        stack.start(process, *command, *limited, **environment)
        wait(partial(_reported, pool, name, since), process)
    return len(environments)


def others(pool: str, root: Path, since: datetime) -> bool:
    """Tell whether a worker of another clone has reported since then: offline at the moment, it may yet take a run."""
    beats = [(one.name, one.last_heartbeat_time) for one in _known(pool)]
    return any(beat is not None and beat >= since for name, beat in beats if not name.startswith(_prefix(root)))


def seen(pool: str, since: datetime) -> bool:
    """Tell whether a worker of the pool has reported since then."""
    return any(one.last_heartbeat_time is not None and one.last_heartbeat_time >= since for one in _known(pool))


def _prefix(root: Path) -> str:
    return f"{short(place(root))}-"


def _known(pool: str) -> list[Worker]:
    with get_client(sync_client=True) as client:
        return client.read_workers_for_work_pool(pool)


def _reported(pool: str, name: str, since: datetime) -> bool:
    beats = [one.last_heartbeat_time for one in _known(pool) if one.name == name]
    return any(beat is not None and beat >= since for beat in beats)
