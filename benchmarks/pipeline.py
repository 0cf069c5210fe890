"""Teacher and student out of one run of the pipeline's own stages, in this process, with the time that each took."""

from tasks.augment import augment
from tasks.distill import distill
from tasks.pretrain_transfer import pretrain_transfer
from tasks.select import select
from tasks.validate import validate

from benchmarks import folders
from benchmarks.folders import DataFolder
from benchmarks.trained import Trained, peak_rss_bytes, timed
from handful import training
from handful.modality import part
from handful.parameters import Parameters
from handful.teacher import Teacher


def train(
    parameters: Parameters, folder: DataFolder, shots: int, seed: int, with_student: bool
) -> tuple[str, dict[str, Trained]]:
    """Return the fingerprint of the drawn labelled rows, and the teacher and perhaps the student by name.

    The teacher's time ends with pretrain_transfer; the student's is that of all stages.
    """
    seconds: dict[str, float] = {}
    modality = parameters.modality
    with timed(seconds, "ingest"):
        drawn = folders.draw(parameters, folder, shots, seed)
    with timed(seconds, "validate"):
        tables = validate(drawn, parameters.validate_, part(modality, "content")).tables
    with timed(seconds, "augment"):
        backbone = part(modality, "backbone").load(parameters.backbone, seed)
        augmented = augment(tables["labelled"], parameters.augment, part(modality, "augmentation"), backbone, seed)
    with timed(seconds, "select"):
        selected = select(tables, augmented, parameters.select, backbone, seed)
    with timed(seconds, "pretrain_transfer"):
        teacher, _ = pretrain_transfer(
            selected.training, tables["unlabelled"], parameters.pretrain_transfer, backbone, seed
        )
    trained = {"teacher": _teacher(teacher, dict(seconds))}
    if with_student:
        with timed(seconds, "distill"):
            students = distill(
                selected.training, tables["unlabelled"], teacher, parameters.distill, part(modality, "student"), seed
            )
        trained["student"] = _student(students[0], dict(seconds))
    return folders.fingerprint(drawn["labelled"]), trained


def _teacher(teacher: Teacher, stages: dict[str, float]) -> Trained:
    return Trained(
        classes=teacher.classes_,
        predict_proba=lambda contents: teacher.predict_proba(contents, cached=False),
        size_bytes=teacher.size_bytes,
        train_seconds=sum(stages.values()),
        peak_rss_bytes=peak_rss_bytes(),
        device=training.device().type,
        stages=stages,
    )
