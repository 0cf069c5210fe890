"""Repeated stratified cross-validation over the labelled rows, and whether one way beats another."""

from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import RepeatedStratifiedKFold


@dataclass(frozen=True)
class Gain:
    """Mean paired gain in accuracy over the labelled rows, and its standard error."""

    mean: float
    standard_error: float

    def clears(self, minimum_gain: float) -> bool:
        """Whether the gain is above zero by more than `minimum_gain` standard errors."""
        return self.mean > 0 and self.mean > minimum_gain * self.standard_error


def splits(labels: np.ndarray, folds: int, repeats: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return (training rows, held-out rows) for every fold of every repeat.

    Each held-out part keeps the classes' shares; there are never more folds than rows in the smallest class, so that
    every class is in every training part. The smallest class needs two rows.
    """
    smallest = int(np.unique(labels, return_counts=True)[1].min())
    folded = RepeatedStratifiedKFold(n_splits=min(folds, smallest), n_repeats=repeats, random_state=seed)
    return list(folded.split(np.zeros(len(labels)), labels))


def paired_gain(correct: np.ndarray, reference: np.ndarray) -> Gain:
    """Compare two ways that were scored on the same held-out rows.

    Args:
        correct, reference: float [rows], the share of repeats in which a row was predicted rightly.
    """
    difference = correct - reference
    return Gain(float(difference.mean()), float(difference.std(ddof=1) / np.sqrt(len(difference))))
