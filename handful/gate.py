"""The gate: rows that nobody labelled by hand are used only where cross-validation on the labelled rows says so."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from handful import crossvalidation, probe
from handful.selection import balanced_weights


@dataclass(frozen=True)
class Rows:
    """Training rows in embedding space: `embeddings` [n, d], `labels` [n] strings, `weights` [n]."""

    embeddings: np.ndarray
    labels: np.ndarray
    weights: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def __add__(self, other: "Rows") -> "Rows":
        return Rows(
            np.concatenate([self.embeddings, other.embeddings]),
            np.concatenate([self.labels, other.labels]),
            np.concatenate([self.weights, other.weights]),
        )

    def take(self, chosen: np.ndarray) -> "Rows":
        """The rows numbered or marked by `chosen`."""
        return Rows(self.embeddings[chosen], self.labels[chosen], self.weights[chosen])


@dataclass(frozen=True)
class Offer:
    """Rows that may be added. Both functions get the numbers of the labelled rows that may be learned from.

    `rows` leaves out what was made from other labelled rows or depends on their labels; `table` gives the rows to add
    to the training table. `count` is how many there are to choose from.
    """

    name: str
    count: int
    rows: Callable[[np.ndarray], Rows]
    table: Callable[[np.ndarray], pd.DataFrame]


@dataclass(frozen=True)
class Gate:
    """Judges offers one after the other; those accepted stay for the next."""

    labelled: Rows
    splits: list[tuple[np.ndarray, np.ndarray]]
    inverse_regularisation: float
    minimum_gain: float
    accepted: list[Offer] = field(default_factory=list)

    def judge(self, offer: Offer) -> dict[str, Any]:
        """Cross-validate the offer on top of what was accepted, keep it if it helps, and give the verdict."""
        if not offer.count:
            return {"rows": 0, "gain": 0.0, "standard_error": 0.0, "used": False, "reason": "there are no such rows"}
        gain = crossvalidation.paired_gain(self._correct([*self.accepted, offer]), self._correct(self.accepted))
        used = gain.clears(self.minimum_gain)
        if used:
            self.accepted.append(offer)
        bound = f"{self.minimum_gain:g} standard errors of {gain.standard_error:.3f}"
        reason = f"accuracy {gain.mean:+.3f} in cross-validation, {'above' if used else 'not above'} zero by {bound}"
        return {
            "rows": offer.count,
            "gain": gain.mean,
            "standard_error": gain.standard_error,
            "used": used,
            "reason": reason,
        }

    def _correct(self, offers: list[Offer]) -> np.ndarray:
        """For each labelled row the share of repeats in which it was predicted rightly while held out."""
        right, seen = np.zeros(len(self.labelled)), np.zeros(len(self.labelled))
        for training, held_out in self.splits:
            head = self.fit(training, offers)
            guessed = np.array(head.classes)[head.logits(self.labelled.embeddings[held_out]).argmax(axis=1)]
            right[held_out] += guessed == self.labelled.labels[held_out]
            seen[held_out] += 1
        return right / seen

    def fit(self, training: np.ndarray, offers: list[Offer]) -> probe.Head:
        """The probe on the labelled rows `training` and the offers' rows that go with them."""
        rows = self.labelled.take(training)
        for offer in offers:
            rows += offer.rows(training)
        weights = rows.weights * balanced_weights(rows.labels)
        return probe.fit(rows.embeddings, rows.labels, self.inverse_regularisation, weights)
