"""What a student learns from, and the folder that it is kept in."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handful.distillation import Trained, save_student, transfer_set
from handful.training import Examples

CLASSES = ["a", "b", "c"]
POOL = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.05, 0.9, 0.05], [0.4, 0.3, 0.3]], np.float32)


def examples(labelled: int = 2, pool: int = 4, temperature: float = 1.0, pool_weight: float = 1.0) -> Examples:
    labels = ["c", "a", "b"] * labelled
    contents = [f"labelled {row}" for row in range(labelled)]
    probabilities = np.tile(POOL, (pool // 4 + 1, 1))[:pool]
    return transfer_set(
        contents,
        labels[:labelled],
        [f"pool {row}" for row in range(pool)],
        probabilities,
        CLASSES,
        temperature,
        pool_weight,
    )


@given(st.integers(1, 9), st.integers(1, 30), st.floats(0, 20))
def test_the_weighted_mean_is_the_labelled_loss_plus_the_weighted_loss_of_the_pool(
    labelled: int, pool: int, pool_weight: float
) -> None:
    rows = examples(labelled, pool, pool_weight=pool_weight)
    losses = np.random.default_rng(labelled).uniform(0, 5, len(rows))
    expected = (losses[:labelled].mean() + pool_weight * losses[labelled:].mean()) / (1 + pool_weight)
    assert np.average(losses, weights=rows.weights) == pytest.approx(expected, rel=1e-5)
    assert rows.weights.mean() == pytest.approx(1, rel=1e-5)


def test_labelled_rows_come_first_with_hard_targets_and_the_pool_with_the_teachers() -> None:
    rows = examples(labelled=2, pool=4)
    assert list(rows.contents) == ["labelled 0", "labelled 1", "pool 0", "pool 1", "pool 2", "pool 3"]
    assert rows.targets[:2].tolist() == [[0, 0, 1], [1, 0, 0]]
    assert np.allclose(rows.targets[2:], POOL, atol=1e-6)
    assert (rows.targets.dtype, rows.weights.dtype) == (np.dtype(np.float32), np.dtype(np.float32))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0, 10.0])
def test_a_temperature_divides_the_teachers_logits(temperature: float) -> None:
    logits = np.log(POOL) / temperature
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert np.allclose(examples(temperature=temperature).targets[2:], expected, atol=1e-6)


def test_a_higher_temperature_is_less_sure_and_keeps_the_order() -> None:
    cold, hot = (examples(temperature=temperature).targets[2:] for temperature in (1.0, 5.0))
    assert (hot.max(axis=1) < cold.max(axis=1)).all()
    assert np.array_equal(hot.argmax(axis=1), cold.argmax(axis=1))


def test_impossible_stays_impossible_and_nothing_becomes_nan() -> None:
    sure = np.array([[1, 0, 0]], np.float32)
    rows = transfer_set(["x"], ["b"], ["y"], sure, CLASSES, 3.0, 1.0)
    assert rows.targets[1].tolist() == [1, 0, 0]


def test_a_temperature_near_nothing_leaves_the_likeliest_class() -> None:
    doubtful = np.array([[0.4, 0.35, 0.25]], np.float32)
    rows = transfer_set(["x"], ["b"], ["y"], doubtful, CLASSES, 0.001, 1.0)
    assert rows.targets[1].tolist() == [1, 0, 0]


def test_without_a_pool_the_labelled_rows_count_alike() -> None:
    rows = transfer_set(["x", "y"], ["a", "b"], [], np.empty((0, 3), np.float32), CLASSES, 2.0, 4.0)
    assert rows.targets.shape == (2, 3)
    assert rows.weights.tolist() == [1, 1]


def test_a_students_folder_holds_its_files_and_what_they_are(tmp_path: Path) -> None:
    trained = Trained({"model.onnx": b"graph", "tokenizer.json": b"{}"}, {"ngrams": 3})
    save_student(tmp_path / "deep" / "student", trained, "linear", "text", CLASSES)
    folder = tmp_path / "deep" / "student"
    assert sorted(file.name for file in folder.iterdir()) == ["model.onnx", "student.json", "tokenizer.json"]
    assert (folder / "model.onnx").read_bytes() == b"graph"
    assert json.loads((folder / "student.json").read_text(encoding="utf-8")) == {
        "format": 3,
        "modality": "text",
        "kind": "linear",
        "classes": CLASSES,
        "features": {"ngrams": 3},
        "temperature": 1.0,
        "threshold": 0.0,
    }
