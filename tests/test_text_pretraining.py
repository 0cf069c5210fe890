"""A text encoder that was adapted to texts without labels: what it has read, and what lies near what afterwards."""

from collections import Counter
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from handful import parameters
from handful.embedding import embed
from handful.parameters.learning import ContrastivePretraining, NoPretraining
from handful.text import backbone, pretraining, units
from handful.text.backbone import Backbone

SETTINGS = ContrastivePretraining(
    kind="contrastive",
    noise=0.3,
    temperature=0.05,
    epochs=10,
    learning_rate=5e-5,
    weight_decay=0.01,
    batch_size=8,
    frozen_layers=2,
)
TEXTS = [
    f"{subject} {what}"
    for subject in ("my parcel", "the invoice", "your courier", "an old order")
    for what in ("did not arrive today", "was sent to a wrong address", "is wrong again", "has been lost, I fear")
]


@pytest.fixture(scope="module")
def published() -> Backbone:
    return backbone.load(parameters.read(Path(__file__).parents[1] / "params.yaml").backbone, 0)


def alone(encoder: Backbone) -> float:
    """How much nearer a text lies to itself without some words than to the other texts; mean cosines."""
    random = np.random.default_rng(7)
    whole = embed(encoder, TEXTS, cached=False)
    thinned = embed(encoder, [units.thinned(text, 0.7, random) for text in TEXTS], cached=False)
    cosines, itself = whole @ thinned.T, np.eye(len(TEXTS), dtype=bool)
    return float(cosines[itself].mean() - cosines[~itself].mean())


def test_texts_come_to_lie_nearer_to_themselves_than_to_others(published: Backbone) -> None:
    adapted = backbone.pretrain(published, TEXTS, SETTINGS, seed=0)
    assert alone(adapted) > alone(published) + 0.03
    assert adapted.adapted
    assert adapted.fingerprint not in (None, published.fingerprint)
    assert adapted.origin == f"{published.origin}, then contrastive pretraining over 16 texts"
    assert not published.adapted


def test_the_same_seed_gives_the_same_encoder_and_another_seed_another(published: Backbone) -> None:
    short = SETTINGS.model_copy(update={"epochs": 1})
    first, again, other = (
        embed(backbone.pretrain(published, TEXTS, short, seed), TEXTS, cached=False) for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_without_pretraining_or_texts_to_tell_apart_the_encoder_stays_as_it_is(published: Backbone) -> None:
    assert backbone.pretrain(published, TEXTS, NoPretraining(kind="none"), 0) is published
    assert backbone.pretrain(published, TEXTS[:1], SETTINGS, 0) is published


def test_every_text_is_read_twice_in_an_epoch_and_the_last_batch_is_full() -> None:
    whole = SETTINGS.model_copy(update={"noise": 0.0, "batch_size": 6})
    epoch = [texts for texts, _ in islice(pretraining._batches(TEXTS, whole, np.random.default_rng(0)), 3)]
    assert [len(texts) for texts in epoch] == [12, 12, 12]
    assert all(texts[:6] == texts[6:] for texts in epoch)
    read = Counter(text for texts in epoch for text in texts)
    assert set(read) == set(TEXTS)
    assert sorted(read.values()) == [2] * 14 + [4] * 2


def test_a_batch_that_is_larger_than_the_pool_takes_all_of_it_once() -> None:
    many = SETTINGS.model_copy(update={"noise": 0.0, "batch_size": 64})
    texts, _ = next(pretraining._batches(TEXTS, many, np.random.default_rng(0)))
    assert Counter(texts) == dict.fromkeys(TEXTS, 2)


def test_readings_of_a_text_lack_other_words_each() -> None:
    texts, _ = next(pretraining._batches(TEXTS, SETTINGS, np.random.default_rng(0)))
    pairs = list(zip(texts[:8], texts[8:], strict=True))
    assert any(one != other for one, other in pairs)
    assert all(set(text.split()) <= {word for given in TEXTS for word in given.split()} for text in texts)
