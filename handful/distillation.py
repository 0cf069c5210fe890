"""What a student learns from: hard labels on the few, the teacher's softened probabilities on the many."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from handful import calibration, storage, student
from handful.training import Examples

SMALLEST_POOL = 100
MOST_HELD_OUT = 500  # plenty for the two numbers that come from them


@dataclass(frozen=True)
class Trained:
    """What a student's folder holds: `files` by name, and the description of its inputs for prediction.py."""

    files: dict[str, bytes]
    features: dict[str, Any]


def transfer_set(
    labelled: Sequence[Any],
    labels: Sequence[str],
    pool: Sequence[Any],
    pool_probabilities: np.ndarray,
    classes: Sequence[str],
    temperature: float,
    pool_weight: float,
) -> Examples:
    """Build the examples whose weighted mean loss is L(labelled) + pool_weight · L(pool), each L a mean over its rows.

    Hinton et al. 2015, eq. 1: the pool's targets are the teacher's probabilities at `temperature`. Weights have mean 1.

    Args:
        pool_probabilities: float32 [len(pool), classes], the teacher's at temperature 1.
    """
    hard = np.eye(len(classes), dtype=np.float32)[[list(classes).index(label) for label in labels]]
    # Of the likeliest: at a low temperature all powers of small probabilities would be nothing.
    opinions = pool_probabilities.reshape(-1, len(classes))
    softened = (opinions / opinions.max(axis=1, keepdims=True)) ** (1.0 / temperature)
    softened = softened / softened.sum(axis=1, keepdims=True)
    weights = np.concatenate(
        [np.full(len(labelled), 1.0 / max(1, len(labelled))), np.full(len(pool), pool_weight / max(1, len(pool)))]
    )
    targets = np.concatenate([hard, softened]).astype(np.float32)
    return Examples([*labelled, *pool], targets, (weights / weights.mean()).astype(np.float32))


def save_student(folder: Path, trained: Trained, kind: str, modality: str, classes: Sequence[str]) -> None:
    """Write a student's folder: its files and student.json; `handful.load` reads it.

    Its probabilities are those that it was trained for, and it never abstains, until `calibrate` says better.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in trained.files.items():
        with storage.replacing(folder / name) as unfinished:
            unfinished.write_bytes(content)
    description = {
        "format": student.FORMAT,
        "modality": modality,
        "kind": kind,
        "classes": list(classes),
        "features": trained.features,
        "temperature": 1.0,
        "threshold": 0.0,
    }
    storage.write_json(description, folder / "student.json")


def held_out(rows: int, seed: int) -> np.ndarray:
    """Which of a pool's rows show what a student makes of unseen ones: a tenth, none of a small pool; bool [rows].

    They have to be real: multiplied texts are less clear, and a temperature fitted to them took the sample's
    probabilities further from the truth. A row that was trained on is answered too surely to set a threshold by.
    """
    count = min(rows // 10, MOST_HELD_OUT) if rows >= SMALLEST_POOL else 0
    return np.random.default_rng(seed).permutation(rows) < count


def calibrate(folder: Path, unseen: Examples, abstention_share: float) -> float | None:
    """Store temperature and threshold with the student in `folder`, as found on rows that it did not learn from.

    Where student and teacher differ, either may be right. So the student is on average as sure as the teacher is of
    the student's guesses and of its own, half and half. Without such rows the student stays as it is: temperature 1,
    and it never abstains.

    Args:
        unseen: rows of the pool, with the teacher's probabilities at temperature 1 as targets.
        abstention_share: how many of such rows it is to refuse.

    Returns:
        on what share of these rows student and teacher agree, None without any.
    """
    if not len(unseen):
        return None
    description = storage.read_json(folder / "student.json")
    logits = student.load(folder, threads=1).logits(unseen.contents)
    guesses, opinions = logits.argmax(axis=1), unseen.targets
    wanted = (opinions[np.arange(len(guesses)), guesses] + opinions.max(axis=1)).mean() / 2
    temperature = calibration.temperature_for(logits, float(wanted))
    confidences = student.softmax(logits, temperature).max(axis=1)
    found = {"temperature": temperature, "threshold": calibration.threshold(confidences, abstention_share)}
    storage.write_json({**description, **found}, folder / "student.json")
    return float((guesses == opinions.argmax(axis=1)).mean())
