"""Pretrain-transfer: adapt the backbone, and let cross-validation choose how the teacher is made."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd

from handful import confidence, devices, pool, storage
from handful.candidates import Start, linear_probe
from handful.embedding import Backbone
from handful.modality import part
from handful.parameters import Parameters
from handful.parameters.learning import PretrainTransfer, Probe
from handful.teacher import Teacher
from handful.transfer import choose
from tasks import start

log = logging.getLogger("handful.pretrain_transfer")


@dataclass(frozen=True)
class Transferred:
    """The teacher, the baseline it has to beat (a probe on the frozen backbone), and how the choice was made.

    `guessed` are the rows of the pool, by their number, that the teacher learned from with the labels it was given.
    """

    teacher: Teacher
    baseline: Teacher
    guessed: pd.DataFrame
    crossvalidation: dict[str, Any]


def pretrain_transfer(
    training: pd.DataFrame,
    unlabelled: Sequence[Any],
    parameters: PretrainTransfer,
    head: Probe,
    backbones: ModuleType,
    backbone: Backbone,
    seed: int,
) -> Transferred:
    """Pretrain on all contents without labels, choose among the candidates, and train the one that is taken.

    Args:
        training: the training table of select.
        unlabelled: contents of the pool.
    """
    labelled = training[training["origin_kind"] == "labelled"]
    baseline = linear_probe(backbone, labelled.assign(weight=1.0), head)
    contents = [*unlabelled, *labelled["content"]]
    pretrained = backbones.pretrain(backbone, contents, parameters.pretrain, seed)
    begin = Start(pretrained, training, unlabelled, head, seed)
    trained, records = choose(begin, parameters)
    [chosen] = [record for record in records if record["chosen"]]
    teacher = confidence.moderated(trained, baseline, begin, chosen["accuracy"])
    figures = {name: chosen[name] for name in ("kind", "accuracy", "log_loss", "reason")}
    rows = trained.guessed["label"].value_counts().sort_index().items()
    found = {"candidates": records, "chosen": figures, "backbone": pretrained.origin}
    found["shares"] = teacher.shares
    found["guessed"] = [{"label": label, "rows": count} for label, count in rows]
    return Transferred(teacher, baseline, trained.guessed, found)


def main(parameters: Parameters, validate: Path, select: Path, out: Path) -> None:
    """Read the training table and the pool, write teacher, baseline, the record of the choice and what was guessed."""
    training = storage.read_table(select / "training.parquet")
    given = storage.read_table(validate / "unlabelled.parquet")
    drawn = pool.drawn(given, parameters.pool_rows, parameters.seed)
    unlabelled = drawn["content"].tolist()
    backbones = part(parameters.modality, "backbone")
    backbone = backbones.load(parameters.backbone, parameters.seed)
    made = pretrain_transfer(
        training, unlabelled, parameters.pretrain_transfer, parameters.probe, backbones, backbone, parameters.seed
    )
    for name, one in (("teacher", made.teacher), ("baseline", made.baseline)):
        one.save(out / name, parameters.modality, parameters.backbone, parameters.seed)
    guessed = drawn.iloc[made.guessed.index][["id", "content"]].reset_index(drop=True)
    told = made.guessed[["label", "weight"]].reset_index(drop=True)
    storage.write_table(pd.concat([guessed, told], axis=1), out / "guessed.parquet")
    storage.write_json(made.crossvalidation, out / "crossvalidation.json")
    log.info("The teacher is a %s on %s", made.teacher.kind, made.crossvalidation["backbone"])


if __name__ == "__main__":
    start(main, devices.company)
