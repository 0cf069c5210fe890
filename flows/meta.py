"""What `meta` of a stage in dvc.yaml may tell the orchestrator."""

from pydantic import BaseModel, ConfigDict, Field


class Champion(BaseModel):
    """Where a stage finds the champion: what a night puts into `folder`, each from which path of its commit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: str
    takes: dict[str, str]


class Gate(BaseModel):
    """Where a gate's verdicts are: a JSON file, records in it (a list, or by name), and what is shown of each."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str
    inside: str | None = None  # the key that the records stand under
    columns: tuple[str, ...]
    beside: tuple[str, ...] = ()  # of records by name: those that stand beside what the version before had


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
    gates: dict[str, Gate] = {}  # shown on the page of a night: title -> verdicts
    headline: dict[str, str] = {}  # said when all is done: name -> where it stands in the metrics (student.accuracy)
