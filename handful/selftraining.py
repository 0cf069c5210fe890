"""Self-training: pool rows that several views of the data agree on, with the labels that they give them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import softmax

from handful import probe
from handful.parameters.learning import ClassBalancedSelfTraining, Probe
from handful.teacher import Teacher

TINY = 1e-7


def guessed(
    teachers: Sequence[Teacher],
    rows: pd.DataFrame,
    pool: Sequence[Any],
    head: Probe,
    settings: ClassBalancedSelfTraining,
    seed: int,
) -> pd.DataFrame:
    """The rows of the pool to learn from: columns content, label (what was guessed) and weight, index the row's number.

    What the teachers are surest of teaches a probe on the surface of the contents, their n-grams or pixels. It errs on
    other rows than an encoder does (co-training, Blum & Mitchell 1998), so its opinion is asked too before the surest
    rows are chosen once more.

    Args:
        teachers: at least one; all have the same classes.
        rows: what they learned from; columns content, label, weight.
    """
    drawn = np.sort(np.random.default_rng(seed).permutation(len(pool))[: settings.pool_rows])
    contents = [pool[row] for row in drawn]
    opinions = [teacher.predict_proba(contents) for teacher in teachers]
    classes = np.array(teachers[0].classes_)
    surface = teachers[0].backbone.surface([*rows["content"], *contents])
    learned = _surest(classes, agreed(opinions), settings)
    view = probe.fit(
        surface[np.concatenate([np.arange(len(rows)), len(rows) + learned.index])],
        np.concatenate([rows["label"].to_numpy(str), learned["label"].to_numpy(str)]),
        head.inverse_regularisation,
        np.concatenate([rows["weight"], learned["weight"]]),
    )
    chosen = _surest(classes, agreed([*opinions, view.predict_proba(surface[len(rows) :])]), settings)
    return chosen.assign(content=[contents[row] for row in chosen.index]).set_index(drawn[chosen.index])


def nothing() -> pd.DataFrame:
    """The same without a row."""
    return pd.DataFrame({"label": pd.Series(dtype="str"), "weight": pd.Series(dtype=float), "content": []})


def agreed(opinions: Sequence[np.ndarray]) -> np.ndarray:
    """The normalised geometric mean of probabilities: high only where no opinion is low; each float32 [n, classes]."""
    logs = [np.log(np.maximum(opinion, TINY)) for opinion in opinions]
    return np.asarray(softmax(np.mean(logs, axis=0), axis=1), np.float32)


def surest(probabilities: np.ndarray, share: float, minimum: int) -> np.ndarray:
    """The rows in the surest `share` of their likeliest class, at least `minimum` of each that has so many; ascending.

    Zou et al. 2018, section 3.3: a bound for each class of its own, for one bound for all would leave out the classes
    that are hard. A share, unlike a number, leaves each class as frequent as it is guessed.

    Args:
        probabilities: float32 [n, classes].
    """
    likeliest, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    chosen = []
    for code in np.unique(likeliest):
        rows = np.flatnonzero(likeliest == code)
        count = max(minimum, int(np.ceil(share * len(rows))))
        chosen.append(rows[np.argsort(-confidence[rows], kind="stable")][:count])
    return np.sort(np.concatenate(chosen))


def _surest(classes: np.ndarray, probabilities: np.ndarray, settings: ClassBalancedSelfTraining) -> pd.DataFrame:
    """Label and weight of the chosen rows; the index holds their numbers."""
    rows = surest(probabilities, settings.share, settings.minimum_per_class)
    return pd.DataFrame({"label": classes[probabilities[rows].argmax(axis=1)], "weight": settings.weight}, index=rows)
