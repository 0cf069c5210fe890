"""The evaluate stage scores real classifiers through their contract alone, and loses no row."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

from handful import parameters, probe, profile, readers, storage
from handful.comparison import Rival
from handful.distillation import save_student, transfer_set
from handful.embedding import embed
from handful.errors import DataError
from handful.image import backbone, content, student
from handful.image.parameters import CnnBackbone, CnnStudent
from handful.parameters.tables import DigitsTable
from handful.teacher import Teacher
from tasks.evaluate import Evaluation, evaluate, main
from tests.toy_findings import PARAMETERS

CLASSES = ["delivery", "payment", "refund"]
WORDS = {
    "delivery": ["parcel", "courier", "late", "tracking", "door", "van"],
    "payment": ["card", "invoice", "charged", "twice", "bank", "paid"],
    "refund": ["money", "back", "return", "refund", "charged", "paid"],
}
SCORES = {"accuracy", "macro_recall", "macro_f1", "mcc", "calibration_error", "intervals"}
KINDS = ("linear", "shallow_transformer")
COSTS = {"rows_per_second", "milliseconds_per_row", "size_bytes"}


class NgramClassifier:
    """A small real classifier with the contract of a teacher; remembers how often it was asked past its cache."""

    def __init__(self, rows: pd.DataFrame, analyzer: str) -> None:
        self.pipeline: Pipeline = make_pipeline(TfidfVectorizer(analyzer=analyzer), LogisticRegression())
        self.pipeline.fit(rows["content"], rows["label"])
        self.classes_ = [str(name) for name in self.pipeline.classes_]
        self.threshold = 0.5
        self.size_bytes = int(self.pipeline[-1].coef_.nbytes)
        self.uncached_rows: list[int] = []

    def predict_proba(self, contents: Sequence[Any], cached: bool = True) -> np.ndarray:
        if not cached:
            self.uncached_rows.append(len(contents))
        return np.asarray(self.pipeline.predict_proba(list(contents)))


def rows(number: int, seed: int) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    labels = [CLASSES[row % 3] for row in range(number)]
    contents = [" ".join(generator.choice(WORDS[label], 3)) for label in labels]
    ids = [f"{seed}{row:031x}" for row in range(number)]
    origins = [f"test.csv row {row + 2}" for row in range(number)]
    return pd.DataFrame({"id": ids, "content": contents, "label": labels, "key": None, "origin": origins})


@pytest.fixture(scope="module")
def classifiers() -> dict[str, NgramClassifier]:
    return {
        "teacher": NgramClassifier(rows(120, 1), "word"),
        "linear": NgramClassifier(rows(60, 2), "char"),
        "shallow_transformer": NgramClassifier(rows(30, 3), "word"),
        "baseline": NgramClassifier(rows(9, 4), "char"),
    }


def run(classifiers: dict[str, NgramClassifier], test: pd.DataFrame, rival: Rival | None = None) -> Evaluation:
    students = {kind: classifiers[kind] for kind in KINDS}
    return evaluate(test, classifiers["teacher"], students, classifiers["baseline"], rival, PARAMETERS, seed=20)


def test_each_classifier_has_its_record(classifiers: dict[str, NgramClassifier]) -> None:
    scores = run(classifiers, rows(90, 5)).metrics
    assert (scores["classes"], scores["rows"]) == (3, 90)
    assert set(scores["teacher"]) == set(scores["baseline"]) == SCORES | COSTS
    assert set(scores["student"]) == SCORES | COSTS | {"kind", "abstention"}
    assert set(scores["others"]) == {"shallow_transformer"}
    for name in ("accuracy", "macro_f1"):
        low, high = scores["student"]["intervals"][name]
        assert 0 <= low <= scores["student"][name] <= high <= 1
    json.dumps(scores, allow_nan=False)


def test_the_scores_are_those_of_the_classifiers(classifiers: dict[str, NgramClassifier]) -> None:
    test = rows(90, 5)
    scores = run(classifiers, test).metrics
    right = {name: np.mean(one.pipeline.predict(test["content"]) == test["label"]) for name, one in classifiers.items()}
    assert scores["teacher"]["accuracy"] == pytest.approx(right["teacher"])
    assert scores["student"]["accuracy"] == pytest.approx(right["linear"])
    assert scores["others"]["shallow_transformer"]["accuracy"] == pytest.approx(right["shallow_transformer"])
    assert scores["gain_over_baseline"]["accuracy"] == pytest.approx(right["linear"] - right["baseline"])


@pytest.mark.parametrize("threshold", [0.0, 0.5, 1.01])
def test_what_the_student_is_worth_where_it_may_abstain(
    classifiers: dict[str, NgramClassifier], threshold: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classifiers["linear"], "threshold", threshold)
    test = rows(90, 5)
    found = run(classifiers, test).metrics["student"]["abstention"]
    probabilities = classifiers["linear"].predict_proba(test["content"])
    answered = probabilities.max(axis=1) >= threshold
    right = (np.array(CLASSES)[probabilities.argmax(axis=1)] == test["label"])[answered]
    assert 0 < answered.sum() < 90 or threshold != 0.5
    assert found == {
        "threshold": threshold,
        "share_answered": pytest.approx(answered.mean()),
        "accuracy_answered": pytest.approx(right.mean()) if answered.any() else None,
    }


def test_the_champion_is_scored_on_the_same_rows_and_judged(classifiers: dict[str, NgramClassifier]) -> None:
    test = rows(90, 5)
    scores = run(classifiers, test, Rival("v3", classifiers["shallow_transformer"], None, False)).metrics
    right = [np.mean(classifiers[name].pipeline.predict(test["content"]) == test["label"]) for name in KINDS]
    assert set(scores["champion"]) == SCORES | COSTS | {"version"}
    assert scores["champion"]["accuracy"] == pytest.approx(right[1])
    assert scores["verdict"]["difference"] == pytest.approx(right[0] - right[1])
    assert scores["verdict"]["rows_gained"] - scores["verdict"]["rows_lost"] == round(90 * (right[0] - right[1]))
    json.dumps(scores, allow_nan=False)


def test_a_champion_that_cannot_be_asked_has_a_record_of_nulls(classifiers: dict[str, NgramClassifier]) -> None:
    scores = run(classifiers, rows(90, 5), Rival("v3", None, "It is for images.", False)).metrics
    assert scores["champion"] == {"version": "v3", **dict.fromkeys(SCORES | COSTS)}
    assert (scores["verdict"]["decision"], scores["verdict"]["reason"]) == ("not comparable", "It is for images.")
    assert scores["verdict"]["difference"] is None


def test_a_champion_of_other_classes_is_compared_all_the_same(classifiers: dict[str, NgramClassifier]) -> None:
    narrow = NgramClassifier(rows(60, 6).query("label != 'refund'"), "char")
    verdict = run(classifiers, rows(90, 5), Rival("v3", narrow, None, False)).metrics["verdict"]
    assert verdict["decision"] == "promote"
    assert verdict["rows_gained"] >= 20


def test_without_a_champion_the_student_is_the_first(classifiers: dict[str, NgramClassifier]) -> None:
    scores = run(classifiers, rows(90, 5)).metrics
    assert scores["champion"] is None
    assert scores["verdict"]["decision"] == "first"


def test_every_test_row_has_its_prediction(classifiers: dict[str, NgramClassifier]) -> None:
    test = rows(90, 5)
    predictions = run(classifiers, test).predictions
    pd.testing.assert_frame_equal(predictions[["id", "origin", "label"]], test[["id", "origin", "label"]])
    for name, kind in (("teacher", "teacher"), ("student", "linear")):
        assert predictions[f"{name}_guess"].tolist() == classifiers[kind].pipeline.predict(test["content"]).tolist()
        highest = classifiers[kind].predict_proba(test["content"]).max(axis=1)
        np.testing.assert_allclose(predictions[f"{name}_probability"], highest)


def test_teacher_and_baseline_are_timed_without_their_cache(classifiers: dict[str, NgramClassifier]) -> None:
    run(classifiers, rows(90, 5))
    assert PARAMETERS.latency_rows in classifiers["teacher"].uncached_rows
    assert PARAMETERS.latency_rows in classifiers["baseline"].uncached_rows
    assert classifiers["linear"].uncached_rows == []


def test_labels_that_training_never_had_are_counted(classifiers: dict[str, NgramClassifier]) -> None:
    test = rows(90, 5)
    test.loc[:4, "label"] = "complaint"
    scores = run(classifiers, test).metrics
    assert scores["unseen_labels"] == {"complaint": 5}
    assert scores["student"]["accuracy"] <= 85 / 90


def test_the_same_rows_and_seed_give_the_same_scores(classifiers: dict[str, NgramClassifier]) -> None:
    first, second = (run(classifiers, rows(90, 5)) for _ in range(2))
    pd.testing.assert_frame_equal(first.predictions, second.predictions)
    for name in SCORES:
        assert first.metrics["student"][name] == second.metrics["student"][name]


def test_no_test_rows_is_an_error_that_says_what_to_do(classifiers: dict[str, NgramClassifier]) -> None:
    with pytest.raises(DataError, match=r"ingest\.test"):
        run(classifiers, rows(90, 5).head(0))


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folders of the earlier stages over handwritten digits, each holding what evaluate reads."""
    root = tmp_path_factory.mktemp("stages")
    digits = digit_rows(160)
    training, test = digits.head(100).assign(origin_kind="labelled"), digits.tail(60)
    counts = {"rows_in": 100, "accepted": 100, "quarantined": 0}
    reports = {
        "validate/rows/profile.json": profile_of(training, test).model_dump(mode="json"),
        "validate/drift.json": {"reference": None, "checks": [], "note": None, "problem": None},
        "validate/rows/validation.json": {"tables": {"labelled": counts, "unlabelled": counts}, "reasons": {}},
        "select/gate.json": {
            "pool": {"rows": 9, "gain": 0.1, "standard_error": 0.1, "used": True, "reason": "it helps", "quality": None}
            | {"log_loss_gain": 0.2, "log_loss_standard_error": 0.1}
        },
        "pretrain_transfer/crossvalidation.json": {
            "candidates": [
                {"kind": "linear_probe", "chosen": True, "reason": "there is only one candidate"}
                | dict.fromkeys(["accuracy", "log_loss", "gain", "standard_error"])
            ],
            "backbone": "from scratch",
            "guessed": [],
            "shares": {"head": 1.0},
        },
        "distill/distill.json": {"default": "cnn", "others": [], "agreement": {"cnn": None}, "rows": {"unseen": 0}},
    }
    for name, report in reports.items():
        storage.write_json(report, root / name)
    storage.write_table(test, root / "validate" / "rows" / "test.parquet")
    storage.write_table(training, root / "select" / "training.parquet")
    storage.write_table(digits.head(2).assign(table="unlabelled", reason="repeats"), root / "ingest/set_aside.parquet")
    write_classifiers(training, root)
    return root


