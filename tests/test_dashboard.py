"""The stack of `make up` on a free port: schedules, a whole night, and what a person sees of it in a browser."""

import json
import os
import shutil
import signal
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from conftest import small_repository
from running import Running, flows, free_port, of_stack, wait_for
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.expected_conditions import visibility_of_element_located
from selenium.webdriver.support.wait import WebDriverWait

from flows.graph import read_stages

CHROMIUM_FLAGS = [
    "headless",
    "no-sandbox",
    "disable-gpu",
    "disable-quic",
    "no-first-run",
    "disable-background-networking",
    "disable-component-update",
    "disable-sync",
    "window-size=1400,1000",
]


@pytest.fixture(scope="module", params=[small_repository])
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    root = request.param(tmp_path_factory.mktemp("repository"))
    port = free_port()
    # A Prefect of the user's own must neither be used nor be in the way.
    done = flows(root, "up", "--port", str(port), PREFECT_API_URL="http://127.0.0.1:9/api", PREFECT_HOME="/nowhere")
    assert done.returncode == 0, done.stdout + done.stderr
    yield Running(root, f"http://127.0.0.1:{port}")
    assert flows(root, "down").returncode == 0
    assert of_stack(root) == []


@pytest.fixture(scope="module")
def night(running: Running) -> dict[str, Any]:
    """A night that was triggered by hand, and has ended."""
    return running.ended(running.trigger("nightly/nightly"))


def children(running: Running, night: dict[str, Any]) -> list[dict[str, Any]]:
    runs = running.ask(
        "flow_runs/filter", flow_runs={"parent_flow_run_id": {"any_": [night["id"]]}}, sort="START_TIME_ASC"
    )
    return list(runs)


def artifacts(running: Running, run: str) -> dict[str, dict[str, Any]]:
    found = running.ask("artifacts/filter", artifacts={"flow_run_id": {"any_": [run]}})
    return {artifact["key"] if artifact["key"] == "night" else artifact["type"]: artifact for artifact in found}


def test_the_next_nights_are_scheduled(running: Running) -> None:
    nightly = running.look("deployments/name/nightly/nightly")
    scheduled = {"deployment_id": {"any_": [nightly["id"]]}, "state": {"type": {"any_": ["SCHEDULED"]}}}
    runs = wait_for(lambda: running.ask("flow_runs/filter", flow_runs=scheduled), "scheduled runs")
    assert all(run["auto_scheduled"] and run["expected_start_time"][11:16] == "02:00" for run in runs)


def test_a_worker_takes_one_stage_at_a_time_and_nights_wait_for_nobody(running: Running) -> None:
    pools = {pool["name"]: pool for pool in running.ask("work_pools/filter")}
    assert {name: pool["concurrency_limit"] for name, pool in pools.items()} == {"flow": None, "gpu": None}
    commands = {name: " ".join(process.cmdline()) for name, process in running.workers().items()}
    assert {name: "--limit 1" in command for name, command in commands.items() if name != "server"} == {
        "worker-flow": False,
        "worker-gpu": True,
    }


def test_a_night_runs_each_stage_as_a_run_of_its_own_on_its_pool(running: Running, night: dict[str, Any]) -> None:
    assert night["state_type"] == "COMPLETED", night["state"]["message"]
    assert (night["work_pool_name"], night["tags"]) == ("flow", ["nightly"])
    stages = read_stages(running.root)
    runs = children(running, night)
    assert [run["name"] for run in runs] == [stage.name for stage in stages]
    assert [run["state_type"] for run in runs] == ["COMPLETED"] * len(stages)
    assert [run["work_pool_name"] for run in runs] == [stage.pool for stage in stages]
    assert all(run["name"] in run["tags"] for run in runs)


