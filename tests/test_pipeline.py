"""The whole road on a small data set: `dvc repro`, the flow, and bad days."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import yaml
from conftest import command, small_repository
from connections import attempts

from handful import lineage, storage
from handful.storage import read_json

STAGES = ["ingest", "validate", "augment", "select", "pretrain_transfer", "distill", "evaluate"]


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def ran(output: str) -> list[str]:
    return [stage for stage in STAGES if f"Running stage '{stage}'" in output]


def change(root: Path, section: str, key: str, value: object) -> None:
    values = yaml.safe_load((root / "params.yaml").read_text(encoding="utf-8"))
    values[section][key] = value
    (root / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")


def test_the_road_ends_with_a_student_and_its_numbers(trained: Path) -> None:
    metrics = read_json(trained / "data" / "evaluate" / "metrics.json")
    assert metrics["rows"] == 30
    for system in ("teacher", "student", "baseline"):
        assert 0.5 < metrics[system]["accuracy"] <= 1
        assert metrics[system]["size_bytes"] > 0
    assert "<html" in (trained / "data" / "evaluate" / "report.html").read_text(encoding="utf-8")


@pytest.mark.usefixtures("trained")
def test_no_stage_tries_to_reach_another_machine(watched: Path) -> None:
    assert attempts(watched, "far") == []


def test_no_row_is_lost_between_the_stages(trained: Path) -> None:
    def rows(stage: str, name: str) -> pd.DataFrame:
        return storage.read_table(trained / "data" / stage / f"{name}.parquet")

    for name in ("labelled", "unlabelled", "test"):
        quarantined = rows("validate/rows", "quarantined")
        assert len(rows("ingest", name)) == len(rows("validate/rows", name)) + (quarantined["table"] == name).sum()
    training, labelled = rows("select", "training"), rows("validate/rows", "labelled")
    assert set(labelled["id"]) == set(training.loc[training["origin_kind"] == "labelled", "id"])
    made_from = set(rows("augment", "rows")["parent"])
    of_labels = {lineage.of_label(label) for label in labelled["label"]}
    assert {parent for value in made_from for parent in lineage.parents(value)} <= set(labelled["id"])
    assert {value for value in made_from if not lineage.parents(value)} <= of_labels


def test_candidates_were_compared_and_one_was_chosen(trained: Path) -> None:
    candidates = read_json(trained / "data" / "pretrain_transfer" / "crossvalidation.json")["candidates"]
    teacher = read_json(trained / "data" / "pretrain_transfer" / "teacher" / "teacher.json")
    assert [row["kind"] for row in candidates] == ["contrastive_fine_tuning", "linear_probe"]
    assert [row["kind"] for row in candidates if row["chosen"]] == [teacher["kind"]]


def test_the_rows_that_the_teacher_guessed_are_kept_with_their_labels(trained: Path) -> None:
    folder = trained / "data" / "pretrain_transfer"
    guessed, told = storage.read_table(folder / "guessed.parquet"), read_json(folder / "crossvalidation.json")
    assert list(guessed.columns) == ["id", "content", "label", "weight"]
    pool = storage.read_table(trained / "data" / "validate" / "rows" / "unlabelled.parquet").set_index("id")["content"]
    assert guessed["content"].tolist() == pool[guessed["id"]].tolist()
    assert {row["label"]: row["rows"] for row in told["guessed"]} == guessed["label"].value_counts().to_dict()


def test_each_student_says_how_often_it_agrees_with_the_teacher_on_unseen_rows(trained: Path) -> None:
    told = read_json(trained / "data" / "distill" / "distill.json")
    assert list(told["agreement"]) == sorted([told["default"], *told["others"]])
    # With thirty rows none is kept apart.
    assert (told["rows"]["unseen"], set(told["agreement"].values())) == (0, {None})


def test_nothing_changed_runs_nothing(trained: Path) -> None:
    assert ran(command(trained, "dvc", "repro").stdout) == []


def test_a_changed_parameter_runs_only_the_stages_behind_it(trained: Path) -> None:
    change(trained, "evaluate", "bootstrap_samples", 200)
    assert ran(command(trained, "dvc", "repro").stdout) == ["evaluate"]


def test_a_new_champion_runs_validation_and_evaluation_alone_and_is_beaten_or_not(trained: Path) -> None:
    champion, made = trained / "data" / "champion", trained / "data"
    shutil.copytree(made / "distill" / "student", champion / "student")
    shutil.copy(made / "validate" / "rows" / "profile.json", champion)
    storage.write_json({"version": "v3", "revision": "0" * 40}, champion / "version.json")
    before = digests(made / "validate" / "rows")
    assert ran(command(trained, "dvc", "repro").stdout) == ["validate", "evaluate"]
    assert digests(made / "validate" / "rows") == before
    metrics, drift = read_json(made / "evaluate" / "metrics.json"), read_json(made / "validate" / "drift.json")
    assert (metrics["champion"]["version"], metrics["verdict"]["decision"]) == ("v3", "keep")
    assert metrics["champion"]["accuracy"] == metrics["student"]["accuracy"]
    assert drift["reference"] == "v3"
    assert {check["observed"] for check in drift["checks"]} == {0.0}
    for path in champion.iterdir():
        if path.name != ".gitignore":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    command(trained, "dvc", "repro")


def test_the_flow_makes_the_same_student_byte_for_byte(
    trained: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = small_repository(tmp_path / "repository")
    # A cache of its own: what the other run has embedded must not be what makes the two equal.
    done = command(root, "flows", "retrain", HANDFUL_CACHE=str(tmp_path_factory.mktemp("other_cache")))
    assert digests(root / "data" / "distill") == digests(trained / "data" / "distill")
    assert str(root / "data" / "distill" / "student") in done.stdout
    assert str(root / "data" / "evaluate" / "report.html") in done.stdout


def test_a_mistake_in_any_section_is_told_before_the_first_stage_works(tmp_path: Path) -> None:
    root = small_repository(tmp_path / "repository")
    change(root, "evaluate", "bootstrap_sample", 5)
    change(root, "distill", "temperature", -1)
    done = command(root, "dvc", "repro", check=False)
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert "evaluate.bootstrap_sample" in said
    assert "distill.temperature" in said
    assert "Traceback" not in said


def kill_in(root: Path, stage: str, seconds: float) -> None:
    """Begin `dvc repro`, and kill it with all of its processes so many seconds after the stage began."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    running = subprocess.Popen(
        [sys.executable, "-m", "dvc", "repro", stage],
        cwd=root,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert running.stdout is not None
    with running:
        for line in running.stdout:
            if f"tasks.{stage}" in line:
                break
        time.sleep(seconds)
        os.killpg(running.pid, signal.SIGKILL)
    assert running.returncode == -signal.SIGKILL


