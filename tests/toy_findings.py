"""Findings of a small made-up evaluation, for the tests of what is told about it."""

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

from handful import metrics
from handful.comparison import Rival, compare, decide
from handful.findings import Findings
from handful.parameters.learning import Evaluate
from handful.text import content as text

PARAMETERS = Evaluate.model_validate(
    {"bootstrap_samples": 200, "confidence_level": 0.95, "calibration_bins": 10, "latency_rows": 8}
    | {"promotion": {"tolerance": 0.02}}
)

DRIFT: dict[str, Any] = {
    "reference": "v3",
    "checks": [
        {"name": "labels", "table": "labelled", "observed": 0.125, "by_chance": 0.25, "bound": 0.2, "success": True}
        | {"what": "a had 50.0 % of the rows, now 37.5 %"}
    ],
    "problem": None,
}


ABSTENTION = {"threshold": 0.321, "share_answered": 0.9, "accuracy_answered": 0.876}
QUALITY = {"rows": 12, "euclidean": 0.71, "mahalanobis": 14.2, "likelihood": 0.642, "diversity": 0.33}


def verdict(rows: int, gain: float, used: bool, reason: str) -> dict[str, Any]:
    """What the gate says of rows whose log loss fell ten times as many points as accuracy rose."""
    error = 0.01 if rows else 0.0
    losses = {"log_loss_gain": 10 * gain, "log_loss_standard_error": error}
    return {
        "rows": rows,
        "gain": gain,
        "standard_error": error,
        **losses,
        "used": used,
        "reason": reason,
        "quality": None,
    }


def candidate(kind: str, accuracy: float, gain: float, chosen: bool) -> dict[str, Any]:
    """What pretrain_transfer says of a candidate that was cross-validated."""
    error = 0.02 if gain else 0.0
    numbers = {"accuracy": accuracy, "log_loss": 0.7, "gain": gain, "standard_error": error}
    return {"kind": kind, **numbers, "chosen": chosen, "reason": None}


def leaning(truth: Sequence[str], classes: Sequence[str], skill: float, seed: int) -> np.ndarray:
    """Random probabilities [rows, classes] that lean to the true label, the more the higher the skill."""
    logits = np.random.default_rng(seed).normal(size=(len(truth), len(classes)))
    logits += skill * (np.asarray(truth, dtype=object)[:, None] == np.asarray(classes, dtype=object))
    exponents = np.exp(logits)
    return exponents / exponents.sum(axis=1, keepdims=True)


def toy(
    truth: Sequence[str],
    classes: Sequence[str],
    contents: Sequence[Any],
    probabilities: np.ndarray | None = None,
    origin: str = "test.csv row",
    reason: str = "It does not help on the labelled rows.",
    content: ModuleType = text,
    rival: Rival | None = None,
) -> Findings:
    """Findings over these test rows; without `probabilities`, the student is right on most of them."""
    student = leaning(truth, classes, 2.0, seed=1) if probabilities is None else probabilities
    guesses = [metrics.guess(some, classes) for some in (student, leaning(truth, classes, 1.0, seed=2))]
    record = {
        **metrics.score(truth, student, classes, PARAMETERS, seed=3),
        "rows_per_second": 1000.0,
        "milliseconds_per_row": 0.5,
        "size_bytes": 1_234_567,
    }
    origins = [f"{origin} {row + 2}" for row in range(len(truth))]
    ids = [f"{row:032x}" for row in range(len(truth))]
    table = {"rows_in": 10, "accepted": 9, "quarantined": 1}
    return Findings(
        metrics={
            "classes": len(classes),
            "rows": len(truth),
            "unseen_labels": {label: 1 for label in metrics.labels(truth, classes)[len(classes) :]},
            "teacher": record,
            "student": {"kind": "linear", **record, "abstention": ABSTENTION},
            "others": {"shallow_transformer": record},
            "baseline": record,
            "gain_over_baseline": compare(truth, *guesses, PARAMETERS, seed=3).gain(),
            "champion": None if rival is None else {"version": rival.version, **record},
            "verdict": decide(rival, compare(truth, *guesses, PARAMETERS, seed=3), PARAMETERS),
        },
        test=pd.DataFrame({"id": ids, "content": contents, "label": truth, "origin": origins}),
        classes=classes,
        probabilities=student,
        parameters=PARAMETERS,
        gate={
            "random_swap": verdict(8, 0.02, True, "It helps.") | {"quality": QUALITY},
            "pool": verdict(9, -0.01, False, reason),
            "source": verdict(0, 0.0, False, "There are none."),
        },
        crossvalidation={
            "candidates": [
                candidate("contrastive_fine_tuning", accuracy=0.8, gain=0.0, chosen=True),
                candidate("linear_probe", accuracy=0.75, gain=-0.05, chosen=False),
            ],
            "backbone": "a folder",
            "guessed": [{"label": "a", "rows": 1200}, {"label": "b", "rows": 34}],
            "shares": {"head": 0.25, "surface": 0.5, "nearest_rows": 0.25},
        },
        distillation={"agreement": {"linear": 0.9125}, "rows": {"unseen": 80}},
        validation={"tables": {"labelled": table, "unlabelled": table}, "reasons": {reason: 2}},
        drift={"reference": None, "checks": [], "note": None, "problem": None}
        if rival is None
        else DRIFT | {"note": reason},
        set_aside=pd.DataFrame({"table": ["unlabelled"], "origin": [origin], "reason": [reason]}),
        training={"labelled": 9, "augmented": 8},
        versions={"handful": "0.1.0"},
        content=content,
    )
