"""The evaluate stage scores real classifiers through their contract alone, and loses no row."""

import json
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

from handful import parameters, probe, readers, storage
from handful.distillation import save_student, transfer_set
from handful.embedding import embed
from handful.errors import DataError
from handful.image import backbone, student
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
COSTS = {"rows_per_second", "milliseconds_per_row", "size_bytes"}


class NgramClassifier:
    """A small real classifier with the contract of a teacher; remembers how often it was asked past its cache."""

    def __init__(self, rows: pd.DataFrame, analyzer: str) -> None:
        self.pipeline: Pipeline = make_pipeline(TfidfVectorizer(analyzer=analyzer), LogisticRegression())
        self.pipeline.fit(rows["content"], rows["label"])
        self.classes_ = [str(name) for name in self.pipeline.classes_]
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


def run(classifiers: dict[str, NgramClassifier], test: pd.DataFrame) -> Evaluation:
    students = {kind: classifiers[kind] for kind in ("linear", "shallow_transformer")}
    return evaluate(test, classifiers["teacher"], students, classifiers["baseline"], PARAMETERS, seed=20)


def test_each_classifier_has_its_record(classifiers: dict[str, NgramClassifier]) -> None:
    scores = run(classifiers, rows(90, 5)).metrics
    assert (scores["classes"], scores["rows"]) == (3, 90)
    assert set(scores["teacher"]) == set(scores["baseline"]) == SCORES | COSTS
    assert set(scores["student"]) == SCORES | COSTS | {"kind"}
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
        "validate/validation.json": {"tables": {"labelled": counts, "unlabelled": counts}, "reasons": {}},
        "select/gate.json": {
            "pool": {"rows": 9, "gain": 0.1, "standard_error": 0.1, "used": True, "reason": "it helps", "quality": None}
            | {"log_loss_gain": 0.2, "log_loss_standard_error": 0.1}
        },
        "pretrain_transfer/crossvalidation.json": {"candidates": [], "backbone": "from scratch"},
        "distill/distill.json": {"default": "cnn", "others": []},
    }
    for name, report in reports.items():
        storage.write_json(report, root / name)
    storage.write_table(test, root / "validate" / "test.parquet")
    storage.write_table(training, root / "select" / "training.parquet")
    storage.write_table(digits.head(2).assign(table="unlabelled", reason="repeats"), root / "ingest/set_aside.parquet")
    write_classifiers(training, root)
    return root


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


def evaluated(stages: Path, out: Path) -> Path:
    read = parameters.read("params.yaml").model_copy(update={"modality": "image", "evaluate": PARAMETERS})
    folders = (stages / name for name in ("ingest", "validate", "select", "pretrain_transfer", "distill"))
    main(read, *folders, out)
    return out


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
