"""The benchmark measures every system on the same draw, keeps what it measured, and needs neither DVC nor Prefect."""

import itertools
import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
import yaml

import handful
from benchmarks import ablation, fewshot, folders, peers, pipeline, results
from handful import contrastive, parameters
from handful.errors import DataError
from handful.parameters.learning import ClassBalancedSelfTraining, ContrastiveFineTuning
from tasks import augment, distill, ingest, pretrain_transfer, select, validate

ROOT = Path(__file__).parents[1]
WORDS = {
    "fruit": ["apple", "pear", "plum", "cherry", "grape", "melon", "lemon", "peach"],
    "house": ["door", "roof", "wall", "window", "floor", "stairs", "cellar", "garden"],
    "money": ["bank", "coin", "loan", "credit", "salary", "invoice", "rent", "price"],
}
FILLERS = ["the", "a", "my", "this", "with", "and", "near", "of"]
INSTALLED = [
    system for system in fewshot.SYSTEMS if all(find_spec(package) for package in peers.PACKAGES.get(system, ()))
]
NUMBERS = (
    *("accuracy", "macro_f1", "mcc", "calibration_error", "train_seconds", "predict_per_second"),
    *("size_bytes", "peak_rss_bytes", "test_rows", "train_threads", "predict_threads"),
)


