"""The stages of dvc.yaml in the order in which DVC runs them, with what their `meta` tells the orchestrator."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from flows.meta import Meta

if TYPE_CHECKING:
    from dvc.stage import PipelineStage

DEFINITION = "dvc.yaml"


class GraphError(Exception):
    """dvc.yaml tells the orchestrator something that it does not understand."""


class Stage(Meta):
    """One stage: its name, those that it waits for, its dependencies, what it makes, its metrics, and its `meta`."""

    name: str
    upstream: tuple[str, ...]
    deps: tuple[str, ...]
    outs: tuple[str, ...]
    metrics: tuple[str, ...]
    uncached: tuple[str, ...]  # outs that git carries instead of DVC

    @property
    def committed(self) -> list[str]:
        """The metrics that git carries: those in DVC's cache it ignores."""
        return [path for path in self.metrics if path in self.uncached]


def read_stages(root: Path) -> list[Stage]:
    """Read every stage of `root`/dvc.yaml, each behind the stages that it waits for. DVC resolves templates and loops.

    Raises:
        GraphError: DVC cannot read the file, or `meta` of a stage holds an unknown key or a value out of bounds.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo
    from dvc.repo.reproduce import plan_repro

    try:
        with Repo(str(root)) as repo:
            graph = repo.index.graph
            stages = [stage for stage in plan_repro(graph) if stage.cmd and stage.path_in_repo == DEFINITION]
            waits_for = {stage: [other.name for other in stages if graph.has_edge(stage, other)] for stage in stages}
            return [_describe(stage, waits_for[stage]) for stage in stages]
    except DvcException as error:
        raise GraphError(f"{DEFINITION} cannot be used: {error}. `dvc status` says more. Correct it.") from None


def read_locked(root: Path) -> dict[str, set[str]]:
    """Read which of its dependencies and outs the last run of each stage knew, as dvc.lock tells."""
    from dvc.repo import Repo

    with Repo(str(root)) as repo:
        stages = [stage for stage in repo.index.stages if stage.cmd and stage.path_in_repo == DEFINITION]
        known = {stage: [one for one in (*stage.deps, *stage.outs) if one.hash_info] for stage in stages}
        return {stage.name: set(_paths(stage, some)) for stage, some in known.items()}


def _describe(stage: "PipelineStage", upstream: list[str]) -> Stage:
    kinds = {"deps": stage.deps, "outs": stage.outs, "metrics": stage.metrics}
    kinds["uncached"] = [out for out in stage.outs if not out.use_cache]
    paths: dict[str, Any] = {kind: _paths(stage, some) for kind, some in kinds.items()}
    try:
        return Stage(name=stage.name, upstream=tuple(upstream), **paths, **(stage.meta or {}))
    except ValidationError as error:
        mistakes = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}, got {one['input']!r}" for one in error.errors()]
        raise GraphError(f"{DEFINITION}, stage {stage.name}, meta: {'; '.join(mistakes)}. Correct it there.") from None


def _paths(stage: "PipelineStage", some: Iterable[Any]) -> tuple[str, ...]:
    return tuple(stage.repo.fs.relpath(one.fs_path, stage.repo.root_dir) for one in some)
