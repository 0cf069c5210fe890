"""How well a new row fits the class that it claims, and how much it adds to the rows that are there."""

import numpy as np
import pandas as pd
from sklearn.covariance import LedoitWolf

from handful.probe import Head

MEASURES = ("euclidean", "mahalanobis", "likelihood", "diversity")
ROWS_PER_BLOCK = 512


def judge(
    known: np.ndarray, known_labels: np.ndarray, new: np.ndarray, new_labels: np.ndarray, head: Head, kind: str
) -> pd.DataFrame:
    """Judge new rows against the labelled ones.

    Args:
        known, new: embeddings float32 [n, d] and [m, d]; their labels are strings [n] and [m].
        head: a probe of the labelled rows.
        kind: which of the first three measures is the quality.

    Returns:
        float32, m rows: `euclidean`, the distance to the class mean; `mahalanobis`, the same under a covariance shared
        by all classes and shrunk (Ledoit & Wolf 2004); `likelihood`, the probe's probability of the claimed class;
        `diversity`, the distance to the nearest other row of the class, labelled or new: a copy has none; `quality`,
        higher is better: the likelihood, or a distance with its sign turned.
    """
    if not len(new):
        return pd.DataFrame({name: pd.Series(dtype="float32") for name in (*MEASURES, "quality")})
    classes, inverse = np.unique(known_labels, return_inverse=True)
    claimed = np.searchsorted(classes, new_labels)
    means = np.stack([known[inverse == index].mean(axis=0) for index in range(len(classes))])
    precision = LedoitWolf(assume_centered=True).fit(known - means[inverse]).precision_
    offset = new - means[claimed]
    squared = ((offset @ precision) * offset).sum(axis=1)  # zero, too, where all labelled rows are alike
    measured = {
        "euclidean": np.linalg.norm(offset, axis=1),
        "mahalanobis": np.sqrt(np.maximum(squared, 0.0)),
        "likelihood": head.predict_proba(new)[np.arange(len(new)), claimed],
        "diversity": _diversity(known, inverse, new, claimed),
    }
    quality = measured[kind] if kind == "likelihood" else -measured[kind]
    return pd.DataFrame({**measured, "quality": quality}).astype(np.float32)


def summary(rows: pd.DataFrame) -> dict[str, dict[str, float]]:
    """For each operation the number of its rows and the means of their measures."""
    means = rows.groupby("operation")[list(MEASURES)].mean().astype(float).round(4)
    counted = means.assign(rows=rows.groupby("operation").size())
    found: dict[str, dict[str, float]] = counted.to_dict("index")
    return found


def _diversity(known: np.ndarray, known_class: np.ndarray, new: np.ndarray, new_class: np.ndarray) -> np.ndarray:
    nearest = np.empty(len(new))
    for label in np.unique(new_class):
        own = np.flatnonzero(new_class == label)
        others = np.concatenate([new[own], known[known_class == label]])
        for start in range(0, len(own), ROWS_PER_BLOCK):
            block = own[start : start + ROWS_PER_BLOCK]
            squares = (new[block] ** 2).sum(axis=1)[:, None] + (others**2).sum(axis=1) - 2 * new[block] @ others.T
            # A row is not its own neighbour.
            squares[np.arange(len(block)), start + np.arange(len(block))] = np.inf
            nearest[block] = np.sqrt(np.maximum(squares.min(axis=1), 0))
    return nearest
