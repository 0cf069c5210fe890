"""Teacher and student out of one run of the pipeline's own stages, in this process, with the time that each took."""

import tempfile
from pathlib import Path

import pandas as pd

from benchmarks import folders
from benchmarks.folders import DataFolder
from benchmarks.trained import Trained, peak_rss_bytes, timed
from handful import batches, student
from handful.distillation import calibrate, save_student
from handful.embedding import Backbone
from handful.modality import part
from handful.parameters import Parameters
from handful.pool import drawn as drawn_pool
from handful.teacher import Teacher
from tasks.augment import augment
from tasks.distill import distill
from tasks.pretrain_transfer import pretrain_transfer
from tasks.select import select
from tasks.validate import TABLES, validate

Tables = dict[str, pd.DataFrame]


def train(
    parameters: Parameters, folder: DataFolder, shots: int, seed: int, with_student: bool
) -> tuple[str, dict[str, Trained]]:
    """Return the fingerprint of the drawn labelled rows, and the teacher and perhaps the student by name.

    The teacher's time ends with pretrain_transfer; the student's is that of all stages.
    """
    seconds: dict[str, float] = {}
    with timed(seconds, "ingest"):
        drawn = folders.draw(parameters, folder, shots, seed)
    with timed(seconds, "validate"):
        tables = {name: drawn[name] for name in TABLES}
        validated = validate(tables, parameters.validate_, part(parameters.modality, "content"))
        validated.require_usable()
    pool = drawn_pool(validated.tables["unlabelled"], parameters.pool_rows, seed)
    tables = {**validated.tables, "unlabelled": pool}
    rows, teacher = _train_teacher(parameters, tables, seed, seconds)
    trained = {"teacher": _teacher(teacher, dict(seconds))}
    if with_student:
        trained["student"] = _train_student(parameters, rows, tables, teacher, seed, seconds)
    return folders.fingerprint(drawn["labelled"]), trained


def _train_teacher(
    parameters: Parameters, tables: Tables, seed: int, seconds: dict[str, float]
) -> tuple[pd.DataFrame, Teacher]:
    """Run augment, select and pretrain_transfer; return the training table and the teacher."""
    names, head = ("content", "augmentation", "backbone"), parameters.probe
    content, augmentation, backbones = (part(parameters.modality, name) for name in names)
    with timed(seconds, "augment"):
        backbone: Backbone = backbones.load(parameters.backbone, seed)
        augmented = augment(tables["labelled"], parameters.augment, head, augmentation, content, backbone, seed)
    with timed(seconds, "select"):
        selected = select(tables, augmented, parameters.select, head, content, backbone, seed)
    with timed(seconds, "pretrain_transfer"):
        pool, section = tables["unlabelled"]["content"].tolist(), parameters.pretrain_transfer
        made = pretrain_transfer(selected.training, pool, section, head, backbones, backbone, seed)
    return selected.training, made.teacher


def _train_student(
    parameters: Parameters, rows: pd.DataFrame, tables: Tables, teacher: Teacher, seed: int, seconds: dict[str, float]
) -> Trained:
    """Run distill, and load the default student from a folder as a user would; it has one thread."""
    with timed(seconds, "distill"):
        augmentation, trainers = (part(parameters.modality, name) for name in ("augmentation", "student"))
        made = distill(rows, tables["unlabelled"], teacher, parameters.distill, augmentation, trainers, seed)
    with tempfile.TemporaryDirectory() as name:
        kind = next(iter(made.students))
        save_student(Path(name), made.students[kind], kind, parameters.modality, made.classes)
        calibrate(Path(name), made.unseen, parameters.distill.abstention_share)
        loaded = student.load(name, threads=1)
        size_bytes = loaded.size_bytes
    return Trained(
        classes=loaded.classes_,
        predict_proba=loaded.predict_proba,
        size_bytes=size_bytes,
        train_seconds=sum(seconds.values()),
        peak_rss_bytes=peak_rss_bytes(),
        device="cpu",  # a student always runs on the CPU
        stages=dict(seconds),
    )


def _teacher(teacher: Teacher, stages: dict[str, float]) -> Trained:
    return Trained(
        classes=teacher.classes_,
        predict_proba=lambda contents: teacher.predict_proba(contents, cached=False),
        size_bytes=teacher.size_bytes,
        train_seconds=sum(stages.values()),
        peak_rss_bytes=peak_rss_bytes(),
        device=batches.device().type,
        stages=stages,
    )
