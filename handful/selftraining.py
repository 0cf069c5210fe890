"""Self-training: which rows of the pool to learn from, and with which labels."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import softmax

from handful import probe
from handful.diffusion import diffused
from handful.embedding import embed
from handful.parameters.learning import ClassBalancedSelfTraining, Probe
from handful.teacher import Teacher

TINY = 1e-7


def drawn(rows: int, classes: int, settings: ClassBalancedSelfTraining, seed: int) -> np.ndarray:
    """The numbers of the pool's rows, of so many, that self-training looks at; ascending."""
    count = max(settings.pool_rows, settings.pool_rows_per_class * classes)
    return np.sort(np.random.default_rng(seed).permutation(rows)[:count])


def guessed(
    teachers: Sequence[Teacher],
    rows: pd.DataFrame,
    contents: Sequence[Any],
    head: Probe,
    settings: ClassBalancedSelfTraining,
) -> pd.DataFrame:
    """The contents to train an encoder on: columns content, label (what was guessed) and weight, index their number.

    What the teachers are surest of teaches a probe on the surface of the contents, their n-grams or pixels. It errs on
    other rows than an encoder does (co-training, Blum & Mitchell 1998), so its opinion is asked too before the surest
    rows are chosen once more.

    Args:
        teachers: at least one; all have the same classes.
        rows: what they learned from; columns content, label, weight.
        contents: of the pool.
    """
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
    return chosen.assign(content=[contents[row] for row in chosen.index])


def settled(
    teacher: Teacher, rows: pd.DataFrame, contents: Sequence[Any], settings: ClassBalancedSelfTraining
) -> pd.DataFrame:
    """All the contents with what the teacher thinks of them and of those near them; as above.

    Few labels place the border between two classes by chance. The pool shows where rows lie close together, and there
    no border should run: so an opinion spreads from row to row before it is taken for a label.

    Args:
        rows: columns content, label; theirs are known.
        contents: of the pool.
    """
    classes = np.array(teacher.classes_)
    embeddings = embed(teacher.backbone, [*rows["content"], *contents])
    known = (rows["label"].to_numpy(str)[:, None] == classes).astype(np.float32)
    opinions = np.concatenate([known, teacher.head.predict_proba(embeddings[len(rows) :])])
    found = diffused(embeddings, opinions, settings.neighbours, settings.diffusion)[len(rows) :]
    return pd.DataFrame({"label": classes[found.argmax(axis=1)], "weight": settings.weight, "content": contents})


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
