"""Diffusion: what a row is thought to be spreads to the rows that lie near it."""

import numpy as np
import pytest

from handful.diffusion import diffused

ANGLES = np.radians([0, 4, 8, 12, 16, 90, 94, 98, 102, 106])
TWO_ARCS = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1).astype(np.float32)


def opinions(*firsts: float) -> np.ndarray:
    return np.array([[first, 1 - first] for first in firsts], np.float32)


def test_a_row_in_the_midst_of_others_follows_them() -> None:
    given = opinions(1, 0.9, 0.3, 0.9, 0.9, 0, 0.1, 0.8, 0.1, 0.1)
    found = diffused(TWO_ARCS, given, neighbours=3, share=0.8)
    assert found.argmax(axis=1).tolist() == [0] * 5 + [1] * 5
    assert found.dtype == np.float32
    assert found.sum(axis=1) == pytest.approx(np.ones(10))


def test_one_row_that_is_known_tells_all_that_hang_together_with_it() -> None:
    found = diffused(TWO_ARCS, opinions(1, *[0.5] * 4, 0, *[0.5] * 4), neighbours=2, share=0.9)
    assert found.argmax(axis=1).tolist() == [0] * 5 + [1] * 5


@pytest.mark.parametrize("share", [0.3, 0.6, 0.99])
def test_it_ends_where_the_equation_of_its_source_does(share: float) -> None:
    random = np.random.default_rng(0)
    rows = random.normal(size=(12, 4)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    given = random.dirichlet([1, 1, 1], 12).astype(np.float32)
    affinity = np.exp((rows @ rows.T - 1) / 0.1) * (1 - np.eye(12))  # with eleven neighbours all are joined
    roots = np.sqrt(affinity.sum(axis=1))
    exact = np.linalg.solve(np.eye(12) - share * affinity / np.outer(roots, roots), (1 - share) * given)
    wanted = exact / exact.sum(axis=1, keepdims=True)
    assert diffused(rows, given, neighbours=100, share=share) == pytest.approx(wanted, abs=1e-3)


def test_nothing_spreads_where_the_share_is_zero_or_a_row_is_alone() -> None:
    given = opinions(1, 0.9, 0.3, 0.9, 0.9, 0, 0.1, 0.8, 0.1, 0.1)
    assert diffused(TWO_ARCS, given, neighbours=3, share=0.0) == pytest.approx(given)
    assert np.array_equal(diffused(TWO_ARCS[:1], given[:1], neighbours=3, share=0.5), given[:1])


def test_equal_rows_are_neighbours() -> None:
    twins = np.repeat(TWO_ARCS[[0, 5]], 3, axis=0)
    found = diffused(twins, opinions(1, 0.4, 0.8, 0, 0.3, 0.6), neighbours=2, share=0.9)
    assert found.argmax(axis=1).tolist() == [0] * 3 + [1] * 3
