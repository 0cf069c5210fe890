"""What a classifier is worth on the test rows: its guesses, and one record of its scores, its speed and its size."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from handful import latency, metrics
from handful.classifier import AbstainingClassifier, Classifier
from handful.comparison import Rival
from handful.parameters.learning import Evaluate


@dataclass(frozen=True)
class Scored:
    """The probabilities [rows, classes], the guess for each row, and the record that metrics.json holds."""

    probabilities: NDArray[Any]
    guesses: NDArray[Any]
    record: dict[str, Any]


def score(
    test: pd.DataFrame, classifier: Classifier, timed: Callable[[Any], object], parameters: Evaluate, seed: int
) -> Scored:
    """Let `classifier` guess the labels of the test rows; `timed` is its predict_proba without any cache."""
    truth, contents = test["label"].tolist(), test["content"].tolist()
    probabilities = classifier.predict_proba(contents)
    record = {
        **metrics.score(truth, probabilities, classifier.classes_, parameters, seed),
        **latency.measure(timed, contents[: parameters.latency_rows]),
        "size_bytes": classifier.size_bytes,
    }
    return Scored(probabilities, metrics.guess(probabilities, classifier.classes_), record)


def student_record(kind: str, student: AbstainingClassifier, scored: Scored, truth: Sequence[str]) -> dict[str, Any]:
    """The record of the default student: its kind, its scores, and what they are where it may abstain."""
    correct = np.asarray(truth, dtype=object) == scored.guesses
    refusing = metrics.abstention(correct, scored.probabilities.max(axis=1), student.threshold)
    return {"kind": kind, **scored.record, "abstention": refusing}


def champion_record(rival: Rival | None, scored: Mapping[str, Scored]) -> dict[str, Any] | None:
    """The champion's version and its record, which holds nulls where it could not be asked; None without a champion."""
    if rival is None:
        return None
    unknown = dict.fromkeys(scored["baseline"].record)
    return {"version": rival.version, **(scored["champion"].record if "champion" in scored else unknown)}


def predictions(test: pd.DataFrame, scored: Mapping[str, Scored]) -> pd.DataFrame:
    """Each test row with what each named classifier guessed, and how surely."""
    table = test[["id", "origin", "label"]].copy()
    for name, one in scored.items():
        table[f"{name}_guess"] = one.guesses
        table[f"{name}_probability"] = one.probabilities.max(axis=1)
    return table
