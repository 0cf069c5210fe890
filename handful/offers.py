"""What may join the labelled rows: augmented ones, a neighbouring task's, confident guesses on the pool."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from handful import lineage, selection
from handful.embedding import Backbone, embed
from handful.gate import Gate, Keep, Offer, Rows
from handful.parameters.learning import Bound, Select


def rows_of(table: pd.DataFrame, backbone: Backbone, weight: float) -> Rows:
    """The embedded rows of a table with labels, all of one weight."""
    return Rows(embed(backbone, table["content"].tolist()), table["label"].to_numpy(str), np.full(len(table), weight))


def within(table: pd.DataFrame, bounds: Sequence[Bound], size: Callable[[Any], int]) -> pd.DataFrame:
    """The rows whose size and measures lie within the bounds; a measure that the table lacks binds none of its rows."""
    measures = table.assign(size=[size(content) for content in table["content"]])
    inside = np.ones(len(table), bool)
    for bound in bounds:
        if bound.column in measures:
            inside &= measures[bound.column].between(*bound.ends).to_numpy()
    return table[inside]


def augmentations(
    labelled: pd.DataFrame, augmented: pd.DataFrame, parameters: Select, backbone: Backbone, seed: int
) -> Iterator[Offer]:
    """One offer per operation; in a fold, rows of which a parent is held out are left out too."""
    ids = labelled["id"].to_numpy()
    for operation, table in augmented.groupby("operation"):
        rows = rows_of(table, backbone, parameters.added_weight)
        count = parameters.augmented_rows_per_class
        chosen = selection.per_class(parameters.selection.kind, rows.embeddings, rows.labels, count, seed)
        table, rows = table.iloc[chosen], rows.take(chosen)
        marked = table.assign(weight=rows.weights, origin_kind="augmented", reason=f"{operation} passed the gate")

        def allowed(training: np.ndarray, parents: pd.Series = table["parent"]) -> np.ndarray:
            return ~lineage.descends(parents, np.delete(ids, training))

        def rows_for(training: np.ndarray, rows: Rows = rows, allowed: Keep = allowed) -> Rows:
            return rows.take(allowed(training))

        def table_for(training: np.ndarray, marked: pd.DataFrame = marked, allowed: Keep = allowed) -> pd.DataFrame:
            return marked[allowed(training)]

        yield Offer(str(operation), len(table), rows_for, table_for)


def source_offer(
    source: pd.DataFrame, known: Rows, pool: np.ndarray, parameters: Select, backbone: Backbone, seed: int
) -> Offer:
    """Rows of a neighbouring task whose label is one of ours; `pool` are the embeddings [n, d] of the pool."""
    table = source[source["label"].isin(known.labels)]
    rows = rows_of(table, backbone, parameters.added_weight)
    count, kind = parameters.source_rows_per_class, parameters.source_selection.kind
    if kind == "density_ratio" and len(rows):
        ratio = selection.density_ratio(rows.embeddings, np.concatenate([known.embeddings, pool]))
        rows = Rows(rows.embeddings, rows.labels, rows.weights * ratio)
        chosen = selection.best_per_class(ratio, rows.labels, count)
    else:
        chosen = selection.per_class(kind, rows.embeddings, rows.labels, count, seed)
    rows = rows.take(chosen)
    marked = table.iloc[chosen].assign(
        weight=rows.weights, origin_kind="source", parent=None, reason="the source passed the gate"
    )
    return Offer("source", len(marked), lambda training: rows, lambda everyone: marked)


def pool_offer(pool: pd.DataFrame, vectors: np.ndarray, gate: Gate, parameters: Select) -> Offer:
    """Confident guesses of a probe that has seen only what the fold may see (Yarowsky 1995)."""
    before = list(gate.accepted)
    standing = zip(gate.splits, gate.examined().heads, strict=True)
    known = {gate.believed(training).tobytes(): head for (training, _), head in standing}

    def pick(training: np.ndarray) -> tuple[np.ndarray, Rows]:
        head = known[training.tobytes()] if training.tobytes() in known else gate.fit(training, before)
        probabilities = head.predict_proba(vectors)
        rows, guesses = selection.confident(
            probabilities, parameters.pool_rows_per_class, parameters.minimum_confidence
        )
        weights = parameters.added_weight * probabilities[rows].max(axis=1)
        return rows, Rows(vectors[rows], np.array(head.classes)[guesses], weights)

    def table(everyone: np.ndarray) -> pd.DataFrame:
        chosen, rows = pick(everyone)
        guessed = pool.iloc[chosen].assign(label=rows.labels, weight=rows.weights)
        return guessed.assign(origin_kind="pool", parent=None, reason="a confident guess; the pool passed the gate")

    return Offer("pool", len(pool), lambda training: pick(training)[1], table)
