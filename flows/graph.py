"""The stages of dvc.yaml in the order in which DVC runs them, with what their `meta` tells the orchestrator."""

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, ValidationError

if TYPE_CHECKING:
    from dvc.stage import PipelineStage

DEFINITION = "dvc.yaml"


class GraphError(Exception):
    """dvc.yaml tells the orchestrator something that it does not understand."""


class Champion(BaseModel):
    """Where a stage finds the champion: what a night puts into `folder`, each from which path of its commit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: str
    takes: dict[str, str]


class Meta(BaseModel):
    """What `meta` of a stage may hold. DVC leaves it out of its hashes, so a change there re-runs nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pool: str = "gpu"
    retries: int = Field(0, ge=0)
    timeout_seconds: float | None = Field(None, gt=0)
    show: str | None = None  # a Markdown file that becomes the run's page
    announce: dict[str, str] = {}  # said when all is done: name -> path
    champion: Champion | None = None
    objective: str | None = None  # the metrics that a sweep goes by: of rows that were held out of the labelled ones
    headline: dict[str, str] = {}  # said when all is done: name -> where it stands in the metrics (student.accuracy)


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
