"""The stages of dvc.yaml in the order in which DVC runs them, with what their `meta` tells the orchestrator."""

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from flows.meta import Meta

if TYPE_CHECKING:
    from dvc.stage import PipelineStage

DEFINITION = "dvc.yaml"


class GraphError(Exception):
    """dvc.yaml tells the orchestrator something that it does not understand."""


class Stage(Meta):
    """One stage: its name, the stages that it waits for, what it makes, the files with its metrics, and its `meta`."""

    name: str
    upstream: tuple[str, ...]
    outs: tuple[str, ...]
    metrics: tuple[str, ...]


def read_stages(root: Path) -> list[Stage]:
    """Read every stage of `root`/dvc.yaml, each behind the stages that it waits for. DVC resolves templates and loops.

    Raises:
        GraphError: `meta` of a stage holds an unknown key or a value out of bounds.
    """
    from dvc.repo import Repo
    from dvc.repo.reproduce import plan_repro

    with Repo(str(root)) as repo:
        graph = repo.index.graph
        stages = [stage for stage in plan_repro(graph) if stage.cmd and stage.path_in_repo == DEFINITION]
        waits_for = {stage: [other.name for other in stages if graph.has_edge(stage, other)] for stage in stages}
        return [_describe(stage, waits_for[stage]) for stage in stages]


def _describe(stage: "PipelineStage", upstream: list[str]) -> Stage:
    outs, metrics = (
        tuple(stage.repo.fs.relpath(out.fs_path, stage.repo.root_dir) for out in some)
        for some in (stage.outs, stage.metrics)
    )
    try:
        return Stage(name=stage.name, upstream=tuple(upstream), outs=outs, metrics=metrics, **(stage.meta or {}))
    except ValidationError as error:
        mistakes = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}, got {one['input']!r}" for one in error.errors()]
        raise GraphError(f"{DEFINITION}, stage {stage.name}, meta: {'; '.join(mistakes)}. Correct it there.") from None
