"""Labelled rows whose label looks wrong, by confident learning over a cross-validated probe."""

from collections.abc import Callable
from functools import cache

import numpy as np

from handful import crossvalidation, probe
from handful.errors import MissingExtraError
from handful.gate import Rows

FEWEST_PER_CLASS = 2  # as many as cross-validation needs, and a class must not vanish


def pruner(labelled: Rows, inverse_regularisation: float, folds: int, seed: int) -> Callable[[np.ndarray], np.ndarray]:
    """A function from the rows that may be learned from to those of them whose labels are believed.

    It sees nothing of the other rows, so that a fold prunes its own training rows only. The fold then is examined on
    all of its held-out rows, suspects included: to leave those out would be to choose the questions by the answers.
    Wrong labels among them count equally against both sides of the comparison.
    """

    @cache
    def kept(training: bytes) -> np.ndarray:
        rows = np.frombuffer(training, np.int64)
        suspected = suspects(labelled.embeddings[rows], labelled.labels[rows], inverse_regularisation, folds, seed)
        return np.delete(rows, suspected)

    return lambda training: kept(training.astype(np.int64).tobytes())


def suspects(
    embeddings: np.ndarray, labels: np.ndarray, inverse_regularisation: float, folds: int, seed: int
) -> np.ndarray:
    """The numbers of rows whose label is probably wrong (Northcutt et al. 2021), the most suspect first.

    Every class keeps two rows; where one has no more, nobody can be held out and none is suspected.

    Raises:
        MissingExtraError: cleanlab is not installed.
    """
    try:
        from cleanlab.filter import find_label_issues
    except ImportError:
        raise MissingExtraError("cleanlab", "noise") from None
    classes, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if counts.min() < FEWEST_PER_CLASS:
        return np.empty(0, np.int64)
    probabilities = np.zeros((len(labels), len(classes)))
    for training, held_out in crossvalidation.splits(labels, folds, 1, seed):
        head = probe.fit(embeddings[training], labels[training], inverse_regularisation)
        probabilities[held_out] = head.predict_proba(embeddings[held_out])
    ranked = find_label_issues(codes, probabilities, return_indices_ranked_by="self_confidence", n_jobs=1)
    leaving = []
    for row in ranked:
        if counts[codes[row]] > FEWEST_PER_CLASS:
            counts[codes[row]] -= 1
            leaving.append(int(row))
    return np.array(leaving, np.int64)
