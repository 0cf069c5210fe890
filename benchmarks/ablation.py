"""`python -m benchmarks.ablation`: what each technique adds, one at a time, from the frozen probe to the student."""

import argparse
import copy
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from benchmarks import fewshot, results
from handful.errors import HandfulError
from handful.text.parameters import LinearStudent

Values = dict[str, Any]


@dataclass(frozen=True)
class Step:
    """One technique more: the operations and candidates that are left in (None: all), and what else is other."""

    name: str
    system: str
    operations: tuple[str, ...] | None = None
    candidates: tuple[str, ...] | None = ("linear_probe",)
    further: tuple[Values, ...] = ()  # operations that the parameter file does not have
    pruning: str = "none"
    self_training: bool = True
    diffusion: bool = True
    surface: bool = True
    nearest: bool = True
    linear: bool = False  # the linear student, not the default one


# The lines in parentheses are no part of what comes after them.
STEPS = (
    Step("frozen backbone, logistic regression", "linear_probe", ()),
    Step("+ the pool's confident rows, by the gate", "teacher", ()),
    Step("+ label-name templates, by the gate", "teacher", ("label_templates",)),
    Step("+ the other operations, by the gate", "teacher"),
    Step(
        "(+ segment recombination, by the gate)",
        "teacher",
        further=({"kind": "segment_recombination", "segments": 2},),
    ),
    Step(
        "(+ Markov generation, by the gate)",
        "teacher",
        further=({"kind": "markov_generation", "order": 2, "parents": 3},),
    ),
    Step("(+ noise pruning, by the gate)", "teacher", pruning="cleanlab"),
    Step("+ contrastive fine-tuning", "teacher", candidates=None, self_training=False),
    Step("+ self-training", "teacher", candidates=None, diffusion=False, surface=False, nearest=False),
    Step("+ what near rows are thought to be", "teacher", candidates=None, surface=False, nearest=False),
    Step("+ a second opinion, of the n-grams", "teacher", candidates=None, nearest=False),
    Step("+ a third, of the nearest rows: the teacher", "teacher", candidates=None),
    Step("distilled: the linear student", "student", candidates=None, linear=True),
    Step("distilled: the default student", "student", candidates=None),
)
SCORES = (("accuracy", "Accuracy, %"), ("mcc", "Matthews correlation × 100"))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run every step on every data folder and print one table per score; status 1 if something cannot be done."""
    asked = _parse(arguments)
    lines: dict[str, dict[str, list[results.Record]]] = {}
    failures: list[str] = []
    try:
        for step in STEPS:
            records = _measure(asked, step, failures)
            lines[step.name] = {folder.name: [r for r in records if r["data"] == folder.name] for folder in asked.data}
    except HandfulError as error:
        sys.exit(f"benchmarks.ablation: {error}")
    sys.stdout.write("\n\n".join(_table(lines, *score) for score in SCORES) + "\n")
    if failures:
        sys.exit("benchmarks.ablation: " + "\n".join(failures))


def _measure(asked: argparse.Namespace, step: Step, failures: list[str]) -> list[results.Record]:
    """The records of one step; what has been measured with the same settings is taken from its file."""
    alike = [other for other in STEPS if replace(other, name=step.name, system=step.system) == step]
    values = changed(yaml.safe_load(asked.params.read_text(encoding="utf-8")), step)
    with tempfile.TemporaryDirectory(prefix="handful-ablation-") as folder:
        file, out = Path(folder, "params.yaml"), asked.out / f"{STEPS.index(alike[0])}.json"
        file.write_text(yaml.safe_dump(values, allow_unicode=True), encoding="utf-8")
        wanted = {**vars(asked), "systems": [other.system for other in alike], "params": file, "out": out}
        jobs = list(fewshot.plan(argparse.Namespace(**wanted)))
        failed = fewshot.run(jobs, out)
    failures += [f"{step.name}: {failure}" for failure in failed]
    return [record for record in fewshot.measured(jobs, out) if record["system"] == step.system]


def changed(values: Values, step: Step) -> Values:
    """The values of a parameter file as the step wants them."""
    augment, transfer, distill = (copy.deepcopy(values[name]) for name in ("augment", "pretrain_transfer", "distill"))
    augment["operations"] = [*_left_in(augment["operations"], step.operations), *step.further]
    transfer["candidates"] = _left_in(transfer["candidates"], step.candidates)
    for candidate in transfer["candidates"]:
        if "self_training" in candidate:
            candidate["self_training"] = _self_training(candidate["self_training"], step)
    if step.linear:
        # With the settings of the default student, as far as it shares them.
        shared = {name: distill["students"][0][name] for name in LinearStudent.model_fields}
        distill["students"] = [{**shared, "kind": "linear"}]
    select = {**values["select"], "prune_noise": {"kind": step.pruning}}
    return {**values, "augment": augment, "select": select, "pretrain_transfer": transfer, "distill": distill}


def _self_training(given: Values, step: Step) -> Values:
    """The section as the step wants it."""
    if not step.self_training:
        return {"kind": "none"}
    absent = {"diffusion": step.diffusion, "surface_share": step.surface, "nearest_share": step.nearest}
    return {**given, **{name: 0.0 for name, kept in absent.items() if not kept}}


def _left_in(listed: list[Values], kinds: tuple[str, ...] | None) -> list[Values]:
    return [each for each in listed if kinds is None or each["kind"] in kinds]


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
