"""Contrastive fine-tuning: an encoder learns to draw rows of one class together, in work linear in the rows."""

import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from handful import steps
from handful.batches import device
from handful.embedding import Backbone, embed
from handful.parameters.learning import ContrastiveFineTuning


def fine_tune(
    backbone: Backbone,
    contents: Sequence[Any],
    labels: np.ndarray,
    weights: np.ndarray,
    settings: ContrastiveFineTuning,
    seed: int,
    what: str,
) -> Backbone:
    """Return a copy of the backbone, trained with the supervised contrastive loss on batches of few classes.

    The rows of a class are few, their pairs are many, and no list of pairs is ever made.

    Args:
        labels: [n] strings; weights: [n], how often a row is drawn within its class.
    """
    tuned = backbone.copy()
    tuned.freeze(settings.frozen_layers)
    count = _number_of_steps(float(weights.sum()), len(np.unique(labels)), settings)
    cycle = steps.Cycle(count, settings.learning_rate, settings.weight_decay)

    def batches() -> Iterator[steps.Batch]:
        random = np.random.default_rng(seed)
        for rows in _batches(embed(backbone, contents), labels, weights, settings.batch_size, random):
            classes = torch.from_numpy(np.unique(labels[rows], return_inverse=True)[1]).to(device())
            criterion = partial(contrastive_loss, classes=classes, temperature=settings.temperature)
            yield [contents[row] for row in rows], criterion

    steps.train(tuned.module, tuned.collate, batches(), cycle, seed, what)
    tuned.finish()
    return tuned


def _number_of_steps(rows: float, classes: int, settings: ContrastiveFineTuning) -> int:
    """The most of what the settings ask for: passes over the rows, steps for the rows of a class, steps at all.

    Args:
        rows: the sum of their weights; a row that is worth half of another is drawn half as often.
    """
    passes = settings.epochs * rows / settings.batch_size
    return math.ceil(max(passes, settings.steps_per_root * math.sqrt(rows / classes), settings.minimum_steps))


def contrastive_loss(embeddings: Tensor, classes: Tensor, temperature: float) -> Tensor:
    """The supervised contrastive loss (Khosla et al. 2020, eq. 2) over one batch.

    Near rows of other classes weigh most, the more so the lower the temperature: hard negatives choose themselves.

    Args:
        embeddings: float32 [n, d], unit vectors.
        classes: int64 [n].

    Returns:
        the mean over the rows that share their class with another one; 0 where none does.
    """
    itself = torch.eye(len(classes), dtype=torch.bool, device=classes.device)
    similarities = (embeddings @ embeddings.T / temperature).masked_fill(itself, -torch.inf)
    log_shares = similarities - similarities.logsumexp(dim=1, keepdim=True)
    friends = (classes[:, None] == classes[None, :]) & ~itself
    count = friends.sum(dim=1)
    losses = -log_shares.masked_fill(~friends, 0.0).sum(dim=1) / count.clamp(min=1)
    return losses.sum() / (count > 0).sum().clamp(min=1)


def _batches(
    embeddings: np.ndarray, labels: np.ndarray, weights: np.ndarray, batch_size: int, random: np.random.Generator
) -> Iterator[np.ndarray]:
    """Row numbers without end: each batch holds equally many rows of a class drawn by chance and of those nearest it.

    Classes that are near each other are those that are confused (Wu et al. 2017 on why the choice of negatives
    decides). With few classes a batch holds them all.
    """
    drawn_from = np.flatnonzero(weights > 0)
    classes, codes = np.unique(labels[drawn_from], return_inverse=True)
    rows_of = [drawn_from[codes == code] for code in range(len(classes))]
    odds = [weights[rows] / weights[rows].sum() for rows in rows_of]
    centres = np.stack([embeddings[rows].mean(axis=0) for rows in rows_of])
    nearest = np.argsort(-(centres @ centres.T), axis=1)  # itself first, or nearly so
    together = min(len(classes), batch_size // 2)
    each = batch_size // together
    while True:
        for start in random.permutation(len(classes)):
            near = nearest[start][: math.ceil(together / 2)]
            others = np.setdiff1d(np.arange(len(classes)), near)
            chosen = [*near, *random.choice(others, together - len(near), replace=False)]
            drawn = [
                random.choice(rows_of[code], each, replace=len(rows_of[code]) < each, p=odds[code]) for code in chosen
            ]
            yield np.concatenate(drawn)
