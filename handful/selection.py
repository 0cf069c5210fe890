"""Choosing few rows out of many: at random, far from each other, representative of all, or like another table's."""

from collections.abc import Callable

import numpy as np
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

PAIRS_AT_ONCE = 512  # rows of the table of all pairs, which never is whole in memory
STALE_AT_ONCE = 64
Choice = Callable[[np.ndarray, int, int], np.ndarray]


def random(embeddings: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Draw `count` rows without replacement; int [count]."""
    return np.random.default_rng(seed).permutation(len(embeddings))[:count]


def farthest_point(embeddings: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Take the row nearest to the mean, then always the one farthest from those taken (Gonzalez 1985, k-centre)."""
    if not len(embeddings):
        return np.empty(0, np.int64)
    chosen = [int((embeddings @ embeddings.mean(axis=0)).argmax())]
    nearest = embeddings @ embeddings[chosen[0]]
    while len(chosen) < min(count, len(embeddings)):
        nearest[chosen[-1]] = np.inf
        chosen.append(int(nearest.argmin()))
        nearest = np.maximum(nearest, embeddings @ embeddings[chosen[-1]])
    return np.array(chosen[:count], np.int64)


def facility_location(embeddings: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Greedily maximise the sum over all rows of the similarity to their nearest chosen row (Nemhauser et al. 1978).

    Lazy evaluation (Minoux 1978): gains only shrink, so a stale gain is an upper bound, and only the rows whose bounds
    are highest are computed anew, some at once. Memory is linear in the rows.
    """
    covered = np.zeros(len(embeddings), np.float32)
    everyone = np.arange(len(embeddings))
    # The first gains need one pass over all pairs, in blocks.
    blocks = [everyone[start : start + PAIRS_AT_ONCE] for start in range(0, len(everyone), PAIRS_AT_ONCE)]
    gains = np.concatenate([np.empty(0, np.float32), *(_gains(embeddings, rows, covered)[0] for rows in blocks)])
    chosen: list[int] = []
    while len(chosen) < min(count, len(embeddings)):
        # Stable, so that of equal rows the first is chosen, whatever else there is.
        promising = np.sort(np.argsort(-gains, kind="stable")[:STALE_AT_ONCE])
        promising = promising[np.isfinite(gains[promising])]
        gains[promising], similarity = _gains(embeddings, promising, covered)
        best = int(gains.argmax())
        place = np.flatnonzero(promising == best)
        if len(place):
            chosen.append(best)
            covered = np.maximum(covered, similarity[place[0]])
            gains[best] = -np.inf
    return np.array(chosen, np.int64)


def _gains(embeddings: np.ndarray, rows: np.ndarray, covered: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What each of `rows` would add to the similarity `covered` [n], and the similarities [rows, n] themselves."""
    similarity = embeddings[rows] @ embeddings.T
    return np.maximum(similarity - covered, 0).sum(axis=1), similarity


CHOICES: dict[str, Choice] = {
    "random": random,
    "farthest_point": farthest_point,
    "facility_location": facility_location,
}


def per_class(kind: str, embeddings: np.ndarray, labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Choose up to `count` rows of every class; returns row numbers, ascending."""
    chosen = [
        rows[CHOICES[kind](embeddings[rows], count, seed)]
        for rows in (np.flatnonzero(labels == label) for label in np.unique(labels))
    ]
    return np.sort(np.concatenate(chosen)) if chosen else np.empty(0, np.int64)


def best_per_class(scores: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    """The up to `count` rows of every class whose scores are highest; returns row numbers, ascending."""
    ranked = np.lexsort((-scores, labels))
    place = np.arange(len(labels)) - np.searchsorted(labels[ranked], labels[ranked])
    return np.sort(ranked[place < count])


def balanced_weights(labels: np.ndarray) -> np.ndarray:
    """Weights of mean 1 that halve, in the logarithm, the imbalance of the classes: rare classes count more; [n]."""
    _, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    weights = (1.0 / np.sqrt(counts[inverse])).astype(np.float32)
    return np.asarray(weights / weights.mean())


def density_ratio(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """How much likelier each source row is among the target rows than in the mixture of both, from 0 to 2; [n].

    A logistic regression tells source from target, both of equal weight: p / (1 - p) is the ratio of their densities
    (Bickel et al. 2009; Sugiyama et al. 2012). Relative to the mixture it stays bounded (Yamada et al. 2013), so that
    no single row counts for all others.
    """
    is_target = np.repeat([0, 1], [len(source), len(target)])
    model = LogisticRegression(class_weight="balanced", max_iter=1000)
    with threadpool_limits(1):
        model.fit(np.concatenate([source, target]), is_target)
    return np.asarray(2 * model.predict_proba(source)[:, 1], dtype=np.float32)


def confident(probabilities: np.ndarray, count: int, minimum: float) -> tuple[np.ndarray, np.ndarray]:
    """For each class the `count` rows most confidently guessed as it, at least `minimum`; (rows, classes), [m] each."""
    guess, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    rows = []
    for label in range(probabilities.shape[1]):
        own = np.flatnonzero((guess == label) & (confidence >= minimum))
        rows.append(own[np.argsort(-confidence[own], kind="stable")[:count]])
    chosen = np.sort(np.concatenate(rows))
    return chosen, guess[chosen]
