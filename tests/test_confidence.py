"""How sure a teacher may be of itself."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handful import confidence, parameters
from handful.candidates import Start, Trained, linear_probe
from handful.image import backbone as image_backbone
from handful.image.backbone import Backbone
from tests.images import stripes

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def start() -> Start:
    given = parameters.read(ROOT / "params.image.yaml")
    encoder: Backbone = image_backbone.load(given.backbone, 0)
    pool: list[Any] = [stripes(row % 2 == 1, row) for row in range(100)]
    contents = [stripes(row % 2 == 1, 1000 + row) for row in range(12)]
    training = pd.DataFrame(
        {"content": contents, "label": ["left", "right"] * 6, "weight": 1.0, "origin_kind": "labelled"}
    )
    return Start(encoder, training, pool, given.probe, 0)


SHARES = st.floats(0.05, 1)


@given(SHARES, st.lists(SHARES, min_size=2, max_size=3))
def test_the_accuracy_to_expect_is_no_less_than_shown_and_no_more_than_the_best_guess(
    shown: float, guesses: list[float]
) -> None:
    expected = confidence.expected(shown, guesses)
    assert shown - 1e-9 <= expected <= max(shown, *guesses) + 1e-9
    assert confidence.expected(shown, [0.0, 0.0]) == pytest.approx(shown)
    assert confidence.expected(shown, [1.0, 1.0]) == 1
    assert confidence.expected(0.0, guesses) == pytest.approx(np.mean(guesses))


@given(SHARES, st.integers(2, 10_000))
def test_few_rows_that_are_all_right_show_less_than_many(share: float, rows: int) -> None:
    assert confidence.succession(1.0, rows) < confidence.succession(1.0, rows + 1) < 1
    assert confidence.succession(share, rows) == pytest.approx(share, abs=1 / (rows + 1))


def test_a_teacher_is_as_sure_of_the_pool_as_is_to_be_expected_and_guesses_as_before(start: Start) -> None:
    # Labels by chance: a probe learns them by heart and gets half of the held-out ones right.
    chance = start.training.assign(label=np.random.default_rng(1).permutation(start.training["label"]))
    start = replace(start, training=chance)
    overconfident = linear_probe(start.backbone, chance, start.head.model_copy(update={"inverse_regularisation": 1e4}))
    moderated = confidence.moderated(Trained(overconfident), overconfident, start, None)
    before, after = (teacher.predict_proba(start.pool) for teacher in (overconfident, moderated))
    shown = confidence.succession(start.shown, 12)
    assert shown < before.max(axis=1).mean()
    assert after.max(axis=1).mean() == pytest.approx((shown + before.max(axis=1).mean()) / 2, abs=1e-4)
    assert np.array_equal(before.argmax(axis=1), after.argmax(axis=1))


def test_a_teacher_that_is_less_sure_than_it_was_shown_to_be_right_becomes_surer(start: Start) -> None:
    shy = linear_probe(start.backbone, start.labelled, start.head.model_copy(update={"inverse_regularisation": 1.0}))
    moderated = confidence.moderated(Trained(shy), shy, start, 0.9)
    assert shy.predict_proba(start.pool).max(axis=1).mean() < 0.85
    assert moderated.predict_proba(start.pool).max(axis=1).mean() >= confidence.succession(0.9, 12) - 1e-4


def test_a_teacher_whose_kind_was_examined_is_as_sure_as_that_showed_whatever_it_believes(start: Start) -> None:
    chance = start.training.assign(label=np.random.default_rng(1).permutation(start.training["label"]))
    start = replace(start, training=chance)
    overconfident = linear_probe(start.backbone, chance, start.head.model_copy(update={"inverse_regularisation": 1e4}))
    moderated = confidence.moderated(Trained(overconfident), overconfident, start, 0.6)
    shown = confidence.succession(max(start.shown, 0.6), 12)
    assert overconfident.predict_proba(start.pool).max(axis=1).mean() > shown + 0.1
    assert moderated.predict_proba(start.pool).max(axis=1).mean() == pytest.approx(shown, abs=1e-4)


def test_where_all_held_out_rows_were_right_a_teacher_is_not_certain_of_everything(start: Start) -> None:
    teacher = linear_probe(start.backbone, start.labelled, start.head)
    moderated = confidence.moderated(Trained(teacher), teacher, start, 1.0)
    assert moderated.temperature > 0.1
    assert moderated.predict_proba(start.pool).max(axis=1).mean() < 0.95


def test_a_teacher_that_learned_guesses_is_as_sure_as_others_guess_what_it_guesses(start: Start) -> None:
    shy = linear_probe(start.backbone, start.labelled, start.head.model_copy(update={"inverse_regularisation": 1.0}))
    told = pd.DataFrame({"label": "left", "weight": 1.0, "content": start.pool[:1]})
    baseline = linear_probe(start.backbone, start.labelled, start.head)
    before = linear_probe(start.backbone, start.labelled.assign(label=["left", "right", "right"] * 4), start.head)
    moderated = confidence.moderated(Trained(shy, before=before, guessed=told), baseline, start, None)
    guesses = np.array(shy.predict(start.pool))
    alike = [float(np.mean(np.array(other.predict(start.pool)) == guesses)) for other in (before, baseline)]
    believed = float(shy.predict_proba(start.pool).max(axis=1).mean())
    shown = confidence.succession(start.shown, 12)
    assert believed < shown
    assert alike[0] < alike[1]
    sure = moderated.predict_proba(start.pool).max(axis=1).mean()
    assert sure == pytest.approx(confidence.expected(shown, [believed, *alike]), abs=1e-2)


def test_without_a_pool_a_teacher_stays_as_it_is(start: Start) -> None:
    teacher = linear_probe(start.backbone, start.labelled, start.head)
    alone = replace(start, pool=[])
    assert confidence.moderated(Trained(teacher), teacher, alone, 0.5) is teacher


def test_a_teacher_is_asked_of_rows_that_it_did_not_learn_from_where_there_are_enough(start: Start) -> None:
    pool = [*start.pool, *(stripes(row % 2 == 1, 200 + row, side=12) for row in range(100))]
    larger = replace(start, pool=pool)
    teacher = linear_probe(start.backbone, start.labelled, start.head)
    for learned, asked in ((range(100, 200), range(100)), (range(100), range(100, 200)), (range(150), range(200))):
        told = pd.DataFrame({"label": "left", "weight": 1.0, "content": [pool[row] for row in learned]}, index=learned)
        trained = Trained(teacher, before=teacher, guessed=told)
        moderated = confidence.moderated(trained, teacher, larger, 0.9)
        sure = moderated.predict_proba([pool[row] for row in asked]).max(axis=1).mean()
        believed = teacher.predict_proba([pool[row] for row in asked]).max(axis=1).mean()
        shown = confidence.succession(max(larger.shown, 0.9), 12)
        # The teacher is the others, too, so all always guess alike.
        assert sure == pytest.approx(confidence.expected(shown, [float(believed), 1.0, 1.0]), abs=1e-3)
