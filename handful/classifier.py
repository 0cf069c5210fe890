"""The contract of everything that predicts: teacher, student and baseline."""

from collections.abc import Sequence
from typing import Any, Protocol

from numpy.typing import NDArray


class Classifier(Protocol):
    """Gives each content a probability for each of its classes."""

    @property
    def classes_(self) -> list[str]:
        """The labels, in the order of the columns of `predict_proba`."""
        ...

    @property
    def size_bytes(self) -> int:
        """Bytes that predicting needs."""
        ...

    def predict_proba(self, contents: Sequence[Any]) -> NDArray[Any]:
        """[n, classes], rows sum to 1."""
        ...


class AbstainingClassifier(Classifier, Protocol):
    """A classifier that may refuse: `threshold` is the probability that its answer must reach."""

    threshold: float


class CachingClassifier(Classifier, Protocol):
    """A classifier that keeps what is dear to compute, as a teacher does its embeddings, unless told not to."""

    def predict_proba(self, contents: Sequence[Any], cached: bool = True) -> NDArray[Any]:
        """[n, classes], rows sum to 1; `cached=False` computes all of it anew."""
        ...
