"""The candidates: the ways to make a teacher of a backbone, from what all of them begin with."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from handful import contrastive, probe, selftraining
from handful.embedding import Backbone, embed
from handful.nearest import Nearest
from handful.parameters.learning import ClassBalancedSelfTraining, ContrastiveFineTuning, FullFineTuning, Probe
from handful.teacher import Surface, Teacher
from handful.training import Classifier, Examples, Schedule, fit

log = logging.getLogger("handful.candidates")


@dataclass(frozen=True)
class Start:
    """What every candidate begins with: the backbone, the training table, the pool, the probe's settings, the seed."""

    backbone: Backbone
    training: pd.DataFrame
    pool: Sequence[Any]
    head: Probe
    seed: int

    @property
    def labelled(self) -> pd.DataFrame:
        """The rows of the training table that somebody labelled."""
        return self.training[self.training["origin_kind"] == "labelled"]

    @cached_property
    def shown(self) -> float:
        """The accuracy that the labelled rows alone can show: of a probe on the backbone, of rows that it did not see.

        One figure for all that is trained from here: a part of the rows would show less.
        """
        embeddings, labels = embed(self.backbone, self.labelled["content"].tolist()), self.labelled["label"]
        return probe.held_out_accuracy(embeddings, labels.to_numpy(str), self.head.inverse_regularisation, self.seed)


@dataclass(frozen=True)
class Trained:
    """A teacher, and how it came to be: after so many epochs, and perhaps by self-training.

    Then `before` is the teacher without it, and `guessed` are the pool's rows that it learned from: columns label (what
    they were taken for), weight and content, index their number in the pool.
    """

    teacher: Teacher
    epochs: int = 0
    before: Teacher | None = None
    guessed: pd.DataFrame = field(default_factory=selftraining.nothing)


def linear_probe(backbone: Backbone, rows: pd.DataFrame, head: Probe) -> Teacher:
    """Logistic regression on the embeddings of the rows (columns content, label, weight)."""
    embeddings = embed(backbone, rows["content"].tolist())
    weights = rows["weight"].to_numpy(float)
    return Teacher(
        backbone,
        probe.fit(embeddings, rows["label"].to_numpy(str), head.inverse_regularisation, weights),
        "linear_probe",
    )


def full_fine_tuning(
    backbone: Backbone,
    rows: pd.DataFrame,
    head: Probe,
    settings: FullFineTuning,
    epochs: int,
    seed: int,
    watched: pd.DataFrame | None,
    what: str,
) -> tuple[Teacher, int]:
    """Train all weights, starting from the probe (Kumar et al. 2022, LP-FT).

    With `watched` rows, which it does not learn, training stops early by their loss; without, after `epochs`.

    Returns:
        the teacher and the number of epochs that its weights have seen.
    """
    start = linear_probe(backbone, rows, head).head
    tuned = backbone.copy()
    network = Classifier(tuned.module, start)
    schedule = Schedule(
        learning_rate=settings.learning_rate,
        head_learning_rate=settings.head_learning_rate,
        weight_decay=settings.weight_decay,
        epochs=epochs,
        batch_size=settings.batch_size,
        patience=settings.patience,
    )
    validation = None if watched is None else _examples(watched, start.classes)
    history = fit(network, tuned.collate, _examples(rows, start.classes), schedule, seed, validation, what)
    network.cpu()
    tuned.finish()
    return Teacher(tuned, network.trained_head(start.classes), "full_fine_tuning"), history.best_epoch


def contrastive_fine_tuning(start: Start, rows: pd.DataFrame, settings: ContrastiveFineTuning, what: str) -> Trained:
    """A probe on a backbone whose classes were drawn together and apart first (Tunstall et al. 2022, SetFit).

    With self-training that is done once more, from there on, with the pool's rows that this teacher, a probe on the
    backbone as it was, the names of the classes and the surface of the contents agree on. Then the probe also learns
    what all the rows looked at are thought to be, and so does a second one, on their surface, which errs on other rows.
    Those of these rows that lie nearest a content have a say of their own.
    """
    tuned = _drawn_together(start.backbone, rows, settings, start.seed, what)
    teacher = replace(linear_probe(tuned, rows, start.head), kind=settings.kind)
    if not isinstance(settings.self_training, ClassBalancedSelfTraining) or not len(start.pool):
        return Trained(teacher)
    return _self_trained(teacher, start, rows, settings, settings.self_training, what)


def _self_trained(
    first: Teacher,
    start: Start,
    rows: pd.DataFrame,
    settings: ContrastiveFineTuning,
    further: ClassBalancedSelfTraining,
    what: str,
) -> Trained:
    """What becomes of the first teacher with the help of the pool; the rest as `contrastive_fine_tuning` says."""
    backbone, head = start.backbone, start.head
    drawn = selftraining.drawn(len(start.pool), len(first.classes_), further, start.seed)
    contents = [start.pool[row] for row in drawn]
    every = [*rows["content"], *contents]
    vocabulary = backbone.vocabulary(every)
    surface = backbone.surface(every, vocabulary)
    names = selftraining.named(backbone, rows, np.array(first.classes_), contents)
    teachers = [first, linear_probe(backbone, rows, head)]
    learned = selftraining.guessed(teachers, names, surface, rows, contents, head, further)
    steps = {name: getattr(further, name) for name in ("learning_rate", "epochs", "minimum_steps")}
    # The guesses make the rows of a class many: their root would ask for more steps than they are worth.
    onwards = settings.model_copy(update={**steps, "steps_per_root": 0.0})
    both = pd.concat([rows, learned])
    tuned = _drawn_together(first.backbone, both, onwards, start.seed, f"{what}, self-training")
    heard = _worth_hearing(names, start)
    embeddings = embed(tuned, every)
    own, told = selftraining.settled(embeddings, rows, learned, heard, head, further)
    told["content"] = contents
    second = third = None
    if further.surface_share:
        second = Surface(vocabulary, selftraining.taught(surface, rows, told, head), further.surface_share)
    if further.nearest_share:
        known = pd.concat([rows, told])[["content", "label", "weight"]].reset_index(drop=True)
        read = surface if second else None
        third = Nearest(own.classes, known, embeddings, read, further.nearest, further.nearest_share)
    teacher = Teacher(tuned, own, first.kind, second, third)
    return Trained(teacher, before=first, guessed=told.set_index(drawn))


def _worth_hearing(names: selftraining.Names | None, start: Start) -> selftraining.Names | None:
    """The names where they are right as often as what the labelled rows teach; others would blur that."""
    if names is None:
        return None
    heard = names.right >= start.shown
    log.info(
        "The names of the classes are right of %.0f %% of the rows, a probe is of %.0f %%: they have %s in the labels",
        100 * names.right,
        100 * start.shown,
        "a say" if heard else "no say",
    )
    return names if heard else None


def _drawn_together(
    backbone: Backbone, rows: pd.DataFrame, settings: ContrastiveFineTuning, seed: int, what: str
) -> Backbone:
    contents, weights = rows["content"].tolist(), rows["weight"].to_numpy(float)
    return contrastive.fine_tune(backbone, contents, rows["label"].to_numpy(str), weights, settings, seed, what)


def _examples(rows: pd.DataFrame, classes: Sequence[str]) -> Examples:
    codes = pd.Categorical(rows["label"], categories=list(classes)).codes
    targets = np.eye(len(classes), dtype=np.float32)[codes]
    return Examples(rows["content"].tolist(), targets, rows["weight"].to_numpy(np.float32))
