"""Adapting a text encoder to texts without labels: a text is to lie near itself, whatever noise leaves out of it."""

import math
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import torch

from handful import steps
from handful.batches import device
from handful.contrastive import contrastive_loss
from handful.embedding import Backbone
from handful.parameters.learning import ContrastivePretraining
from handful.text import units


def contrastive(backbone: Backbone, contents: Sequence[str], settings: ContrastivePretraining, seed: int) -> Backbone:
    """Return a copy of the backbone for which two noisy readings of a text are alike, and unlike those of other texts.

    The noise is dropout (SimCSE, Gao et al. 2021, section 3) and words left out (ConSERT, Yan et al. 2021, 3.2).

    Args:
        contents: at least two.
    """
    tuned = backbone.copy()
    tuned.freeze(settings.frozen_layers)
    per_epoch = math.ceil(len(contents) / settings.batch_size)
    cycle = steps.Cycle(settings.epochs * per_epoch, settings.learning_rate, settings.weight_decay)
    batches = _batches(contents, settings, np.random.default_rng(seed))
    steps.train(tuned.module, tuned.collate, batches, cycle, seed, "pretraining")
    tuned.finish()
    tuned.origin = f"{backbone.origin}, then contrastive pretraining over {len(contents)} texts"
    return tuned


def _batches(
    contents: Sequence[str], settings: ContrastivePretraining, random: np.random.Generator
) -> Iterator[steps.Batch]:
    """Epochs without end; the last batch of each takes some rows of its first, so that no text is left alone."""
    size = min(settings.batch_size, len(contents))
    itself = torch.arange(size, device=device()).repeat(2)
    while True:
        order = random.permutation(len(contents))
        for start in range(0, len(order), size):
            texts = [contents[row] for row in np.take(order, range(start, start + size), mode="wrap")]
            readings = [units.thinned(text, 1 - settings.noise, random) for text in texts + texts]
            yield readings, partial(contrastive_loss, classes=itself, temperature=settings.temperature)
