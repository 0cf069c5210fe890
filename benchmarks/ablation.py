"""`python -m benchmarks.ablation`: what each technique adds, one at a time, from the frozen probe to the student."""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks import fewshot, results
from handful.errors import HandfulError


@dataclass(frozen=True)
class Step:
    """One technique more than the step before: the operations and candidates that are left in; None leaves all."""

    name: str
    system: str
    operations: tuple[str, ...] | None = None
    candidates: tuple[str, ...] | None = None


STEPS = (
    Step("frozen backbone, logistic regression", "linear_probe"),
    Step("+ the pool's confident rows, by the gate", "teacher", (), ("linear_probe",)),
    Step("+ label-name templates, by the gate", "teacher", ("label_templates",), ("linear_probe",)),
    Step("+ the other operations, by the gate", "teacher", None, ("linear_probe",)),
    Step("+ contrastive fine-tuning: the teacher", "teacher"),
    Step("distilled: the default student", "student"),
)
SCORES = (("accuracy", "Accuracy, %"), ("mcc", "Matthews correlation × 100"))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run every step on every data folder and print one table per score; status 1 if something cannot be done."""
    asked = _parse(arguments)
    lines: dict[str, dict[str, list[results.Record]]] = {}
    try:
        for step in STEPS:
            records = _measure(asked, step)
            lines[step.name] = {folder.name: [r for r in records if r["data"] == folder.name] for folder in asked.data}
    except HandfulError as error:
        sys.exit(f"benchmarks.ablation: {error}")
    sys.stdout.write("\n\n".join(_table(lines, *score) for score in SCORES) + "\n")


def _measure(asked: argparse.Namespace, step: Step) -> list[results.Record]:
    """The records of one step; what has been measured with the same settings is taken from its file."""
    alike = [other for other in STEPS if (other.operations, other.candidates) == (step.operations, step.candidates)]
    values = yaml.safe_load(asked.params.read_text(encoding="utf-8"))
    _keep(values["augment"], "operations", step.operations)
    _keep(values["pretrain_transfer"], "candidates", step.candidates)
    with tempfile.TemporaryDirectory(prefix="handful-ablation-") as folder:
        file, out = Path(folder, "params.yaml"), asked.out / f"{STEPS.index(alike[0])}.json"
        file.write_text(yaml.safe_dump(values, allow_unicode=True), encoding="utf-8")
        wanted = {**vars(asked), "systems": [other.system for other in alike], "params": file, "out": out}
        jobs = list(fewshot.plan(argparse.Namespace(**wanted)))
        for failure in fewshot.run(jobs, out):
            sys.stderr.write(f"{failure}\n")
    identities = [identity for job in jobs for identity in job.wanted]
    found = [record for identity in identities if (record := results.standing(results.read(out), identity))]
    return [record for record in found if record["system"] == step.system]


def _keep(section: dict[str, Any], key: str, kinds: tuple[str, ...] | None) -> None:
    if kinds is not None:
        section[key] = [each for each in section[key] if each["kind"] in kinds]


def _table(lines: dict[str, dict[str, list[results.Record]]], score: str, heading: str) -> str:
    names = list(next(iter(lines.values())))
    body = [
        [step, *(_cell([100 * record[score] for record in line[name]]) for name in names)]
        for step, line in lines.items()
    ]
    return results.markdown([heading, *names], body)


def _cell(values: list[float]) -> str:
    if not values:
        return "failed"
    spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.1f}{spread}"


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.ablation", description=__doc__)
    parser.add_argument("--data", type=Path, action="append", required=True, help="a data folder; may be repeated")
    parser.add_argument("--shots", type=fewshot.count, required=True, help="rows per class that keep their label")
    parser.add_argument("--seeds", type=fewshot.count, required=True, help="how many draws: seeds 0, 1, 2 and so on")
    parser.add_argument("--out", type=Path, required=True, help="folder of records; a run goes on where it stopped")
    parser.add_argument("--params", type=Path, default=fewshot.PARAMETER_FILES["text"], help="parameter file")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