def profile_of(training: pd.DataFrame, test: pd.DataFrame) -> profile.Profile:
    return profile.profile({"labelled": training, "unlabelled": training, "test": test}, "image", content, None)


def digit_rows(number: int) -> pd.DataFrame:
    columns = parameters.read("params.yaml").ingest.columns
    table = readers.read(DigitsTable(kind="scikit_learn_digits"), Path(), columns, True, "image")
    return table.head(number).assign(id=[f"{row:032x}" for row in range(number)])


def write_classifiers(training: pd.DataFrame, root: Path) -> None:
    settings = CnnBackbone(kind="cnn", image_size=8, grey=True, channels=4)
    encoder = backbone.load(settings, 1)
    contents, labels = training["content"].tolist(), training["label"].to_numpy(str)
    adapted = Teacher(encoder, probe.fit(embed(encoder, contents, cached=False), labels, 10.0), "linear_probe")
    for name in ("teacher", "baseline"):
        adapted.save(root / "pretrain_transfer" / name, "image", settings, 1)
    probabilities = adapted.predict_proba(contents, cached=False)
    examples = transfer_set(contents, labels.tolist(), contents, probabilities, adapted.classes_, 1.0, 1.0)
    small = {"learning_rate": 0.01, "weight_decay": 0.0, "epochs": 20, "batch_size": 32}
    trained = student.train(CnnStudent(kind="cnn", channels=4, **small), examples, adapted.classes_, encoder, 1)
    save_student(root / "distill" / "student", trained, "cnn", "image", adapted.classes_)


