"""Select: what joins the labelled rows for training, by the gate's verdict, and which rows to label next."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

from handful import crossvalidation, selection, storage
from handful.embedding import Backbone, embed
from handful.gate import Gate, Offer, Rows
from handful.modality import part
from handful.parameters import Parameters, Probe, Select
from tasks import start

log = logging.getLogger("handful.select")
COLUMNS = ["id", "content", "label", "weight", "origin_kind", "parent", "reason"]


@dataclass(frozen=True)
class Selected:
    """The training table (COLUMNS), the rows a person should label next, and the gate's verdicts by name."""

    training: pd.DataFrame
    label_next: pd.DataFrame
    gate: dict[str, dict[str, Any]]


def select(
    tables: dict[str, pd.DataFrame],
    augmented: pd.DataFrame,
    parameters: Select,
    head: Probe,
    content: ModuleType,
    backbone: Backbone,
    seed: int,
) -> Selected:
    """Judge each augmentation operation, the source and the pool in turn, and build the training table.

    Args:
        tables: labelled, unlabelled and source, as validate accepted them.
    """
    labelled, pool = tables["labelled"], tables["unlabelled"]
    known = _rows(labelled, backbone, 1.0)
    splits = crossvalidation.splits(known.labels, parameters.gate.folds, parameters.gate.repeats, seed)
    gate = Gate(known, splits, head.inverse_regularisation, parameters.gate.minimum_gain)
    offers = [
        *_augmentations(labelled, augmented, parameters, backbone, seed),
        _source(tables["source"], known, parameters, backbone, seed),
    ]
    vectors = embed(backbone, pool["content"].tolist())
    verdicts = {offer.name: gate.judge(offer) for offer in offers}
    verdicts["pool"] = gate.judge(_pool(pool, vectors, gate, parameters))
    everyone = np.arange(len(labelled))
    own = labelled.assign(weight=1.0, origin_kind="labelled", parent=None, reason="labelled by hand")
    training = pd.concat([own, *(offer.table(everyone) for offer in gate.accepted)], ignore_index=True)
    training["weight"] *= selection.balanced_weights(training["label"].to_numpy(str))
    final = gate.fit(everyone, gate.accepted)
    return Selected(training[COLUMNS], _label_next(pool, vectors, final, parameters.label_next, content), verdicts)


def _rows(table: pd.DataFrame, backbone: Backbone, weight: float) -> Rows:
    return Rows(embed(backbone, table["content"].tolist()), table["label"].to_numpy(str), np.full(len(table), weight))


def _augmentations(
    labelled: pd.DataFrame, augmented: pd.DataFrame, parameters: Select, backbone: Backbone, seed: int
) -> Iterator[Offer]:
    """One offer per operation; in a fold, rows whose parent is held out are left out too."""
    ids = labelled["id"].to_numpy()
    for operation, table in augmented.groupby("operation"):
        rows = _rows(table, backbone, parameters.added_weight)
        count = parameters.augmented_rows_per_class
        chosen = selection.per_class(parameters.selection.kind, rows.embeddings, rows.labels, count, seed)
        table, rows, parents = table.iloc[chosen], rows.take(chosen), table["parent"].to_numpy()[chosen]
        marked = table.assign(weight=rows.weights, origin_kind="augmented", reason=f"{operation} passed the gate")

        def without_held_out(training: np.ndarray, rows: Rows = rows, parents: np.ndarray = parents) -> Rows:
            return rows.take(~np.isin(parents, np.delete(ids, training)))

        def table_of(everyone: np.ndarray, marked: pd.DataFrame = marked) -> pd.DataFrame:
            return marked

        yield Offer(str(operation), len(table), without_held_out, table_of)


def _source(source: pd.DataFrame, known: Rows, parameters: Select, backbone: Backbone, seed: int) -> Offer:
    """Rows of a neighbouring task whose label is one of ours."""
    table = source[source["label"].isin(known.labels)]
    rows = _rows(table, backbone, parameters.added_weight)
    count = parameters.source_rows_per_class
    chosen = selection.per_class(parameters.selection.kind, rows.embeddings, rows.labels, count, seed)
    rows = rows.take(chosen)
    marked = table.iloc[chosen].assign(
        weight=rows.weights, origin_kind="source", parent=None, reason="the source passed the gate"
    )
    return Offer("source", len(marked), lambda training: rows, lambda everyone: marked)


def _pool(pool: pd.DataFrame, vectors: np.ndarray, gate: Gate, parameters: Select) -> Offer:
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


def _label_next(pool: pd.DataFrame, vectors: np.ndarray, head: Any, count: int, content: ModuleType) -> pd.DataFrame:
    if pool.empty:
        return pd.DataFrame(columns=["id", "origin", "preview", "guess", "probability"])
    probabilities = head.predict_proba(vectors)
    chosen = selection.most_informative(vectors, probabilities, count)
    rows = pool.iloc[chosen][["id", "origin"]]
    return rows.assign(
        preview=[content.preview(value) for value in pool["content"].iloc[chosen]],
        guess=np.array(head.classes)[probabilities[chosen].argmax(axis=1)],
        probability=probabilities[chosen].max(axis=1).round(4),
    )


def main(parameters: Parameters, validate: Path, augment: Path, out: Path) -> None:
    """Read accepted and augmented rows, write the training table, the rows to label next and the gate's verdicts."""
    tables = {name: storage.read_table(validate / f"{name}.parquet") for name in ("labelled", "unlabelled", "source")}
    augmented = storage.read_table(augment / "rows.parquet")
    backbone = part(parameters.modality, "backbone").load(parameters.backbone, parameters.seed)
    content = part(parameters.modality, "content")
    chosen = select(tables, augmented, parameters.select, parameters.probe, content, backbone, parameters.seed)
    storage.write_table(chosen.training, out / "training.parquet")
    storage.write_json(chosen.gate, out / "gate.json")
    with storage.replacing(out / "label_next.csv") as unfinished:
        chosen.label_next.to_csv(unfinished, index=False)
    for name, verdict in chosen.gate.items():
        log.info("%s: %s, %s", name, "used" if verdict["used"] else "left out", verdict["reason"])


if __name__ == "__main__":
    start(main)
