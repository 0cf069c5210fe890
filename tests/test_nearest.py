"""The nearest rows say what a content is, each by its weight and its nearness, and none of itself."""

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

from handful import nearest
from handful.nearest import Nearest

CLASSES = ("high", "low", "odd")


def on_a_circle(*degrees: float) -> np.ndarray:
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def rows(labels: list[str], degrees: list[float], count: int, weights: float | list[float] = 1.0) -> Nearest:
    known = pd.DataFrame({"content": degrees, "label": labels, "weight": weights})
    return Nearest(CLASSES, known, on_a_circle(*degrees), None, count, 0.5)


def test_a_class_in_two_places_is_found_in_both() -> None:
    known = rows(["odd", "odd", "low", "low", "odd", "odd"], [0, 5, 40, 45, 80, 85], count=2)
    said = known.predict_proba(on_a_circle(3, 42, 82), None)
    assert said.argmax(axis=1).tolist() == [2, 1, 2]
    assert said.sum(axis=1) == pytest.approx(np.ones(3))
    assert said.max() > 0.99  # the rows that are farther are not asked


def test_what_is_nearer_and_what_weighs_more_has_more_of_the_say() -> None:
    both = on_a_circle(8)
    nearer = rows(["low", "high"], [0, 10], count=2).predict_proba(both, None)[0]
    assert nearer[0] > nearer[1] > 0.4
    heavier = rows(["low", "high"], [0, 10], 2, [1.0, 0.1]).predict_proba(both, None)[0]
    assert heavier[1] / heavier[0] == pytest.approx(10 * nearer[1] / nearer[0], rel=0.1)


def test_a_row_has_no_say_in_what_it_is_itself() -> None:
    known = rows(["high", "low", "low"], [0, 20, 25], count=1)
    assert known.predict_proba(on_a_circle(0), None).argmax() == 1
    assert known.predict_proba(on_a_circle(2), None).argmax() == 0


def test_the_farther_all_rows_are_the_less_is_said() -> None:
    known = rows(["high", "high", "low"], [0, 5, 10], count=2)
    sure = known.predict_proba(on_a_circle(2, 40, 60, 90), None).max(axis=1)
    assert sure[0] > 0.99
    assert sure[0] > sure[1] > sure[2] > sure[3]
    assert sure[3] == pytest.approx(1 / 3, abs=0.02)


def test_where_nobody_else_is_known_nothing_is_said() -> None:
    known = rows(["high", "low"], [30, 30], count=5)
    assert known.predict_proba(on_a_circle(30), None)[0] == pytest.approx(np.full(3, 1 / 3))


@pytest.mark.parametrize("form", [np.asarray, csr_matrix])
def test_of_rows_that_are_as_near_the_one_counts_more_whose_surface_is_alike(form: type) -> None:
    surfaces = np.array([[3.0, 0.0], [0.0, 2.0]], np.float32)  # of any length
    known = Nearest(CLASSES, rows(["low", "high"], [0, 60], 2).known, on_a_circle(0, 60), form(surfaces), 1, 0.5)
    middle = on_a_circle(30, 30)
    assert known.predict_proba(middle, form(surfaces)).argmax(axis=1).tolist() == [1, 0]
    indices = 2 + 3 if form is csr_matrix else 2  # a column for each value and a start for each row; or two zeros
    assert known.size_bytes == 4 * (4 + 2 + indices)


@pytest.mark.parametrize(("read", "said"), [(2, "high"), (1, "low")])
def test_surfaces_are_compared_with_the_rows_nearest_by_embedding_alone(
    read: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nearest, "READ", read)
    surfaces = csr_matrix(np.eye(2))
    known = Nearest(CLASSES, rows(["low", "high"], [0, 60], 1).known, on_a_circle(0, 60), surfaces, 1, 0.5)
    # 20 and 40 degrees are cosines of 0.94 and 0.77: with a fifth for its surface the farther row is ahead.
    assert CLASSES[known.predict_proba(on_a_circle(20), surfaces[1:]).argmax()] == said


def test_many_contents_are_asked_a_part_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    degrees = random.uniform(0, 90, 40)
    known = Nearest(
        CLASSES,
        pd.DataFrame({"content": degrees, "label": random.choice(CLASSES, 40), "weight": 1.0}),
        on_a_circle(*degrees),
        csr_matrix(random.random((40, 6))),
        5,
        0.5,
    )
    asked, surface = on_a_circle(*random.uniform(0, 90, 25)), csr_matrix(random.random((25, 6)))
    at_once = known.predict_proba(asked, surface)
    monkeypatch.setattr(nearest, "ROWS_AT_ONCE", 4)
    assert known.predict_proba(asked, surface) == pytest.approx(at_once, abs=1e-5)
    assert known.predict_proba(asked[:0], surface[:0]).shape == (0, 3)
