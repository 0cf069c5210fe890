"""How a stage starts and ends: its arguments, its mistakes, its parent."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STAGE = '''"""A stage of the tests."""

import sys
import time
from pathlib import Path

from handful.errors import DataError
from handful.parameters import Parameters
from tasks import start


def main(parameters: Parameters, data: Path, out: Path) -> None:
    what = data.read_text(encoding="utf-8")
    if what == "wrong":
        raise DataError(f"{data} row 7 has no label. Give it one.")
    if what == "unforeseen":
        raise ZeroDivisionError("division by zero")
    if what == "long":
        print("started", flush=True)
        time.sleep(60)
    out.write_text(f"{parameters.seed} {what}", encoding="utf-8")


if __name__ == "__main__":
    start(main)
'''


@pytest.fixture
def stage(tmp_path: Path) -> Path:
    (tmp_path / "toy_stage.py").write_text(STAGE, encoding="utf-8")
    return tmp_path


def command(folder: Path, *more: str) -> list[str]:
    parameters = str(ROOT / "params.yaml")
    return [sys.executable, "-m", "toy_stage", parameters, str(folder / "data"), str(folder / "out"), *more]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def run(folder: Path, what: str, *more: str) -> "subprocess.CompletedProcess[str]":
    (folder / "data").write_text(what, encoding="utf-8")
    return subprocess.run(
        command(folder, *more), cwd=folder, env=environment(), capture_output=True, text=True, check=False
    )


def test_a_stage_gets_its_parameters_and_its_folders_in_order(stage: Path) -> None:
    assert run(stage, "fine").returncode == 0
    assert (stage / "out").read_text(encoding="utf-8") == "20 fine"


def test_a_mistake_is_one_paragraph_and_ends_the_stage_with_status_one(stage: Path) -> None:
    done = run(stage, "wrong")
    assert done.returncode == 1
    assert f"{stage / 'data'} row 7 has no label. Give it one." in done.stderr
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert not (stage / "out").exists()


def test_an_unforeseen_error_names_its_kind_and_how_to_see_more(stage: Path) -> None:
    done = run(stage, "unforeseen")
    assert done.returncode == 1
    assert "ZeroDivisionError: division by zero" in done.stderr
    assert "--debug" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("what", "kind"), [("wrong", "DataError"), ("unforeseen", "ZeroDivisionError")])
def test_debug_shows_where_it_came_from(stage: Path, what: str, kind: str) -> None:
    done = run(stage, what, "--debug")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert kind in done.stderr


def test_a_missing_parameter_file_is_named(stage: Path) -> None:
    arguments = [sys.executable, "-m", "toy_stage", "nowhere.yaml", "data", "out"]
    done = subprocess.run(arguments, cwd=stage, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "nowhere.yaml" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_missing_folder_is_named_with_the_usage(stage: Path) -> None:
    arguments = [sys.executable, "-m", "toy_stage", str(ROOT / "params.yaml"), "data"]
    done = subprocess.run(arguments, cwd=stage, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "out" in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's death")
def test_a_stage_ends_when_its_launcher_is_killed(stage: Path) -> None:
    (stage / "data").write_text("long", encoding="utf-8")
    launcher = "import subprocess, sys; p = subprocess.Popen(sys.argv[1:]); print(p.pid, flush=True); p.wait()"
    with subprocess.Popen(
        [sys.executable, "-c", launcher, *command(stage)],
        cwd=stage,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None
        number = int(running.stdout.readline())
        assert running.stdout.readline() == "started\n"
        running.send_signal(signal.SIGKILL)
        running.wait()
        deadline = time.monotonic() + 10
        while alive(number) and time.monotonic() < deadline:
            time.sleep(0.05)
        ended = not alive(number)
        if not ended:
            os.kill(number, signal.SIGKILL)
    assert ended
    assert not (stage / "out").exists()


def alive(number: int) -> bool:
    """Whether the process runs; one that nobody has waited for yet does not."""
    try:
        return Path(f"/proc/{number}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_on_several_devices_the_process_that_leads_alone_writes_and_speaks(
    stage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = STAGE.replace("start(main)", "start(main, devices.company)").replace(
        "from handful.errors", "from handful import devices\nfrom handful.errors"
    )
    together = together.replace("{parameters.seed} {what}", "{devices.rank()} of {devices.count()}")
    (stage / "toy_stage.py").write_text(together, encoding="utf-8")
    monkeypatch.setenv("HANDFUL_DEVICES", "2")
    assert run(stage, "fine").returncode == 0
    assert (stage / "out").read_text(encoding="utf-8") == "0 of 2"
    failed = run(stage, "wrong")
    assert failed.returncode == 1
    assert failed.stderr.count("row 7 has no label") == 1
