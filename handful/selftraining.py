"""Self-training: which rows of the pool a teacher is sure enough of to learn from its own labels on them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from handful.parameters.learning import ClassBalancedSelfTraining
from handful.teacher import Teacher


def guessed(teacher: Teacher, pool: Sequence[Any], settings: ClassBalancedSelfTraining, seed: int) -> pd.DataFrame:
    """The rows of the pool to learn from: columns content, label (the teacher's guess) and weight."""
    drawn = np.random.default_rng(seed).permutation(len(pool))[: settings.pool_rows]
    contents = [pool[row] for row in np.sort(drawn)]
    probabilities = teacher.predict_proba(contents, cached=False)
    rows = surest(probabilities, settings.share, settings.minimum_per_class)
    labels = np.array(teacher.classes_)[probabilities[rows].argmax(axis=1)]
    return pd.DataFrame({"content": [contents[row] for row in rows], "label": labels, "weight": settings.weight})


def surest(probabilities: np.ndarray, share: float, minimum: int) -> np.ndarray:
    """The rows in the surest `share` of their likeliest class, at least `minimum` of each that has so many; ascending.

    Zou et al. 2018, section 3.3: a bound for each class of its own, for one bound for all would leave out the classes
    that are hard. A share, unlike a number, leaves each class as frequent as it is guessed.

    Args:
        probabilities: float32 [rows, classes].
    """
    likeliest, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    chosen = []
    for code in np.unique(likeliest):
        rows = np.flatnonzero(likeliest == code)
        count = max(minimum, int(np.ceil(share * len(rows))))
        chosen.append(rows[np.argsort(-confidence[rows], kind="stable")][:count])
    return np.sort(np.concatenate(chosen))
