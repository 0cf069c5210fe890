"""A new row is judged against the class that it claims."""

import numpy as np
import pytest

from handful import probe, quality

RANDOM = np.random.default_rng(0)
LABELS = np.repeat(["a", "b", "c"], 30)
# Class means are the corners of a triangle; the second axis is ten times as wide as the first.
MEANS = {"a": (0.0, 0.0), "b": (6.0, 0.0), "c": (3.0, 60.0)}
KNOWN = (RANDOM.normal(0, (0.3, 3.0), (90, 2)) + [MEANS[label] for label in LABELS]).astype(np.float32)
HEAD = probe.fit(KNOWN, LABELS, 1.0)


def judge(points: list[tuple[float, float]], labels: list[str]) -> dict[str, np.ndarray]:
    table = quality.judge(KNOWN, LABELS, np.array(points, np.float32), np.array(labels), HEAD)
    assert list(table.columns) == ["distance", "likelihood", "quality"]
    assert set(table.dtypes) == {np.dtype(np.float32)}
    return {name: table[name].to_numpy() for name in table.columns}


def test_the_distance_is_euclidean_to_the_mean_of_the_claimed_class() -> None:
    points, labels = [(1.0, 2.0), (1.0, 2.0), (5.0, 50.0)], ["a", "b", "c"]
    expected = [
        np.linalg.norm(point - KNOWN[label == LABELS].mean(axis=0)) for point, label in zip(points, labels, strict=True)
    ]
    assert judge(points, labels)["distance"] == pytest.approx(expected, rel=1e-4)


def test_the_quality_is_what_the_probe_gives_the_claimed_class() -> None:
    points, labels = [(0.0, 0.0), (0.0, 0.0), (6.0, 1.0)], ["b", "a", "b"]
    probabilities = HEAD.predict_proba(np.array(points, np.float32))
    found = judge(points, labels)["quality"]
    assert found == pytest.approx(probabilities[[0, 1, 2], [1, 0, 1]])
    assert found[1] > 0.9 > 0.1 > found[0]


def test_a_step_along_the_wide_axis_is_likelier_than_one_along_the_narrow() -> None:
    first, second = KNOWN[LABELS == "a"].mean(axis=0)
    found = judge([(first, second + 2), (first + 2, second)], ["a", "a"])
    assert found["distance"] == pytest.approx([2, 2], rel=1e-4)
    assert found["likelihood"][0] > found["likelihood"][1]


def test_the_likelihood_is_highest_at_the_mean_and_falls_with_the_square() -> None:
    first, second = KNOWN[LABELS == "a"].mean(axis=0)
    found = judge([(first, second), (first + 1, second), (first + 2, second)], ["a"] * 3)["likelihood"]
    assert found[0] == pytest.approx(0, abs=1e-6)
    assert found[2] == pytest.approx(4 * found[1], rel=1e-3)
    assert found[1] < 0


def test_more_dimensions_than_rows_are_no_obstacle() -> None:
    known = RANDOM.normal(0, 1, (6, 384)).astype(np.float32)
    labels = np.repeat(["a", "b"], 3)
    table = quality.judge(known, labels, known[::2], labels[::2], probe.fit(known, labels, 1.0))
    assert np.isfinite(table.to_numpy()).all()


def test_no_new_rows_give_an_empty_table_with_the_same_columns() -> None:
    table = quality.judge(KNOWN, LABELS, np.empty((0, 2), np.float32), np.array([], str), HEAD)
    assert list(table.columns) == ["distance", "likelihood", "quality"]
    assert table.empty
