"""Choosing few rows out of many."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handful import selection


def unit(rows: int, seed: int) -> np.ndarray:
    points = np.random.default_rng(seed).normal(size=(rows, 5)).astype(np.float32)
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def coverage(embeddings: np.ndarray, chosen: np.ndarray) -> float:
    return float(np.maximum((embeddings @ embeddings[chosen].T).max(axis=1), 0).sum())


@given(rows=st.integers(0, 30), count=st.integers(1, 40), seed=st.integers(0, 5), kind=st.sampled_from(sorted(selection.CHOICES)))
def test_a_choice_is_of_distinct_rows_and_no_more_than_wanted(rows: int, count: int, seed: int, kind: str) -> None:
    chosen = selection.CHOICES[kind](unit(rows, seed), count, seed)
    assert len(chosen) == min(rows, count) == len(set(chosen.tolist()))


@pytest.mark.parametrize("seed", range(5))
def test_lazy_facility_location_equals_the_plain_greedy_choice(seed: int) -> None:
    embeddings = unit(40, seed)
    plain: list[int] = []
    for _ in range(6):
        gains = [-1.0 if row in plain else coverage(embeddings, np.array([*plain, row])) for row in range(40)]
        plain.append(int(np.argmax(gains)))
    assert selection.facility_location(embeddings, 6, 0).tolist() == plain


def test_facility_location_covers_more_than_a_random_choice() -> None:
    embeddings = unit(200, 1)
    best = coverage(embeddings, selection.facility_location(embeddings, 8, 0))
    assert all(best > coverage(embeddings, selection.random(embeddings, 8, seed)) for seed in range(20))


def test_farthest_point_takes_one_row_of_every_far_cluster() -> None:
    centres = np.eye(5, dtype=np.float32)
    embeddings = np.concatenate([centre + 0.01 * unit(10, number) for number, centre in enumerate(centres)])
    chosen = selection.farthest_point(embeddings, 5, 0)
    assert {row // 10 for row in chosen.tolist()} == set(range(5))


def test_a_choice_per_class_keeps_the_classes_in_balance() -> None:
    labels = np.repeat(["rare", "common"], [3, 40])
    chosen = selection.per_class("facility_location", unit(43, 0), labels, 5, 0)
    assert (labels[chosen] == "rare").sum() == 3
    assert (labels[chosen] == "common").sum() == 5


def test_rare_classes_weigh_more_and_the_mean_stays_one() -> None:
    weights = selection.balanced_weights(np.repeat(["rare", "common"], [4, 16]))
    assert weights.mean() == pytest.approx(1)
    assert weights[0] / weights[-1] == pytest.approx(2)


def test_only_confident_guesses_are_taken_and_equally_many_per_class() -> None:
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.55, 0.45], [0.1, 0.9]])
    rows, classes = selection.confident(probabilities, count=1, minimum=0.7)
    assert rows.tolist() == [0, 3]
    assert classes.tolist() == [0, 1]


def test_the_rows_to_label_next_are_uncertain_ones() -> None:
    probabilities = np.full((100, 2), 0.5)
    probabilities[10:] = [0.99, 0.01]
    chosen = selection.most_informative(unit(100, 0), probabilities, 1)
    assert chosen[0] < 10
