"""Self-training: which rows of the pool to learn from, and with which labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import softmax

from handful import calibration, probe
from handful.diffusion import diffused
from handful.embedding import Backbone, embed
from handful.parameters.learning import ClassBalancedSelfTraining, Probe
from handful.teacher import Teacher

TINY = 1e-7
NAME_SCALE = 20.0  # of the cosine between a name and a content, before it is known how right names are
ROUNDS = 2  # of learning what was told, and telling what was learned; four gained no more


@dataclass(frozen=True)
class Names:
    """What the names of the classes alone say of contents.

    `opinions` float32 [n, classes], rows sum to 1; `right` is the share of them that can be expected to be right.
    """

    opinions: np.ndarray
    right: float


def drawn(rows: int, classes: int, settings: ClassBalancedSelfTraining, seed: int) -> np.ndarray:
    """The numbers of the pool's rows, of so many, that self-training looks at; ascending."""
    count = max(settings.pool_rows, settings.pool_rows_per_class * classes)
    return np.sort(np.random.default_rng(seed).permutation(rows)[:count])


def guessed(
    teachers: Sequence[Teacher],
    names: Names | None,
    surface: Any,
    rows: pd.DataFrame,
    contents: Sequence[Any],
    head: Probe,
    settings: ClassBalancedSelfTraining,
) -> pd.DataFrame:
    """The contents to train an encoder on: columns content, label (what was guessed) and weight, index their number.

    What all opinions are surest of teaches a probe on the surface of the contents, their n-grams or pixels. It and the
    names err on other rows than an encoder does that has learned the few labels (co-training, Blum & Mitchell 1998);
    so the surface is asked before the surest rows are chosen once more.

    Args:
        teachers: at least one; all have the same classes.
        names: what the names of these classes say of the contents.
        surface: of rows and contents, an array or sparse matrix [rows + contents, features].
        rows: what the teachers learned from; columns content, label, weight.
        contents: of the pool.
    """
    opinions = [teacher.predict_proba(contents) for teacher in teachers]
    opinions += [names.opinions] if names is not None else []
    classes = np.array(teachers[0].classes_)
    view = taught(surface, rows, _surest(classes, agreed(opinions), settings), head)
    chosen = _surest(classes, agreed([*opinions, view.predict_proba(surface[len(rows) :])]), settings)
    return chosen.assign(content=[contents[row] for row in chosen.index])


def named(backbone: Backbone, rows: pd.DataFrame, classes: np.ndarray, contents: Sequence[Any]) -> Names | None:
    """What the names of the classes alone say of the contents; None where nothing reads them.

    The nearer a content lies to a name, the likelier the class (Chang et al. 2008, dataless classification). Names
    have learned from no row, so the labelled ones show how right they are, and so sure they are: the names `1` and `2`
    say next to nothing. Few rows may all be right by chance, so as many guesses as there are classes, of which one
    is right, are added to theirs (Laplace's rule of succession).

    Args:
        backbone: one that has learned no label.
        rows: columns content, label, origin_kind.
    """
    vectors = backbone.names(list(classes))
    if vectors is None:
        return None
    labelled = rows[rows["origin_kind"] == "labelled"]
    guesses = (embed(backbone, labelled["content"].tolist()) @ vectors.T).argmax(axis=1)
    count = int((classes[guesses] == labelled["label"].to_numpy(str)).sum())
    right = (count + 1) / (len(labelled) + len(classes))
    logits = NAME_SCALE * embed(backbone, contents) @ vectors.T
    opinions = softmax(logits / calibration.temperature_for(logits, right), axis=1)
    return Names(np.asarray(opinions, np.float32), right)


def settled(
    embeddings: np.ndarray,
    rows: pd.DataFrame,
    learned: pd.DataFrame,
    names: Names | None,
    head: Probe,
    settings: ClassBalancedSelfTraining,
) -> tuple[probe.Head, pd.DataFrame]:
    """A head that has learned all contents, and what they were taken for: columns label and weight.

    Few labels place the border between two classes by chance. The pool shows where rows lie close together, and there
    no border should run: so an opinion spreads from row to row before it is taken for a label.

    Args:
        embeddings: float32 [rows + contents, d], of an encoder that was trained on `rows` and `learned`.
        rows: columns label, weight; their labels are known.
        learned: what `guessed` gave.
        names: of the classes, where they are to have a say in the labels, too.
    """
    contents = embeddings[len(rows) :]
    before = taught(embeddings, rows, learned, head)
    classes, after = np.array(before.classes), before
    known = rows["label"].to_numpy(str)[:, None] == classes
    for _ in range(ROUNDS):
        said = after.predict_proba(contents)
        said = said if names is None else agreed([said, names.opinions])
        opinions = np.concatenate([known, said]).astype(np.float32)
        found = diffused(embeddings, opinions, settings.neighbours, settings.diffusion)[len(rows) :]
        told = pd.DataFrame({"label": classes[found.argmax(axis=1)], "weight": settings.weight})
        after = taught(embeddings, rows, told, head)
    # Who learns what he himself has said becomes surer of it, but not righter.
    sure = calibration.confidence(before.logits(contents), 1.0)
    return after.at(calibration.temperature_for(after.logits(contents), sure)), told


def taught(features: Any, rows: pd.DataFrame, told: pd.DataFrame, head: Probe) -> probe.Head:
    """A probe that has learned `rows`, which come first in `features`, and the contents after them that are `told`."""
    both = pd.concat([rows, told])
    numbers = np.concatenate([np.arange(len(rows)), len(rows) + told.index])
    labels, weights = both["label"].to_numpy(str), both["weight"].to_numpy(float)
    return probe.fit(features[numbers], labels, head.inverse_regularisation, weights)


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