def test_a_stages_run_shows_its_lines_its_progress_its_metrics_and_its_report(
    running: Running, night: dict[str, Any]
) -> None:
    runs = {run["name"]: run for run in children(running, night)}
    last, training = runs["evaluate"], runs["pretrain_transfer"]
    logs = running.ask("logs/filter", logs={"flow_run_id": {"any_": [last["id"]]}}, limit=200)
    assert [line["message"] for line in logs].count(f"Running stage '{last['name']}':") == 1
    shown = artifacts(running, last["id"])
    assert artifacts(running, training["id"])["progress"]["data"] == 100
    table = json.loads(shown["table"]["data"])
    assert {"teacher", "student"} <= {row["part"] for row in table}
    assert all(row["accuracy"] for row in table if row["part"] in ("teacher", "student"))
    assert "](data:image/png;base64," in shown["markdown"]["data"]


def test_the_nights_page_says_what_was_decided_and_an_event_tells_it(running: Running, night: dict[str, Any]) -> None:
    page = artifacts(running, night["id"])["night"]["data"]
    parts = ("Champion beside challenger", "challenger v1.0.0", "Rows to label next", "report.html")
    for part in (*parts, "Rows that validation let in", "Offered for training", "| pool |"):
        assert part.lower() in page.lower()
    told = wait_for(
        lambda: running.ask("events/filter", filter={"event": {"prefix": ["handful.night."]}})["events"], "the event"
    )
    assert [(event["resource"]["prefect.resource.id"], event["payload"]["version"]) for event in told] == [
        ("handful.night", "v1.0.0")
    ]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        reason = "no chromium and chromedriver here (Debian: apt-get install chromium chromium-driver)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in CHROMIUM_FLAGS:
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('chromium')}")
    with webdriver.Chrome(options=options, service=Service(driver)) as chrome:
        yield chrome


def see(browser: webdriver.Chrome, xpath: str) -> WebElement:
    """Wait until something is there to be seen."""
    return WebDriverWait(browser, 60).until(visibility_of_element_located((By.XPATH, xpath)))


def test_the_dashboard_calls_nobody_but_its_server(running: Running, browser: webdriver.Chrome) -> None:
    browser.get(running.url)  # whichever dashboard it leads to
    see(browser, "//a[normalize-space()='Deployments']").click()
    see(browser, "//*[normalize-space()='nightly']")
    told = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [one["params"]["request"]["url"] for one in told if one["method"] == "Network.requestWillBeSent"]
    assert any("/api/" in url for url in asked)
    assert [
        url for url in asked if not url.startswith((running.url, "data:", "blob:", "chrome:", "chrome-untrusted:"))
    ] == []


def test_the_page_of_the_night_lists_the_stages_as_completed(
    running: Running, night: dict[str, Any], browser: webdriver.Chrome
) -> None:
    browser.get(f"{running.url}/runs/flow-run/{night['id']}")
    see(browser, "//*[normalize-space()='Subflow Runs'][contains(@class, 'tab')]").click()
    for run in children(running, night):
        row = f"//*[contains(@class, 'flow-run-list-item')][.//*[normalize-space()='{run['name']}']]"
        assert "Completed" in see(browser, row).text


def test_the_page_of_the_night_leads_to_the_metrics_table(
    running: Running, night: dict[str, Any], browser: webdriver.Chrome
) -> None:
    shown = artifacts(running, night["id"])["table"]
    browser.get(f"{running.url}/runs/flow-run/{night['id']}")
    see(browser, "//*[normalize-space()='Artifacts'][contains(@class, 'tab')]").click()
    see(browser, f"//*[contains(@class, 'artifact-card__title')][normalize-space()='{shown['key']}']").click()
    see(browser, "//td")
    seen = [cell.text for cell in browser.find_elements(By.XPATH, "//td")]
    assert seen == [cell for row in json.loads(shown["data"]) for cell in row.values()]


def test_the_report_is_shown_with_its_picture(
    running: Running, night: dict[str, Any], browser: webdriver.Chrome
) -> None:
    browser.get(f"{running.url}/artifacts/artifact/{artifacts(running, night['id'])['markdown']['id']}")
    picture = see(browser, "//img[starts-with(@src, 'data:image/png;base64,')]")
    assert int(picture.get_property("naturalWidth")) >= 200


