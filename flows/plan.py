"""What sweep.yaml may hold: how many points are tried, with which seeds, by which measure, and who runs the trials."""

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import AfterValidator, Field, ValidationError

from flows.mistakes import mistakes
from flows.space import Choice, Number, Section, SweepError

FILE = "sweep.yaml"
SECTIONS = ("backbone", "probe", "augment", "select", "pretrain_transfer")
MEASURING = ("select.prune_noise", "pretrain_transfer.folds", "pretrain_transfer.minimum_rows_per_class")


def _free(key: str) -> str:
    if not key.startswith(tuple(f"{section}." for section in SECTIONS)) or key.startswith(MEASURING):
        raise ValueError(
            f"may be a key below {', '.join(SECTIONS)} other than {', '.join(MEASURING)}: "
            "all else decides on which rows a trial is measured, or comes after the measure"
        )
    return key


Key = Annotated[str, AfterValidator(_free)]
Count = Annotated[int, Field(ge=1)]


class InProcess(Section):
    """Trials run as processes of this machine."""

    kind: Literal["in_process"]


class Ray(Section):
    """Trials run where Ray has room for them; without an address it is started on this machine for as long."""

    kind: Literal["ray"]
    address: Annotated[str, Field(pattern=r"^(ray://)?[^\s:/]+:[0-9]{1,5}$")] | None
    cpus: Annotated[float, Field(gt=0)]  # of each trial
    gpus: Annotated[float, Field(ge=0)]


class Sweep(Section):
    """The whole of sweep.yaml."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]*$")]
    points: Count
    seeds: Annotated[list[int], Field(min_length=1)]
    objective: Literal["accuracy", "log_loss"]
    at_once: Count
    runner: Annotated[InProcess | Ray, Field(discriminator="kind")]
    fixed: dict[str, bool | int | float | str | None]  # in all trials, and never written into params.yaml
    space: Annotated[dict[Key, Annotated[Number | Choice, Field(discriminator="kind")]], Field(min_length=1)]


def read_sweep(root: Path) -> Sweep:
    """Read `root`/sweep.yaml.

    Raises:
        SweepError: the file is missing or no YAML, or keys are unknown, missing or out of bounds: all at once.
    """
    try:
        return Sweep.model_validate(yaml.safe_load((root / FILE).read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError) as error:
        raise SweepError(f"{FILE} cannot be read: {error}. The repository has one to begin with.") from None
    except ValidationError as error:
        raise SweepError(mistakes(error, FILE)) from None