def rows(count: int, seed: int) -> pd.DataFrame:
    """`count` rows per label, of words that only this label uses and of words that all use."""
    draw = random.Random(seed)
    texts = [
        (" ".join(draw.sample(words, 4) + draw.sample(FILLERS, 2)), label)
        for label, words in WORDS.items()
        for _ in range(count)
    ]
    return pd.DataFrame(texts, columns=["text", "label"])


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A two-layer BERT with random weights over the toy's words: every system can use it, and quickly."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("backbone")
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = {
        word: index for index, word in enumerate([*special, *FILLERS, *itertools.chain(*WORDS.values()), *WORDS])
    }
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, mask_token="[MASK]", **names).save_pretrained(folder)
    torch.manual_seed(0)
    size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    BertModel(BertConfig(vocab_size=len(vocabulary), max_position_embeddings=64, **size)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def params(backbone: Path) -> Path:
    """The project's own parameter file, made small: the toy backbone, one candidate, one student."""
    values = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    values["backbone"].update(name=str(backbone), max_tokens=16)
    values["pool_rows"] = 20  # fewer than there are, so that a benchmark without it learns from others than the stages
    values["ingest"]["near_duplicate_similarity"] = 1.0
    values["augment"]["operations"] = [{"kind": "random_swap", "share": 0.3}]
    values["select"]["gate"].update(folds=2, repeats=1)
    values["pretrain_transfer"].update(candidates=[{"kind": "linear_probe"}], folds=2)
    values["distill"]["students"] = values["distill"]["students"][:1]
    values["distill"]["students"][0].update(features=1024, static_dimensions=16, minimum_steps=20)
    values["evaluate"]["bootstrap_samples"] = 100
    path = backbone / "params.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with repeats in its test file, which validation would object to and which count all the same."""
    folder = tmp_path_factory.mktemp("toy")
    rows(12, seed=1).to_parquet(folder / folders.TRAIN)
    test = rows(8, seed=2)
    pd.concat([test, test.head(3)]).to_parquet(folder / folders.TEST)
    rows(5, seed=3)[["text"]].to_parquet(folder / folders.UNLABELLED)
    of_no_class = [" ".join(pair) for pair in itertools.permutations(FILLERS, 2)]
    pd.DataFrame({"text": of_no_class}).to_parquet(folder / folders.OUT_OF_SCOPE)
    return folder


@pytest.fixture(scope="module")
def without_dvc_and_prefect(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment whose Python processes, and those that they start, cannot import either."""
    folder = tmp_path_factory.mktemp("forbidden")
    (folder / "sitecustomize.py").write_text(
        "import sys\n"
        "class Forbidden:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('dvc', 'prefect'):\n"
        "            raise ModuleNotFoundError(f'{name} is forbidden here', name=name)\n"
        "sys.meta_path.insert(0, Forbidden())\n",
        encoding="utf-8",
    )
    path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}


def command(data: Path, params: Path, out: Path, systems: list[str], seeds: int = 1) -> list[str]:
    """The command line of a benchmark with four shots."""
    choices = ["--data", str(data), "--shots", "4", "--seeds", str(seeds), "--systems", ",".join(systems)]
    return [sys.executable, "-m", "benchmarks.fewshot", *choices, "--out", str(out), "--params", str(params)]


@pytest.fixture(scope="module")
def finished(
    data: Path, params: Path, without_dvc_and_prefect: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str]:
    """The file of records and the tables of one benchmark of every system that is installed."""
    out = tmp_path_factory.mktemp("results") / "results.json"
    asked = command(data, params, out, INSTALLED)
    ran = subprocess.run(asked, cwd=ROOT, env=without_dvc_and_prefect, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return out, ran.stdout


def read(out: Path) -> dict[tuple[str, int], dict[str, Any]]:
    """The records by system and seed."""
    return {(record["system"], record["seed"]): record for record in json.loads(out.read_text(encoding="utf-8"))}


def test_neither_dvc_nor_prefect_can_be_imported_where_the_benchmark_ran(
    finished: tuple[Path, str], without_dvc_and_prefect: dict[str, str]
) -> None:
    for package in ("dvc", "prefect"):
        ran = subprocess.run(
            [sys.executable, "-c", f"import {package}"], env=without_dvc_and_prefect, capture_output=True
        )
        assert ran.returncode != 0
    assert {system for system, _ in read(finished[0])} == set(INSTALLED)


def test_every_record_holds_finite_numbers_and_the_versions_that_made_them(finished: tuple[Path, str]) -> None:
    for (system, _), record in read(finished[0]).items():
        assert all(math.isfinite(record[name]) for name in NUMBERS), system
        assert all(record[name] > 0 for name in NUMBERS[4:]), system
        assert 0 <= record["accuracy"] <= 1
        assert record["device"] in ("cpu", "cuda")
        assert {"torch", "numpy", "python"} <= set(record["versions"])


def test_every_system_learns_from_the_same_rows_and_is_scored_on_the_whole_test_file(
    finished: tuple[Path, str], data: Path
) -> None:
    records = read(finished[0]).values()
    assert len({record["draw"] for record in records}) == 1
    assert {record["test_rows"] for record in records} == {len(pd.read_parquet(data / folders.TEST))}


def test_rows_of_no_class_are_told_from_the_others(finished: tuple[Path, str]) -> None:
    assert all(0.6 < record["out_of_scope_auroc"] <= 1 for record in read(finished[0]).values())


@pytest.mark.parametrize("system", fewshot.SYSTEMS)
def test_words_that_only_one_label_uses_are_learnt(system: str, finished: tuple[Path, str]) -> None:
    if system not in INSTALLED:
        pytest.skip(f"{system} is not installed, so it was not measured: pip install -e '.[peers]'")
    # Guessing gives 0.33; the backbone is random and tells the labels apart because their words differ.
    assert read(finished[0])[system, 0]["accuracy"] > 0.5


def test_the_teacher_is_charged_until_its_transfer_and_the_student_for_all_stages(finished: tuple[Path, str]) -> None:
    teacher, student = read(finished[0])["teacher", 0], read(finished[0])["student", 0]
    before = ["ingest", "validate", "augment", "select", "pretrain_transfer"]
    assert sorted(teacher["stages"]) == sorted(before)
    assert student["stages"] == {**teacher["stages"], "distill": student["stages"]["distill"]}
    for record in (teacher, student):
        assert record["train_seconds"] == pytest.approx(sum(record["stages"].values()))


def test_the_student_is_the_one_that_the_stages_write_when_each_is_run_by_itself(
    data: Path, params: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HANDFUL_CACHE", str(tmp_path / "cache"))
    folder, values = folders.find(data), parameters.read(params)
    _, trained = pipeline.train(values, folder, shots=4, seed=1, with_student=True)
    given = values.model_copy(update={"seed": 1, "ingest": folders.ingest_parameters(values, folder, shots=4)})
    at = {stage: tmp_path / stage for stage in ("ingest", "validate", "augment", "select", "transfer", "distill")}
    ingest.main(given, data, at["ingest"])
    (tmp_path / "champion").mkdir()
    validate.main(given, at["ingest"], tmp_path / "champion", at["validate"], tmp_path / "drift.json")
    augment.main(given, at["validate"], at["augment"])
    select.main(given, at["validate"], at["augment"], at["select"])
    pretrain_transfer.main(given, at["validate"], at["select"], at["transfer"])
    distill.main(given, at["validate"], at["select"], at["transfer"], at["distill"])
    contents = folders.test_rows(folder)["content"].tolist()
    written = handful.load(at["distill"] / "student", threads=1)
    assert written.classes_ == trained["student"].classes
    assert np.array_equal(written.predict_proba(contents), trained["student"].predict_proba(contents))


def test_the_tables_name_every_system(finished: tuple[Path, str]) -> None:
    cells = {cell.strip() for line in finished[1].splitlines() for cell in line.split("|")}
    assert set(INSTALLED) <= cells
    assert {"÷ teacher", "÷ student"} <= cells


def test_a_run_with_the_same_versions_measures_nothing_again(
    finished: tuple[Path, str], data: Path, params: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, printed = finished
    before = out.stat().st_mtime_ns
    fewshot.main(command(data, params, out, INSTALLED)[3:])
    assert out.stat().st_mtime_ns == before
    assert capsys.readouterr().out == printed


def test_a_killed_run_keeps_its_records_and_goes_on_from_there(data: Path, params: Path, tmp_path: Path) -> None:
    out = tmp_path / "results.json"
    asked = command(data, params, out, ["linear_probe"], seeds=2)
    with subprocess.Popen(asked, cwd=ROOT, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as running:
        while not out.exists() and running.poll() is None:
            time.sleep(0.01)
        children = _wait_for_children(running)
        running.send_signal(signal.SIGKILL)
    _, alive = psutil.wait_procs(children, timeout=30)
    assert alive == []
    kept = read(out)
    assert list(kept) == [("linear_probe", 0)]
    subprocess.run(asked, cwd=ROOT, check=True, capture_output=True)
    assert set(read(out)) == {("linear_probe", 0), ("linear_probe", 1)}
    assert read(out)["linear_probe", 0] == kept["linear_probe", 0]


def _wait_for_children(running: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """The second process of the benchmark, once it runs: there is something that could be left behind."""
    for _ in range(500):
        if children := psutil.Process(running.pid).children(recursive=True):
            return children
        time.sleep(0.01)
    raise AssertionError("the benchmark started no second process")


def test_data_that_one_process_cannot_use_does_not_cost_the_records_of_the_others(
    data: Path, params: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    one_label = tmp_path / "one_label"
    one_label.mkdir()
    rows(12, seed=1).query("label == 'fruit'").to_parquet(one_label / folders.TRAIN)
    rows(4, seed=2).query("label == 'fruit'").to_parquet(one_label / folders.TEST)
    out = tmp_path / "results.json"
    with pytest.raises(SystemExit, match=r"one_label, 4 shots, seed 0, linear_probe"):
        fewshot.main([*command(one_label, params, out, ["linear_probe"])[3:], "--data", str(data)])
    assert [record["data"] for record in json.loads(out.read_text(encoding="utf-8"))] == [data.name]


def test_each_step_of_the_ablation_is_a_whole_set_of_parameters_of_its_own() -> None:
    values = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    steps = {step.name: step for step in ablation.STEPS}
    given = {name: parameters.parse(ablation.changed(values, step), name) for name, step in steps.items()}
    # The default student is made of the whole teacher.
    whole = given["+ a third, of the nearest rows: the teacher"]
    assert given.pop("distilled: the default student") == whole == parameters.parse(values, "params.yaml")
    first = given.pop("frozen backbone, logistic regression")
    assert first == given["+ the pool's confident rows, by the gate"]
    assert len({one.model_dump_json() for one in given.values()}) == len(given)
    assert given["distilled: the linear student"].distill.students[0].kind == "linear"
    fine_tuned = given["+ contrastive fine-tuning"].pretrain_transfer.candidates[0]
    assert isinstance(fine_tuned, ContrastiveFineTuning)
    assert fine_tuned.self_training.kind == "none"
    self_trained = given["+ self-training"].pretrain_transfer.candidates[0]
    assert isinstance(self_trained, ContrastiveFineTuning)
    assert isinstance(self_trained.self_training, ClassBalancedSelfTraining)
    shares = self_trained.self_training.surface_share, self_trained.self_training.nearest_share
    assert (self_trained.self_training.diffusion, *shares) == (0, 0, 0)


def test_the_ablation_prints_its_tables_alone_and_names_what_failed(
    data: Path, params: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ablation, "STEPS", ablation.STEPS[:1])
    one_label = tmp_path / "one_label"
    one_label.mkdir()
    rows(12, seed=1).query("label == 'fruit'").to_parquet(one_label / folders.TRAIN)
    rows(4, seed=2).query("label == 'fruit'").to_parquet(one_label / folders.TEST)
    asked = ["--data", str(data), "--data", str(one_label), "--shots", "4", "--seeds", "1"]
    with pytest.raises(SystemExit, match="frozen backbone, logistic regression: one_label, 4 shots, seed 0"):
        ablation.main([*asked, "--out", str(tmp_path / "records"), "--params", str(params)])
    shown = capsys.readouterr().out
    assert [line.split("|")[1].strip() for line in shown.splitlines() if line][::3] == [
        heading for _, heading in ablation.SCORES
    ]
    assert shown.count("failed") == 2


def test_the_ablation_fine_tunes_once_what_its_lines_share_and_measures_the_same(
    data: Path, params: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = yaml.safe_load(params.read_text(encoding="utf-8"))
    [given, _] = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["pretrain_transfer"]["candidates"]
    given |= {"epochs": 1, "minimum_steps": 4, "steps_per_root": 0, "frozen_layers": 0}
    given["self_training"] |= {"minimum_steps": 3, "pool_rows": 10, "pool_rows_per_class": 1}
    values["pretrain_transfer"]["candidates"] = [given]
    tuned = tmp_path / "params.yaml"
    tuned.write_text(yaml.safe_dump(values), encoding="utf-8")

    fine_tune, made = contrastive.fine_tune, []
    monkeypatch.setattr(contrastive, "fine_tune", lambda *asked: made.append(asked[-1]) or fine_tune(*asked))
    steps = [step for step in ablation.STEPS if step.candidates is None and step.nearest and not step.linear]
    monkeypatch.setattr(ablation, "STEPS", steps)
    choices = ["--data", str(data), "--shots", "4", "--seeds", "1", "--params", str(tuned)]
    ablation.main([*choices, "--out", str(tmp_path / "records")])
    assert made == ["training on all rows", "training on all rows, self-training"]  # for three lines

    alone = tmp_path / "alone.json"
    fewshot.main([*choices, "--systems", "teacher,student", "--out", str(alone)])
    kept = [read(tmp_path / "records" / f"{number}.json") for number in range(len(steps))]
    for number, system in ((len(steps) - 2, "teacher"), (len(steps) - 1, "student")):
        shared, own = kept[number][system, 0], read(alone)[system, 0]
        assert {name: own[name] for name in shared} == {**shared, "out_of_scope_auroc": own["out_of_scope_auroc"]}

    ablation.main([*choices, "--out", str(tmp_path / "records")])
    assert len(made) == 2  # what was measured stands


def test_another_parameter_another_table_or_another_version_makes_a_record_out_of_date(
    data: Path, params: Path
) -> None:
    values = parameters.read(params)
    folder = folders.find(data)
    wanted = results.identity(folder, "teacher", 4, 0, values)
    assert results.standing([wanted], results.identity(folder, "teacher", 4, 0, values)) == wanted
    narrower = values.model_copy(update={"pool_rows": 7})
    assert results.standing([wanted], results.identity(folder, "teacher", 4, 0, narrower)) is None
    assert results.standing([wanted], {**wanted, "data_fingerprint": "other"}) is None
    assert results.standing([wanted], {**wanted, "versions": {**wanted["versions"], "torch": "0"}}) is None


def test_what_cannot_change_a_number_makes_no_record_out_of_date(data: Path, params: Path) -> None:
    values, folder = parameters.read(params), folders.find(data)
    elsewhere = values.model_copy(update={"seed": values.seed + 1, "raw": "elsewhere"})
    hotter = values.model_copy(update={"distill": values.distill.model_copy(update={"temperature": 2.0})})
    for other, unharmed in ((elsewhere, {"teacher", "student", "linear_probe"}), (hotter, {"teacher", "linear_probe"})):
        for system in ("teacher", "student", "linear_probe"):
            wanted, found = (results.identity(folder, system, 4, 0, each) for each in (values, other))
            assert (wanted == found) == (system in unharmed)
    sources = {path.relative_to(ROOT).as_posix() for path in results._sources("text")}
    assert {"handful/probe.py", "handful/text/edits.py", "tasks/distill.py"} <= sources
    assert not {"handful/cli.py", "handful/report.py", "handful/registry.py", "tasks/evaluate.py"} & sources
    assert not any(source.startswith(("handful/image/b", "flows", "benchmarks")) for source in sources)
    assert "handful" in results.identity(folder, "student", 4, 0, values)["versions"]
    assert "handful" not in results.identity(folder, "linear_probe", 4, 0, values)["versions"]


def record(system: str, seed: int, accuracy: float, per_second: float) -> dict[str, Any]:
    """A record as far as the tables read it."""
    same = {"macro_f1": 0.5, "mcc": 0.25, "calibration_error": 0.125, "train_seconds": 2.0, "peak_rss_bytes": 5e8}
    origin = {"data": "toy", "shots": 8, "draw": f"rows of {seed}", "size_bytes": 1e6, "out_of_scope_auroc": None}
    return {**same, **origin, "system": system, "seed": seed, "accuracy": accuracy, "predict_per_second": per_second}


def test_the_tables_give_mean_and_deviation_over_seeds_and_ratios_on_the_same_draw() -> None:
    lines = results.tables(
        [
            *(record("teacher", 0, 0.8, 100), record("teacher", 1, 0.9, 200)),
            *(record("student", 0, 0.8, 5000), record("student", 1, 0.72, 14000)),
        ]
    ).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells[2][:5] == ["toy", "8", "teacher", "2", "85.0 ± 7.1"]
    # 0.8 / 0.8 and 0.72 / 0.9; 50 and 70 times as fast.
    beside = next(row for row in cells if row[:3] == ["toy", "8", "student"] and len(row) == 9)
    assert beside[3] == "0.9"
    assert beside[6] == "60"


def test_records_of_unequal_draws_are_told_apart_in_the_tables() -> None:
    unequal = [record("teacher", 0, 0.8, 100), {**record("student", 0, 0.8, 100), "draw": "other rows"}]
    assert "same rows of toy, 8 shots, seed 0" in results.tables(unequal)
    assert "same rows" not in results.tables([record("teacher", 0, 0.8, 100), record("student", 0, 0.8, 100)])


def mistaken(data: Path, params: Path, out: Path, systems: str = "linear_probe") -> str:
    """The paragraph that ends a benchmark that cannot start."""
    with pytest.raises(SystemExit) as ended:
        fewshot.main(command(data, params, out, systems.split(","))[3:])
    assert not out.exists()
    return str(ended.value)


def test_a_folder_or_a_file_that_is_missing_is_named(data: Path, params: Path, tmp_path: Path) -> None:
    assert f"no data folder {tmp_path / 'nowhere'}" in mistaken(tmp_path / "nowhere", params, tmp_path / "out.json")
    half = tmp_path / "half"
    half.mkdir()
    rows(2, seed=1).to_parquet(half / folders.TRAIN)
    assert f"{half} has no test.parquet" in mistaken(half, params, tmp_path / "out.json")


@pytest.mark.parametrize("name", [folders.TRAIN, folders.TEST, folders.UNLABELLED])
def test_a_missing_column_is_named_with_the_columns_that_are_there(name: str, params: Path, tmp_path: Path) -> None:
    for file in (folders.TRAIN, folders.TEST, folders.UNLABELLED):
        table = rows(4, seed=1)
        table.rename(columns={"text": "words"} if file == name else {}).to_parquet(tmp_path / file)
    told = mistaken(tmp_path, params, tmp_path / "out.json")
    assert f"{tmp_path / name} has no column text" in told
    assert "its columns are words, label" in told


def test_a_file_that_is_no_parquet_is_named(params: Path, tmp_path: Path) -> None:
    (tmp_path / folders.TRAIN).write_text("text,label\n", encoding="utf-8")
    assert f"{tmp_path / folders.TRAIN} is not a readable Parquet file" in mistaken(
        tmp_path, params, tmp_path / "out.json"
    )


def test_images_are_not_given_to_peers_or_parameters_for_texts(params: Path, tmp_path: Path) -> None:
    for file in (folders.TRAIN, folders.TEST):
        pd.DataFrame({"image": [b"x"], "label": ["a"]}).to_parquet(tmp_path / file)
    assert f"{params} is for text" in mistaken(tmp_path, params, tmp_path / "out.json")
    if "setfit" in INSTALLED:
        told = mistaken(tmp_path, fewshot.PARAMETER_FILES["image"], tmp_path / "out.json", "linear_probe,setfit")
        assert f"{tmp_path.resolve()} holds image, and setfit can only learn text" in told


def test_a_file_of_something_else_is_not_written_over(data: Path, params: Path, tmp_path: Path) -> None:
    out = tmp_path / "notes.json"
    out.write_text('{"my": "notes"}', encoding="utf-8")
    with pytest.raises(SystemExit, match=r"notes\.json"):
        fewshot.main(command(data, params, out, ["linear_probe"])[3:])
    assert out.read_text(encoding="utf-8") == '{"my": "notes"}'


@pytest.mark.parametrize("choice", [["--shots", "0"], ["--systems", "teacher,guess"], ["--seeds", "many"]])
def test_a_choice_that_does_not_exist_is_refused(choice: list[str], data: Path, params: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="2"):
        fewshot.main([*command(data, params, tmp_path / "out.json", ["teacher"])[3:], *choice])


def test_a_test_row_without_a_label_stops_the_benchmark(data: Path, tmp_path: Path) -> None:
    rows(4, seed=1).to_parquet(tmp_path / folders.TRAIN)
    rows(4, seed=2).assign(label=lambda table: table["label"].where(table.index != 5)).to_parquet(
        tmp_path / folders.TEST
    )
    with pytest.raises(DataError, match=r"test\.parquet row 6"):
        folders.test_rows(folders.find(tmp_path))
