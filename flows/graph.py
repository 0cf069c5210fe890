"""The stages of dvc.yaml in the order in which DVC runs them, with what their `meta` tells the orchestrator."""

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, ValidationError

if TYPE_CHECKING:
    from dvc.repo import Repo
    from dvc.stage import PipelineStage

DEFINITION = "dvc.yaml"


class GraphError(Exception):
    """dvc.yaml tells the orchestrator something that it does not understand."""


class Meta(BaseModel):
    """What `meta` of a stage may hold. DVC leaves it out of its hashes, so a change here re-runs nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pool: str = "gpu"
    retries: int = Field(0, ge=0)
    timeout_seconds: float | None = Field(None, gt=0)
    show: str | None = None  # a Markdown file that becomes the run's page
    announce: dict[str, str] = {}  # printed when all is done: name -> path
    headline: dict[str, str] = {}  # printed when all is done: name -> key in the stage's metrics, such as student.accuracy


class Stage(Meta):
    """One stage: its name, the stages that it waits for, the files with its metrics, and its `meta`."""

    name: str
    upstream: tuple[str, ...]
    metrics: tuple[str, ...]


def read_stages(root: Path) -> list[Stage]:
    """Read every stage of `root`/dvc.yaml, each behind the stages that it depends on. DVC resolves templates and loops.

    Raises:
        GraphError: `meta` of a stage holds an unknown key or a value out of bounds.
    """
    from dvc.repo import Repo
    from dvc.repo.reproduce import plan_repro

    with Repo(str(root)) as repo:
        graph = repo.index.graph
        ordered = [stage for stage in plan_repro(graph) if stage.cmd and stage.path_in_repo == DEFINITION]
        return [_describe(stage, [other.name for other in ordered if graph.has_edge(stage, other)], repo) for stage in ordered]


def _describe(stage: "PipelineStage", upstream: list[str], repo: "Repo") -> Stage:
    metrics = [repo.fs.relpath(out.fs_path, repo.root_dir) for out in stage.metrics]
    try:
        return Stage(name=stage.name, upstream=tuple(upstream), metrics=tuple(metrics), **(stage.meta or {}))
    except ValidationError as error:
        mistakes = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}, got {one['input']!r}" for one in error.errors())
        raise GraphError(f"{DEFINITION}, stage {stage.name}, meta: {mistakes}. Correct it there.") from None
