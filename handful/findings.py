"""What an evaluation found out about the student: its confusions, its surest mistakes, its calibration."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from platform import python_version
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from handful import __version__, metrics
from handful.parameters.learning import Evaluate

MOST_PAIRS, EXAMPLES_PER_PAIR, MOST_MISTAKES = 10, 2, 10
FEWEST_ROWS = 2  # a pair confused once says little
PACKAGES = ("numpy", "onnxruntime", "scikit-learn", "torch", "transformers")


@dataclass(frozen=True)
class Findings:
    """All that the report tells.

    `metrics` is metrics.json; `test` has the columns id, content, label, origin; `probabilities` [rows, classes] are
    the student's. `gate`, `crossvalidation`, `distillation`, `validation` and `drift` are the JSON documents of the
    earlier stages, `set_aside` the rows that ingest kept out, `training` the number of training rows of each kind.
    `content` is the module of that name of the modality, which shows a row.
    """

    metrics: Mapping[str, Any]
    test: pd.DataFrame
    classes: Sequence[str]
    probabilities: NDArray[np.floating[Any]]
    parameters: Evaluate
    gate: Mapping[str, Mapping[str, Any]]
    crossvalidation: Mapping[str, Any]
    distillation: Mapping[str, Any]
    validation: Mapping[str, Any]
    drift: Mapping[str, Any]
    set_aside: pd.DataFrame
    training: Mapping[str, int]
    versions: Mapping[str, str]
    content: ModuleType

    @cached_property
    def labels(self) -> list[str]:
        """The classes, then labels that only test rows have."""
        return metrics.labels(self.test["label"].tolist(), self.classes)

    @cached_property
    def guesses(self) -> NDArray[Any]:
        """The student's guess for each test row."""
        return metrics.guess(self.probabilities, self.classes)

    @cached_property
    def confusion(self) -> NDArray[np.integer[Any]]:
        """The student's confusion matrix [true, guessed], in the order of `labels`."""
        return metrics.confusion(self.test["label"].tolist(), self.guesses, self.labels)

    @cached_property
    def bins(self) -> list[dict[str, float]]:
        """The student's calibration bins."""
        right = self.test["label"].to_numpy() == self.guesses
        return metrics.calibration_bins(self.probabilities, right, self.parameters.calibration_bins)


def versions() -> dict[str, str]:
    """What the numbers were made with: the packages that decide them, by name."""
    return {"handful": __version__, "python": python_version(), **{name: version(name) for name in PACKAGES}}


def confused_pairs(findings: Findings) -> list[dict[str, Any]]:
    """The commonest confusions, each with its surest examples."""
    wrong = findings.confusion.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:MOST_PAIRS]
    pairs = []
    for true, guessed in zip(*np.unravel_index(order, wrong.shape), strict=True):
        if wrong[true, guessed] < FEWEST_ROWS:
            break
        label, guess = findings.labels[true], findings.labels[guessed]
        rows = np.flatnonzero((findings.test["label"] == label).to_numpy() & (findings.guesses == guess))
        surest = rows[np.argsort(-findings.probabilities[rows].max(axis=1), kind="stable")][:EXAMPLES_PER_PAIR]
        examples = [_example(findings, row) for row in surest]
        of = int(findings.confusion[true].sum())
        pairs.append({"true": label, "guessed": guess, "rows": len(rows), "of": of, "examples": examples})
    return pairs


def surest_mistakes(findings: Findings) -> list[dict[str, Any]]:
    """The wrong guesses with the highest probability: errors of the student, or of the labels."""
    rows = np.flatnonzero(findings.test["label"].to_numpy() != findings.guesses)
    surest = rows[np.argsort(-findings.probabilities[rows].max(axis=1), kind="stable")][:MOST_MISTAKES]
    return [_example(findings, row) for row in surest]


def _example(findings: Findings, row: int) -> dict[str, Any]:
    """One test row for people: its preview, and a picture where the content is one."""
    record = findings.test.iloc[row]
    picture = findings.content.picture(record["content"])
    return {
        "text": findings.content.preview(record["content"]),
        "picture": picture and "data:image/png;base64," + base64.b64encode(picture).decode("ascii"),
        "origin": record["origin"],
        "true": record["label"],
        "guessed": findings.guesses[row],
        "probability": float(findings.probabilities[row].max()),
    }
