"""From a backbone to a teacher: the candidates, and cross-validation that chooses among them."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from handful import contrastive, crossvalidation, lineage, probe, selftraining
from handful.embedding import Backbone, embed
from handful.nearest import Nearest
from handful.parameters.learning import (
    ClassBalancedSelfTraining,
    ContrastiveFineTuning,
    FullFineTuning,
    LinearProbe,
    PretrainTransfer,
    Probe,
    Transfer,
)
from handful.teacher import Surface, Teacher
from handful.training import Classifier, Examples, Schedule, fit

log = logging.getLogger("handful.transfer")
TINY = 1e-7
UNEXAMINED = dict.fromkeys(["accuracy", "log_loss", "gain", "standard_error"])
WATCHED = 4  # one labelled row of so many says when a fold's training is to stop


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
    These rows are also asked themselves, what is nearest to a content.
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
    onwards, both = settings.model_copy(update={**steps, "steps_per_root": 0.0}), pd.concat([rows, learned])
    tuned = _drawn_together(first.backbone, both, onwards, start.seed, f"{what}, self-training")
    heard = _worth_hearing(names, start)
    embeddings = embed(tuned, every)
    own, told = selftraining.settled(embeddings, rows, learned, heard, head, further)
    told["content"], second, third = contents, None, None
    if further.surface_share:
        second = Surface(vocabulary, selftraining.taught(surface, rows, told, head), further.surface_share)
    if further.nearest_share:
        known = pd.concat([rows, told])[["content", "label", "weight"]].reset_index(drop=True)
        asked = (further.nearest, further.nearest_share)
        third = Nearest(own.classes, known, embeddings, surface if second else None, *asked)
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


def choose(start: Start, parameters: PretrainTransfer) -> tuple[Trained, list[dict[str, Any]]]:
    """Cross-validate every candidate on the labelled rows, and train the winner on the whole training table.

    The first candidate is taken unless a later one has a gain of more than `minimum_gain` standard errors over the
    best before it. One candidate alone, or fewer labelled rows than `minimum_rows_per_class` times the classes, are not
    cross-validated: the record then has the reason, and no numbers.
    """
    labelled = start.labelled
    if reason := _unexamined(parameters, labelled["label"]):
        first = parameters.candidates[0]
        log.info("%s, not cross-validated: %s", first.kind, reason)
        trained = _train(first, start, start.training, None, "training on all rows")
        return trained, [{"kind": first.kind, "chosen": True, "reason": reason, **UNEXAMINED}]
    folds = crossvalidation.splits(labelled["label"].to_numpy(str), parameters.folds, 1, start.seed)
    folds = folds[: parameters.folds_examined]
    codes = np.unique(labelled["label"].to_numpy(str), return_inverse=True)[1]
    truth = codes[np.concatenate([held for _, held in folds])]
    best, best_correct, records, epochs_of = 0, np.empty(0), [], []
    for number, candidate in enumerate(parameters.candidates):
        probabilities, epochs = _held_out_probabilities(candidate, start, folds)
        correct = (probabilities.argmax(axis=1) == truth).astype(float)
        gain = crossvalidation.paired_gain(correct, best_correct) if number else crossvalidation.Gain(0.0, 0.0)
        if number == 0 or gain.clears(parameters.minimum_gain):
            best, best_correct = number, correct
        epochs_of.append(epochs)
        records.append(_record(candidate.kind, probabilities, truth, gain))
        log.info("%s: accuracy %.3f in cross-validation", candidate.kind, records[-1]["accuracy"])
    records = [{**record, "chosen": number == best} for number, record in enumerate(records)]
    trained = _train(parameters.candidates[best], start, start.training, epochs_of[best], "training on all rows")
    return trained, records


def _unexamined(parameters: PretrainTransfer, labels: pd.Series) -> str | None:
    """Why the candidates are not cross-validated on rows with these labels, as the end of a sentence."""
    if len(parameters.candidates) == 1:
        return "there is only one candidate"
    rows, enough = len(labels) / labels.nunique(), parameters.minimum_rows_per_class
    if rows < enough:
        return f"{rows:.4g} labelled rows per class are too few to tell candidates apart, {enough:g} are asked for"
    return None


def _train(
    candidate: Transfer,
    start: Start,
    rows: pd.DataFrame,
    epochs: int | None,
    what: str,
    watched: pd.DataFrame | None = None,
) -> Trained:
    """Train one candidate; only full fine-tuning counts its epochs, and stops by the rows `watched`."""
    backbone, head, seed = start.backbone, start.head, start.seed
    match candidate:
        case LinearProbe():
            return Trained(linear_probe(backbone, rows, head))
        case ContrastiveFineTuning():
            return contrastive_fine_tuning(start, rows, candidate, what)
        case FullFineTuning():
            many = candidate.epochs if epochs is None else epochs
            return Trained(*full_fine_tuning(backbone, rows, head, candidate, many, seed, watched, what))


def _held_out_probabilities(
    candidate: Transfer, start: Start, folds: Sequence[tuple[np.ndarray, np.ndarray]]
) -> tuple[np.ndarray, int]:
    """float32 [held out, classes], fold after fold; and the median of the folds' best epochs."""
    labelled, probabilities, epochs = start.labelled, [], []
    for number, (_, held) in enumerate(folds, start=1):
        rows, held_out = _learnable(start.training, labelled["id"].iloc[held]), labelled.iloc[held]
        what = f"{candidate.kind}, fold {number} of {len(folds)}"
        rows, watched = _set_apart(rows, start.seed) if isinstance(candidate, FullFineTuning) else (rows, None)
        trained = _train(candidate, start, rows, None, what, watched)
        epochs.append(trained.epochs)
        probabilities.append(trained.teacher.predict_proba(held_out["content"].tolist()))
    return np.concatenate(probabilities), int(np.median(epochs))


def _set_apart(rows: pd.DataFrame, seed: int) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """The rows to learn, and labelled ones that know nothing of them to stop by; None where a class has but one.

    Rows that score a candidate must not say, too, when its training was best: it would look better than it is.
    """
    labelled = rows[rows["origin_kind"] == "labelled"]
    if labelled["label"].value_counts().min() < 2:
        return rows, None
    _, watched = crossvalidation.splits(labelled["label"].to_numpy(str), WATCHED, 1, seed)[0]
    return _learnable(rows, labelled["id"].iloc[watched]), labelled.iloc[watched]


def _learnable(training: pd.DataFrame, held_out: pd.Series) -> pd.DataFrame:
    """The rows that know nothing of those held out: not they, not their children, no guesses made with their help."""
    related = training["id"].isin(held_out) | lineage.descends(training["parent"], held_out)
    return training[~related & (training["origin_kind"] != "pool")]


def _examples(rows: pd.DataFrame, classes: Sequence[str]) -> Examples:
    codes = pd.Categorical(rows["label"], categories=list(classes)).codes
    targets = np.eye(len(classes), dtype=np.float32)[codes]
    return Examples(rows["content"].tolist(), targets, rows["weight"].to_numpy(np.float32))


def _record(kind: str, probabilities: np.ndarray, truth: np.ndarray, gain: crossvalidation.Gain) -> dict[str, Any]:
    likelihoods = np.maximum(probabilities[np.arange(len(truth)), truth], TINY)
    return {
        "kind": kind,
        "accuracy": float((probabilities.argmax(axis=1) == truth).mean()),
        "log_loss": float(-np.log(likelihoods).mean()),
        "gain": gain.mean,
        "standard_error": gain.standard_error,
        "reason": None,
    }
