"""Vectors on disk: what is found is what was written, whoever else writes at the same time."""

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from handful import vectors
from handful.vectors import KEY, Vectors

ROOT = Path(__file__).parents[1]


def keys(numbers: range) -> np.ndarray:
    return np.array([hashlib.blake2b(str(number).encode(), digest_size=16).digest() for number in numbers], KEY)


def rows(numbers: range) -> np.ndarray:
    return np.array([[number, -number, number % 7] for number in numbers], np.float32)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Vectors]:
    with closing(Vectors(tmp_path, "some", 3)) as opened:
        yield opened


def test_rows_are_found_again_in_any_order_and_missing_ones_are_missing(store: Vectors) -> None:
    store.append(keys(range(100)), rows(range(100)))
    places = store.find(keys(range(150))[::-1])
    assert (places[:50] == -1).all()
    assert np.array_equal(store.read(places[50:]), rows(range(100))[::-1])
    assert np.array_equal(store.read(np.array([7, 7, 8, 3])), rows(range(10))[[7, 7, 8, 3]])
    assert store.find(keys(range(0))).shape == (0,)
    assert store.read(store.find(keys(range(0)))).shape == (0, 3)


def test_a_key_that_ends_in_zeros_is_not_the_shorter_one(store: Vectors) -> None:
    likely = [b"a" * 15 + b"\0", b"a" * 16, b"\0" * 16, b"\0" + b"a" * 15]
    store.append(np.array(likely, KEY), rows(range(4)))
    assert store.find(np.array(likely[::-1], KEY)).tolist() == [3, 2, 1, 0]


def test_many_keys_and_rows_are_read_in_parts(store: Vectors, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "KEYS_AT_ONCE", 7)
    monkeypatch.setattr(vectors, "ROWS_AT_ONCE", 7)
    store.append(keys(range(100)), rows(range(100)))
    assert np.array_equal(store.read(store.find(keys(range(100)))), rows(range(100)))


def test_four_processes_that_write_at_once_mix_up_nothing(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from handful.vectors import Vectors; from tests.test_vectors import *;"
        "store, own = Vectors(Path(sys.argv[1]), 'some', 3), 1000 * int(sys.argv[2]);"
        "[store.append(keys(range(at, at + 10)), rows(range(at, at + 10))) for at in range(own, own + 1000, 10)]"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path), str(number)], cwd=ROOT) for number in range(4)
    ]
    assert [process.wait() for process in running] == [0] * 4
    with closing(Vectors(tmp_path, "some", 3)) as store:
        assert len(store) == 4000
        assert np.array_equal(store.read(store.find(keys(range(4000)))), rows(range(4000)))
