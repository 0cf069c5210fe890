"""A new row is judged against the class that it claims, and against the rows that are there."""

import numpy as np
import pandas as pd
import pytest
from sklearn.covariance import LedoitWolf

from handful import probe, quality

RANDOM = np.random.default_rng(0)
LABELS = np.repeat(["a", "b", "c"], 30)
# Class means are the corners of a triangle; the second axis is ten times as wide as the first.
MEANS = {"a": (0.0, 0.0), "b": (6.0, 0.0), "c": (3.0, 60.0)}
KNOWN = (RANDOM.normal(0, (0.3, 3.0), (90, 2)) + [MEANS[label] for label in LABELS]).astype(np.float32)
HEAD = probe.fit(KNOWN, LABELS, 1.0)
COLUMNS = ["euclidean", "mahalanobis", "likelihood", "diversity", "quality"]


def judge(
    points: list[tuple[float, float]] | np.ndarray, labels: list[str], kind: str = "likelihood"
) -> dict[str, np.ndarray]:
    table = quality.judge(KNOWN, LABELS, np.array(points, np.float32), np.array(labels), HEAD, kind)
    assert list(table.columns) == COLUMNS
    assert set(table.dtypes) == {np.dtype(np.float32)}
    return {name: table[name].to_numpy() for name in table.columns}


def test_the_distance_is_euclidean_to_the_mean_of_the_claimed_class() -> None:
    points, labels = [(1.0, 2.0), (1.0, 2.0), (5.0, 50.0)], ["a", "b", "c"]
    expected = [
        np.linalg.norm(point - KNOWN[label == LABELS].mean(axis=0)) for point, label in zip(points, labels, strict=True)
    ]
    assert judge(points, labels)["euclidean"] == pytest.approx(expected, rel=1e-4)


def test_the_mahalanobis_distance_is_that_under_the_shrunk_covariance_of_all_classes() -> None:
    centred = KNOWN - np.stack([KNOWN[label == LABELS].mean(axis=0) for label in LABELS])
    model = LedoitWolf(assume_centered=True).fit(centred)
    offset = np.array([(1.0, 2.0), (-2.0, 4.0)]) - KNOWN[LABELS == "a"].mean(axis=0)
    found = judge([(1.0, 2.0), (-2.0, 4.0)], ["a", "a"])["mahalanobis"]
    assert found**2 == pytest.approx(model.mahalanobis(offset), rel=1e-4)


def test_a_step_along_the_wide_axis_is_shorter_than_one_along_the_narrow() -> None:
    first, second = KNOWN[LABELS == "a"].mean(axis=0)
    found = judge([(first, second + 2), (first + 2, second)], ["a", "a"])
    assert found["euclidean"] == pytest.approx([2, 2], rel=1e-4)
    assert found["mahalanobis"][0] < found["mahalanobis"][1]


def test_the_likelihood_is_what_the_probe_gives_the_claimed_class() -> None:
    points, labels = [(0.0, 0.0), (0.0, 0.0), (6.0, 1.0)], ["b", "a", "b"]
    probabilities = HEAD.predict_proba(np.array(points, np.float32))
    found = judge(points, labels)["likelihood"]
    assert found == pytest.approx(probabilities[[0, 1, 2], [1, 0, 1]])
    assert found[1] > 0.9 > 0.1 > found[0]


@pytest.mark.parametrize("kind", ["euclidean", "mahalanobis", "likelihood"])
def test_the_quality_is_the_measure_that_was_asked_for_and_the_better_row_has_more(kind: str) -> None:
    middle = KNOWN[LABELS == "a"].mean(axis=0)
    found = judge(np.stack([middle, middle + 5]), ["a", "a"], kind)
    assert found["quality"] == pytest.approx(found[kind] if kind == "likelihood" else -found[kind])
    assert found["quality"][0] > found["quality"][1]


def test_a_copy_of_a_row_of_its_class_has_no_diversity() -> None:
    copied, other_class, far = KNOWN[LABELS == "a"][3], KNOWN[LABELS == "b"][5], np.array([-40.0, 0.0])
    found = judge(np.stack([copied, other_class, far]), ["a", "a", "a"])["diversity"]
    assert found[0] == pytest.approx(0, abs=1e-3)
    assert found[1] > 0.1
    assert found[2] == pytest.approx(np.linalg.norm(KNOWN[LABELS == "a"] - far, axis=1).min(), rel=1e-3)


def test_two_new_rows_of_a_class_that_are_alike_have_no_diversity() -> None:
    far = (-40.0, 0.0)
    assert judge([far, far], ["a", "a"])["diversity"] == pytest.approx([0, 0], abs=1e-2)
    assert judge([far, far], ["a", "b"])["diversity"].min() > 30


def test_diversity_does_not_depend_on_how_rows_fall_into_blocks() -> None:
    new = RANDOM.normal(0, 3, (quality.ROWS_PER_BLOCK + 88, 2)).astype(np.float32)
    everyone = np.concatenate([new, KNOWN[LABELS == "a"]]).astype(float)
    distances = np.linalg.norm(new[:, None].astype(float) - everyone[None], axis=2)
    distances[np.arange(len(new)), np.arange(len(new))] = np.inf
    found = judge(new, ["a"] * len(new))["diversity"]
    assert found == pytest.approx(distances.min(axis=1), abs=5e-3)


def test_more_dimensions_than_rows_are_no_obstacle() -> None:
    known = RANDOM.normal(0, 1, (6, 384)).astype(np.float32)
    labels = np.repeat(["a", "b"], 3)
    table = quality.judge(known, labels, known[::2], labels[::2], probe.fit(known, labels, 1.0), "mahalanobis")
    assert np.isfinite(table.to_numpy()).all()


def test_no_new_rows_give_an_empty_table_with_the_same_columns() -> None:
    table = quality.judge(KNOWN, LABELS, np.empty((0, 2), np.float32), np.array([], str), HEAD, "euclidean")
    assert list(table.columns) == COLUMNS
    assert table.empty


def test_the_summary_holds_number_and_means_of_each_operation() -> None:
    rows = pd.DataFrame({"operation": ["swap", "swap", "cut"], **{name: [0.5, 0.25, 1.0] for name in COLUMNS}})
    found = quality.summary(rows)
    assert found["swap"] == {"rows": 2, **dict.fromkeys(quality.MEASURES, 0.375)}
    assert found["cut"]["rows"] == 1


def test_labelled_rows_that_are_all_alike_are_no_obstacle() -> None:
    alike, labels = np.tile(np.float32([1, 0]), (4, 1)), np.array(["a", "b", "a", "b"])
    table = quality.judge(alike, labels, alike[:1], labels[:1], probe.fit(alike, labels, 1.0), "mahalanobis")
    assert table["mahalanobis"].tolist() == [0]