def test_a_killed_stage_is_made_again_as_if_nothing_had_been(trained: Path, tmp_path: Path) -> None:
    root = small_repository(tmp_path / "repository")
    kill_in(root, "augment", 2)
    command(root, "dvc", "repro", "augment")
    assert digests(root / "data" / "augment") == digests(trained / "data" / "augment")


@pytest.mark.slow
def test_training_that_is_killed_again_and_again_ends_in_the_same_student(trained: Path, tmp_path: Path) -> None:
    root = small_repository(tmp_path / "repository")
    for stage in ("pretrain_transfer", "distill"):
        for seconds in (2, 6, 9):
            kill_in(root, stage, seconds)
    command(root, "dvc", "repro", "distill")
    for stage in ("pretrain_transfer", "distill"):
        assert digests(root / "data" / stage) == digests(trained / "data" / stage)


def test_a_second_repro_meanwhile_harms_nothing(trained: Path, tmp_path: Path) -> None:
    root = small_repository(tmp_path / "repository")
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    both = [
        subprocess.Popen(
            [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", "validate"],
            cwd=root,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(2)
    ]
    outputs = [process.communicate()[0] for process in both]
    # The second waits its turn and finds nothing to do, or is told at once that a stage's folder is in use.
    assert sorted(len(ran(output)) for output in outputs) == [0, 2], outputs
    assert 0 in [process.returncode for process in both], outputs
    assert "Traceback" not in "".join(outputs)
    assert ran(command(root, "dvc", "repro", "validate").stdout) == []
    assert digests(root / "data" / "validate") == digests(trained / "data" / "validate")


def test_a_full_disk_is_said_and_leaves_what_was_there(tmp_path: Path) -> None:
    # A file-size limit makes the very writes fail that a full disk would.
    code = (
        "import resource, signal, pathlib, pandas as pd;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000));"
        "from handful.storage import write_table;"
        "write_table(pd.DataFrame({'content': [str(i) * 50 for i in range(5000)]}), pathlib.Path('rows.parquet'))"
    )
    storage.write_table(pd.DataFrame({"content": ["yesterday"]}), tmp_path / "rows.parquet")
    before = digests(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "DataError" in done.stderr
    assert "rows.parquet" in done.stderr
    assert digests(tmp_path) == before
