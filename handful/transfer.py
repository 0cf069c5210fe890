"""From a backbone to a teacher: cross-validation chooses among the candidates, and the winner learns all rows."""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from handful import crossvalidation, lineage
from handful.candidates import Start, Trained, contrastive_fine_tuning, full_fine_tuning, linear_probe
from handful.parameters.learning import (
    ContrastiveFineTuning,
    FullFineTuning,
    LinearProbe,
    PretrainTransfer,
    Transfer,
)

log = logging.getLogger("handful.transfer")
TINY = 1e-7
UNEXAMINED = dict.fromkeys(["accuracy", "log_loss", "gain", "standard_error"])
WATCHED = 4  # one labelled row of so many says when a fold's training is to stop


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
