"""`python -m flows.sweep`: trials as DVC experiments, by a figure that is not of the test rows."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import command
from running import wait_for
from toy_graph import PROJECT, commit, toy_repository

from flows.commands import git
from flows.experiment import Experiment, objective
from flows.graph import read_stages
from flows.plan import Ray, Sweep, read_sweep
from flows.processes import marked
from flows.room import lacking, task_runner
from flows.space import SweepError, distribution
from flows.standing import best, verdict
from flows.study import Study
from flows.sweep import apply
from flows.temporary import free_address
from flows.values import look_up, put
from flows.worktree import only_one
from handful.errors import ComputeError

GRAPH = """stages:
  ingest:
    cmd: python work.py ingest raw.txt data/ingest
    deps: [work.py, raw.txt]
    outs: [data/ingest]
  pretrain_transfer:
    cmd: python tune.py data/ingest data/pretrain_transfer
    deps: [tune.py, data/ingest]
    params: [seed, probe, select]
    outs: [data/pretrain_transfer]
    meta: {objective: data/pretrain_transfer/crossvalidation.json}
  evaluate:
    cmd: python test.py data/pretrain_transfer data/evaluate/metrics.json
    deps: [test.py, data/pretrain_transfer]
    metrics:
      - data/evaluate/metrics.json: {cache: false}
metrics:
  - data/pretrain_transfer/crossvalidation.json
"""
# The best place is near 30. One seed alone is lucky at the point that the sweep begins with.
TUNE = """import json, math, sys, time
from pathlib import Path
import yaml
values = yaml.safe_load(Path("params.yaml").read_text())
strength, seed = values["probe"]["strength"], values["seed"]
with Path(values["ran"]).open("a") as ran:
    ran.write(f"{strength} {seed}\\n")
while Path(values["ran"]).with_name("hold").exists():
    time.sleep(0.05)
if values["select"]["kind"] == "broken":
    sys.exit("There is nothing to select by broken.")
accuracy = 0.9 - 0.1 * abs(math.log(strength / 30)) + (0.07 if seed == 2 and strength == 10.0 else 0.0)
figures = {"accuracy": accuracy, "log_loss": 1 - accuracy} if values["examined"] else {"accuracy": None}
folder = Path(sys.argv[2])
folder.mkdir(parents=True)
chosen = {"kind": "linear_probe", "reason": None if values["examined"] else "there is only one candidate"}
(folder / "crossvalidation.json").write_text(json.dumps({"candidates": [], "chosen": chosen | figures}))
"""
TEST = """import sys
from pathlib import Path
Path(sys.argv[2]).parent.mkdir(exist_ok=True)
Path(sys.argv[2]).write_text('{"accuracy": 0.99}')
"""
PARAMS = """# What each stage does.
seed: 1   # any
examined: true
ran: RAN
probe: {strength: 10.0}        # more is less regularised
select:
  kind: margin                 # or random
