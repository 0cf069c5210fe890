"""Drift: how far a night's data lie from the champion's, beyond what chance alone does."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.stats import chi2

from handful.champion import Champion
from handful.checks import aligned
from handful.parameters.tables import Drift
from handful.profile import BINS_PER_OCTAVE, DECIMALS, TABLES, Profile

# What two samples of the same source exceed once in a thousand times is no drift, however tight the bound.
CHANCE = 0.001
DRAWS = 10_000
BLOCKS = 100  # of the draws, so that few of them are held twice


@dataclass(frozen=True)
class Check:
    """One distance from the reference: as observed, what chance alone gives, what is allowed, and what it tells."""

    name: str
    table: str
    observed: float
    by_chance: float
    bound: float
    success: bool
    what: str


def judge(current: Profile, champion: Champion | None, bounds: Drift, seed: int) -> dict[str, Any]:
    """Compare with the profile of the champion's data, as drift.json holds it.

    Returns:
        reference (the champion's version), checks, note (null, or what could not be compared), problem (null, or the
        text of the error that stops the stage).
    """
    if champion is None:
        return {"reference": None, "checks": [], "note": None, "problem": None}
    version, reference = champion.version, champion.profile
    if reference.modality != current.modality:
        note = f"The champion {version} is for {reference.modality}: its data and these cannot be compared."
        return {"reference": version, "checks": [], "note": note, "problem": None}
    checks = compare(current, reference, bounds, seed)
    other = bounds.embeddings is not None and current.backbone != reference.backbone
    failed = [check for check in checks if not check.success]
    return {
        "reference": version,
        "checks": [asdict(check) for check in checks],
        "note": f"The champion {version} kept no embeddings of this backbone to compare with." if other else None,
        "problem": _problem(version, failed) if failed else None,
    }


def _problem(version: str, failed: list[Check]) -> str:
    cells: list[tuple[str, ...]] = [("table", "drift of", "observed", "allowed", "by chance up to", "what changed")]
    cells += [
        (check.table, check.name, *(f"{n:.3f}" for n in (check.observed, check.bound, check.by_chance)), check.what)
        for check in failed
    ]
    keys = ", ".join(dict.fromkeys("labels" if check.name == "classes" else check.name for check in failed))
    return "\n".join(
        [
            f"The data are too far from those of the champion {version}, which stays in its place:",
            *aligned(cells),
            "What to do: look at the rows that arrived since. If something went wrong, correct the data and run again. "
            f"If the change is meant, raise the bounds in params.yaml under validate.drift ({keys}), or set them to "
            "null until a student of the new data is the champion: from then on it is the measure.",
        ]
    )


def compare(current: Profile, reference: Profile, bounds: Drift, seed: int) -> list[Check]:
    """Check each distance that has a bound and that both profiles can tell; `seed` draws what chance gives."""
    checks: list[Check] = []
    if bounds.labels is not None:
        checks += [_vanished(current.labels, reference.labels), _labels(current, reference, bounds.labels, seed)]
    if bounds.sizes is not None:
        checks += _sizes(current, reference, bounds.sizes)
    if bounds.embeddings is not None and current.backbone == reference.backbone:
        checks += _embeddings(current, reference, bounds.embeddings)
    return checks


def _check(name: str, table: str, observed: float, by_chance: float, bound: float, what: str) -> Check:
    observed, by_chance = round(observed, DECIMALS), round(by_chance, DECIMALS)
    return Check(name, table, observed, by_chance, bound, observed <= max(bound, by_chance), what)


def _vanished(current: Mapping[str, int], reference: Mapping[str, int]) -> Check:
    """A class without rows is no matter of degree: as a rule, an export that lost it."""
    gone = sorted(reference.keys() - current.keys())
    share = sum(reference[label] for label in gone) / sum(reference.values())
    what = f"classes without a row now: {', '.join(gone)}" if gone else "no class has vanished"
    return _check("classes", "labelled", share, 0.0, 0.0, what)


def _labels(current: Profile, reference: Profile, bound: float, seed: int) -> Check:
    """Total variation distance: the share of rows that would have to change their label.

    Not the population stability index, which one rare class without rows makes as large as one likes.
    """
    names = sorted(current.labels.keys() | reference.labels.keys())
    counts = _table([current.labels, reference.labels], names)
    rows = counts.sum(axis=1)
    shares = counts / rows[:, None]
    change = shares[0] - shares[1]
    most = int(np.abs(change).argmax())
    generator = np.random.default_rng(seed)
    together = counts.sum(axis=0) / rows.sum()
    drawn = np.array_split(generator.multinomial(rows[0], together, DRAWS), BLOCKS)
    others = (generator.multinomial(rows[1], together, len(block)) for block in drawn)
    apart = [np.abs(block / rows[0] - other / rows[1]).sum(axis=1) for block, other in zip(drawn, others, strict=True)]
    by_chance = np.quantile(np.concatenate(apart) / 2, 1 - CHANCE)
    what = f"{names[most]} had {100 * shares[1][most]:.1f} % of the rows, now {100 * shares[0][most]:.1f} %"
    return _check("labels", "labelled", float(np.abs(change).sum() / 2), float(by_chance), bound, what)


def _sizes(current: Profile, reference: Profile, bound: float) -> Iterator[Check]:
    """Kolmogorov-Smirnov distance over the bins; by chance up to Smirnov's (1948) two-sample limit."""
    for table in TABLES:
        now, before = current.sizes[table], reference.sizes[table]
        if not now or not before:
            continue
        bins = sorted(now.keys() | before.keys())
        counts = _table([now, before], bins)
        rows = counts.sum(axis=1)
        heights = counts.cumsum(axis=1) / rows[:, None]
        by_chance = np.sqrt(np.log(2 / CHANCE) / 2 * (1 / rows).sum())
        medians = [2 ** (bins[int((height >= 0.5).argmax())] / BINS_PER_OCTAVE) for height in heights]
        what = f"the median size was about {medians[1]:.0f}, now {medians[0]:.0f}"
        yield _check("sizes", table, float(np.abs(heights[0] - heights[1]).max()), float(by_chance), bound, what)


def _table(counts: Sequence[Mapping[Any, int]], keys: Sequence[Any]) -> np.ndarray:
    """Counts as an array [mappings, keys], 0 where a mapping lacks the key."""
    return np.array([[some.get(key, 0) for key in keys] for some in counts])


def _embeddings(current: Profile, reference: Profile, bound: float) -> Iterator[Check]:
    """Distance of the means in standard deviations of the rows: the root of a linear-kernel MMD² (Gretton et al. 2012).

    For rows of one source its square is, but for a factor, chi-squared with as many degrees of freedom as the rows
    vary in directions (Box 1954), so that few rows are allowed to lie farther apart than many.
    """
    for table in TABLES:
        if table not in current.embeddings or table not in reference.embeddings:
            continue
        now, before = current.embeddings[table], reference.embeddings[table]
        variance = max((now.variance + before.variance) / 2, 10**-DECIMALS)
        distance = float(np.linalg.norm(np.subtract(now.mean, before.mean)) / np.sqrt(variance))
        directions = min(now.directions, before.directions)
        noise = (now.variance / now.rows + before.variance / before.rows) / variance
        by_chance = float(np.sqrt(noise * chi2.ppf(1 - CHANCE, directions) / directions))
        far = distance > max(bound, by_chance)
        what = "other subjects, another language or style" if far else "subjects, language and style are much the same"
        yield _check("embeddings", table, distance, by_chance, bound, what)
