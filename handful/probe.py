"""The linear probe: logistic regression on embeddings, the head of every teacher and the honest baseline."""

import math
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from handful import crossvalidation

FOLDS = 4
ENOUGH_GUESSES = 200  # so many, over all repeats, that chance no longer moves the share of right ones much


@dataclass(frozen=True)
class Head:
    """Linear layer from embeddings to classes: `coefficients` float32 [classes, dimensions], `intercept` [classes]."""

    classes: tuple[str, ...]
    coefficients: np.ndarray
    intercept: np.ndarray

    def logits(self, embeddings: np.ndarray) -> np.ndarray:
        """float32 [n, classes]."""
        return np.asarray(embeddings @ self.coefficients.T + self.intercept)

    def at(self, temperature: float) -> "Head":
        """The head whose logits are these, divided by the temperature."""
        scale = np.float32(temperature)
        return Head(self.classes, self.coefficients / scale, self.intercept / scale)

    @property
    def size_bytes(self) -> int:
        """Bytes of the weights."""
        return int(self.coefficients.nbytes + self.intercept.nbytes)

    def predict(self, embeddings: np.ndarray) -> np.ndarray:
        """The likeliest class of each row, strings [n]."""
        return np.asarray(np.array(self.classes)[self.logits(embeddings).argmax(axis=1)])

    def predict_proba(self, embeddings: np.ndarray) -> np.ndarray:
        """float32 [n, classes], rows sum to 1."""
        return np.asarray(softmax(self.logits(embeddings), axis=1), dtype=np.float32)

    def save(self, path: Path) -> None:
        """Write as safetensors; the classes lie in the teacher's JSON."""
        save_file({"coefficients": self.coefficients, "intercept": self.intercept}, path)


def load_head(path: Path, classes: tuple[str, ...]) -> Head:
    """Read what `Head.save` wrote."""
    tensors = load_file(path)
    return Head(classes, tensors["coefficients"], tensors["intercept"])


def fit(
    embeddings: np.ndarray,
    labels: np.ndarray,
    inverse_regularisation: float,
    weights: np.ndarray | None = None,
) -> Head:
    """Multinomial logistic regression with an L2 penalty; `inverse_regularisation` is scikit-learn's C.

    Args:
        embeddings: float32 [n, dimensions].
        labels: [n] strings, at least two distinct.
        weights: [n] or None for equal weights.
    """
    model = LogisticRegression(C=inverse_regularisation, max_iter=1000)
    # So small a problem is solved fastest by one thread; more only wait for each other.
    with threadpool_limits(1), warnings.catch_warnings():
        # Labels are classes, also where hardly two rows share one.
        warnings.filterwarnings("ignore", message="The number of unique classes", category=UserWarning)
        model.fit(embeddings, labels, sample_weight=weights)
    coefficients, intercept = model.coef_, model.intercept_
    if len(model.classes_) == 2:
        # scikit-learn keeps one row for two classes: the logit of the second against a first that is always 0.
        coefficients = np.concatenate([-coefficients, coefficients]) / 2
        intercept = np.concatenate([-intercept, intercept]) / 2
    return Head(
        tuple(str(name) for name in model.classes_),
        np.ascontiguousarray(coefficients, np.float32),
        np.ascontiguousarray(intercept, np.float32),
    )


def held_out_accuracy(embeddings: np.ndarray, labels: np.ndarray, inverse_regularisation: float, seed: int) -> float:
    """What such a probe gets right of rows that it has not seen, over as many repeats as few rows need.

    Args:
        embeddings: float32 [n, dimensions].
        labels: [n] strings, at least two of each.
    """
    right = []
    for learned, held in crossvalidation.splits(labels, FOLDS, math.ceil(ENOUGH_GUESSES / len(labels)), seed):
        head = fit(embeddings[learned], labels[learned], inverse_regularisation)
        right.append(head.predict(embeddings[held]) == labels[held])
    return float(np.concatenate(right).mean())
