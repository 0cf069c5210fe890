"""How fast a classifier predicts: rows per second in bulk, milliseconds for one row alone, on one thread."""

import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from threadpoolctl import threadpool_limits

REPEATS = 5
ENOUGH_SECONDS = 1.0
WARM_UP_ROWS = 8
SINGLE_ROWS = 32


def measure(predict_proba: Callable[[Any], object], contents: Sequence[Any]) -> dict[str, float]:
    """Time `predict_proba` over `contents` on one thread, after a warm-up.

    Give a function that caches nothing: for a teacher, `partial(teacher.predict_proba, cached=False)`.

    Returns:
        rows_per_second over all contents at once, and milliseconds_per_row for calls with one row each: medians.
    """
    with one_thread():
        predict_proba(contents[:WARM_UP_ROWS])
        bulk = _seconds(predict_proba, [contents] * REPEATS)
        single = _seconds(predict_proba, [contents[row : row + 1] for row in range(min(SINGLE_ROWS, len(contents)))])
    return {"rows_per_second": len(contents) / bulk, "milliseconds_per_row": 1000 * single}


@contextmanager
def one_thread() -> Iterator[None]:
    """Hold torch, BLAS, OpenMP and the tokenizers to one thread; what was set before is set again afterwards.

    onnxruntime fixes its threads when a session is made: load such a classifier with `threads=1`.
    """
    torch = sys.modules.get("torch")  # a classifier that uses torch has loaded it by now
    threads = torch.get_num_threads() if torch else 1
    tokenizers = os.environ.get("TOKENIZERS_PARALLELISM")
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    try:
        with threadpool_limits(1):
            if torch:
                torch.set_num_threads(1)
            yield
    finally:
        if torch:
            torch.set_num_threads(threads)
        os.environ.pop("TOKENIZERS_PARALLELISM")
        if tokenizers is not None:
            os.environ["TOKENIZERS_PARALLELISM"] = tokenizers


def _seconds(predict_proba: Callable[[Any], object], calls: Sequence[Sequence[Any]]) -> float:
    """Median seconds of one call; a slow classifier is asked fewer times."""
    seconds: list[float] = []
    for contents in calls:
        started = time.perf_counter()
        predict_proba(contents)
        seconds.append(time.perf_counter() - started)
        if sum(seconds) > ENOUGH_SECONDS:
            break
    return statistics.median(seconds)