def evaluated(stages: Path, out: Path, champion: Path | None = None) -> Path:
    read = parameters.read("params.yaml").model_copy(update={"modality": "image", "evaluate": PARAMETERS})
    names = ("validate/rows", "validate/drift.json", "select", "pretrain_transfer", "distill")
    main(read, stages / "ingest", champion or empty(out), *(stages / name for name in names), out)
    return out


def empty(out: Path) -> Path:
    """A folder as git keeps it where there is no champion."""
    folder = out.with_name(f"{out.name}_champion")
    folder.mkdir()
    (folder / ".gitignore").write_text("*\n")
    return folder


@pytest.fixture
def champion(stages: Path, tmp_path: Path) -> Path:
    """A champion whose student answers as the challenger's, from other bytes."""
    folder = tmp_path / "champion"
    shutil.copytree(stages / "distill" / "student", folder / "student")
    (folder / "student" / "note.txt").write_text("registered")
    shutil.copy(stages / "validate" / "rows" / "profile.json", folder)
    storage.write_json({"version": "v3", "revision": "0" * 40}, folder / "version.json")
    return folder


def verdict(stages: Path, tmp_path: Path, champion: Path) -> dict[str, Any]:
    scores = storage.read_json(evaluated(stages, tmp_path / "out", champion) / "metrics.json")
    assert scores["champion"]["version"] == "v3"
    return scores["verdict"]


