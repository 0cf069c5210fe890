"""Choosing few rows out of many."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handful import selection

ROOT = Path(__file__).parents[1]


def unit(rows: int, seed: int) -> np.ndarray:
    points = np.random.default_rng(seed).normal(size=(rows, 5)).astype(np.float32)
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def coverage(embeddings: np.ndarray, chosen: np.ndarray) -> float:
    return float(np.maximum((embeddings @ embeddings[chosen].T).max(axis=1), 0).sum())


@given(
    rows=st.integers(0, 30),
    count=st.integers(1, 40),
    seed=st.integers(0, 5),
    kind=st.sampled_from(sorted(selection.CHOICES)),
)
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


def test_the_best_of_every_class_are_taken_by_their_scores() -> None:
    labels = np.array(["b", "a", "b", "a", "b", "a"])
    scores = np.array([0.1, 0.9, 0.7, 0.2, 0.5, 0.4], np.float32)
    assert selection.best_per_class(scores, labels, 2).tolist() == [1, 2, 4, 5]
    assert selection.best_per_class(scores, labels, 9).tolist() == [0, 1, 2, 3, 4, 5]


def test_source_rows_like_the_target_have_the_higher_density_ratio() -> None:
    shift = np.array([4, 0, 0, 0, 0])
    near, far = unit(40, 0) + shift, unit(40, 1) - shift
    ratio = selection.density_ratio(np.concatenate([near, far]), unit(60, 2) + shift)
    assert ratio[:40].min() > ratio[40:].max()
    assert 0 < ratio.min() < ratio.max() < 2


def test_a_source_drawn_like_the_target_has_density_ratios_about_one() -> None:
    ratio = selection.density_ratio(unit(400, 0), unit(100, 1))
    assert ratio.mean() == pytest.approx(1, abs=0.05)


def test_facility_location_over_many_rows_needs_no_square_of_memory() -> None:
    code = (
        "import resource, numpy as np; from handful import selection;"
        "points = np.random.default_rng(0).normal(size=(20000, 32)).astype(np.float32);"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss;"
        "selection.facility_location(points, 20, 0);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    # The similarities of all pairs would be 1,600 MB; ru_maxrss counts in kB.
    assert int(done.stdout) < 200_000
