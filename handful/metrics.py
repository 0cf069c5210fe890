"""How good a classifier is: scores, their bootstrap intervals, the confusion matrix and calibration."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.metrics import confusion_matrix

from handful.parameters.learning import Evaluate

Floats = NDArray[np.floating[Any]]
Integers = NDArray[np.integer[Any]]


def score(
    truth: Sequence[str], probabilities: Floats, classes: Sequence[str], parameters: Evaluate, seed: int
) -> dict[str, Any]:
    """Score `probabilities` [rows, classes] against the true labels.

    A row whose label is not among `classes` is an error that no classifier of these classes could avoid: it counts.

    Returns:
        accuracy, macro_recall, macro_f1, mcc, calibration_error, and intervals: low and high ends of the first four.
    """
    guesses = guess(probabilities, classes)
    counts = confusion(truth, guesses, labels(truth, classes))
    bins = calibration_bins(probabilities, np.asarray(truth, dtype=object) == guesses, parameters.calibration_bins)
    scores = {name: float(value[0]) for name, value in _scores(*_margins(counts[None])).items()}
    return {**scores, "calibration_error": calibration_error(bins), "intervals": intervals(counts, parameters, seed)}


def guess(probabilities: Floats, classes: Sequence[str]) -> NDArray[Any]:
    """Return the most probable label of each row; the first one when several are equally probable."""
    names: NDArray[Any] = np.asarray(classes, dtype=object)
    return np.asarray(names[probabilities.argmax(axis=1)])


def labels(truth: Sequence[str], classes: Sequence[str]) -> list[str]:
    """Return the classes, then the labels that only the test rows have, sorted."""
    return [*classes, *sorted(set(truth) - set(classes))]


def confusion(truth: Sequence[str], guesses: Sequence[str] | NDArray[Any], names: Sequence[str]) -> Integers:
    """Count the rows [true label, guessed label], both in the order of `names`."""
    place = {name: index for index, name in enumerate(names)}
    rows, columns = [place[label] for label in truth], [place[label] for label in guesses]
    return np.asarray(confusion_matrix(rows, columns, labels=range(len(names))))


def per_class(counts: Integers, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return label, precision, recall, f1 and support of each class of a confusion matrix; 0 where undefined."""
    hits, support, guessed = (margin[0] for margin in _margins(counts[None]))
    precision, recall, f1 = _divide(hits, guessed), _divide(hits, support), _divide(2 * hits, support + guessed)
    return [
        {"label": name, "precision": float(p), "recall": float(r), "f1": float(f), "support": int(s)}
        for name, p, r, f, s in zip(names, precision, recall, f1, support, strict=True)
    ]


def intervals(counts: Integers, parameters: Evaluate, seed: int) -> dict[str, list[float]]:
    """Percentile intervals of the bootstrap over test rows (Efron 1979) for each score of a confusion matrix.

    The scores depend on the rows only through the cells of the matrix, and resampled rows fall into the cells as a
    multinomial draw: so the cost does not grow with the number of rows.
    """
    true, guessed = np.nonzero(counts)
    drawn = resampled(counts[true, guessed], parameters.bootstrap_samples, seed)
    scores = scores_of_cells(drawn, true, guessed, len(counts))
    return {name: interval(values, parameters.confidence_level) for name, values in scores.items()}


def resampled(counts: Integers, samples: int, seed: int) -> Integers:
    """Draw as many rows as there are, with replacement: how many fall into each cell, [samples, cells]."""
    rows = int(counts.sum())
    return np.random.default_rng(seed).multinomial(rows, counts / rows, size=samples)


def scores_of_cells(counts: Integers, true: Integers, guessed: Integers, classes: int) -> dict[str, Floats]:
    """Score rows that are counted by cell: `counts` [samples, cells], the classes of each cell by their number.

    Returns:
        accuracy, macro_recall, macro_f1 and mcc, each [samples].
    """
    right = true == guessed
    hits = _by_class(counts[:, right], true[right], classes)
    return _scores(hits, _by_class(counts, true, classes), _by_class(counts, guessed, classes))


