"""How a sweep stands: a row for each point, which one is best, and that in words."""

from typing import Any

from optuna.trial import FrozenTrial

from flows.artifacts import readable
from flows.space import SweepError
from flows.study import Study


def best(study: Study) -> FrozenTrial:
    """Return the best point so far, of equal ones the first."""
    better = max if study.sweep.objective == "accuracy" else min
    points = [(point, means) for point, means in study.done() if means]
    if not points:
        raise SweepError(f"No point of the sweep {study.sweep.name} is done. First: python -m flows.sweep run")
    return better(points, key=lambda one: one[1][study.sweep.objective])[0]


def rows(study: Study) -> list[dict[str, Any]]:
    """Return a row for each point that is done: its values, and its means over the seeds."""
    return [{"point": point.number, **study.values(point), **means} for point, means in study.done()]


def verdict(study: Study) -> str:
    """Say which point is best, by how much, and how to take it over."""
    number, objective, means = best(study).number, study.sweep.objective, {p.number: m for p, m in study.done()}
    by = f"mean over {len(study.sweep.seeds)} seeds, {len(means)} of {study.sweep.points} points done"
    first, found = (f"{readable(means[one][objective])}" for one in (0, number))
    name = objective.replace("_", " ")
    if number == 0:
        return f"No point is better than params.yaml as the sweep found it: {name} {first} ({by})."
    return f"Point {number} is best: {name} {found} instead of {first} ({by})."
