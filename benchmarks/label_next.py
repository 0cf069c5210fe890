"""`python -m benchmarks.label_next`: how many labels a person saves who labels what `label_next.csv` proposes."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import fewshot, folders
from handful import parameters, probe
from handful.embedding import embed
from handful.errors import DataError, HandfulError
from handful.labelling import STRATEGIES
from handful.modality import part

ROOT = Path(__file__).parents[1]
PARAMETER_FILES = {"text": ROOT / "params.yaml", "image": ROOT / "params.image.yaml"}
MOST_ROWS = 3000  # of the training file; the test file is never read
SHARE_SCORED = 1 / 3
SAMPLE_SEED = 7


@dataclass(frozen=True)
class Rows:
    """Embedded rows with the labels that the simulated person knows: `embeddings` [n, d], `labels` [n] strings."""

    embeddings: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Plan:
    """`start` labels per class, then `rounds` times `batch` rows that a strategy proposes."""

    start: int
    rounds: int
    batch: int
    inverse_regularisation: float

    def sizes(self, classes: int) -> list[int]:
        """How many labels there are before each round and after the last."""
        return [self.start * classes + number * self.batch for number in range(self.rounds + 1)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one table for each data folder; status 1 and one paragraph if something cannot be done."""
    asked = _parse(arguments)
    try:
        for path in asked.data:
            folder = folders.find(path)
            values = parameters.read(PARAMETER_FILES[folder.modality])
            plan = Plan(asked.start, asked.rounds, asked.batch, values.probe.inverse_regularisation)
            rows = _rows(folder, values)
            curves = {kind: _curves(rows, plan, kind, asked.seeds) for kind in STRATEGIES}
            sys.stdout.write(table(folder.name, plan.sizes(len(np.unique(rows.labels))), curves))
    except HandfulError as error:
        sys.exit(f"benchmarks.label_next: {error}")


def simulate(rows: Rows, plan: Plan, kind: str, seed: int) -> Iterator[float]:
    """Give the accuracy on rows that nobody labels, before each round and after the last.

    Raises:
        DataError: there are too few rows for the plan.
    """
    order = np.random.default_rng(seed).permutation(len(rows.labels))
    scored, pool = np.split(order, [int(SHARE_SCORED * len(order))])
    known = np.concatenate([pool[rows.labels[pool] == label][: plan.start] for label in np.unique(rows.labels)])
    pool = np.setdiff1d(pool, known)
    if len(pool) < plan.rounds * plan.batch:
        raise DataError(f"The pool has {len(pool)} rows, fewer than {plan.rounds} × {plan.batch}. Label fewer of them.")
    for number in range(plan.rounds + 1):
        head = probe.fit(rows.embeddings[known], rows.labels[known], plan.inverse_regularisation)
        yield float((head.predict(rows.embeddings[scored]) == rows.labels[scored]).mean())
        probabilities = head.predict_proba(rows.embeddings[pool])
        chosen = STRATEGIES[kind](rows.embeddings[pool], probabilities, plan.batch, seed + number)
        known = np.concatenate([known, pool[chosen]])
        pool = np.delete(pool, chosen)


def labels_needed(sizes: Sequence[int], accuracies: np.ndarray, wanted: float) -> float | None:
    """With how many labels a mean curve first reaches an accuracy, between its points by a straight line."""
    for number in np.flatnonzero(accuracies >= wanted)[:1]:
        if number == 0:
            return float(sizes[0])
        low, high = accuracies[number - 1], accuracies[number]
        return float(sizes[number - 1] + (wanted - low) / (high - low) * (sizes[number] - sizes[number - 1]))
    return None


def table(name: str, sizes: Sequence[int], curves: dict[str, np.ndarray]) -> str:
    """The mean curves in percent, the gain over random draws, and the labels that reach what random draws end with.

    Args:
        curves: for each strategy [seeds, rounds + 1].
    """
    goal = curves["random"].mean(axis=0)[-1]
    lines = [
        f"| {name}: labels | {' | '.join(map(str, sizes))} | over random | labels for {100 * goal:.1f} |",
        "|---" * (len(sizes) + 3) + "|",
    ]
    for kind, accuracies in curves.items():
        mean = accuracies.mean(axis=0)
        gain = (accuracies - curves["random"])[:, 1:].mean(axis=1)
        error = gain.std(ddof=1) / np.sqrt(len(gain)) if len(gain) > 1 else 0.0
        needed = labels_needed(sizes, mean, goal)
        cells = [f"{100 * value:.1f}" for value in mean]
        cells += [f"{100 * gain.mean():+.1f} ± {100 * error:.1f}", "not reached" if needed is None else f"{needed:.0f}"]
        lines.append(f"| {kind} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n\n"


def _curves(rows: Rows, plan: Plan, kind: str, seeds: int) -> np.ndarray:
    return np.array([list(simulate(rows, plan, kind, seed)) for seed in range(seeds)])


def _rows(folder: folders.DataFolder, values: parameters.Parameters) -> Rows:
    given = pd.read_parquet(folder.path / folders.TRAIN).drop_duplicates(folder.modality)
    given = given.sample(min(len(given), MOST_ROWS), random_state=SAMPLE_SEED)
    backbone = part(folder.modality, "backbone").load(values.backbone, values.seed)
    return Rows(embed(backbone, given[folder.modality].tolist()), given["label"].to_numpy(str))


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.label_next", description=__doc__)
    parser.add_argument("--data", type=Path, action="append", required=True, help="a data folder; may be repeated")
    parser.add_argument("--start", type=fewshot.count, required=True, help="labels per class before the first round")
    parser.add_argument("--rounds", type=fewshot.count, required=True, help="how often rows are proposed and labelled")
    parser.add_argument("--batch", type=fewshot.count, required=True, help="how many rows in each round")
    parser.add_argument("--seeds", type=fewshot.count, required=True, help="how many draws: seeds 0, 1, 2 and so on")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
