"""`python -m benchmarks.ablation`: what each technique adds, one at a time, from the frozen probe to the student."""

import argparse
import copy
import logging
import os
import statistics
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import yaml

from benchmarks import fewshot, folders, process, results
from benchmarks.trained import score
from handful import compute, contrastive, parameters, storage
from handful.embedding import Backbone
from handful.errors import HandfulError
from handful.text.parameters import LinearStudent
from tasks import SHAPES_KEPT

Values = dict[str, Any]
Lines = dict[str, dict[str, list[results.Record]]]  # by step and data folder, one for each seed


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
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    logging.getLogger("handful").setLevel(logging.INFO)
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", SHAPES_KEPT)
    failures: list[str] = []
    try:
        draws = list(fewshot.plan(argparse.Namespace(**vars(asked), systems=["teacher"])))
        values = yaml.safe_load(asked.params.read_text(encoding="utf-8"))
        lines: Lines = {step.name: {draw.folder.name: [] for draw in draws} for step in STEPS}
        for draw in draws:
            with _shared():
                for number, step in enumerate(STEPS):
                    if record := _measure(draw, step, values, asked.out / f"{number}.json", failures):
                        lines[step.name][draw.folder.name].append(record)
    except HandfulError as error:
        sys.exit(f"benchmarks.ablation: {error}")
    except KeyboardInterrupt:
        sys.exit(f"benchmarks.ablation: stopped. {asked.out} keeps what was measured; run again to go on.")
    sys.stdout.write("\n\n".join(_table(lines, *column) for column in SCORES) + "\n")
    if failures:
        sys.exit("benchmarks.ablation: " + "\n".join(failures))


@contextmanager
def _shared() -> Iterator[None]:
    """Let all lines have one cache of embeddings, and do a fine-tuning of the same rows once: only scores are asked."""
    made: dict[Any, Backbone] = {}
    fine_tune = contrastive.fine_tune

    def once(*given: Any) -> Backbone:
        backbone, contents, labels, weights, settings, seed, _ = given
        used = settings.model_dump_json(exclude={"self_training"})
        key = (backbone.fingerprint, tuple(contents), tuple(labels), tuple(weights), used, seed)
        if key not in made:
            made[key] = fine_tune(*given)
        return made[key]

    with (
        tempfile.TemporaryDirectory(prefix="handful-ablation-") as cache,
        mock.patch.dict(os.environ, HANDFUL_CACHE=cache),
        mock.patch.object(contrastive, "fine_tune", once),
    ):
        yield


def _measure(draw: fewshot.Job, step: Step, values: Values, out: Path, failures: list[str]) -> results.Record | None:
    """The record of one step on one draw: that of its file if it still stands, else a new one; None if it failed."""
    asked = parameters.parse(changed(values, step), str(draw.parameter_file))
    identity = results.identity(draw.folder, step.system, draw.shots, draw.seed, asked)
    if standing := results.standing(results.read(out), identity):
        return standing
    what = f"{step.name}: {draw.folder.name}, {draw.shots} shots, seed {draw.seed}"
    sys.stderr.write(f"--- {what}\n")
    try:
        with compute.running(asked.compute):
            _, systems = process.train(asked, draw.folder, draw.shots, draw.seed, [step.system])
        test = folders.test_rows(draw.folder)
        contents, labels = test["content"].tolist(), test["label"].tolist()
        scores = score(systems[step.system], contents, labels, [], asked.evaluate, draw.seed)
    except Exception as error:  # whatever it is: the other lines are to be measured
        if not isinstance(error, HandfulError):
            traceback.print_exc()
        failures.append(f"{what}: {error}")
        return None
    record = {**identity, **scores}
    storage.write_json(results.add(results.read(out), record), out)
    return record


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


def _table(lines: Lines, name: str, heading: str) -> str:
    data = list(next(iter(lines.values())))
    body = [
        [step, *(_cell([100 * record[name] for record in line[folder]]) for folder in data)]
        for step, line in lines.items()
    ]
    return results.markdown([heading, *data], body)


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
