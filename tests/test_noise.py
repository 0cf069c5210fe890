"""Labels that look wrong are found, pruned fold by fold, and used only where that helps."""

import numpy as np
import pytest

from handful import crossvalidation
from handful.gate import Gate, Rows
from handful.noise import pruner, suspects

pytest.importorskip("cleanlab", reason="pruning needs handful[noise]")


def rows(per_class: int, wrong: int, seed: int) -> tuple[Rows, np.ndarray]:
    """Three clusters of unit vectors; the first `wrong` rows of the first are labelled as the second."""
    random = np.random.default_rng(seed)
    truth = np.repeat(["a", "b", "c"], per_class)
    points = 0.25 * random.normal(size=(3 * per_class, 12))
    points[np.arange(len(truth)), np.repeat(np.arange(3), per_class)] += 1
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    labels = truth.copy()
    labels[:wrong] = "b"
    return Rows(points.astype(np.float32), labels, np.ones(len(truth))), truth


def test_rows_with_another_classs_label_are_suspected_first() -> None:
    known, truth = rows(20, 4, 3)
    found = suspects(known.embeddings, known.labels, 10.0, 4, 0)
    assert 3 <= len(found) < 8
    assert set(found.tolist()[:3]) <= set(np.flatnonzero(known.labels != truth).tolist())


def test_nobody_is_suspected_where_all_labels_are_right() -> None:
    known, _ = rows(12, 0, 0)
    assert len(suspects(known.embeddings, known.labels, 10.0, 4, 0)) == 0


@pytest.mark.parametrize("seed", range(4))
def test_every_class_keeps_two_rows(seed: int) -> None:
    random = np.random.default_rng(seed)
    labels = np.repeat(["a", "b", "c"], [2, 3, 9])
    points = random.normal(size=(14, 4)).astype(np.float32)
    left = np.delete(labels, suspects(points, labels, 10.0, 4, 0))
    assert np.unique(left, return_counts=True)[1].min() >= 2


def test_where_a_class_has_one_row_nobody_is_suspected() -> None:
    points = np.eye(4, dtype=np.float32)
    assert len(suspects(points, np.array(["a", "b", "b", "b"]), 10.0, 4, 0)) == 0


def test_pruning_looks_at_nothing_but_the_rows_that_may_be_learned_from() -> None:
    known, _ = rows(12, 3, 0)
    training = np.arange(2, 30)
    elsewhere = known.embeddings.copy()
    elsewhere[:2] *= -1
    elsewhere[30:] *= -1
    kept = pruner(known, 10.0, 4, 0)(training)
    assert set(kept) < set(training)
    assert kept.tolist() == pruner(Rows(elsewhere, known.labels, known.weights), 10.0, 4, 0)(training).tolist()


def gate_over(known: Rows) -> Gate:
    return Gate(known, crossvalidation.splits(known.labels, 4, 3, 0), inverse_regularisation=10.0, minimum_gain=0.5)


def test_pruning_is_used_where_wrong_labels_do_harm_and_the_rows_leave() -> None:
    known, truth = rows(20, 4, 3)
    gate = gate_over(known)
    verdict = gate.judge_pruning(pruner(known, 10.0, 4, 0))
    assert verdict["used"]
    kept = gate.believed(np.arange(len(known)))
    assert verdict["rows"] == len(known) - len(kept)
    assert (known.labels == truth)[kept].mean() > (known.labels == truth).mean()


def test_pruning_of_right_labels_is_refused() -> None:
    known, _ = rows(12, 0, 1)
    gate = gate_over(known)

    def two_of_each(training: np.ndarray) -> np.ndarray:
        return np.concatenate([training[known.labels[training] == label][:2] for label in "abc"])

    verdict = gate.judge_pruning(two_of_each)
    assert (verdict["rows"], verdict["used"]) == (30, False)
    assert gate.believed(np.arange(36)).tolist() == list(range(36))


def test_without_suspects_there_is_nothing_to_prune() -> None:
    known, _ = rows(12, 0, 0)
    verdict = gate_over(known).judge_pruning(lambda training: training)
    assert (verdict["rows"], verdict["used"]) == (0, False)
