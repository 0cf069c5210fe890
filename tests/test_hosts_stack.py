"""Two hosts, played by two clones: workers with a GPU each, a DVC remote behind a real sshd, one that vanishes."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from running import Running, flows, free_port, of_stack, wait_for
from sshd import sshd
from toy_graph import commit, toy_repository

from flows.commands import dvc, git

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
GRAPH = """artifacts:
  student: {path: student, type: model}
stages:
  see:
    foreach: [one, two]
    do:
      cmd: python see.py ${item} raw.txt seen-${item}
      deps: [see.py, raw.txt]
      outs: ['seen-${item}']
      meta: {pool: gpu}
  train:
    cmd: python see.py train seen-one seen-two student
    deps: [see.py, seen-one, seen-two]
    outs: [student]
    meta: {pool: large-gpu}
  judge:
    cmd: python judge.py student metrics.json
    deps: [judge.py, student]
    metrics:
      - metrics.json: {cache: false}
    meta: {pool: large-gpu}
"""
# What a stage sees of the driver's variable, and where it ran. `one` and `two` end only when both have begun.
SEE = """import json, os, sys, time
from pathlib import Path
name, *sources, out = sys.argv[1:]
Path(f"{name}.pid").write_text(str(os.getpid()))
rows = "".join(Path(source).read_text() for source in sources)
if name == "train":
    time.sleep(40 if "slow" in rows else 0)
else:
    other, until = Path("two.pid" if name == "one" else "one.pid"), time.monotonic() + 300
    while not other.exists():
        time.sleep(0.1)
        if time.monotonic() > until:
            sys.exit(f"{other} has not come")
seen = {"gpu": os.environ["CUDA_VISIBLE_DEVICES"], "folder": os.getcwd(), "rows": rows}
Path(out).write_text(json.dumps(seen))
"""
JUDGE = """import json, sys
from pathlib import Path
Path(sys.argv[2]).write_text(json.dumps({"accuracy": 1.0, "verdict": {"decision": "first", "reason": "the only one"}}))
"""


@pytest.fixture(scope="module")
def clones(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """The clone whose nights they are, and that of the other host; between them an origin and a remote over SSH."""
    folder = tmp_path_factory.mktemp("hosts")
    home, away = toy_repository(folder / "home", GRAPH), folder / "away"
    (home / "see.py").write_text(SEE)
    (home / "judge.py").write_text(JUDGE)
    (home / ".gitignore").write_text((home / ".gitignore").read_text() + "*.pid\n/student\n/seen-*\n")
    with sshd(folder / "sshd") as (port, key):
        dvc(home, "remote", "add", "--default", "store", f"ssh://127.0.0.1:{port}{folder}/store")
        commit(home)
        git(folder, "init", "--quiet", "--bare", "origin.git")
        git(home, "remote", "add", "origin", str(folder / "origin.git"))
        git(home, "push", "--quiet", "origin", "HEAD")
        git(folder, "clone", "--quiet", str(folder / "origin.git"), "away")
        for clone in (home, away):
            dvc(clone, "remote", "modify", "--local", "store", "keyfile", str(key))
            dvc(clone, "remote", "modify", "--local", "store", "user", "root")
        yield home, away


@pytest.fixture(scope="module")
def running(clones: tuple[Path, Path]) -> Iterator[Running]:
    home, _ = clones
    port = free_port()
    done = flows(home, "up", "--port", str(port), "--elsewhere", "large-gpu", CUDA_VISIBLE_DEVICES="0,1")
    assert done.returncode == 0, done.stdout + done.stderr
    yield Running(home, f"http://127.0.0.1:{port}")
    assert flows(home, "down").returncode == 0
    assert of_stack(home) == []


@contextmanager
def other_host(away: Path, running: Running, gpu: str) -> Iterator["subprocess.Popen[str]"]:
    """Run the documented command in the other clone, with nothing but the address of the API."""
    command = [sys.executable, "-m", "flows", "worker", "--pool", "large-gpu"]
    environment = os.environ | {"PREFECT_API_URL": f"{running.url}/api", "CUDA_VISIBLE_DEVICES": gpu}
    process = subprocess.Popen(command, cwd=away, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert "large-gpu" in process.stdout.readline()
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        process.stdout.close()


def night(running: Running) -> dict[str, Any]:
    return running.ended(running.trigger("nightly/nightly"))


def made(home: Path, path: str, out: Path) -> dict[str, Any]:
    """What the last night has committed."""
    branch = git(
        home, "for-each-ref", "--sort=-committerdate", "--count=1", "--format=%(refname)", "refs/heads/nightly"
    )
    dvc(home, "get", ".", path, "--rev", branch.strip(), "--force", "--out", str(out))
    return dict(json.loads(out.read_text()))


def test_workers_with_a_gpu_each_run_stages_at_once_and_a_stage_moves_by_its_pool_to_another_host(
    clones: tuple[Path, Path], running: Running, tmp_path: Path
) -> None:
    home, away = clones
    with other_host(away, running, gpu="7"):
        ended = night(running)
    assert ended["state_type"] == "COMPLETED", ended["state"]["message"]
    one, two, student = (made(home, path, tmp_path / path) for path in ("seen-one", "seen-two", "student"))
    assert {one["gpu"], two["gpu"]} == {"0", "1"}
    assert one["folder"].startswith(str(home))
    assert (student["gpu"], student["folder"].startswith(str(away))) == ("7", True)
    assert not (away / "student").exists()


def test_the_stage_of_a_host_that_vanishes_is_started_once_more_by_whoever_is_there(
    clones: tuple[Path, Path], running: Running, tmp_path: Path
) -> None:
    home, away = clones
    (home / "raw.txt").write_text("slow\n")
    commit(home)
    with other_host(away, running, gpu="7") as host:
        run = running.trigger("nightly/nightly")
        wait_for(lambda: list(away.glob(".prefect/visits/*/train.pid")), "the stage")
        for process in [*psutil.Process(host.pid).children(recursive=True), *of_stack(away), psutil.Process(host.pid)]:
            with suppress(psutil.NoSuchProcess):
                process.kill()  # nobody is left to say anything
    with other_host(away, running, gpu="8"):
        ended = running.ended(run)
    assert ended["state_type"] == "COMPLETED", ended["state"]["message"]
    assert made(home, "student", tmp_path / "student")["gpu"] == "8"
    assert [path for path in away.glob(".prefect/visits/*") if path.is_dir()] == []


def test_with_nobody_in_a_pool_the_night_ends_and_names_it(clones: tuple[Path, Path], running: Running) -> None:
    home, _ = clones
    (home / "raw.txt").write_text("other\n")
    commit(home)
    ended = night(running)
    assert ended["state_type"] == "FAILED", ended["state"]["message"]
    assert "pool large-gpu has had no worker" in ended["state"]["message"]