def test_what_is_paused_in_the_dashboard_is_so_after_the_next_up(running: Running, browser: webdriver.Chrome) -> None:
    def pauses() -> tuple[bool, list[bool]]:
        nightly = running.look("deployments/name/nightly/nightly")
        return nightly["paused"], [schedule["active"] for schedule in nightly["schedules"]]

    assert pauses() == (False, [True])
    nightly = running.look("deployments/name/nightly/nightly")
    browser.get(f"{running.url}/deployments/deployment/{nightly['id']}")
    see(browser, "//label[@role='switch']").click()
    wait_for(lambda: pauses() == (False, [False]), "the schedule to be off", seconds=60)
    running.change(f"deployments/{nightly['id']}", paused=True)
    done = flows(running.root, "up")
    assert done.returncode == 0, done.stdout + done.stderr
    assert pauses() == (True, [False])


@pytest.fixture
def waiting(running: Running, night: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """The run of a stage that has just been added and waits for ever, and the id of its process."""
    graph, file = running.root / "dvc.yaml", running.root / "wait.pid"
    before = graph.read_text()
    graph.write_text(f"{before}  wait:\n    cmd: echo $$ > {file.name}; sleep 1000\n    meta: {{pool: gpu}}\n")
    done = flows(running.root, "up")
    assert done.returncode == 0, done.stdout + done.stderr
    assert running.url in done.stdout  # where it was, whatever the default port is
    run = running.trigger("stage/wait")
    wait_for(lambda: file.exists() and file.read_text().strip(), "the stage to start")
    yield run, int(file.read_text())
    file.unlink()
    graph.write_text(before)


def test_cancelling_the_run_of_a_stage_added_meanwhile_ends_the_stage(
    running: Running, waiting: tuple[str, int]
) -> None:
    run, stage = waiting
    running.cancel(run)
    assert running.ended(run)["state_type"] == "CANCELLED"
    wait_for(lambda: not psutil.pid_exists(stage), "the stage to end")


def test_up_recovers_from_a_crash_and_nothing_of_before_goes_on(running: Running, waiting: tuple[str, int]) -> None:
    run, stage = waiting
    for _, process, _ in json.loads((running.root / ".prefect" / "stack.json").read_text())["processes"]:
        os.kill(process, signal.SIGKILL)
    before = of_stack(running.root)
    assert psutil.pid_exists(stage)
    done = flows(running.root, "up")
    assert done.returncode == 0, done.stdout + done.stderr
    assert running.url in done.stdout  # where it was
    assert not any(process.is_running() for process in before)
    assert not psutil.pid_exists(stage)
    assert running.ended(run)["state_type"] == "CRASHED"


def test_retraining_uses_the_running_server_and_ends_at_the_stage_that_fails(running: Running, night: Any) -> None:
    # The night worked elsewhere, and its results are in the cache.
    expected = {stage.name: "Cached" for stage in read_stages(running.root)} | {"fails": "Failed"}
    with (running.root / "dvc.yaml").open("a") as graph:
        graph.write("  fails:\n    cmd: echo row 7 has no label; exit 3\n    outs: [broken]\n")
        graph.write("  after:\n    cmd: cp broken after.txt\n    deps: [broken]\n")
    done = flows(running.root, "retrain")
    assert done.returncode != 0
    [run] = running.ask("flow_runs/filter", flow_runs={"name": {"any_": ["retrain"]}})
    assert run["state_type"] == "FAILED"
    assert "row 7 has no label" in run["state"]["message"]
    assert run["state"]["message"] in done.stderr
    tasks = running.ask("task_runs/filter", task_runs={"flow_run_id": {"any_": [run["id"]]}})
    assert {task["name"]: task["state_name"] for task in tasks} == expected
    assert not (running.root / "after.txt").exists()
