"""Folds over labelled rows, and whether one way beats another."""

import numpy as np
import pytest

from handful import crossvalidation
from handful.gate import Exam, Gate, Offer, Rows, log_losses


def test_every_row_is_held_out_once_per_repeat_and_every_class_is_always_learned() -> None:
    labels = np.repeat(["a", "b", "c"], [5, 9, 3])
    folds = crossvalidation.splits(labels, folds=4, repeats=2, seed=1)
    held = np.concatenate([held for _, held in folds])
    assert np.bincount(held).tolist() == [2] * len(labels)
    for training, held_out in folds:
        assert set(labels[training]) == {"a", "b", "c"}
        assert not set(training) & set(held_out)


def test_a_class_of_two_rows_still_gives_folds() -> None:
    labels = np.repeat(["a", "b"], [2, 30])
    assert len(crossvalidation.splits(labels, folds=5, repeats=1, seed=0)) == 2


def test_a_gain_needs_more_than_its_uncertainty() -> None:
    reference = np.zeros(100)
    clear, lucky = reference.copy(), reference.copy()
    clear[:30] = 1
    lucky[0] = 1
    assert crossvalidation.paired_gain(clear, reference).clears(2.0)
    assert not crossvalidation.paired_gain(lucky, reference).clears(2.0)
    assert not crossvalidation.paired_gain(reference, reference).clears(0.0)


def cluster(label: int, count: int, spread: float, seed: int) -> np.ndarray:
    points = np.random.default_rng(seed).normal(0, spread, (count, 8)).astype(np.float32)
    points[:, label] += 1
    return points / np.linalg.norm(points, axis=1, keepdims=True)


@pytest.fixture
def gate() -> Gate:
    labels = np.repeat(["a", "b"], 6)
    rows = Rows(np.concatenate([cluster(0, 6, 0.8, 1), cluster(1, 6, 0.8, 2)]), labels, np.ones(12))
    return Gate(rows, crossvalidation.splits(labels, 3, 3, 0), inverse_regularisation=10.0, minimum_gain=0.5)


def offer(wrong: bool) -> Offer:
    rows = Rows(
        np.concatenate([cluster(0, 200, 0.3, 3), cluster(1, 200, 0.3, 4)]), np.repeat(["a", "b"], 200), np.ones(400)
    )
    if wrong:
        rows = Rows(rows.embeddings, rows.labels[::-1], rows.weights)
    return Offer("more", 400, lambda training: rows, lambda training: None)  # type: ignore[arg-type, return-value]


def test_the_gate_lets_in_rows_that_help(gate: Gate) -> None:
    verdict = gate.judge(offer(wrong=False))
    assert verdict["used"]
    assert verdict["gain"] > 0
    assert len(gate.accepted) == 1


def test_the_gate_keeps_out_rows_with_wrong_labels(gate: Gate) -> None:
    verdict = gate.judge(offer(wrong=True))
    assert not verdict["used"]
    assert gate.accepted == []


def test_an_offer_without_rows_is_not_used(gate: Gate) -> None:
    nothing = Offer("none", 0, lambda training: None, lambda training: None)  # type: ignore[arg-type, return-value]
    assert not gate.judge(nothing)["used"]


def test_the_verdict_holds_accuracy_and_log_loss_with_their_errors(gate: Gate) -> None:
    verdict = gate.judge(offer(wrong=False))
    assert verdict["log_loss_gain"] > 0
    assert verdict["log_loss_standard_error"] > 0
    assert "log loss fell" in verdict["reason"]


def test_what_was_accepted_is_the_standard_for_the_next_offer(gate: Gate) -> None:
    before = gate.examined()
    first = gate.judge(offer(wrong=False))
    assert gate.examined().log_loss.mean() == pytest.approx(before.log_loss.mean() - first["log_loss_gain"])
    # The same rows again change next to nothing.
    assert gate.judge(offer(wrong=False))["log_loss_gain"] < 0.1 * first["log_loss_gain"]


def test_surer_probabilities_alone_are_no_gain() -> None:
    random = np.random.default_rng(0)
    truth = random.integers(3, size=200)
    logits = random.normal(size=(200, 3)) + 2 * np.eye(3)[truth]
    assert log_losses(logits, truth).mean() == pytest.approx(log_losses(7 * logits, truth).mean(), rel=1e-3)
    better = logits + np.eye(3)[truth]
    assert log_losses(better, truth).mean() < log_losses(logits, truth).mean()


def test_copies_of_the_labelled_rows_are_no_gain(gate: Gate) -> None:
    copies = Offer("copies", 12, gate.labelled.take, lambda training: None)  # type: ignore[arg-type, return-value]
    assert abs(gate.judge(copies)["log_loss_gain"]) < 0.05


def test_an_offer_that_costs_accuracy_is_refused_however_far_log_loss_falls(gate: Gate) -> None:
    # What stands is never wrong, but so unsure that any head has a lower log loss.
    gate.standing = Exam(np.ones(12), np.linspace(9, 10, 12), gate.examined().heads)
    verdict = gate.judge(offer(wrong=True))
    assert verdict["log_loss_gain"] > 0
    assert verdict["gain"] < 0
    assert not verdict["used"]
