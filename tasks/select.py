"""Select: what joins the labelled rows for training, by the gate's verdict, and which rows to label next."""

import logging
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

from handful import crossvalidation, labelling, noise, offers, pool, quality, selection, storage
from handful.embedding import Backbone, embed
from handful.gate import Gate
from handful.modality import part
from handful.parameters import Parameters
from handful.parameters.learning import LabelNext, Probe, Select
from tasks import start

log = logging.getLogger("handful.select")
COLUMNS = ["id", "content", "label", "weight", "origin_kind", "parent", "reason"]


@dataclass(frozen=True)
class Selected:
    """The training table (COLUMNS), labelled rows left out, rows to label next, and the gate's verdicts by name.

    The rows to label next have the pool's columns, and `guess` and `probability`.
    """

    training: pd.DataFrame
    pruned: pd.DataFrame
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

    `tables` are labelled, unlabelled and source, as validate accepted them.
    """
    labelled = tables["labelled"]
    known = offers.rows_of(labelled, backbone, 1.0)
    splits = crossvalidation.splits(known.labels, parameters.gate.folds, parameters.gate.repeats, seed)
    gate = Gate(known, splits, head.inverse_regularisation, parameters.gate.minimum_gain)
    verdicts = {}
    if parameters.prune_noise.kind == "cleanlab":
        keep = noise.pruner(known, head.inverse_regularisation, parameters.gate.folds, seed)
        verdicts["pruning"] = gate.judge_pruning(keep)
    added = (augmented, tables["source"], tables["unlabelled"])
    augmented, source, others = (offers.within(table, parameters.filter, content.size) for table in added)
    vectors = embed(backbone, others["content"].tolist())
    judged = [
        *offers.augmentations(labelled, augmented, parameters, backbone, seed),
        offers.source_offer(source, known, vectors, parameters, backbone, seed),
    ]
    verdicts |= {offer.name: gate.judge(offer) for offer in judged}
    verdicts["pool"] = gate.judge(offers.pool_offer(others, vectors, gate, parameters))
    return Selected(
        _training(labelled, gate),
        _pruned(labelled, gate),
        _label_next(tables["unlabelled"], gate, parameters.label_next, backbone, seed),
        {name: {**verdict, "quality": quality.summary(augmented).get(name)} for name, verdict in verdicts.items()},
    )


def _training(labelled: pd.DataFrame, gate: Gate) -> pd.DataFrame:
    believed = gate.believed(np.arange(len(labelled)))
    own = labelled.iloc[believed].assign(weight=1.0, origin_kind="labelled", parent=None, reason="labelled by hand")
    training = pd.concat([own, *(offer.table(believed) for offer in gate.accepted)], ignore_index=True)
    training["weight"] *= selection.balanced_weights(training["label"].to_numpy(str))
    return training[COLUMNS]


def _pruned(labelled: pd.DataFrame, gate: Gate) -> pd.DataFrame:
    believed = gate.believed(np.arange(len(labelled)))
    left = np.setdiff1d(np.arange(len(labelled)), believed)
    guesses = gate.fit(believed, gate.accepted).predict(gate.labelled.embeddings[left])
    return labelled.iloc[left].assign(guess=guesses, reason="its label looks wrong, and without it accuracy rose")


def _label_next(unlabelled: pd.DataFrame, gate: Gate, wanted: LabelNext, backbone: Backbone, seed: int) -> pd.DataFrame:
    if unlabelled.empty:
        return unlabelled.assign(guess=None, probability=None)
    vectors = embed(backbone, unlabelled["content"].tolist())
    head = gate.fit(gate.believed(np.arange(len(gate.labelled))), gate.accepted)
    probabilities = head.predict_proba(vectors)
    chosen = labelling.STRATEGIES[wanted.kind](vectors, probabilities, wanted.count, seed)
    surest = probabilities[chosen].max(axis=1).astype(float).round(4)  # a float32 would be written with nine digits
    return unlabelled.iloc[chosen].assign(guess=head.predict(vectors[chosen]), probability=surest)


def main(parameters: Parameters, validate: Path, augment: Path, out: Path) -> None:
    """Read accepted and augmented rows, write the training table, the rows to label next and the gate's verdicts."""
    tables = {name: storage.read_table(validate / f"{name}.parquet") for name in ("labelled", "unlabelled", "source")}
    tables["unlabelled"] = pool.drawn(tables["unlabelled"], parameters.pool_rows, parameters.seed)
    augmented = storage.read_table(augment / "rows.parquet")
    backbone = part(parameters.modality, "backbone").load(parameters.backbone, parameters.seed)
    content = part(parameters.modality, "content")
    chosen = select(tables, augmented, parameters.select, parameters.probe, content, backbone, parameters.seed)
    storage.write_table(chosen.training, out / "training.parquet")
    storage.write_table(chosen.pruned, out / "pruned.parquet")
    storage.write_json(chosen.gate, out / "gate.json")
    proposed = labelling.sheet(chosen.label_next, parameters.ingest.columns, content)
    storage.write_text(labelling.written(proposed), out / "label_next.csv")
    for name, verdict in chosen.gate.items():
        log.info("%s: %s, %s", name, "used" if verdict["used"] else "left out", verdict["reason"])


if __name__ == "__main__":
    start(main)
