"""A trained system as the benchmark sees it, and how it is scored and timed: the same way for all."""

import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from handful import latency, metrics
from handful.parameters.learning import Evaluate

# Enough rows to time in bulk; more would only make slow systems slower to measure.
TIMED_ROWS = 2000
SCORES = ("accuracy", "macro_f1", "mcc", "calibration_error")

PredictProba = Callable[[Sequence[Any]], np.ndarray]


@dataclass(frozen=True)
class Trained:
    """What a system leaves behind after training; `predict_proba` caches nothing, so that timing it is honest."""

    classes: list[str]
    predict_proba: PredictProba
    size_bytes: int
    train_seconds: float
    peak_rss_bytes: int
    device: str
    stages: dict[str, float] = field(default_factory=dict)


def score(
    trained: Trained,
    contents: Sequence[Any],
    labels: Sequence[str],
    out_of_scope: Sequence[Any],
    parameters: Evaluate,
    seed: int,
) -> dict[str, Any]:
    """How right the system is on all test rows, and how well it tells them from those out of scope."""
    probabilities = trained.predict_proba(contents)
    scores = metrics.score(labels, probabilities, trained.classes, parameters, seed)
    return {
        **{name: scores[name] for name in SCORES},
        "out_of_scope_auroc": _auroc(probabilities, trained.predict_proba(out_of_scope)) if out_of_scope else None,
        "test_rows": len(contents),
    }


def cost(trained: Trained, contents: Sequence[Any]) -> dict[str, Any]:
    """What training took, and how fast the system predicts: on one thread, an even sample of the rows."""
    speed = latency.measure(trained.predict_proba, contents[:: -(-len(contents) // TIMED_ROWS)])
    return {
        "train_seconds": trained.train_seconds,
        "stages": trained.stages,
        "predict_per_second": speed["rows_per_second"],
        "milliseconds_per_row": speed["milliseconds_per_row"],
        "size_bytes": trained.size_bytes,
        "peak_rss_bytes": trained.peak_rss_bytes,
        "device": trained.device,
    }


def _auroc(inside: np.ndarray, outside: np.ndarray) -> float:
    """How well the largest probability, by which a student abstains, tells rows of the classes from others."""
    belongs = np.repeat([1, 0], [len(inside), len(outside)])
    return float(roc_auc_score(belongs, np.concatenate([inside.max(axis=1), outside.max(axis=1)])))


@contextmanager
def timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    """Note in `seconds` how long the block took."""
    started = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - started


def peak_rss_bytes() -> int:
    """The most memory that this process ever held."""
    status = Path("/proc/self/status")
    if status.is_file():
        # ru_maxrss would count what the parent held when it started this process.
        line = next(line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
