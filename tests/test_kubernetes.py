"""The template of jobs on Kubernetes, as far as it can be judged without a cluster."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
import yaml
from toy_graph import PROJECT, toy_repository

kubernetes = pytest.importorskip(
    "prefect_kubernetes.worker", reason="pip install -c constraints.txt -e '.[kubernetes]'"
)
TEMPLATE = json.loads((PROJECT / "kubernetes.json").read_text(encoding="utf-8"))
GRAPH = "stages:\n  learn:\n    cmd: 'true'\n    meta: {pool: cluster-gpu}\n  report:\n    cmd: 'true'\n"
REGISTERED = """
import json
from pathlib import Path
from flows import environment
from flows.access import read_access
from flows.temporary import free_address, temporary_server

root, url = Path.cwd(), free_address()
environment.enter(root, url, read_access(root))
with temporary_server(url, root) as wait:
    from prefect.client.orchestration import get_client
    from flows import deployments
    from flows.graph import read_stages

    wait()
    stages = read_stages(root)
    found = {"for our workers": deployments.create_work_pools(deployments.work_pools(stages, root), root)}
    deployments.deploy_stages(stages, root)
    with get_client(sync_client=True) as client:
        pool = client.read_work_pool("cluster-gpu")
        found["pool"] = [pool.type, pool.base_job_template]
        found["variables"] = {one.name: one.job_variables for one in client.read_deployments()}
print(json.dumps(found))
"""


def job(**variables: Any) -> dict[str, Any]:
    """The manifest that prefect-kubernetes makes of the template for one run."""
    from prefect.client.schemas.objects import Flow, FlowRun
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):  # it is not asked, but has to be named
        made = kubernetes.KubernetesWorkerJobConfiguration.from_template_and_values(TEMPLATE, variables)
        configuration = asyncio.run(made)
        run = FlowRun(flow_id=uuid.uuid4(), name="distill")
        configuration.prepare_for_flow_run(run, flow=Flow(name="stage"))
    return dict(configuration.job_manifest)


def container(manifest: dict[str, Any]) -> dict[str, Any]:
    [only] = manifest["spec"]["template"]["spec"]["containers"]
    return dict(only)


def test_a_stage_asks_for_one_gpu_and_may_use_no_more() -> None:
    resources = container(job())["resources"]
    assert resources["requests"] == resources["limits"]
    assert resources["limits"]["nvidia.com/gpu"] == 1
    assert {"cpu", "memory", "ephemeral-storage"} < resources["limits"].keys()


def test_the_users_of_the_pool_may_set_image_and_gpus() -> None:
    only = container(job(image="here/handful:2", gpus=4))
    assert (only["image"], only["resources"]["limits"]["nvidia.com/gpu"]) == ("here/handful:2", 4)


def test_the_run_finds_the_code_is_watched_and_not_tried_again_by_kubernetes() -> None:
    manifest = job()
    set_there = {one["name"]: one["value"] for one in container(manifest)["env"]}
    assert (set_there["PYTHONPATH"], set_there["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"]) == ("/handful", "30")
    assert container(manifest)["args"]
    assert manifest["spec"]["backoffLimit"] == 0


def test_the_template_names_no_variable_that_it_does_not_describe() -> None:
    named = set(re.findall(r"\{\{ (\w+) \}\}", json.dumps(TEMPLATE["job_configuration"])))
    assert named == TEMPLATE["variables"]["properties"].keys()


def uncommented() -> str:
    """prefect.yaml with its pool of Kubernetes, as somebody would uncomment it."""
    text = (PROJECT / "prefect.yaml").read_text(encoding="utf-8")
    before, block = text.split("# work_pools:\n")
    assert "work_pools" not in yaml.safe_load(text)
    return f"{before}work_pools:\n{re.sub('^# ', '', block, flags=re.MULTILINE)}"


def test_the_pool_in_prefect_yaml_asks_for_what_the_template_describes() -> None:
    [pool] = yaml.safe_load(uncommented())["work_pools"]
    assert (pool["type"], pool["base_job_template"]) == ("kubernetes", "kubernetes.json")
    variables = pool["job_variables"]
    assert variables.keys() <= TEMPLATE["variables"]["properties"].keys()
    resources = container(job(**variables))["resources"]
    asked = [variables[name] for name in ("cpus", "memory", "disk", "gpus")]
    assert list(resources["limits"].values()) == list(resources["requests"].values()) == asked


@pytest.mark.slow
def test_the_pool_in_prefect_yaml_is_made_and_its_variables_go_to_its_stages_alone(tmp_path: Path) -> None:
    root = toy_repository(tmp_path, GRAPH)
    shutil.copy(PROJECT / "kubernetes.json", root)
    (root / "prefect.yaml").write_text(uncommented(), encoding="utf-8")
    settings = os.environ | {"PYTHONPATH": str(PROJECT)}
    command = [sys.executable, "-c", REGISTERED]
    done = subprocess.run(command, cwd=root, env=settings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["for our workers"] == ["flow", "gpu"]
    assert found["pool"] == ["kubernetes", TEMPLATE]
    [described] = yaml.safe_load(uncommented())["work_pools"]
    assert found["variables"] == {"learn": described["job_variables"], "report": {}}