def interval(values: Floats, confidence_level: float) -> list[float]:
    """Low and high end of the percentile interval of bootstrapped values."""
    tail = (1 - confidence_level) / 2
    return [float(end) for end in np.quantile(values, [tail, 1 - tail])]


def calibration_bins(probabilities: Floats, correct: NDArray[np.bool_], bins: int) -> list[dict[str, float]]:
    """Group the rows by their highest probability into `bins` of equal width, open below and closed above.

    Returns:
        for each bin low, high, rows, and the mean confidence and accuracy of its rows (0 in an empty bin).
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    rows = np.bincount(place, minlength=bins)
    mean_confidence = _divide(np.bincount(place, confidence, bins), rows)
    accuracy = _divide(np.bincount(place, correct.astype(np.float64), bins), rows)
    return [
        {
            "low": index / bins,
            "high": (index + 1) / bins,
            "rows": int(rows[index]),
            "confidence": float(mean_confidence[index]),
            "accuracy": float(accuracy[index]),
        }
        for index in range(bins)
    ]


def calibration_error(bins: Sequence[dict[str, float]]) -> float:
    """Expected calibration error (Guo et al. 2017, eq. 3): the mean gap of confidence and accuracy over the rows."""
    gaps = sum(place["rows"] * abs(place["accuracy"] - place["confidence"]) for place in bins)
    return float(gaps / sum(place["rows"] for place in bins))


def abstention(correct: NDArray[np.bool_], confidences: Floats, threshold: float) -> dict[str, float | None]:
    """The threshold, the share of rows at least so sure, and the accuracy on these (None where there are none)."""
    answered = confidences >= threshold
    accuracy = float(correct[answered].mean()) if answered.any() else None
    return {"threshold": threshold, "share_answered": float(answered.mean()), "accuracy_answered": accuracy}


def _by_class(counts: Integers, classes_of_cells: Integers, classes: int) -> Integers:
    """Add up the cells of each class: [samples, cells] in, [samples, classes] out.

    Sparse, for each cell belongs to one class alone: with a thousand classes a dense product takes minutes.
    """
    places = classes_of_cells, np.arange(len(classes_of_cells))
    belongs = csr_array((np.ones(len(classes_of_cells), np.int64), places), shape=(classes, len(classes_of_cells)))
    return np.asarray((belongs @ counts.T).T)


def _margins(counts: Integers) -> tuple[Integers, Integers, Integers]:
    """Right guesses, rows and guesses, each [matrices, classes], of `counts` [matrices, classes, classes]."""
    return counts.diagonal(axis1=1, axis2=2), counts.sum(axis=2), counts.sum(axis=1)


def _scores(hits: Integers, support: Integers, guessed: Integers) -> dict[str, Floats]:
    """Accuracy, macro recall, macro F1 and Matthews correlation (Gorodkin 2004, eq. 8), each [matrices].

    Recall is averaged over the labels that occur; F1 over those that occur or are guessed, as in scikit-learn.
    """
    rows, right = support.sum(axis=1, dtype=np.float64), hits.sum(axis=1, dtype=np.float64)
    seen, named = (support > 0).sum(axis=1), (support + guessed > 0).sum(axis=1)
    covariance = right * rows - (support * guessed).sum(axis=1, dtype=np.float64)
    spread_of_truth = rows**2 - (support**2).sum(axis=1, dtype=np.float64)
    spread_of_guesses = rows**2 - (guessed**2).sum(axis=1, dtype=np.float64)
    return {
        "accuracy": right / rows,
        "macro_recall": _divide(hits, support).sum(axis=1) / seen,
        "macro_f1": _divide(2 * hits, support + guessed).sum(axis=1) / named,
        "mcc": _divide(covariance, np.sqrt(spread_of_truth * spread_of_guesses)),
    }


def _divide(numerator: NDArray[Any], denominator: NDArray[Any]) -> Floats:
    """Divide, with 0 where the denominator is 0."""
    zeros = np.zeros(np.shape(numerator), dtype=np.float64)
    return np.asarray(np.divide(numerator, denominator, out=zeros, where=np.asarray(denominator) != 0))