"""
SWEEP: dict[str, Any] = {
    "name": "toy",
    "points": 2,
    "seeds": [1, 2],
    "objective": "accuracy",
    "at_once": 2,
    "runner": {"kind": "in_process"},
    "fixed": {},
    "space": {"probe.strength": {"kind": "decimal", "low": 10.0, "high": 40.0, "logarithmic": True}},
}
FILE = "data/pretrain_transfer/crossvalidation.json"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = toy_repository(tmp_path / "clone", GRAPH)
    files = {"tune.py": TUNE, "test.py": TEST, "params.yaml": PARAMS.replace("RAN", str(tmp_path / "ran.txt"))}
    for name, text in files.items():
        (root / name).write_text(text, encoding="utf-8")
    metrics = root / "data" / "evaluate" / "metrics.json"
    metrics.parent.mkdir()
    metrics.write_text('{"accuracy": 0.99}', encoding="utf-8")  # of an earlier run, and of the test rows
    settle(root)
    commit(root)
    return root


def settle(root: Path, **changes: Any) -> Sweep:
    (root / "sweep.yaml").write_text(yaml.safe_dump(SWEEP | changes), encoding="utf-8")
    return read_sweep(root)


def begun(root: Path, settings: Sweep) -> Study:
    study = Study(root, settings)
    study.begin(root)
    return study


def experiments(root: Path) -> dict[str, Any]:
    """What `dvc exp show` lists below the commit, by name."""
    [_, base] = json.loads(command(root, "dvc", "exp", "show", "--json").stdout)
    return {one["name"]: one["revs"][0]["data"] for one in base["experiments"] or []}


def status(root: Path) -> str:
    return subprocess.run(["git", "status", "--short"], cwd=root, capture_output=True, text=True, check=True).stdout


def ran(root: Path) -> list[str]:
    file = root.parent / "ran.txt"
    return sorted(file.read_text(encoding="utf-8").splitlines()) if file.exists() else []


@pytest.mark.slow
def test_trials_are_experiments_and_the_best_on_average_becomes_params_by_one_command(root: Path) -> None:
    said = command(root, "flows.sweep", "run").stdout
    assert status(root) == ""
    shown = experiments(root)
    assert set(shown) == {f"toy-{point}-seed{seed}" for point in (0, 1) for seed in (1, 2)}
    assert all(data["metrics"]["data/evaluate/metrics.json"]["data"] == {} for data in shown.values())
    accuracy = {name: data["metrics"][FILE]["data"]["chosen"]["accuracy"] for name, data in shown.items()}
    assert accuracy["toy-0-seed2"] > accuracy["toy-1-seed2"]  # by luck
    assert "Point 1 is best" in said
    command(root, "flows.sweep", "apply")
    strength = shown["toy-1-seed1"]["params"]["params.yaml"]["data"]["probe"]["strength"]
    expected = PARAMS.replace("RAN", str(root.parent / "ran.txt")).replace("10.0", str(strength))
    assert (root / "params.yaml").read_text(encoding="utf-8") == expected


@pytest.mark.slow
@pytest.mark.parametrize("ended_by", [signal.SIGKILL, signal.SIGINT], ids=["killed", "Ctrl-C"])
def test_a_sweep_that_is_ended_ends_its_trials_and_goes_on_with_them_alone(
    root: Path, ended_by: signal.Signals
) -> None:
    command(root, "flows.sweep", "run")
    settle(root, points=3)
    hold = root.parent / "hold"
    hold.touch()
    with subprocess.Popen([sys.executable, "-m", "flows.sweep", "run"], cwd=root) as process:
        wait_for(lambda: len(ran(root)) == 6, "both trials of the third point")
        process.send_signal(ended_by)
        process.wait(10)  # not for the trials, which still hold
    wait_for(lambda: not marked("PREFECT_HOME", str(root / ".prefect")), "the end of all that it had started")
    assert len(experiments(root)) == 4
    hold.unlink()
    command(root, "flows.sweep", "run")
    assert len(experiments(root)) == 6
    assert len(ran(root)) == 8
    assert len(set(ran(root))) == 6
    assert list((root / ".prefect" / "trials").iterdir()) == []


@pytest.mark.slow
def test_ray_runs_the_trials_too(root: Path) -> None:
    pytest.importorskip("prefect_ray")
    settle(root, runner={"kind": "ray", "address": None, "cpus": 1, "gpus": 0})
    assert "Point 1 is best" in command(root, "flows.sweep", "run").stdout
    assert len(experiments(root)) == 4


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_an_address_of_ray_where_nobody_answers_is_refused_at_once(root: Path, scheme: str) -> None:
    address = scheme + free_address().removeprefix("http://")
    settings = settle(root, runner={"kind": "ray", "address": address, "cpus": 1, "gpus": 0})
    with pytest.raises(ComputeError, match=rf"Nothing answers at {address}.*runner in sweep\.yaml.*in_process"):
        task_runner(settings)


@pytest.mark.slow
def test_a_sweep_whose_ray_does_not_answer_ends_with_one_paragraph(root: Path) -> None:
    address = free_address().removeprefix("http://")
    settle(root, runner={"kind": "ray", "address": address, "cpus": 1, "gpus": 0})
    done = command(root, "flows.sweep", "run", check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"Nothing answers at {address}")


@pytest.mark.parametrize("address", ["head", "head:port", "http://head:6379", "auto", ""])
def test_an_address_that_is_none_is_named(root: Path, address: str) -> None:
    with pytest.raises(SweepError, match=r"runner\.ray\.address"):
        settle(root, runner={"kind": "ray", "address": address, "cpus": 1, "gpus": 0})


class OfRay:
    """What stands for the module ray: the nodes that its cluster has."""

    def __init__(self, *resources: dict[str, float], alive: bool = True) -> None:
        self.resources, self.alive = resources, alive

    def nodes(self) -> list[dict[str, Any]]:
        return [{"Alive": self.alive, "Resources": resources} for resources in self.resources]


@pytest.mark.parametrize(
    ("cluster", "found"),
    [
        (OfRay({"CPU": 8.0}, {"CPU": 0.0, "GPU": 1.0}), "8 CPUs and 0 GPUs; 0 CPUs and 1 GPUs"),
        (OfRay({"CPU": 8.0, "GPU": 1.0}, alive=False), ""),
    ],
    ids=["two nodes", "dead"],
)
def test_half_a_gpu_that_no_living_node_has_beside_a_cpu_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, cluster: OfRay, found: str
) -> None:
    monkeypatch.setitem(sys.modules, "ray", cluster)
    said = lacking(Ray(kind="ray", address=None, cpus=1, gpus=0.5))
    asked = "No node of Ray has the 1 CPUs and 0.5 GPUs of a trial."
    assert said == f"{asked} They have: {found}. Ask for less under runner in sweep.yaml."


def test_half_a_gpu_is_found_on_a_node_that_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", OfRay({"CPU": 8.0}, {"CPU": 1.0, "GPU": 1.0}))
    assert lacking(Ray(kind="ray", address=None, cpus=1, gpus=0.5)) is None


def test_two_sweeps_at_once_are_refused(root: Path) -> None:
    with only_one(root, "sweep"):
        assert "Another sweep is running" in command(root, "flows.sweep", "run", check=False).stderr


def test_an_experiment_is_made_once_takes_unchanged_stages_from_the_cache_and_leaves_the_clone_alone(
    root: Path,
) -> None:
    command(root, "dvc", "repro", "--quiet")
    commit(root)
    before = status(root)
    revision = git(root, "rev-parse", "HEAD").strip()
    one = Experiment(root, revision, "once", {"probe.strength": 30.0, "seed": 1})
    assert not one.is_made()
    said = one.make()
    assert "Stage 'ingest' didn't change, skipping" in said
    assert one.is_made()
    assert one.figures() == {"accuracy": 0.9, "log_loss": pytest.approx(0.1)}
    assert not Experiment(root, revision, "once", {"probe.strength": 31.0, "seed": 1}).is_made()
    assert (status(root), list((root / ".prefect" / "trials").iterdir())) == (before, [])


def test_a_trial_without_a_figure_says_why(root: Path) -> None:
    one = Experiment(root, git(root, "rev-parse", "HEAD").strip(), "none", {"examined": False})
    one.make()
    with pytest.raises(SweepError, match="there is only one candidate"):
        one.figures()


def test_a_study_that_is_opened_again_goes_on_and_proposes_what_it_would_have_proposed(root: Path) -> None:
    def passed(study: Study) -> list[float]:
        found = []
        while points := study.ask():
            for point in points:
                found.append(study.values(point)["probe.strength"])
                study.tell(point, [{"accuracy": 0.5 + found[-1] / 100, "log_loss": 1.0}])
        return found

    whole = passed(begun(root, settle(root, name="whole", points=9)))
    assert whole[0] == 10.0
    first = passed(begun(root, settle(root, name="cut", points=4)))
    again = begun(root, settle(root, name="cut", points=9))
    cut_short = again.ask()
    assert [point.number for point in begun(root, again.sweep).ask()] == [point.number for point in cut_short]
    assert first + passed(begun(root, again.sweep)) == whole


def test_a_failed_point_is_not_the_best_and_of_equal_points_the_first_is(root: Path) -> None:
    study = begun(root, settle(root, objective="log_loss", points=3))
    for outcome in ([{"accuracy": 0.5, "log_loss": 0.7}], [], [{"accuracy": 0.9, "log_loss": 0.7}]):
        [point] = study.ask()
        study.tell(point, outcome)
    assert study.ask() == []
    assert best(study).number == 0
    assert "No point is better" in verdict(study)


def test_apply_exchanges_the_values_alone_also_where_lines_end_as_on_windows(root: Path) -> None:
    file = root / "params.yaml"
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    commit(root)
    before = file.read_bytes()
    study = begun(root, settle(root, points=2))
    for accuracy in (0.5, 0.9):
        [point] = study.ask()
        study.tell(point, [{"accuracy": accuracy, "log_loss": 0.7}])
    assert "Point 1 is best" in apply(root)
    assert file.read_bytes() == before.replace(b"10.0", str(study.values(point)["probe.strength"]).encode())


def test_where_nothing_is_better_apply_changes_no_letter(root: Path) -> None:
    file = root / "params.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("10.0", "1.0e+1"), encoding="utf-8")
    commit(root)
    study = begun(root, settle(root, points=1))
    [point] = study.ask()
    study.tell(point, [{"accuracy": 0.5, "log_loss": 0.7}])
    assert "No point is better" in apply(root)
    assert status(root) == " M sweep.yaml\n"


def test_a_sweep_does_not_go_on_with_other_seeds_or_on_another_commit(root: Path) -> None:
    begun(root, settle(root))
    with pytest.raises(SweepError, match="another seeds"):
        begun(root, settle(root, seeds=[1]))
    commit(root)
    with pytest.raises(SweepError, match="another commit"):
        begun(root, settle(root))


def test_what_is_fixed_is_so_in_every_trial_and_no_part_of_a_point(root: Path) -> None:
    study = begun(root, settle(root, fixed={"select.kind": "random"}))
    [point] = study.ask()
    assert [one.values["select.kind"] for one in study.trials(root, point)] == ["random", "random"]
    assert "select.kind" not in study.values(point)


def test_what_params_has_must_be_among_what_is_tried(root: Path) -> None:
    outside = {"probe.strength": {"kind": "decimal", "low": 20.0, "high": 30.0, "logarithmic": False}}
    with pytest.raises(SweepError, match=r"probe\.strength is 10\.0"):
        begun(root, settle(root, space=outside))
    with pytest.raises(SweepError, match="probe has strength"):
        begun(root, settle(root, space={"probe.power": {"kind": "choice", "values": [1, 2]}}))


@pytest.mark.parametrize("key", ["seed", "ingest.shots", "select.prune_noise.kind", "distill.temperature"])
def test_a_key_that_decides_what_is_measured_cannot_be_tried(tmp_path: Path, key: str) -> None:
    with pytest.raises(SweepError, match="decides on which rows a trial is measured"):
        settle(tmp_path, space={key: {"kind": "choice", "values": [1, 2]}})


def test_the_sweep_of_this_repository_fits_its_params() -> None:
    settings = read_sweep(PROJECT)
    params = (PROJECT / "params.yaml").read_text(encoding="utf-8")
    for key, tried in settings.space.items():
        distribution(key, tried, look_up(params, key))
    in_trials = put(params, settings.fixed)
    assert look_up(in_trials, "pretrain_transfer.minimum_rows_per_class") == 0
    assert look_up(in_trials, "pretrain_transfer.folds_examined") == look_up(in_trials, "pretrain_transfer.folds")
    assert objective(read_stages(PROJECT)).name == "pretrain_transfer"


def test_a_value_is_exchanged_and_nothing_else() -> None:
    text = "a:   # first\n  - {b: 1, c: [x, 2.0e-5]}   # second\n  - d: 'no'\n"
    assert look_up(text, "a.0.c.1") == 2e-5
    changed = put(text, {"a.0.c.1": 3e-6, "a.1.d": None, "a.0.b": "true"})
    assert changed == "a:   # first\n  - {b: 'true', c: [x, 3.0e-06]}   # second\n  - d: null\n"
    assert yaml.safe_load(changed) == {"a": [{"b": "true", "c": ["x", 3e-6]}, {"d": None}]}
    with pytest.raises(SweepError, match="not one value"):
        look_up(text, "a.0")


def test_a_text_of_any_kind_stays_one_value() -> None:
    text = "a: {b: x, c: 1}\nd: y\n"
    for value in ("Hello, dear {label}: what?", "long " * 40 + "end", "two\nlines", "#", ""):
        assert yaml.safe_load(put(text, {"a.b": value, "d": value})) == {"a": {"b": value, "c": 1}, "d": value}
