"""What a classifier is worth on the test rows: its guesses, and one record of its scores, its speed and its size."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd
from numpy.typing import NDArray

from handful import latency, metrics
from handful.classifier import Classifier
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
