"""`make retrain` without a running server."""

import os
import subprocess
import sys
from pathlib import Path

from toy_graph import toy_repository


def retrain(root: Path) -> "subprocess.CompletedProcess[str]":
    """Call what `make retrain` calls, as somebody who uses another Prefect elsewhere."""
    stray = {
        "PREFECT_API_URL": "http://127.0.0.1:9/api",
        "PREFECT_HOME": "/nowhere",
        "PREFECT_SERVER_EPHEMERAL_ENABLED": "0",
    }
    command = [sys.executable, "-m", "flows", "retrain"]
    return subprocess.run(
        command, cwd=root, env=os.environ | stray, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )


def test_retraining_needs_no_server_and_runs_a_stage_that_was_only_added_to_dvc_yaml(tmp_path: Path) -> None:
    root = toy_repository(tmp_path)
    first = retrain(root)
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
