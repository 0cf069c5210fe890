"""What a night does when the run of a stage is not started, or dies: with a real server, and no worker but the test."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from toy_graph import PROJECT, toy_repository

pytestmark = pytest.mark.slow
GRAPH = "stages:\n  only:\n    cmd: 'true'\n"
NIGHTS = """
import json, sys, threading, time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from flows import environment
from flows.access import read_access
from flows.temporary import free_address, temporary_server

root, url = Path.cwd(), free_address()
environment.enter(root, url, read_access(root))
with temporary_server(url, root) as wait:
    from prefect import flow
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter
    from prefect.states import Completed, Crashed
    from flows.deployments import create_work_pools
    from flows.graph import read_stages
    from flows.night import Night, NightError
    from flows.place import place, short
    from flows.stage import final, run_stage
    from flows.stage_locks import take_over
    from flows.stage_runs import run_stages
    from flows.workers import others, seen

    wait()
    stages = read_stages(root)

    @flow
    def night():
        try:
            run_stages(Night(root, "2026-11-22"), stages)
        except NightError as error:
            return Completed(message=str(error))
        return Completed(message="all stages ran")

    @flow
    def start(takes_over):
        if takes_over:
            take_over(root, print)
        return final(run_stage("only", root, place(root), None, return_state=True))

    def answer(*states):
        due = FlowRunFilter.model_validate({"tags": {"all_": ["only"]}, "state": {"type": {"any_": ["SCHEDULED"]}}})
        with get_client(sync_client=True) as client:
            for state in states:
                while not (runs := client.read_flow_runs(flow_run_filter=due)):
                    time.sleep(0.1)
                client.set_flow_run_state(runs[0].id, state, force=True)

    def ended(*states):
        worker = threading.Thread(target=answer, args=states)
        worker.start()
        said = night(return_state=True).message
        worker.join()
        return said

    create_work_pools({"default": 1}, root)  # not that of the stage, which dvc.yaml names only since a moment ago
    found = {"without a worker": ended()}
    with get_client(sync_client=True) as client:
        left = client.read_flow_runs(flow_run_filter=FlowRunFilter.model_validate({"tags": {"all_": ["only"]}}))
        found["left"] = [run.state_name for run in left]
        client.send_worker_heartbeat("gpu", "test")
        client.request("POST", "/work_pools/gpu/workers/heartbeat", json={"name": "test"})
    lately, later = (datetime.now(UTC) + timedelta(minutes=minutes) for minutes in (-5, 5))
    found["others"] = [others("gpu", root, lately), others("gpu", root, later), others("default", root, lately)]
    with get_client(sync_client=True) as client:
        client.request("POST", "/work_pools/default/workers/heartbeat", json={"name": f"{short(place(root))}-0"})
    found["only ours"] = [others("default", root, lately), seen("default", lately)]
    uninvited = run_stage("only", root, "other:/clone", None, return_state=True)
    found["uninvited"] = [uninvited.type.value, uninvited.message]
    found["once"] = ended(Crashed(message="Gone."), Completed())
    found["twice"] = ended(Crashed(message="Gone."), Crashed(message="Gone again."))
    found["of a night"] = [(state := start(mine, return_state=True)).name for mine in (True, False)] + [state.message]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    root = toy_repository(tmp_path_factory.mktemp("repository"), GRAPH)
    settings = os.environ | {"PYTHONPATH": str(PROJECT)}
    done = subprocess.run(
        [sys.executable, "-c", NIGHTS], cwd=root, env=settings, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


def test_a_night_does_not_wait_for_a_pool_without_a_worker_and_leaves_no_run_behind(found: dict[str, Any]) -> None:
    assert "pool gpu has had no worker" in found["without a worker"]
    assert found["left"] == ["Cancelled"]


def test_a_stage_whose_run_crashed_is_started_once_more(found: dict[str, Any]) -> None:
    assert found["once"] == "all stages ran"


def test_a_stage_whose_run_crashed_twice_fails_the_night_in_the_words_of_the_run(found: dict[str, Any]) -> None:
    assert found["twice"] == "Stage only Crashed: Gone again."


def test_a_worker_of_another_clone_that_reported_lately_may_take_a_run(found: dict[str, Any]) -> None:
    assert found["others"] == [True, False, False]
    assert found["only ours"] == [False, True]


def test_a_run_that_was_not_handed_over_is_started_once_more_where_another_clone_takes_it(
    found: dict[str, Any],
) -> None:
    state, message = found["uninvited"]
    assert state == "CRASHED"
    assert "for the workers there alone" in message


def test_a_stage_begins_for_the_night_that_started_it_and_not_when_another_one_has_taken_over(
    found: dict[str, Any],
) -> None:
    own, left_behind, message = found["of a night"]
    assert (own, left_behind) == ("Completed", "Cancelled")
    assert "another one works in" in message
