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
ROWS_AT_ONCE = 256  # against all that are known
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
    def _columns(self) -> Any:
        """The surfaces at unit length as columns, [features, n], ready to be multiplied with."""
        columns = normalize(self.surface).T
        return columns.tocsr() if sparse.issparse(columns) else columns

    def predict_proba(self, embeddings: np.ndarray, surface: Any) -> np.ndarray:
        """What each content is taken for, float32 [m, classes], rows sum to 1.

        A row has no say in what it is taken for itself, so that one that is known is judged like one that is not.

        Args:
            embeddings: float32 [m, d], unit vectors.
            surface: [m, features], read as that of the rows.
        """
        count, said = min(self.count, len(self.known)), [np.empty((0, len(self.classes)), np.float32)]
        with threadpool_limits(1):  # one order of summing on any number of cores
            for start in range(0, len(embeddings), ROWS_AT_ONCE):
                part = slice(start, start + ROWS_AT_ONCE)
                alike = self._likeness(embeddings[part], None if self.surface is None else surface[part])
                nearest = np.argpartition(-alike, count - 1, axis=1)[:, :count]
                voices = np.exp((np.take_along_axis(alike, nearest, axis=1) - 1) / TEMPERATURE)
                votes = np.einsum("nk,nkc->nc", voices, self._told[nearest]) + DOUBT / len(self.classes)
                said.append(np.asarray(votes / votes.sum(axis=1, keepdims=True), np.float32))
        return np.concatenate(said)

    def _likeness(self, embeddings: np.ndarray, surface: Any) -> np.ndarray:
        """Of each content to each row, float32 [m, n]; -inf to itself."""
        alike: np.ndarray = embeddings @ self.embeddings.T
        itself = alike > ITSELF
        if surface is not None:
            product = normalize(surface) @ self._columns
            alike += SURFACE_WEIGHT * (product.toarray() if sparse.issparse(product) else product)
        alike[itself] = -np.inf
        return alike
