"""The probe is scikit-learn's logistic regression, for two classes as for many."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from handful import probe


def rows(classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = np.array([f"class {row % classes}" for row in range(20 * classes)])
    points = random.normal(0, 1, (len(labels), 6)).astype(np.float32)
    points[np.arange(len(labels)), np.arange(len(labels)) % classes] += 1.5
    return points, labels


@pytest.mark.parametrize("classes", [2, 3, 6])
@pytest.mark.parametrize("weighted", [False, True])
def test_probabilities_are_those_of_scikit_learn(classes: int, weighted: bool) -> None:
    points, labels = rows(classes)
    weights = np.random.default_rng(1).uniform(0.1, 3, len(labels)) if weighted else None
    head = probe.fit(points, labels, 2.0, weights)
    model = LogisticRegression(C=2.0, max_iter=1000).fit(points, labels, sample_weight=weights)
    assert head.classes == tuple(model.classes_)
    unseen, _ = rows(classes, seed=2)
    assert np.allclose(head.predict_proba(unseen), model.predict_proba(unseen), atol=1e-4)


def test_a_row_for_each_class_is_learned_without_a_warning() -> None:
    points, labels = np.eye(30, dtype=np.float32), np.array([f"class {row:02}" for row in range(30)])
    assert probe.fit(points, labels, 100.0).predict(points).tolist() == labels.tolist()


def test_held_out_rows_show_what_is_learned_and_not_what_is_learned_by_heart() -> None:
    points, labels = rows(3)
    by_chance = np.random.default_rng(1).permutation(labels)
    accuracies = [probe.held_out_accuracy(points, each, 100.0, seed=0) for each in (labels, by_chance)]
    assert accuracies[0] > 0.6
    assert accuracies[1] < 0.5
    assert probe.held_out_accuracy(points, labels, 100.0, seed=0) == accuracies[0]


@pytest.mark.parametrize("classes", [2, 5])
def test_there_is_one_row_of_coefficients_per_class_and_rows_sum_to_one(classes: int) -> None:
    points, labels = rows(classes)
    head = probe.fit(points, labels, 1.0)
    assert head.coefficients.shape == (classes, 6)
    assert head.intercept.shape == (classes,)
    assert {head.coefficients.dtype, head.intercept.dtype, head.predict_proba(points).dtype} == {np.dtype(np.float32)}
    assert np.allclose(head.predict_proba(points).sum(axis=1), 1, atol=1e-6)
    assert np.array_equal(head.predict_proba(points).argmax(axis=1), head.logits(points).argmax(axis=1))


def test_a_weight_of_two_is_the_row_given_twice() -> None:
    points, labels = rows(3)
    weights = np.ones(len(labels))
    weights[:10] = 2
    twice = np.concatenate([np.arange(len(labels)), np.arange(10)])
    weighted, repeated = probe.fit(points, labels, 1.0, weights), probe.fit(points[twice], labels[twice], 1.0)
    assert np.allclose(weighted.predict_proba(points), repeated.predict_proba(points), atol=1e-4)


def test_less_regularisation_is_surer() -> None:
    points, labels = rows(3)
    sureness = [probe.fit(points, labels, c).predict_proba(points).max(axis=1).mean() for c in (0.01, 1.0, 100.0)]
    assert sureness == sorted(sureness)


def test_logits_of_any_size_give_probabilities() -> None:
    head = probe.Head(("a", "b"), np.array([[1e4], [-1e4]], np.float32), np.zeros(2, np.float32))
    assert head.predict_proba(np.array([[1.0], [-1.0]], np.float32)).tolist() == [[1, 0], [0, 1]]


def test_a_saved_head_comes_back_to_the_last_bit(tmp_path: Path) -> None:
    head = probe.fit(*rows(2), 1.0)
    head.save(tmp_path / "head.safetensors")
    loaded = probe.load_head(tmp_path / "head.safetensors", head.classes)
    assert loaded.classes == head.classes
    assert np.array_equal(loaded.coefficients, head.coefficients)
    assert np.array_equal(loaded.intercept, head.intercept)
