"""Evaluate: scores teacher, students, baseline and champion on the test rows, and writes the report for people."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from numpy.typing import NDArray

from handful import metrics, plots, profile, report, storage, student, teacher
from handful.champion import read
from handful.classifier import AbstainingClassifier, CachingClassifier
from handful.comparison import Rival, compare, decide, meet
from handful.errors import DataError
from handful.findings import Findings, versions
from handful.modality import part
from handful.parameters import Parameters
from handful.parameters.learning import Evaluate
from handful.scoring import champion_record, predictions, score, student_record
from tasks import start


@dataclass(frozen=True)
class Evaluation:
    """metrics.json, predictions.parquet, and the default student's probabilities [rows, classes]."""

    metrics: dict[str, Any]
    predictions: pd.DataFrame
    probabilities: NDArray[Any]


def evaluate(
    test: pd.DataFrame,
    adapted: CachingClassifier,
    students: Mapping[str, AbstainingClassifier],
    baseline: CachingClassifier,
    rival: Rival | None,
    parameters: Evaluate,
    seed: int,
) -> Evaluation:
    """Score teacher, students by kind (the first is the challenger), baseline and perhaps champion on the test rows.

    Raises:
        DataError: there are no test rows.
    """
    if test.empty:
        raise DataError("The test table has no rows, so nothing can be scored. Name rows in ingest.test and run again.")
    default, *others = students
    fast = {**students, "champion": rival.student} if rival and rival.student else students
    scored = {name: score(test, one, one.predict_proba, parameters, seed) for name, one in fast.items()}
    for name, one in (("teacher", adapted), ("baseline", baseline)):
        scored[name] = score(test, one, partial(one.predict_proba, cached=False), parameters, seed)
    truth, classes, own = test["label"].tolist(), students[default].classes_, scored[default]
    beside = partial(compare, truth, own.guesses, parameters=parameters, seed=seed)
    scores = {
        "classes": len(classes),
        "rows": len(test),
        "unseen_labels": {label: truth.count(label) for label in metrics.labels(truth, classes)[len(classes) :]},
        "teacher": scored["teacher"].record,
        "student": student_record(default, students[default], own, truth),
        "others": {kind: scored[kind].record for kind in others},
        "baseline": scored["baseline"].record,
        "gain_over_baseline": beside(scored["baseline"].guesses).gain(),
        "champion": champion_record(rival, scored),
        "verdict": decide(rival, beside(scored["champion"].guesses) if "champion" in scored else None, parameters),
    }
    return Evaluation(scores, predictions(test, {"teacher": scored["teacher"], "student": own}), own.probabilities)


def main(
    parameters: Parameters,
    ingest: Path,
    champion: Path,
    rows: Path,
    drift: Path,
    select: Path,
    transfer: Path,
    distill: Path,
    out: Path,
) -> None:
    """Read what the earlier stages left, evaluate, and write numbers, pictures and report."""
    test = storage.read_table(rows / "test.parquet")
    rival = meet(read(champion), profile.read(rows / "profile.json"), distill / "student")
    made = storage.read_json(distill / "distill.json")
    students = {made["default"]: student.load(distill / "student", threads=1)}
    students |= {kind: student.load(distill / "others" / kind, threads=1) for kind in made["others"]}
    adapted, baseline = (teacher.load(transfer / name) for name in ("teacher", "baseline"))
    evaluation = evaluate(test, adapted, students, baseline, rival, parameters.evaluate, parameters.seed)
    findings = Findings(
        metrics=evaluation.metrics,
        test=test,
        classes=students[made["default"]].classes_,
        probabilities=evaluation.probabilities,
        parameters=parameters.evaluate,
        gate=storage.read_json(select / "gate.json"),
        crossvalidation=storage.read_json(transfer / "crossvalidation.json"),
        distillation=made,
        validation=storage.read_json(rows / "validation.json"),
        drift=storage.read_json(drift),
        set_aside=storage.read_table(ingest / "set_aside.parquet"),
        training=storage.read_table(select / "training.parquet")["origin_kind"].value_counts().to_dict(),
        versions=versions(),
        content=part(parameters.modality, "content"),
    )
    _write(evaluation, findings, out)


def _write(evaluation: Evaluation, findings: Findings, folder: Path) -> None:
    storage.write_table(evaluation.predictions, folder / "predictions.parquet")
    plots.plot_confusion(findings.confusion, findings.labels, folder / "confusion.png")
    plots.plot_reliability(findings.bins, folder / "reliability.png")
    storage.write_text(report.html(findings), folder / "report.html")
    storage.write_text(report.markdown(findings), folder / "report.md")
    storage.write_json(evaluation.metrics, folder / "metrics.json")


if __name__ == "__main__":
    start(main)
