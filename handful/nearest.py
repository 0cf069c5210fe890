"""The nearest rows: a content is taken for what those are taken for that lie nearest it."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.preprocessing import normalize
from threadpoolctl import threadpool_limits

from handful.diffusion import TEMPERATURE

SURFACE_WEIGHT = 0.2  # of the cosine of two surfaces, added to that of two embeddings
ITSELF = 1 - 1e-4  # a cosine of embeddings above which two contents are one
READ = 50  # rows, the nearest by embedding: the others' surfaces would have to be very like to bring them in
ROWS_AT_ONCE = 128  # against all that are known
DOUBT = 0.01  # a voice for no class: the farther all rows are, the less they say


@dataclass(frozen=True)
class Nearest:
    """An opinion of few rows where a probe's is of all: it follows a class that lies in several places.

    So labels that spread over a graph reach contents that were not part of it (the induction formula of Delalleau et
    al. 2005, whose small constant in the denominator is DOUBT).

    `known` are the rows (columns content, label, weight), with `embeddings` float32 [n, d] and `surface` [n, features],
    or None to go by embeddings alone. The `count` nearest are asked, and of the teacher's probabilities `share` come of
    this opinion.
    """

    classes: tuple[str, ...]
    known: pd.DataFrame
    embeddings: np.ndarray
    surface: Any
    count: int
    share: float

    @property
    def size_bytes(self) -> int:
        """Bytes of what has to be known of the rows."""
        read = self.surface
        stored = [read.data, read.indices, read.indptr] if sparse.issparse(read) else [read]
        return sum(int(array.nbytes) for array in [self.embeddings, *stored] if array is not None)

    @cached_property
    def _told(self) -> np.ndarray:
        """Of each row its weight in the column of its label, float32 [n, classes]."""
        labels = self.known["label"].to_numpy(str)[:, None] == np.array(self.classes)
        return np.asarray(labels * self.known[["weight"]].to_numpy(float), np.float32)

    @cached_property
    def _surfaces(self) -> Any:
        """The surfaces at unit length, [n, features]."""
        return normalize(self.surface)

    def predict_proba(self, embeddings: np.ndarray, surface: Any) -> np.ndarray:
        """What each content is taken for, float32 [m, classes], rows sum to 1.

        A row has no say in what it is taken for itself, so that one that is known is judged like one that is not.

        Args:
            embeddings: float32 [m, d], unit vectors.
            surface: [m, features], read as that of the rows.
        """
        said = [np.empty((0, len(self.classes)), np.float32)]
        with threadpool_limits(1):  # one order of summing on any number of cores
            for start in range(0, len(embeddings), ROWS_AT_ONCE):
                part = slice(start, start + ROWS_AT_ONCE)
                rows, alike = self._near(embeddings[part], None if self.surface is None else surface[part])
                voices = np.exp((alike - 1) / TEMPERATURE)
                votes = np.einsum("nk,nkc->nc", voices, self._told[rows]) + DOUBT / len(self.classes)
                said.append(np.asarray(votes / votes.sum(axis=1, keepdims=True), np.float32))
        return np.concatenate(said)

    def _near(self, embeddings: np.ndarray, surface: Any) -> tuple[np.ndarray, np.ndarray]:
        """For each content the rows nearest it, and how like it they are; -inf for itself.

        Returns:
            int64 and float32 [m, count, or fewer where not as many are known].
        """
        cosines: np.ndarray = embeddings @ self.embeddings.T
        cosines[cosines > ITSELF] = -np.inf
        rows = _largest(cosines, max(READ, self.count))
        alike = np.take_along_axis(cosines, rows, axis=1)
        if surface is not None:
            alike += SURFACE_WEIGHT * _products(normalize(surface), self._surfaces, rows)
        best = _largest(alike, self.count)
        return np.take_along_axis(rows, best, axis=1), np.take_along_axis(alike, best, axis=1)


def _largest(values: np.ndarray, count: int) -> np.ndarray:
    """The places of the largest values of each line, int64 [m, count, or all where there are fewer]."""
    count = min(count, values.shape[1])
    return np.argpartition(values, -count, axis=1)[:, -count:]


def _products(ours: Any, theirs: Any, rows: np.ndarray) -> np.ndarray:
    """The product of each line i of `ours` with those lines of `theirs` that `rows[i]` names; [m, k]."""
    if not sparse.issparse(ours):
        return np.take_along_axis(ours @ theirs.T, rows, axis=1)
    beside = ours[np.repeat(np.arange(len(rows)), rows.shape[1])]
    return np.asarray(beside.multiply(theirs[rows.ravel()]).sum(axis=1)).reshape(rows.shape)
