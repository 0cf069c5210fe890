"""The rows to label next: uncertain ones, unlike each other, and never one twice."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from handful import labelling, readers
from handful.image import content as images
from handful.parameters.tables import Columns, FileTable
from handful.text import content as texts
from tests.images import encoded, noise


def pool(rows: int, classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    points = random.normal(size=(rows, 5)).astype(np.float32)
    return points / np.linalg.norm(points, axis=1, keepdims=True), softmax(random.normal(size=(rows, classes)), axis=1)


@given(
    rows=st.integers(0, 30),
    count=st.integers(1, 40),
    classes=st.integers(2, 4),
    seed=st.integers(0, 5),
    kind=st.sampled_from(sorted(labelling.STRATEGIES)),
)
def test_distinct_rows_are_proposed_and_no_more_than_wanted(
    rows: int, count: int, classes: int, seed: int, kind: str
) -> None:
    embeddings, probabilities = pool(rows, classes, seed)
    chosen = labelling.STRATEGIES[kind](embeddings, probabilities, count, seed)
    assert len(chosen) == min(rows, count) == len(set(chosen.tolist()))
    assert chosen.tolist() == labelling.STRATEGIES[kind](embeddings, probabilities, count, seed).tolist()


@pytest.mark.parametrize("kind", sorted(set(labelling.STRATEGIES) - {"random"}))
def test_the_row_proposed_first_is_uncertain(kind: str) -> None:
    embeddings, _ = pool(100, 2, 0)
    probabilities = np.full((100, 2), 0.5)
    probabilities[10:] = [0.99, 0.01]
    assert labelling.STRATEGIES[kind](embeddings, probabilities, 1, 0)[0] < 10


def test_equally_uncertain_rows_are_proposed_from_different_places() -> None:
    embeddings = np.repeat(np.eye(4, dtype=np.float32), 10, axis=0)
    probabilities = np.full((40, 3), 1 / 3)
    for kind in ("badge", "margin_facility_location", "weighted_facility_location"):
        chosen = labelling.STRATEGIES[kind](embeddings, probabilities, 4, 0)
        assert sorted(embeddings[chosen].argmax(axis=1).tolist()) == [0, 1, 2, 3], kind


def test_what_stands_for_many_uncertain_rows_comes_before_a_loner() -> None:
    crowd, loner = np.repeat(np.eye(3, dtype=np.float32)[:1], 20, axis=0), np.eye(3, dtype=np.float32)[1:2]
    probabilities = np.full((21, 2), 0.5)
    probabilities[0] = [0.9, 0.1]
    chosen = labelling.weighted_facility_location(np.concatenate([crowd, loner]), probabilities, 2, 0)
    assert 0 < chosen[0] < 20
    assert chosen[1] == 20


def test_distances_of_gradients_are_those_of_the_gradients_written_out() -> None:
    embeddings, probabilities = pool(12, 3, 4)
    errors = probabilities - np.eye(3)[probabilities.argmax(axis=1)]
    gradients = (errors[:, :, None] * embeddings[:, None, :]).reshape(12, -1)
    first = int((gradients**2).sum(axis=1).argmax())
    distances = ((gradients - gradients[first]) ** 2).sum(axis=1)
    second = np.random.default_rng(7).choice(12, p=distances / distances.sum())
    assert labelling.badge(embeddings, probabilities, 2, 7).tolist() == [first, second]


def test_the_margin_is_between_the_two_likeliest_classes() -> None:
    assert labelling.margins(np.array([[0.5, 0.2, 0.3], [0.1, 0.1, 0.8]])) == pytest.approx([0.2, 0.7])


def proposed(contents: list[object]) -> pd.DataFrame:
    return pd.DataFrame(
        {"id": ["1", "2"], "content": contents, "label": None, "key": ["k1", "k2"], "origin": ["p 1", "p 2"]}
        | {"guess": ["a", "b"], "probability": [0.5, 0.25]}
    )


def test_the_sheet_has_the_columns_of_the_training_file_and_the_whole_text_and_is_read_like_it(tmp_path: Path) -> None:
    contents = ["long, " * 50 + 'with "quotes"\nand lines', "a lone\rreturn"]
    columns = Columns(content="message", label="intent", key="guess")
    sheet = labelling.sheet(proposed(list(contents)), columns, texts)
    # A column of the file goes before one of ours that has its name.
    assert list(sheet.columns) == ["message", "intent", "guess", "id", "origin", "probability"]
    (tmp_path / "train.csv").write_text(labelling.written(sheet), encoding="utf-8", newline="")
    read = readers.read(FileTable(kind="file", path="train.csv"), tmp_path, columns, True, "text")
    assert read["content"].tolist() == contents
    assert read["label"].isna().all()
    assert read["key"].tolist() == ["k1", "k2"]


def test_the_sheet_of_images_says_where_they_lie() -> None:
    sheet = labelling.sheet(
        proposed([encoded(noise(8, 8))] * 2), Columns(content="image", label="digit", key=None), images
    )
    assert list(sheet.columns) == ["image", "digit", "id", "origin", "guess", "probability"]
    assert sheet["image"].str.startswith("PNG 8x8").all()
    assert sheet["origin"].tolist() == ["p 1", "p 2"]
