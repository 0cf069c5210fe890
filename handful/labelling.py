"""Which rows of the pool a person should label next: uncertain ones, unlike each other, of all classes."""

import csv
from collections.abc import Callable
from types import ModuleType

import numpy as np
import pandas as pd

from handful import selection
from handful.parameters.tables import Columns

CANDIDATES = 10  # times as many rows as wanted, the least certain, out of which the unlike are chosen
MOST_CANDIDATES = 10_000
Strategy = Callable[[np.ndarray, np.ndarray, int, int], np.ndarray]


def random(embeddings: np.ndarray, probabilities: np.ndarray, count: int, seed: int) -> np.ndarray:
    """A random draw, which every other strategy has to beat."""
    return selection.random(embeddings, count, seed)


def margin(embeddings: np.ndarray, probabilities: np.ndarray, count: int, seed: int) -> np.ndarray:
    """The rows whose two likeliest classes are nearest to each other."""
    return np.argsort(margins(probabilities), kind="stable")[:count]


def margin_facility_location(embeddings: np.ndarray, probabilities: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Out of ten times as many rows of small margin those that stand for the others."""
    candidates = margin(embeddings, probabilities, CANDIDATES * count, seed)
    return np.asarray(candidates[selection.facility_location(embeddings[candidates], count, seed)])


def badge(embeddings: np.ndarray, probabilities: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Rows whose loss, if their guess were right, would move the probe far and in different directions.

    k-means++ over the gradients of the last layer (Ash et al. 2020, BADGE): (p - guess) times the embedding, whose
    distances follow from the two factors, so that the gradients themselves [n, classes · d] are never made.
    """
    errors = probabilities - np.eye(probabilities.shape[1])[probabilities.argmax(axis=1)]
    squares = (errors**2).sum(axis=1) * (embeddings**2).sum(axis=1)
    random_numbers = np.random.default_rng(seed)
    chosen = [int(squares.argmax())] if len(squares) else []
    nearest = np.full(len(squares), np.inf)
    while len(chosen) < min(count, len(squares)):
        last = chosen[-1]
        products = (errors @ errors[last]) * (embeddings @ embeddings[last])
        nearest = np.minimum(nearest, np.maximum(squares + squares[last] - 2 * products, 0))
        nearest[chosen] = 0
        # Where all that is left lies on chosen rows, any row will do.
        shares = nearest if nearest.sum() > 0 else ~np.isin(np.arange(len(squares)), chosen)
        chosen.append(int(random_numbers.choice(len(squares), p=shares / shares.sum())))
    return np.array(chosen[:count], np.int64)


def weighted_facility_location(embeddings: np.ndarray, probabilities: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Uncertain rows that stand for many uncertain ones: facility location, each row as long as it is uncertain.

    Of a larger pool only the least certain rows are looked at, because the time grows with their square.
    """
    candidates = margin(embeddings, probabilities, MOST_CANDIDATES, seed)
    lengths = (1 - margins(probabilities[candidates])).astype(np.float32)
    chosen = selection.facility_location(embeddings[candidates] * lengths[:, None], count, seed)
    return np.asarray(candidates[chosen])


def sheet(rows: pd.DataFrame, columns: Columns, content: ModuleType) -> pd.DataFrame:
    """The rows as a person fills them in and adds them to the training file.

    First come the columns of that file, the label empty; then id, origin, guess and probability, less those whose name
    a column of the file has.
    """
    own = {columns.content: [content.written(value) for value in rows["content"]], columns.label: ""}
    if columns.key:
        own[columns.key] = rows["key"].tolist()
    told = {name: rows[name].tolist() for name in ("id", "origin", "guess", "probability") if name not in own}
    return pd.DataFrame({**own, **told})


def written(proposed: pd.DataFrame) -> str:
    """The sheet as CSV, all of it in quotes: pandas leaves them out where a text holds a lone carriage return."""
    return str(proposed.to_csv(index=False, quoting=csv.QUOTE_ALL))


def margins(probabilities: np.ndarray) -> np.ndarray:
    """The likeliest class's probability less the second's; [n]."""
    two = -np.sort(-probabilities, axis=1)[:, :2]
    return np.asarray(two[:, 0] - two[:, 1])


STRATEGIES: dict[str, Strategy] = {
    "random": random,
    "margin": margin,
    "margin_facility_location": margin_facility_location,
    "badge": badge,
    "weighted_facility_location": weighted_facility_location,
}
