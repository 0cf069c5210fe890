"""Temperature and threshold: probabilities are mended, guesses stay, and unsure rows may be refused."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.special import log_softmax, softmax

import handful
from handful import student
from handful.calibration import temperature_for, threshold
from handful.distillation import calibrate, held_out
from handful.training import Examples
from tests.images import stripes

LOGITS = np.random.default_rng(0).normal(0, 3, (300, 5))
CONFIDENCES = arrays(np.float32, st.integers(1, 60), elements=st.floats(0.125, 1, width=32))


@pytest.mark.parametrize("temperature", [0.2, 1.0, 3.0])
def test_the_temperature_of_a_mean_confidence_is_found(temperature: float) -> None:
    wanted = softmax(LOGITS / temperature, axis=1).max(axis=1).mean()
    assert temperature_for(LOGITS, wanted) == pytest.approx(temperature, rel=1e-3)
    assert temperature_for(log_softmax(LOGITS, axis=1), wanted) == pytest.approx(temperature, rel=1e-3)


def test_a_confidence_that_no_temperature_gives_has_a_bounded_one() -> None:
    assert temperature_for(LOGITS, 1.0) == pytest.approx(1 / 20, rel=0.01)
    assert temperature_for(LOGITS, 1 / 5) == pytest.approx(20, rel=0.01)


@given(
    arrays(np.float32, array_shapes(min_dims=2, max_dims=2), elements=st.floats(-1e4, 1e4, width=32)),
    st.floats(1 / 20, 20),
)
def test_no_temperature_takes_the_first_place_from_the_likeliest(logits: np.ndarray, temperature: float) -> None:
    probabilities = student.softmax(logits, temperature)
    assert probabilities.dtype == np.float32
    assert probabilities.sum(axis=1) == pytest.approx(1, abs=1e-5)
    before = logits.argmax(axis=1)
    assert (probabilities[np.arange(len(logits)), before] == probabilities.max(axis=1)).all()


def test_of_equal_logits_the_first_is_taken_at_any_temperature() -> None:
    ties = np.array([[1, 1, 0], [0, 2, 2], [3, 3, 3]], np.float32)
    for temperature in (0.05, 1.0, 20.0):
        assert student.softmax(ties, temperature).argmax(axis=1).tolist() == [0, 1, 0]


@given(CONFIDENCES, st.floats(0, 1, exclude_max=True))
def test_no_more_than_the_share_is_refused_and_a_higher_bound_refuses_more(
    confidences: np.ndarray, share: float
) -> None:
    bound, allowed = threshold(confidences, share), int(share * len(confidences))
    assert (confidences < bound).sum() <= allowed
    if allowed:
        assert (confidences <= bound).sum() > allowed
    else:
        assert bound == 0


@pytest.fixture(scope="module")
def examples() -> Examples:
    contents = [stripes(row % 2 == 1, 2000 + row) for row in range(40)]
    return Examples(contents, np.full((40, 2), 0.5, np.float32), np.ones(40, np.float32))


def test_a_students_folder_is_calibrated_to_the_teacher_and_its_guesses_stay(
    image_student: Path, examples: Examples, tmp_path: Path
) -> None:
    for file in image_student.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    before = handful.load(tmp_path)
    teacher = softmax(before.logits(examples.contents) / 4, axis=1)
    other = np.roll(teacher[:10], 1, axis=1)  # of two classes the other one
    assert calibrate(tmp_path, Examples(examples.contents[:10], other, examples.weights[:10]), 0.25) == 0
    assert handful.load(tmp_path).temperature == pytest.approx(20, rel=0.01)  # as sure of p as of 1 - p: not at all
    assert calibrate(tmp_path, Examples(examples.contents, teacher, examples.weights), 0.25) == 1
    after = handful.load(tmp_path, threads=1)
    assert after.temperature == pytest.approx(4, rel=1e-3)
    assert np.allclose(after.predict_proba(examples.contents), teacher, atol=1e-3)
    assert after.predict(examples.contents) == before.predict(examples.contents)
    assert before.predict(examples.contents, abstain=True) == before.predict(examples.contents)


def test_a_student_refuses_its_share_of_the_rows_and_answers_the_others_alike(
    image_student: Path, examples: Examples, tmp_path: Path
) -> None:
    for file in image_student.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    calibrate(tmp_path, examples, 0.25)
    loaded = handful.load(tmp_path, threads=1)
    answers, labels = loaded.predict(examples.contents, abstain=True), loaded.predict(examples.contents)
    confidences = loaded.predict_proba(examples.contents).max(axis=1)
    refused = [row for row, answer in enumerate(answers) if answer is None]
    assert len(refused) == 10
    assert confidences[refused].max() < np.delete(confidences, refused).min()
    assert all(answer in (None, label) for answer, label in zip(answers, labels, strict=True))


def test_without_unseen_rows_a_student_stays_as_it_was_trained(image_student: Path, tmp_path: Path) -> None:
    for file in image_student.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    assert calibrate(tmp_path, Examples([], np.empty((0, 2), np.float32), np.empty(0, np.float32)), 0.25) is None
    loaded = handful.load(tmp_path)
    assert (loaded.temperature, loaded.threshold) == (1.0, 0.0)


@pytest.mark.parametrize(("rows", "held"), [(0, 0), (99, 0), (100, 10), (704, 70), (100_000, 500)])
def test_a_tenth_of_the_pool_is_held_out_where_there_is_enough_of_it(rows: int, held: int) -> None:
    chosen = held_out(rows, seed=3)
    assert chosen.shape == (rows,)
    assert chosen.sum() == held
    assert np.array_equal(chosen, held_out(rows, seed=3))
    assert not held or not np.array_equal(chosen, held_out(rows, seed=4))
