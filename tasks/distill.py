"""Distill: students that learn from the teacher's probabilities on the pool and from the labels."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd

from handful import devices, pool, storage
from handful.distillation import Trained, calibrate, held_out, save_student, transfer_set
from handful.embedding import embed
from handful.modality import part
from handful.parameters import Parameters
from handful.parameters.learning import Distill
from handful.teacher import Teacher, load
from handful.training import Examples
from tasks import start

log = logging.getLogger("handful.distill")


@dataclass(frozen=True)
class Distilled:
    """The students by kind, the default first, their classes, and how many rows they learned from.

    `unseen` are rows of the pool that they did not learn from; `calibrate` says what for.
    """

    students: dict[str, Trained]
    classes: list[str]
    rows: dict[str, int]
    unseen: Examples


def distill(
    training: pd.DataFrame,
    unlabelled: pd.DataFrame,
    teacher: Teacher,
    parameters: Distill,
    augmentation: ModuleType,
    trainers: ModuleType,
    seed: int,
) -> Distilled:
    """Train every student of the parameters on labelled rows (their labels) and all others (the teacher's opinion).

    Where there are fewer rows than `transfer_rows`, new ones are made of them for the teacher to label.

    Args:
        training: the training table of select.
        unlabelled: the pool.
        augmentation, trainers: the modality's modules `augmentation` and `student`.
    """
    labelled = training[training["origin_kind"] == "labelled"]
    added = training[~training["origin_kind"].isin(["labelled", "pool"])]
    contents, held = unlabelled["content"], held_out(len(unlabelled), seed)
    large = [*contents[~held], *added["content"]]
    everything = [*labelled["content"], *large]
    large += augmentation.multiply(everything, max(0, parameters.transfer_rows - len(everything)), seed)
    examples = transfer_set(
        labelled["content"].tolist(),
        labelled["label"].tolist(),
        large,
        teacher.predict_proba(large),
        teacher.classes_,
        parameters.temperature,
        parameters.pool_weight,
    )
    if parameters.matching_weight:
        hints = embed(teacher.backbone, examples.contents)
        examples = replace(examples, hints=hints, hint_weight=parameters.matching_weight)
    students: dict[str, Trained] = {
        student.kind: trainers.train(student, examples, teacher.classes_, teacher.backbone, seed)
        for student in parameters.students
    }
    kept = contents[held].tolist()
    unseen = Examples(kept, teacher.predict_proba(kept), np.ones(len(kept), np.float32))
    return Distilled(students, teacher.classes_, {"labelled": len(labelled), "by_teacher": len(large)}, unseen)


def main(parameters: Parameters, validate: Path, select: Path, transfer: Path, out: Path) -> None:
    """Read training table, pool and teacher; write the default student to `student`, each other one to `others`."""
    training = storage.read_table(select / "training.parquet")
    given = storage.read_table(validate / "unlabelled.parquet")
    unlabelled = pool.drawn(given, parameters.pool_rows, parameters.seed)
    teacher = load(transfer / "teacher")
    augmentation, trainers = (part(parameters.modality, name) for name in ("augmentation", "student"))
    made = distill(training, unlabelled, teacher, parameters.distill, augmentation, trainers, parameters.seed)
    default, *others = made.students
    agreement = {}
    for kind, folder in [(default, out / "student"), *((kind, out / "others" / kind) for kind in others)]:
        save_student(folder, made.students[kind], kind, parameters.modality, made.classes)
        agreement[kind] = calibrate(folder, made.unseen, parameters.distill.abstention_share)
    rows = {**made.rows, "unseen": len(made.unseen), "pool": len(given), "pool_looked_at": len(unlabelled)}
    told = {"default": default, "others": others, "rows": rows, "agreement": agreement}
    storage.write_json(told, out / "distill.json")
    log.info("Students: %s (the default), %s", default, ", ".join(others) or "no others")


if __name__ == "__main__":
    start(main, devices.company)
