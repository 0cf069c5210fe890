"""How well a new row fits the class it claims: its distance, its likelihood, and what a probe thinks of it."""

import numpy as np
import pandas as pd
from sklearn.covariance import LedoitWolf

from handful.probe import Head


def judge(
    known: np.ndarray, known_labels: np.ndarray, new: np.ndarray, new_labels: np.ndarray, head: Head
) -> pd.DataFrame:
    """Judge new rows against the labelled ones.

    Args:
        known, new: embeddings float32 [n, d] and [m, d]; their labels are strings [n] and [m].
        head: a probe of the labelled rows.

    Returns:
        m rows: `distance`, Euclidean to the class mean; `likelihood`, minus half the squared Mahalanobis distance to
        it under a covariance shared by all classes and shrunk (Ledoit & Wolf 2004); `quality`, the probe's probability
        of the claimed class.
    """
    if not len(new):
        return pd.DataFrame({name: pd.Series(dtype="float32") for name in ("distance", "likelihood", "quality")})
    classes, inverse = np.unique(known_labels, return_inverse=True)
    means = np.stack([known[inverse == index].mean(axis=0) for index in range(len(classes))])
    precision = LedoitWolf(assume_centered=True).fit(known - means[inverse]).precision_
    whitening = np.linalg.cholesky(precision).astype(np.float32)
    claimed = np.searchsorted(classes, new_labels)
    offset = new - means[claimed]
    return pd.DataFrame({
        "distance": np.linalg.norm(offset, axis=1).astype(np.float32),
        "likelihood": (-0.5 * ((offset @ whitening) ** 2).sum(axis=1)).astype(np.float32),
        "quality": head.predict_proba(new)[np.arange(len(new)), claimed],
    })
