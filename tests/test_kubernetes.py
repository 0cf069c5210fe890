"""The template of jobs on Kubernetes, as far as it can be judged without a cluster."""

import asyncio
import json
import re
import uuid
from typing import Any

import pytest
from toy_graph import PROJECT

kubernetes = pytest.importorskip(
    "prefect_kubernetes.worker", reason="pip install -c constraints.txt -e '.[kubernetes]'"
)
TEMPLATE = json.loads((PROJECT / "kubernetes.json").read_text(encoding="utf-8"))


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
