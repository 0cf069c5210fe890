"""What a sweep knows: the points that Optuna proposed and what came of them, in a file that survives a kill."""

from pathlib import Path
from statistics import fmean
from typing import Any, Literal

import optuna
from optuna.trial import FrozenTrial, TrialState

from flows.commands import git
from flows.experiment import Experiment
from flows.place import home
from flows.plan import Sweep
from flows.space import SweepError, distribution
from flows.values import PARAMS, look_up

DRAWN_BY_CHANCE = 5  # points that the sampler is given to learn from
GOALS: dict[str, Literal["maximize", "minimize"]] = {"accuracy": "maximize", "log_loss": "minimize"}
DIGITS = 4  # of a number that is proposed, for the reader of params.yaml


class Study:
    """The points of one sweep by their numbers from 0; the first is the params.yaml that the sweep began with."""

    def __init__(self, root: Path, sweep: Sweep) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.sweep = sweep
        file, goal = f"sqlite:///{home(root) / 'sweep.db'}", GOALS[sweep.objective]
        self.known = optuna.create_study(storage=file, study_name=sweep.name, direction=goal, load_if_exists=True)

    def begin(self, root: Path) -> None:
        """Begin with what is committed; or go on, if nothing has changed since."""
        commit, params = git(root, "rev-parse", "HEAD").strip(), git(root, "show", f"HEAD:{PARAMS}")
        settings = self.sweep.model_dump(mode="json", include={"seeds", "objective", "fixed", "space"})
        ours = {"commit": commit, **settings, "first": {key: look_up(params, key) for key in self.sweep.space}}
        self.space = {key: distribution(key, tried, ours["first"][key]) for key, tried in self.sweep.space.items()}
        if "of" not in self.known.user_attrs:
            self.known.enqueue_trial(ours["first"], skip_if_exists=True)
            self.known.set_user_attr("of", ours)
        if changed := [key for key in ("commit", *settings) if ours[key] != self.known.user_attrs["of"][key]]:
            begun = f"The sweep {self.sweep.name} was begun with another {' and another '.join(changed)}."
            raise SweepError(f"{begun} Go back to what it was, or give this one another name in sweep.yaml.")

    def ask(self) -> list[FrozenTrial]:
        """Return the points to be tried next: those that were cut short, or new ones; none when all are done."""
        points = [point for point in self.known.get_trials(deepcopy=False) if point.state != TrialState.WAITING]
        if cut_short := [point for point in points if point.state == TrialState.RUNNING]:
            return cut_short
        many = -(-self.sweep.at_once // len(self.sweep.seeds)) if points else 1  # the first fills the cache for all
        return [self._propose(number) for number in range(len(points), min(len(points) + many, self.sweep.points))]

    def _propose(self, number: int) -> FrozenTrial:
        # Its number is its seed: a sweep that goes on does not draw the first points again.
        self.known.sampler = optuna.samplers.TPESampler(seed=number, n_startup_trials=DRAWN_BY_CHANCE)
        self.known.ask(self.space)
        return self.known.get_trials(deepcopy=False)[number]

    def trials(self, root: Path, point: FrozenTrial) -> list[Experiment]:
        """Return the experiments of a point, one for each seed."""
        revision, name = self.known.user_attrs["of"]["commit"], f"{self.sweep.name}-{point.number}"
        given = {seed: self.values(point) | self.sweep.fixed | {"seed": seed} for seed in self.sweep.seeds}
        return [Experiment(root, revision, f"{name}-seed{seed}", values) for seed, values in given.items()]

    def values(self, point: FrozenTrial) -> dict[str, Any]:
        """Return what stands in params.yaml at this point."""
        short = {k: float(f"{v:.{DIGITS}g}") if isinstance(v, float) else v for k, v in point.params.items()}
        return self.known.user_attrs["of"]["first"] if point.number == 0 else short

    def tell(self, point: FrozenTrial, figures: list[dict[str, float]]) -> None:
        """Keep what came of a point, a record for each seed; without any it has failed."""
        means = {name: fmean(one[name] for one in figures) for name in figures[0]} if figures else {}
        self.known.set_user_attr(f"point {point.number}", means)
        state = TrialState.COMPLETE if figures else TrialState.FAIL
        self.known.tell(point.number, means.get(self.sweep.objective), state=state)

    def done(self) -> list[tuple[FrozenTrial, dict[str, float]]]:
        """Return the points that are done, each with its means over the seeds; those that failed have none."""
        points = [point for point in self.known.get_trials(deepcopy=False) if point.state.is_finished()]
        return [(point, self.known.user_attrs[f"point {point.number}"]) for point in points]
