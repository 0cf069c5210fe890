"""Distill: students that learn from the teacher's probabilities on the pool and from the labels."""

import logging
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

from handful import storage
from handful.distillation import Trained, calibrate, save_student, transfer_set
from handful.modality import part
from handful.parameters import Parameters
from handful.parameters.learning import Distill
from handful.teacher import Teacher, load
from handful.training import Examples
from tasks import start

CALIBRATION_ROWS = 500  # plenty for the one number that is fitted to them

log = logging.getLogger("handful.distill")


@dataclass(frozen=True)
class Distilled:
    """The students by kind, the default first, their classes, and how many rows they learned from.

    `unseen` and `usual` are what `calibrate` asks for: rows that no student learned from, rows such as it will meet.
    """

    students: dict[str, Trained]
    classes: list[str]
    rows: dict[str, int]
    unseen: Examples
    usual: list[Any]


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
    large = [*unlabelled["content"], *added["content"]]
    everything = [*labelled["content"], *large]
    missing = max(0, parameters.transfer_rows - len(everything))
    made = augmentation.multiply(everything, missing + CALIBRATION_ROWS, seed)
    large += made[:missing]
    unseen = _unseen(made[missing:], [*everything, *large], teacher)
    examples = transfer_set(
        labelled["content"].tolist(),
        labelled["label"].tolist(),
        large,
        teacher.predict_proba(large),
        teacher.classes_,
        parameters.temperature,
        parameters.pool_weight,
    )
    students: dict[str, Trained] = {
        student.kind: trainers.train(student, examples, teacher.classes_, teacher.backbone, seed)
        for student in parameters.students
    }
    usual = unlabelled["content"].tolist() or list(unseen.contents)
    return Distilled(students, teacher.classes_, {"labelled": len(labelled), "by_teacher": len(large)}, unseen, usual)


def _unseen(made: list[Any], known: list[Any], teacher: Teacher) -> Examples:
    """New rows with the teacher's opinion, to fit temperatures on.

    Fitted on rows that it learned from, a temperature would be too low; rows of the pool held out for it would be
    missing where they teach most. More rows can be made as well as those that the students learn from.
    """
    seen = set(known)
    # Out of a few short texts nothing new may come; then what repeats them has to do.
    contents = [content for content in dict.fromkeys(made) if content not in seen] or made
    return Examples(contents, teacher.predict_proba(contents), np.ones(len(contents), np.float32))


def main(parameters: Parameters, validate: Path, select: Path, transfer: Path, out: Path) -> None:
    """Read training table, pool and teacher; write the default student to `student`, each other one to `others`."""
    training = storage.read_table(select / "training.parquet")
    unlabelled = storage.read_table(validate / "unlabelled.parquet")
    teacher = load(transfer / "teacher")
    augmentation, trainers = (part(parameters.modality, name) for name in ("augmentation", "student"))
    made = distill(training, unlabelled, teacher, parameters.distill, augmentation, trainers, parameters.seed)
    default, *others = made.students
    for kind, folder in [(default, out / "student"), *((kind, out / "others" / kind) for kind in others)]:
        save_student(folder, made.students[kind], kind, parameters.modality, made.classes)
        calibrate(folder, made.unseen, made.usual, parameters.distill.abstention_share)
    storage.write_json({"default": default, "others": others, "rows": made.rows}, out / "distill.json")
    log.info("Students: %s (the default), %s", default, ", ".join(others) or "no others")


if __name__ == "__main__":
    start(main)
