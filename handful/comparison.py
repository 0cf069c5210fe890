"""Challenger and champion on the same test rows: paired bootstrap, McNemar's test, and the verdict on who serves."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from handful import metrics, student
from handful.champion import Champion
from handful.classifier import Classifier
from handful.errors import StudentError
from handful.parameters.learning import Evaluate
from handful.profile import Profile


@dataclass(frozen=True)
class Rival:
    """The champion as a challenger meets it.

    `student` is None where it cannot predict here, `hindrance` says why the two cannot be compared fairly, and
    `same_files` whether the two are the same to the byte.
    """

    version: str
    student: Classifier | None
    hindrance: str | None
    same_files: bool


@dataclass(frozen=True)
class Comparison:
    """What a challenger's scores are above another classifier's on the same rows.

    `difference` and `interval` are of accuracy. `rows_gained` only the challenger guesses right, `rows_lost` only the
    other; `mcnemar_p` is how likely so uneven a division of these is where neither is better.
    """

    difference: float
    interval: list[float]
    macro_f1_difference: float
    macro_f1_interval: list[float]
    rows_gained: int
    rows_lost: int
    mcnemar_p: float

    def gain(self) -> dict[str, Any]:
        """The gain in accuracy alone, as metrics.json holds it where nothing is to be decided."""
        return {"accuracy": self.difference, "interval": self.interval}


def meet(champion: Champion | None, current: Profile, challenger: Path) -> Rival | None:
    """Put the champion beside the student in the folder `challenger`, which was made from data of profile `current`."""
    if champion is None:
        return None
    name = f"The champion {champion.version}"
    try:
        loaded = student.load(champion.student, threads=1)
    except StudentError as error:
        return Rival(champion.version, None, f"{name} cannot be loaded, so a person has to decide ({error}).", False)
    trained_on = loaded.description["modality"]
    if trained_on != current.modality:
        return Rival(
            champion.version, None, f"{name} is for {trained_on}, and this student for {current.modality}.", False
        )
    changed = (
        f"The test rows are not those of the champion {champion.version}: it may have learnt from some that are "
        "test rows now, so a person has to decide: handful promote puts this student at prod."
    )
    hindrance = None if champion.profile.test == current.test else changed
    return Rival(champion.version, loaded, hindrance, _files(champion.student) == _files(challenger))


def _files(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.blake2b(path.read_bytes()).hexdigest() for path in files}


def compare(
    truth: Sequence[str], guesses: NDArray[Any], reference: NDArray[Any], parameters: Evaluate, seed: int
) -> Comparison:
    """Compare two classifiers' guesses for the same rows.

    The intervals are percentile intervals of the paired bootstrap (Efron & Tibshirani 1993, ch. 13): rows are drawn
    together with both guesses. The test is McNemar's (1947) in its exact form, binomial over the rows on which only
    one is right.
    """
    names = sorted({*truth, *guesses, *reference})
    place = {name: index for index, name in enumerate(names)}
    rows = np.array([[place[label] for label in column] for column in (truth, guesses, reference)])
    cells, counts = np.unique(rows, axis=1, return_counts=True)
    right, matched = cells[0] == cells[1], cells[0] == cells[2]
    gained, lost = int(counts[right & ~matched].sum()), int(counts[matched & ~right].sum())
    observed = _differences(counts[None], cells, len(names))
    drawn = _differences(metrics.resampled(counts, parameters.bootstrap_samples, seed), cells, len(names))
    ends = {name: metrics.interval(values, parameters.confidence_level) for name, values in drawn.items()}
    return Comparison(
        difference=float(observed["accuracy"][0]),
        interval=ends["accuracy"],
        macro_f1_difference=float(observed["macro_f1"][0]),
        macro_f1_interval=ends["macro_f1"],
        rows_gained=gained,
        rows_lost=lost,
        mcnemar_p=float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0,
    )


def _differences(counts: NDArray[Any], cells: NDArray[Any], classes: int) -> dict[str, NDArray[Any]]:
    """Scores of the first classifier less those of the other, [samples]; cells are (true, guess, other guess)."""
    first, other = (metrics.scores_of_cells(counts, cells[0], guessed, classes) for guessed in cells[1:])
    return {name: first[name] - other[name] for name in ("accuracy", "macro_f1")}


def decide(rival: Rival | None, comparison: Comparison | None, parameters: Evaluate) -> dict[str, Any]:
    """Say whether the challenger may take the champion's place, as metrics.json holds it.

    A test of non-inferiority: a challenger that is truly worse by the tolerance or more has, at a confidence level of
    95 %, a chance of 2.5 % to pass.

    Returns:
        decision (first, not comparable, keep or promote), reason (one sentence), and the numbers, null where nothing
        was compared.
    """
    decision, reason = _decision(rival, comparison, parameters)
    fair = comparison is not None and rival is not None and rival.hindrance is None
    numbers = asdict(comparison) if comparison and fair else dict.fromkeys(field.name for field in fields(Comparison))
    return {"decision": decision, "reason": reason, **numbers}


def _decision(rival: Rival | None, comparison: Comparison | None, parameters: Evaluate) -> tuple[str, str]:
    if rival is None:
        return "first", "There is no champion yet, so this student is the first."
    if rival.hindrance is not None or comparison is None:
        return "not comparable", rival.hindrance or f"The champion {rival.version} was not asked."
    if rival.same_files:
        return "keep", f"The challenger is the champion {rival.version}, byte for byte."
    lost = (
        f"{comparison.rows_lost} test rows lost, {comparison.rows_gained} won; McNemar's p = {comparison.mcnemar_p:.2g}"
    )
    if comparison.rows_lost > comparison.rows_gained and comparison.mcnemar_p < 1 - parameters.confidence_level:
        return "keep", f"The challenger is worse than the champion {rival.version}: {lost}."
    changed = f"accuracy changed by {_points(comparison)}, and {100 * parameters.promotion.tolerance:.1f} may be lost"
    if comparison.interval[0] > -parameters.promotion.tolerance:
        return "promote", f"The challenger is no worse than the champion {rival.version}: {changed}."
    return "keep", f"The challenger may be worse than the champion {rival.version}: {changed}."


def _points(comparison: Comparison) -> str:
    change, (low, high) = comparison.difference, comparison.interval
    return f"{100 * change:+.1f} points ({100 * low:+.1f} to {100 * high:+.1f})".replace("-", "−")
