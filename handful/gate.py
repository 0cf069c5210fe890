"""The gate: rows that nobody labelled by hand are used only where cross-validation on the labelled rows says so."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from handful import crossvalidation, probe
from handful.crossvalidation import Gain
from handful.selection import balanced_weights

LOG_TEMPERATURES = (-5.0, 5.0)
NOTHING = Gain(0.0, 0.0)
Keep = Callable[[np.ndarray], np.ndarray]


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
class Exam:
    """How one way of training did on the held-out rows: `correct` and `log_loss` [labelled], `heads` one per split."""

    correct: np.ndarray
    log_loss: np.ndarray
    heads: list[probe.Head]


@dataclass
class Gate:
    """Judges offers one after the other; those accepted stay for the next, and `standing` is how they did.

    `keep`, where accepted, leaves out of the labelled rows that may be learned from those whose label looks wrong.
    """

    labelled: Rows
    splits: list[tuple[np.ndarray, np.ndarray]]
    inverse_regularisation: float
    minimum_gain: float
    accepted: list[Offer] = field(default_factory=list)
    standing: Exam | None = None
    keep: Keep | None = None

    def judge(self, offer: Offer) -> dict[str, Any]:
        """Cross-validate the offer on top of what was accepted, keep it if it helps, and give the verdict."""
        if not offer.count:
            return _verdict(0, NOTHING, NOTHING, False, "there are no such rows")
        after = self._examine([*self.accepted, offer], self.keep)
        accuracy, log_loss = self._gains(after)
        # Log loss sees more than the few guesses that change; but it must not be bought with wrong ones.
        used = log_loss.clears(self.minimum_gain) and accuracy.mean >= 0
        if used:
            self.accepted.append(offer)
            self.standing = after
        return _verdict(offer.count, accuracy, log_loss, used, _reason(accuracy, log_loss, self.minimum_gain))

    def judge_pruning(self, keep: Keep) -> dict[str, Any]:
        """The same for leaving labelled rows out; what was made from them leaves with them.

        By accuracy alone: where some of the labels examined are wrong, log loss is best for whoever foresees the wrong
        ones as often as they occur, while the likeliest class stays the right one up to half of them.
        """
        everyone = np.arange(len(self.labelled))
        count = len(everyone) - len(keep(everyone))
        if not count:
            return _verdict(0, NOTHING, NOTHING, False, "no label looks wrong")
        after = self._examine(self.accepted, keep)
        accuracy, log_loss = self._gains(after)
        used = accuracy.clears(self.minimum_gain)
        if used:
            self.keep, self.standing = keep, after
        bound = f"{self.minimum_gain:g} standard errors of {accuracy.standard_error:.3f}"
        reason = f"in cross-validation accuracy {accuracy.mean:+.3f}, {'' if used else 'not '}above zero by {bound}"
        return _verdict(count, accuracy, log_loss, used, reason)

    def believed(self, training: np.ndarray) -> np.ndarray:
        """The numbers of those rows that are learned from."""
        return training if self.keep is None else self.keep(training)

    def examined(self) -> Exam:
        """How the labelled rows with all that was accepted do; computed once."""
        if self.standing is None:
            self.standing = self._examine(self.accepted, self.keep)
        return self.standing

    def fit(self, believed: np.ndarray, offers: list[Offer]) -> probe.Head:
        """The probe on the labelled rows numbered `believed` and the offers' rows that go with them."""
        rows = self.labelled.take(believed)
        for offer in offers:
            rows += offer.rows(believed)
        weights = rows.weights * balanced_weights(rows.labels)
        return probe.fit(rows.embeddings, rows.labels, self.inverse_regularisation, weights)

    def _examine(self, offers: list[Offer], keep: Keep | None) -> Exam:
        heads = [self.fit(training if keep is None else keep(training), offers) for training, _ in self.splits]
        rows = np.concatenate([held_out for _, held_out in self.splits])
        logits = np.concatenate(
            [head.logits(self.labelled.embeddings[held]) for head, (_, held) in zip(heads, self.splits, strict=True)]
        )
        truth = np.searchsorted(heads[0].classes, self.labelled.labels[rows])
        seen = np.bincount(rows)
        right = np.bincount(rows, logits.argmax(axis=1) == truth)
        return Exam(right / seen, np.bincount(rows, log_losses(logits, truth)) / seen, heads)

    def _gains(self, after: Exam) -> tuple[Gain, Gain]:
        """By how much accuracy rose, and log loss fell."""
        before = self.examined()
        return (
            crossvalidation.paired_gain(after.correct, before.correct),
            crossvalidation.paired_gain(before.log_loss, after.log_loss),
        )


def log_losses(logits: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The log loss of each row at the one temperature that is best for all of them; [n].

    More rows make a regularised probe surer of itself, right or wrong. A common temperature takes that away: what is
    left is how well the classes are told apart.

    Args:
        logits: [n, classes]; `truth` [n] are the right columns.
    """

    def losses(log_temperature: float) -> np.ndarray:
        scaled = logits / np.exp(log_temperature)
        return np.asarray(logsumexp(scaled, axis=1) - scaled[np.arange(len(truth)), truth])

    best = minimize_scalar(lambda value: losses(value).mean(), bounds=LOG_TEMPERATURES, method="bounded")
    return losses(best.x)


def _verdict(rows: int, accuracy: Gain, log_loss: Gain, used: bool, reason: str) -> dict[str, Any]:
    return {
        "rows": rows,
        "gain": accuracy.mean,
        "standard_error": accuracy.standard_error,
        "log_loss_gain": log_loss.mean,
        "log_loss_standard_error": log_loss.standard_error,
        "used": used,
        "reason": reason,
    }


def _reason(accuracy: Gain, log_loss: Gain, minimum_gain: float) -> str:
    bound = f"more than {minimum_gain:g} standard errors of {log_loss.standard_error:.3f}"
    if not log_loss.clears(minimum_gain):
        return f"in cross-validation log loss changed by {-log_loss.mean:+.3f}: it did not fall by {bound}"
    also = "but accuracy fell too" if accuracy.mean < 0 else "and accuracy did not"
    return f"in cross-validation log loss fell by {log_loss.mean:.3f}, {bound}, {also}"
