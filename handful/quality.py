"""How well a new row fits the class it claims: distance, likelihood and probability under a Gaussian per class."""

import numpy as np
import pandas as pd
from scipy.special import log_softmax
from sklearn.covariance import LedoitWolf


def judge(known: np.ndarray, known_labels: np.ndarray, new: np.ndarray, new_labels: np.ndarray) -> pd.DataFrame:
    """Judge new rows against the labelled ones.

    Classes are Gaussians with one shrunk covariance (Ledoit & Wolf 2004), as in linear discriminant analysis.

    Args:
        known, new: embeddings float32 [n, d] and [m, d]; their labels are strings [n] and [m].

    Returns:
        m rows: `distance`, Euclidean to the class mean; `likelihood`, minus half the squared Mahalanobis distance to
        it; `quality`, the probability of the claimed class from 0 to 1.
    """
    if not len(new):
        return pd.DataFrame({name: pd.Series(dtype="float32") for name in ("distance", "likelihood", "quality")})
    classes, inverse = np.unique(known_labels, return_inverse=True)
    means = np.stack([known[inverse == index].mean(axis=0) for index in range(len(classes))])
    precision = LedoitWolf(assume_centered=True).fit(known - means[inverse]).precision_
    whitening = np.linalg.cholesky(precision).astype(np.float32)
    claimed = np.searchsorted(classes, new_labels)
    white_new, white_means = new @ whitening, means @ whitening
    squares = (white_new**2).sum(1)[:, None] + (white_means**2).sum(1) - 2 * white_new @ white_means.T
    log_likelihood = -0.5 * np.maximum(squares, 0)
    rows = np.arange(len(new))
    return pd.DataFrame({
        "distance": np.linalg.norm(new - means[claimed], axis=1).astype(np.float32),
        "likelihood": log_likelihood[rows, claimed].astype(np.float32),
        "quality": np.exp(log_softmax(log_likelihood, axis=1))[rows, claimed].astype(np.float32),
    })
