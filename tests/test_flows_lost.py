"""Runs whose process died, and those that a page from elsewhere would start, on a real server."""

import urllib.request
from collections.abc import Iterator
from urllib.error import HTTPError

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State, StateType
from prefect.settings import PREFECT_API_URL
from running import server

from flows.lost import resume_night, settle_runs


@flow(name="nightly")
def night() -> None:
    """Stands for the real one, which is told by its name."""


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with server(tmp_path_factory.mktemp("server")) as _, get_client(sync_client=True) as client:
        yield str(client.create_deployment(client.create_flow(night), "nightly"))


def begin(deployment: str, state: StateType, name: str | None = None) -> None:
    """Start a run and bring it into this state."""
    with get_client(sync_client=True) as client:
        run = client.create_flow_run_from_deployment(deployment)
        client.set_flow_run_state(run.id, State(type=state, name=name), force=True)


def call(path: str, method: str, **headers: str) -> int:
    """Call the server as a browser does; return the status of its answer."""
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    body = b"{}" if method == "POST" else None
    request = urllib.request.Request(f"{PREFECT_API_URL.value()}/{path}", body, told, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return int(answer.status)
    except HTTPError as error:
        error.close()
        return error.code


def states() -> list[str]:
    """All runs' states, the latest first."""
    with get_client(sync_client=True) as client:
        return [run.state_type.name for run in sorted(client.read_flow_runs(), key=lambda run: run.created)[::-1]]


def test_a_night_whose_process_died_is_started_once_more_and_no_oftener(deployment: str) -> None:
    begin(deployment, StateType.FAILED)
    resume_night()
    assert states() == ["FAILED"]  # by its own words; the same would come again
    begin(deployment, StateType.RUNNING)
    resume_night()
    assert states() == ["RUNNING", "FAILED"]
    settle_runs()
    resume_night()
    resume_night()
    assert states() == ["SCHEDULED", "CRASHED", "FAILED"]
    begin(deployment, StateType.CRASHED)
    begin(deployment, StateType.CRASHED)
    resume_night()
    assert states() == ["CRASHED", "CRASHED", "SCHEDULED", "CRASHED", "FAILED"]


def test_nights_that_did_nothing_meanwhile_do_not_count(deployment: str) -> None:
    begin(deployment, StateType.COMPLETED)
    begin(deployment, StateType.CRASHED)
    begin(deployment, StateType.COMPLETED, "Skipped")  # it found the other one running
    with get_client(sync_client=True) as client:
        client.create_flow_run_from_deployment(deployment)  # due while nothing was up
    settle_runs()
    assert states()[:4] == ["CANCELLED", "COMPLETED", "CRASHED", "COMPLETED"]
    resume_night()
    assert states()[:2] == ["SCHEDULED", "CANCELLED"]


def test_a_page_from_elsewhere_starts_nothing_and_the_dashboard_may(deployment: str) -> None:
    before, start = states(), f"deployments/{deployment}/create_flow_run"
    assert call(start, "POST", origin="http://evil.example", content_type="text/plain") == 403
    asked = {"access_control_request_method": "POST", "access_control_request_headers": "content-type"}
    assert call(start, "OPTIONS", origin="http://evil.example", **asked) == 400
    assert states() == before
    own = PREFECT_API_URL.value().removesuffix("/api")
    assert call("flow_runs/count", "POST", origin=own, content_type="application/json") == 200
