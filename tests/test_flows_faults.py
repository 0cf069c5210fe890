"""A stack with a password and automations of the user's: webhooks, cancelled runs, killed runs, another database."""

import asyncio
import base64
import http.server
import json
import re
import shutil
import subprocess
import sys
import threading
import time
import urllib.error
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pandas as pd
import psutil
import pytest
import yaml
from connections import attempts, watch
from postgres import postgres
from running import Running, flows, free_port, of_stack, wait_for
from toy_graph import PROJECT, commit, toy_repository

from flows.graph import read_stages
from flows.worktree import only_night

AUTH = "team:a-long-password"
SETTINGS = {"address": "127.0.0.1", "auth": AUTH, "database": "null"}
# One stage that leaves half of its output and will not be interrupted, and the same on a pool of its own.
GRAPH = """stages:
  stubborn:
    cmd: python stubborn.py stubborn seconds.txt
    deps: [seconds.txt]
    outs: [stubborn]
  doomed:
    cmd: python stubborn.py doomed forever.txt
    deps: [stubborn]
    outs: [doomed]
    meta: {pool: doomed}
"""
STUBBORN = """import os, pathlib, signal, sys, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
name = sys.argv[1]
pathlib.Path(name).write_text("half")
pathlib.Path(f"{name}.pid").write_text(str(os.getpid()))
for _ in range(int(pathlib.Path(sys.argv[2]).read_text())):
    time.sleep(1)
pathlib.Path(name).write_text("whole")
"""
IGNORED = "/stubborn\n/doomed\n*.pid\nconnections.log\n"
AUTOMATIONS = """blocks:
  webhook/team: {{url: "{url}", headers: {{content-type: application/json}}}}
automations:
  - name: Call the team
    description: ""
    trigger: {{expect: [handful.night.stopped], match: {{prefect.resource.id: handful.night}}}}
    actions:
      - type: call-webhook
        block: webhook/team
        payload: '{{"night": {{{{ event.payload.date | tojson }}}}, "reason": {{{{ event.payload.reason | tojson }}}}}}'
"""


def settings(root: Path, **values: str) -> None:
    lines = [f"{key}: {value}\n" for key, value in (SETTINGS | values).items()]
    (root / "server.yaml").write_text("".join(lines), encoding="utf-8")


