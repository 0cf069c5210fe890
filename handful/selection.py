"""Choosing few rows out of many: at random, far from each other, or representative of all."""

from collections.abc import Callable

import numpy as np

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

    Lazy evaluation (Minoux 1978): gains only shrink, so a stale gain is an upper bound and few are computed anew.
    Memory is linear in the rows.
    """
    covered = np.zeros(len(embeddings), np.float32)
    # The first gains need one pass over all pairs, in blocks; later ones are computed only when they may win.
    gains = (
        np.concatenate(
            [
                np.maximum(embeddings[start : start + 512] @ embeddings.T, 0).sum(axis=1)
                for start in range(0, len(embeddings), 512)
            ]
        )
        if len(embeddings)
        else np.empty(0, np.float32)
    )
    chosen: list[int] = []
    while len(chosen) < min(count, len(embeddings)):
        best = int(gains.argmax())
        similarity = embeddings @ embeddings[best]
        gains[best] = np.maximum(similarity - covered, 0).sum()
        if gains[best] >= gains.max():
            chosen.append(best)
            covered = np.maximum(covered, similarity)
            gains[best] = -np.inf
    return np.array(chosen, np.int64)


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


def balanced_weights(labels: np.ndarray) -> np.ndarray:
    """Weights of mean 1 that halve, in the logarithm, the imbalance of the classes: rare classes count more; [n]."""
    _, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    weights = (1.0 / np.sqrt(counts[inverse])).astype(np.float32)
    return np.asarray(weights / weights.mean())


def most_informative(embeddings: np.ndarray, probabilities: np.ndarray, count: int) -> np.ndarray:
    """Rows to label next: the least certain by margin, spread by k-centre over ten times as many; [count]."""
    ordered = np.sort(probabilities, axis=1)
    margin = ordered[:, -1] - ordered[:, -2]
    candidates = np.argsort(margin, kind="stable")[: 10 * count]
    return np.asarray(candidates[farthest_point(embeddings[candidates], count, 0)])


def confident(probabilities: np.ndarray, count: int, minimum: float) -> tuple[np.ndarray, np.ndarray]:
    """For each class the `count` rows most confidently guessed as it, at least `minimum`; (rows, classes), [m] each."""
    guess, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    rows = []
    for label in range(probabilities.shape[1]):
        own = np.flatnonzero((guess == label) & (confidence >= minimum))
        rows.append(own[np.argsort(-confidence[own], kind="stable")[:count]])
    chosen = np.sort(np.concatenate(rows))
    return chosen, guess[chosen]
