"""Scores against hand-computed values and scikit-learn; intervals against what a bootstrap promises."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    f1_score,
    matthews_corrcoef,
    precision_recall_fscore_support,
)

from handful import metrics
from handful.parameters.learning import Evaluate

CLASSES = ["a", "b", "c"]


def parameters(**changes: float) -> Evaluate:
    kept = {"bootstrap_samples": 400, "confidence_level": 0.9, "calibration_bins": 10, "latency_rows": 1}
    return Evaluate.model_validate({**kept, **changes, "promotion": {"tolerance": 0.0}})


def one_hot(guesses: str, confidence: float = 1.0) -> np.ndarray:
    """Probabilities that give each guess, a letter, this confidence and share out the rest."""
    rest = (1 - confidence) / (len(CLASSES) - 1)
    return np.array([[confidence if name == guess else rest for name in CLASSES] for guess in guesses])


def test_scores_are_those_computed_by_hand() -> None:
    # Recall a 2/2, b 1/2, c 1/1; F1 a 4/5, b 2/3, c 1. For Matthews: rows per label 2, 2, 1, guesses 3, 1, 1.
    scores = metrics.score(list("aabbc"), one_hot("aabac"), CLASSES, parameters(), seed=0)
    assert scores["accuracy"] == pytest.approx(4 / 5)
    assert scores["macro_recall"] == pytest.approx((1 + 1 / 2 + 1) / 3)
    assert scores["macro_f1"] == pytest.approx((4 / 5 + 2 / 3 + 1) / 3)
    assert scores["mcc"] == pytest.approx((4 * 5 - (2 * 3 + 2 * 1 + 1 * 1)) / np.sqrt((25 - 9) * (25 - 11)))


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("abc")), min_size=2, max_size=40))
def test_scores_agree_with_scikit_learn(rows: list[tuple[str, str]]) -> None:
    truth, guesses = [true for true, _ in rows], [guess for _, guess in rows]
    scores = metrics.score(truth, one_hot("".join(guesses)), CLASSES, parameters(bootstrap_samples=100), seed=0)
    assert scores["accuracy"] == pytest.approx(accuracy_score(truth, guesses))
    assert scores["macro_f1"] == pytest.approx(f1_score(truth, guesses, average="macro", zero_division=0))
    one_label = len({*truth, *guesses}) == 1  # scikit-learn warns
    assert scores["mcc"] == pytest.approx(0 if one_label else matthews_corrcoef(truth, guesses))
    recalls = [np.mean([guess == name for true, guess in rows if true == name]) for name in sorted(set(truth))]
    assert scores["macro_recall"] == pytest.approx(np.mean(recalls))
    if set(guesses) <= set(truth) and not one_label:  # scikit-learn warns otherwise
        assert scores["macro_recall"] == pytest.approx(balanced_accuracy_score(truth, guesses))


def test_the_table_per_class_agrees_with_scikit_learn() -> None:
    truth, guesses = list("aaabbbccab"), list("aabbbaccab")
    table = metrics.per_class(metrics.confusion(truth, guesses, CLASSES), CLASSES)
    expected = precision_recall_fscore_support(truth, guesses, labels=CLASSES)
    for column, values in zip(("precision", "recall", "f1", "support"), expected, strict=True):
        assert [row[column] for row in table] == pytest.approx(list(values))


def test_a_label_that_training_never_had_is_counted_as_an_error() -> None:
    scores = metrics.score(["a", "a", "new"], one_hot("aab"), CLASSES, parameters(), seed=0)
    assert scores["accuracy"] == pytest.approx(2 / 3)
    assert scores["macro_recall"] == pytest.approx((1 + 0) / 2)
    assert metrics.labels(["a", "new", "newer"], CLASSES) == ["a", "b", "c", "new", "newer"]


def test_calibration_error_is_the_gap_weighted_by_rows() -> None:
    # Three rows at 0.7, two of them right; two at 0.9, none right: (3 * |2/3 - 0.7| + 2 * 0.9) / 5.
    probabilities = np.concatenate([one_hot("aab", 0.7), one_hot("cc", 0.9)])
    scores = metrics.score(list("aacaa"), probabilities, CLASSES, parameters(), seed=0)
    assert scores["calibration_error"] == pytest.approx((3 * abs(2 / 3 - 0.7) + 2 * 0.9) / 5)


def test_a_confidence_on_the_edge_belongs_to_the_bin_below() -> None:
    bins = metrics.calibration_bins(np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([True, True]), 4)
    assert [place["rows"] for place in bins] == [0, 1, 0, 1]


def test_guessing_one_class_alone_has_no_correlation() -> None:
    scores = metrics.score(list("abcabc"), one_hot("aaaaaa"), CLASSES, parameters(), seed=0)
    assert scores["mcc"] == 0.0


def test_the_interval_covers_the_true_accuracy_as_often_as_it_says() -> None:
    generator, covered = np.random.default_rng(5), []
    for seed in range(300):
        right = generator.random(150) < 0.8
        guesses = "".join("a" if one else "b" for one in right)
        low, high = metrics.score(["a"] * 150, one_hot(guesses), CLASSES, parameters(), seed)["intervals"]["accuracy"]
        covered.append(low <= 0.8 <= high)
    assert 0.84 <= np.mean(covered) <= 0.95


def test_drawing_cells_is_drawing_rows() -> None:
    generator = np.random.default_rng(6)
    truth = generator.choice(CLASSES, 200, p=[0.7, 0.2, 0.1])
    guesses = np.where(generator.random(200) < 0.7, truth, generator.choice(CLASSES, 200))
    drawn = [generator.integers(0, 200, 200) for _ in range(1500)]
    by_rows = [f1_score(truth[rows], guesses[rows], average="macro", zero_division=0) for rows in drawn]
    counts = metrics.confusion(truth.tolist(), guesses, CLASSES)
    by_cells = metrics.intervals(counts, parameters(bootstrap_samples=1500), seed=7)["macro_f1"]
    assert by_cells == pytest.approx(np.quantile(by_rows, [0.05, 0.95]), abs=0.015)


@given(st.lists(st.tuples(*[st.integers(0, 4)] * 2), min_size=1, max_size=12, unique=True), st.integers(0, 9))
def test_scores_of_counted_cells_are_those_of_each_sample_counted_as_a_matrix(
    cells: list[tuple[int, int]], seed: int
) -> None:
    true, guessed = np.array(cells).T
    counts = metrics.resampled(np.arange(1, len(cells) + 1), 7, seed)
    matrices = np.zeros((7, 5, 5), np.int64)
    matrices[:, true, guessed] = counts
    margins = matrices.diagonal(axis1=1, axis2=2), matrices.sum(axis=2), matrices.sum(axis=1)
    expected = metrics._scores(*margins)
    for name, values in metrics.scores_of_cells(counts, true, guessed, 5).items():
        assert np.array_equal(values, expected[name])


def test_the_same_seed_gives_the_same_interval_and_another_seed_another() -> None:
    truth, probabilities = list("aabbc" * 9), one_hot("aabac" * 9)
    first, again, other = (metrics.score(truth, probabilities, CLASSES, parameters(), seed) for seed in (1, 1, 2))
    assert first == again
    assert first["intervals"] != other["intervals"]
