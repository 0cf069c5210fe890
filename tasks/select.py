"""Select: what joins the labelled rows for training, by the gate's verdict, and which rows to label next."""

import logging
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

from handful import crossvalidation, offers, selection, storage
from handful.embedding import Backbone, embed
from handful.gate import Gate
from handful.modality import part
from handful.parameters import Parameters
from handful.parameters.learning import Probe, Select
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
    known = offers.rows_of(labelled, backbone, 1.0)
    splits = crossvalidation.splits(known.labels, parameters.gate.folds, parameters.gate.repeats, seed)
    gate = Gate(known, splits, head.inverse_regularisation, parameters.gate.minimum_gain)
    judged = [
        *offers.augmentations(labelled, augmented, parameters, backbone, seed),
        offers.source_offer(tables["source"], known, parameters, backbone, seed),
    ]
    vectors = embed(backbone, pool["content"].tolist())
    verdicts = {offer.name: gate.judge(offer) for offer in judged}
    verdicts["pool"] = gate.judge(offers.pool_offer(pool, vectors, gate, parameters))
    everyone = np.arange(len(labelled))
    own = labelled.assign(weight=1.0, origin_kind="labelled", parent=None, reason="labelled by hand")
    training = pd.concat([own, *(offer.table(everyone) for offer in gate.accepted)], ignore_index=True)
    training["weight"] *= selection.balanced_weights(training["label"].to_numpy(str))
    final = gate.fit(everyone, gate.accepted)
    return Selected(training[COLUMNS], _label_next(pool, vectors, final, parameters.label_next, content), verdicts)


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
