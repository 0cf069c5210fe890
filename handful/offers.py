"""What may join the labelled rows: augmented ones, a neighbouring task's, confident guesses on the pool."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from handful import selection
from handful.embedding import Backbone, embed
from handful.gate import Gate, Offer, Rows
from handful.parameters.learning import Select


def rows_of(table: pd.DataFrame, backbone: Backbone, weight: float) -> Rows:
    """The embedded rows of a table with labels, all of one weight."""
    return Rows(embed(backbone, table["content"].tolist()), table["label"].to_numpy(str), np.full(len(table), weight))


def augmentations(
    labelled: pd.DataFrame, augmented: pd.DataFrame, parameters: Select, backbone: Backbone, seed: int
) -> Iterator[Offer]:
    """One offer per operation; in a fold, rows whose parent is held out are left out too."""
    ids = labelled["id"].to_numpy()
    for operation, table in augmented.groupby("operation"):
        rows = rows_of(table, backbone, parameters.added_weight)
        count = parameters.augmented_rows_per_class
        chosen = selection.per_class(parameters.selection.kind, rows.embeddings, rows.labels, count, seed)
        table, rows, parents = table.iloc[chosen], rows.take(chosen), table["parent"].to_numpy()[chosen]
        marked = table.assign(weight=rows.weights, origin_kind="augmented", reason=f"{operation} passed the gate")

        def without_held_out(training: np.ndarray, rows: Rows = rows, parents: np.ndarray = parents) -> Rows:
            return rows.take(~np.isin(parents, np.delete(ids, training)))

        def table_of(everyone: np.ndarray, marked: pd.DataFrame = marked) -> pd.DataFrame:
            return marked

        yield Offer(str(operation), len(table), without_held_out, table_of)


def source_offer(source: pd.DataFrame, known: Rows, parameters: Select, backbone: Backbone, seed: int) -> Offer:
    """Rows of a neighbouring task whose label is one of ours."""
    table = source[source["label"].isin(known.labels)]
    rows = rows_of(table, backbone, parameters.added_weight)
    count = parameters.source_rows_per_class
    chosen = selection.per_class(parameters.selection.kind, rows.embeddings, rows.labels, count, seed)
    rows = rows.take(chosen)
    marked = table.iloc[chosen].assign(
        weight=rows.weights, origin_kind="source", parent=None, reason="the source passed the gate"
    )
    return Offer("source", len(marked), lambda training: rows, lambda everyone: marked)


def pool_offer(pool: pd.DataFrame, vectors: np.ndarray, gate: Gate, parameters: Select) -> Offer:
    """Confident guesses of a probe that has seen only what the fold may see (Yarowsky 1995)."""
    before = list(gate.accepted)

    def pick(training: np.ndarray) -> tuple[np.ndarray, Rows]:
        head = gate.fit(training, before)
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
