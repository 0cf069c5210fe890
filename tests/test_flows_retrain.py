"""`make retrain` without a running server."""

import os
import subprocess
import sys
from pathlib import Path

from connections import attempts, watch
from toy_graph import toy_repository


def retrain(root: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Call what `make retrain` calls, as somebody who uses another Prefect elsewhere."""
    stray = {
        "PREFECT_API_URL": "http://127.0.0.1:9/api",
        "PREFECT_HOME": "/nowhere",
        "PREFECT_SERVER_EPHEMERAL_ENABLED": "0",
    }
    command = [sys.executable, "-m", "flows", "retrain"]
    settings = os.environ | stray | environment
    return subprocess.run(
        command, cwd=root, env=settings, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )


def test_an_attempt_to_reach_another_machine_is_seen(tmp_path: Path) -> None:
    code = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(('192.0.2.1', 9))"
    subprocess.run([sys.executable, "-c", code], env=os.environ | watch(tmp_path), check=False)
    assert len(attempts(tmp_path, "far")) == 1


def test_retraining_needs_no_server_reaches_nobody_and_runs_a_stage_that_was_only_added(tmp_path: Path) -> None:
    root = toy_repository(tmp_path)
    first = retrain(root, **watch(root))
    assert first.returncode == 0, first.stdout + first.stderr
    said = {line.rsplit(maxsplit=1)[0].strip(): line.rsplit(maxsplit=1)[1] for line in first.stdout.splitlines()}
    assert Path(said["student"]) == root / "data" / "distill"
    assert said["student accuracy"] == "0.8437"
    made = (root / "data" / "evaluate" / "metrics.json").stat().st_mtime_ns
    with (root / "dvc.yaml").open("a") as graph:
        graph.write("  publish:\n    cmd: cp data/evaluate/report.md page.md\n")
        graph.write("    deps: [data/evaluate/report.md]\n    outs: [page.md]\n")
    second = retrain(root)
    assert second.returncode == 0, second.stdout + second.stderr
    assert (root / "page.md").read_text() == (root / "data" / "evaluate" / "report.md").read_text()
    assert (root / "data" / "evaluate" / "metrics.json").stat().st_mtime_ns == made
    assert attempts(root, "near")  # the flow's calls to its own server
    assert attempts(root, "far") == []