class Receiver(http.server.BaseHTTPRequestHandler):
    """Keeps the bodies of the calls that arrive."""

    received: list[bytes]

    def do_POST(self) -> None:
        self.received.append(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def receiver() -> Iterator[tuple[str, list[bytes]]]:
    """The address of somebody who listens on this machine, and what has arrived there."""
    kind = type("Ours", (Receiver,), {"received": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/nights", kind.received
        server.shutdown()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, receiver: tuple[str, list[bytes]]) -> Iterator[Running]:
    root = toy_repository(tmp_path_factory.mktemp("stack") / "repository", GRAPH)
    for name, text in {"seconds.txt": "300", "forever.txt": "3000", "stubborn": "of before"}.items():
        (root / name).write_text(text)
    (root / ".gitignore").write_text((root / ".gitignore").read_text() + IGNORED)
    (root / "stubborn.py").write_text(STUBBORN)
    (root / "automations.yaml").write_text(AUTOMATIONS.format(url=receiver[0]))
    settings(root)
    port = free_port()
    done = flows(root, "up", "--port", str(port), **watch(root))
    assert done.returncode == 0, done.stdout + done.stderr
    yield Running(root, f"http://127.0.0.1:{port}", AUTH)
    assert flows(root, "down").returncode == 0
    assert of_stack(root) == []


def automations(running: Running) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in running.ask("automations/filter")}


def stage_of(running: Running, name: str) -> psutil.Process:
    """The process of a stage, once it is under way in the clone or in a night's worktree."""

    def find() -> list[Path]:
        files = [folder / f"{name}.pid" for folder in (running.root, *running.root.glob(".prefect/nights/*"))]
        return [file for file in files if file.exists() and file.read_text()]

    [file] = wait_for(find, f"the stage {name}")
    number = int(file.read_text())
    file.unlink()
    return psutil.Process(number)


def test_the_start_of_server_and_workers_reaches_nobody_outside(running: Running) -> None:
    assert attempts(running.root, "near")  # the workers' calls to their server
    assert attempts(running.root, "far") == []


@pytest.mark.parametrize("auth", [None, "team:not-the-password", "nobody:a-long-password"])
def test_every_operation_of_the_server_answers_401_without_the_password(running: Running, auth: str | None) -> None:
    with urllib.request.urlopen(f"{running.url}/openapi.json") as response:
        paths = json.load(response)["paths"]
    operations = {(method.upper(), path) for path in paths for method in paths[path]}
    assert len(operations) > 100
    headers = {"content-type": "application/json"}
    if auth is not None:
        headers["authorization"] = f"Basic {base64.b64encode(auth.encode()).decode()}"
    answers = {}
    for method, path in operations:
        url = f"{running.url}/api" + re.sub(r"{\w+}", str(UUID(int=0)), path)
        request = urllib.request.Request(url, None if method == "GET" else b"{}", headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as response:
                answers[method, path] = response.status
        except urllib.error.HTTPError as error:
            error.close()
            answers[method, path] = error.code
    others = {operation: code for operation, code in answers.items() if code != 401}
    assert others == {("GET", "/health"): 200, ("GET", "/ready"): 200}


@pytest.fixture
def refused(running: Running) -> Iterator[None]:
    """The project's own first stages in place of the toy's, on labelled rows of which most have no text."""
    before = {name: (running.root / name).read_text() for name in ("dvc.yaml", "params.yaml")}
    stages = yaml.safe_load((PROJECT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    graph = {"stages": {name: stages[name] for name in ("ingest", "validate")}}
    (running.root / "dvc.yaml").write_text(yaml.safe_dump(graph))
    shutil.copy(PROJECT / "params.yaml", running.root)
    for folder in ("tasks", "data/raw/support"):
        shutil.copytree(PROJECT / folder, running.root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    rows = running.root / "data" / "raw" / "support" / "train.csv"
    table = pd.read_csv(rows)
    table.loc[table.index % 4 > 0, "text"] = ""
    table.to_csv(rows, index=False)
    commit(running.root)
    yield
    for name, text in before.items():
        (running.root / name).write_text(text)


@pytest.mark.usefixtures("refused")
def test_a_night_that_is_stopped_calls_the_webhook_that_the_user_chose(
    running: Running, receiver: tuple[str, list[bytes]]
) -> None:
    run = running.ended(running.trigger("nightly/nightly"))
    assert run["state_type"] == "FAILED"
    [body] = wait_for(lambda: receiver[1], "the webhook", seconds=60)
    assert json.loads(body) == {"night": run["expected_start_time"][:10], "reason": run["state"]["message"]}
    [found] = running.ask("artifacts/filter", artifacts={"key": {"any_": ["night"]}})
    for text in (run["state"]["message"], found["data"]):
        assert "The tables cannot be used:" in text
        assert re.search(r"labelled +too many rows quarantined +\d+ of \d+ rows accepted: .* at most 0\.", text)
    assert "## Rows that validation let in" in found["data"]
    assert "quarantined.parquet" in found["data"]


def test_a_second_night_at_once_ends_and_says_so(running: Running) -> None:
    with only_night(running.root) as ours:
        second = running.ended(running.trigger("nightly/nightly"))
    assert ours
    assert second["state_type"] == "COMPLETED"
    assert "Another night is running" in second["state"]["message"]


def test_retraining_asks_for_a_restart_when_the_settings_have_changed(running: Running) -> None:
    settings(running.root, auth="team:another-password")
    done = flows(running.root, "retrain")
    settings(running.root)
    assert done.returncode == 1
    assert "server.yaml has changed" in done.stderr
    assert running.ask("flow_runs/count", flow_runs={"name": {"any_": ["retrain"]}}) == 0


def test_up_again_changes_no_automation_and_drops_what_left_the_file(running: Running) -> None:
    file = running.root / "automations.yaml"
    first, text = automations(running), file.read_text()
    own = {**first["Call the team"], "name": "made in the dashboard", "tags": []}
    running.ask("automations/", **{key: own[key] for key in ("name", "tags", "trigger", "actions")})
    file.write_text("blocks: {}\nautomations: []\n")
    done = flows(running.root, "up")
    file.write_text(text)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("Already up: ")
    second = automations(running)
    assert second.keys() == first.keys() - {"Call the team"} | {"made in the dashboard"}
    assert {name: second[name] for name in first.keys() & second.keys()} == {
        name: first[name] for name in first.keys() & second.keys()
    }


@pytest.fixture(scope="module")
def lost(running: Running) -> tuple[str, datetime]:
    """A run that was killed together with its worker, and when."""
    commit(running.root)
    run = running.trigger("stage/doomed")
    stage = stage_of(running, "doomed")
    worker = running.workers()["worker-doomed"]
    killed = datetime.now(UTC)
    for process in [*worker.children(), worker]:
        process.kill()
    wait_for(lambda: not stage.is_running(), "the stage to end", seconds=10)
    return run, killed


@pytest.mark.usefixtures("lost")  # one pool without its worker is in nobody's way
@pytest.mark.parametrize("deployment", ["stage/stubborn", "nightly/nightly"])
def test_a_cancelled_run_ends_its_stage_within_ten_seconds_and_leaves_the_workspace_usable(
    running: Running, deployment: str
) -> None:
    run = running.trigger(deployment)
    stage = stage_of(running, "stubborn")
    asked = time.monotonic()
    running.cancel(run)
    wait_for(lambda: not stage.is_running(), "the stage to end", seconds=30)
    assert time.monotonic() - asked <= 10
    assert running.ended(run)["state_type"] == "CANCELLED"
    under_way = {"type": {"any_": ["PENDING", "RUNNING", "CANCELLING"]}}
    for name in ("nightly", "stubborn"):  # not the one that was killed
        left = {"state": under_way, "name": {"like_": name}}
        wait_for(lambda left=left: running.ask("flow_runs/count", flow_runs=left) == 0, "the runs to end", seconds=60)
    with only_night(running.root) as ours:
        assert ours  # no lock is left over


def test_a_retraining_that_is_cancelled_in_the_dashboard_ends_where_it_was_started(running: Running) -> None:
    # As a script starts it in the background: such a command ignores the signal of Ctrl-C.
    command = ["sh", "-c", 'trap "" INT; exec "$0" -m flows retrain', sys.executable]
    with subprocess.Popen(command, cwd=running.root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            stage = stage_of(running, "stubborn")
            [run] = running.ask("flow_runs/filter", flow_runs={"name": {"any_": ["retrain"]}})
            asked = time.monotonic()
            running.cancel(run["id"])
            wait_for(lambda: not stage.is_running(), "the stage to end", seconds=30)
            assert time.monotonic() - asked <= 10
            assert process.wait(timeout=60) == 1
        finally:
            process.terminate()
    assert running.ended(run["id"])["state_type"] == "CANCELLED"


@pytest.mark.usefixtures("lost")
def test_a_run_that_stays_pending_is_crashed_and_frees_its_place(running: Running) -> None:
    rule, run = automations(running)["handful: runs that do not start"], running.trigger("stage/doomed")
    # The same for this run alone, and within seconds: ours waits for five minutes.
    trigger = {**rule["trigger"], "match": {"prefect.resource.id": f"prefect.flow-run.{run}"}, "within": 10}
    running.ask("automations/", name="hasty", trigger=trigger, actions=rule["actions"])
    running.ask(f"flow_runs/{run}/set_state", state={"type": "PENDING"}, force=True)  # its worker is gone
    assert running.ended(run)["state_type"] == "CRASHED"


def test_after_a_cancelled_run_the_next_one_is_whole(running: Running) -> None:
    (running.root / "seconds.txt").write_text("0")  # what was interrupted is not taken for done
    assert running.ended(running.trigger("stage/stubborn"))["state_type"] == "COMPLETED"
    assert (running.root / "stubborn").read_text() == "whole"


def test_a_run_whose_worker_and_process_were_killed_is_crashed_within_ninety_seconds(
    running: Running, lost: tuple[str, datetime]
) -> None:
    run, killed = lost
    state = running.ended(run)["state"]
    assert state["type"] == "CRASHED"
    assert (datetime.fromisoformat(state["timestamp"]) - killed).total_seconds() <= 90


async def rows(database: str, table: str) -> int:
    connection = await asyncpg.connect(database.replace("+asyncpg", ""))
    try:
        return int(await connection.fetchval(f"SELECT count(*) FROM {table}"))
    finally:
        await connection.close()


def test_one_setting_moves_the_server_to_postgresql(running: Running) -> None:
    (running.root / "seconds.txt").write_text("0")
    with postgres() as database:
        settings(running.root, database=database)
        done = flows(running.root, "up", "--port", running.url.rsplit(":")[-1])  # other settings: all starts anew
        assert done.returncode == 0, done.stdout + done.stderr
        assert running.ended(running.trigger("stage/stubborn"))["state_type"] == "COMPLETED"
        assert asyncio.run(rows(database, "deployment")) == len(read_stages(running.root)) + 1
        assert asyncio.run(rows(database, "automation")) == 3
        assert asyncio.run(rows(database, "flow_run")) > 1  # the one above, and the nights to come
        assert flows(running.root, "down").returncode == 0