def test_a_stored_champion_that_predicts_the_same_is_no_better(stages: Path, tmp_path: Path, champion: Path) -> None:
    found = verdict(stages, tmp_path, champion)
    assert (found["decision"], found["difference"], found["mcnemar_p"]) == ("promote", 0.0, 1.0)
    for page in ("report.html", "report.md"):
        assert found["reason"] in (tmp_path / "out" / page).read_text(encoding="utf-8").replace("\\", "")


def test_a_champion_of_the_same_bytes_is_kept(stages: Path, tmp_path: Path, champion: Path) -> None:
    (champion / "student" / "note.txt").unlink()
    found = verdict(stages, tmp_path, champion)
    assert found["decision"] == "keep"
    assert "byte for byte" in found["reason"]


def test_other_test_rows_cannot_be_compared_on_and_the_champion_is_scored_all_the_same(
    stages: Path, tmp_path: Path, champion: Path
) -> None:
    training = storage.read_table(stages / "select" / "training.parquet")
    other = profile_of(training, training.head(9))
    storage.write_json(other.model_dump(mode="json"), champion / "profile.json")
    found = verdict(stages, tmp_path, champion)
    assert (found["decision"], found["difference"]) == ("not comparable", None)
    assert "test rows" in found["reason"]
    assert "handful promote" in found["reason"]
    assert storage.read_json(tmp_path / "out" / "metrics.json")["champion"]["accuracy"] > 0.5


def test_a_champion_of_another_modality_is_said_to_be_one(
    stages: Path, tmp_path: Path, champion: Path, text_student: Path
) -> None:
    shutil.rmtree(champion / "student")
    shutil.copytree(text_student, champion / "student")
    found = verdict(stages, tmp_path, champion)
    assert found["decision"] == "not comparable"
    assert found["reason"] == "The champion v3 is for text, and this student for image."


@pytest.mark.parametrize("damage", ["student.json", "model.onnx"])
def test_a_damaged_student_is_no_champion_to_compare_with_and_the_night_goes_on(
    damage: str, stages: Path, tmp_path: Path, champion: Path
) -> None:
    (champion / "student" / damage).write_bytes(b"{")
    found = verdict(stages, tmp_path, champion)
    assert found["decision"] == "not comparable"
    assert damage in found["reason"]


@pytest.mark.parametrize("damage", ["version.json", "profile.json"])
def test_a_folder_that_is_half_a_champion_stops_the_stage(
    damage: str, stages: Path, tmp_path: Path, champion: Path
) -> None:
    (champion / damage).unlink()
    with pytest.raises(DataError, match=rf"{damage}.*remove all but"):
        evaluated(stages, tmp_path / "out", champion)


def test_the_stage_writes_every_output_that_the_graph_names(stages: Path, tmp_path: Path) -> None:
    stage = yaml.safe_load(Path("dvc.yaml").read_text(encoding="utf-8"))["stages"]["evaluate"]
    named = [*stage["outs"], *(next(iter(metrics)) for metrics in stage["metrics"]), *stage["plots"]]
    written = [path.name for path in evaluated(stages, tmp_path).iterdir()]
    assert sorted(written) == sorted(Path(name).name for name in named)


def test_a_second_run_gives_the_same_predictions_and_pictures(stages: Path, tmp_path: Path) -> None:
    first, second = (evaluated(stages, tmp_path / name) for name in ("first", "second"))
    for name in ("predictions.parquet", "confusion.png", "reliability.png"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_the_student_as_stored_is_the_one_that_is_scored(stages: Path, tmp_path: Path) -> None:
    out = evaluated(stages, tmp_path)
    scores, predictions = storage.read_json(out / "metrics.json"), storage.read_table(out / "predictions.parquet")
    assert len(predictions) == 60
    assert scores["student"]["accuracy"] == pytest.approx((predictions["student_guess"] == predictions["label"]).mean())
    assert scores["student"]["accuracy"] > 0.5
    assert "data:image/png;base64," in (out / "report.html").read_text(encoding="utf-8")
