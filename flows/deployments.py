"""What the server must know: the work pools, and one deployment for each stage."""

import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import yaml
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import FlowFilter
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import ObjectAlreadyExists
from prefect.types.entrypoint import EntrypointType
from prefect.workers.process import ProcessWorker

from flows.graph import Stage
from flows.place import place
from flows.stage import run_stage
from flows.workers import RUNS_AT_ONCE

PROCESS = "process"
# Where a pool names no command, a worker lets another Python prepare a folder for the run first, which takes seconds.
ENGINE = "python -m prefect.engine"


def work_pools(stages: list[Stage], root: Path) -> dict[str, int | None]:
    """List the pools that dvc.yaml and prefect.yaml name, each with how many runs one worker of it takes at once.

    Nights are not limited: one that never starts would keep out all later ones, and a second one ends by itself.
    """
    nights = {deployment["work_pool"]["name"]: None for deployment in _told(root)["deployments"]}
    named = [*_described(root), *(stage.pool for stage in stages)]
    return dict(sorted({**nights, **dict.fromkeys(named, RUNS_AT_ONCE)}.items()))


def create_work_pools(pools: Iterable[str], root: Path) -> list[str]:
    """Create the pools that are missing; return those whose runs are processes, the others are not for our workers."""
    template = ProcessWorker.get_default_base_job_template()
    template["variables"]["properties"]["command"]["default"] = ENGINE
    settings: dict[str, dict[str, Any]] = {
        name: {
            "type": pool["type"],
            "base_job_template": json.loads((root / pool["base_job_template"]).read_text(encoding="utf-8")),
        }
        for name, pool in _described(root).items()
    }
    with get_client(sync_client=True) as client:
        for name in pools:
            asked = settings.get(name, {"type": PROCESS, "base_job_template": template})
            with suppress(ObjectAlreadyExists):
                client.create_work_pool(WorkPoolCreate(name=name, **asked))
        return [name for name in pools if client.read_work_pool(name).type == PROCESS]


def deploy_stages(stages: list[Stage], root: Path) -> None:
    """Give each stage its deployment on its pool, and take away those of stages that dvc.yaml no longer has."""
    create_work_pools({stage.pool for stage in stages}, root)  # dvc.yaml may name another one since `make up`
    described = _described(root)
    for stage in stages:
        parameters = {"stage": stage.name, "folder": str(root), "home": place(root), "commit": None}
        settings: dict[str, Any] = {"parameters": parameters, "tags": ["stage", stage.name]}
        settings["job_variables"] = described.get(stage.pool, {}).get("job_variables", {})
        settings["entrypoint_type"] = EntrypointType.MODULE_PATH  # each worker takes the code of its own clone
        cast(RunnerDeployment, run_stage.to_deployment(stage.name, work_pool_name=stage.pool, **settings)).apply()
    with get_client(sync_client=True) as client:
        ours = FlowFilter.model_validate({"name": {"any_": [run_stage.name]}})
        for deployment in client.read_deployments(flow_filter=ours):
            if deployment.name not in {stage.name for stage in stages}:
                client.delete_deployment(deployment.id)


def _described(root: Path) -> dict[str, dict[str, Any]]:
    """The pools that prefect.yaml describes, by name; Prefect's own commands pass over its `work_pools`."""
    return {pool["name"]: pool for pool in _told(root).get("work_pools", [])}


def _told(root: Path) -> dict[str, Any]:
    return cast(dict[str, Any], yaml.safe_load((root / "prefect.yaml").read_text(encoding="utf-8")))
