"""The schema of params.yaml: every key, its bounds, and the choices that exist."""

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from handful.errors import ParameterError
from handful.image.parameters import ImageBackbone, ImageOperation, ImageStudent
from handful.parameters.compute import Compute
from handful.parameters.learning import (
    Augment,
    ContrastivePretraining,
    DenoisingAutoencoder,
    Distill,
    Evaluate,
    NoPretraining,
    PretrainTransfer,
    Probe,
    Select,
)
from handful.parameters.tables import Ingest, Validate
from handful.schema import Count, Section, mistakes
from handful.text.parameters import TextBackbone, TextOperation, TextStudent

# What each modality chooses from: backbones, augmentation operations, pretraining, students.
CHOICES = {
    "text": (TextBackbone, TextOperation, NoPretraining | ContrastivePretraining, TextStudent),
    "image": (ImageBackbone, ImageOperation, NoPretraining | DenoisingAutoencoder, ImageStudent),
}


class Parameters(Section):
    """The whole of params.yaml. A pool of more than `pool_rows` rows is drawn from by the seed; null looks at all."""

    modality: Literal["text", "image"]
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    raw: Annotated[str, Field(min_length=1)]
    compute: Compute
    pool_rows: Count | None
    backbone: Annotated[TextBackbone | ImageBackbone, Field(discriminator="kind")]
    probe: Probe
    ingest: Ingest
    validate_: Annotated[Validate, Field(alias="validate")]
    augment: Augment
    select: Select
    pretrain_transfer: PretrainTransfer
    distill: Distill
    evaluate: Evaluate

    @model_validator(mode="after")
    def _choices_fit_the_modality(self) -> "Parameters":
        backbone, operation, pretraining, student = CHOICES[self.modality]
        chosen: list[tuple[str, Any, Any]] = [
            ("backbone", self.backbone, backbone),
            ("pretrain_transfer.pretrain", self.pretrain_transfer.pretrain, pretraining),
            *((f"augment.operations[{i}]", value, operation) for i, value in enumerate(self.augment.operations)),
            *((f"distill.students[{i}]", value, student) for i, value in enumerate(self.distill.students)),
        ]
        wrong = [
            f"{key}: kind {value.kind!r} is not for {self.modality}"
            for key, value, fit in chosen
            if not isinstance(value, fit)
        ]
        if wrong:
            raise ValueError("; ".join(wrong))
        return self


def read(path: str | Path) -> Parameters:
    """Read and check the whole params file.

    Raises:
        ParameterError: the file is missing or no YAML, or keys are unknown, missing or out of bounds: all at once.
    """
    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ParameterError(
            f"There is no parameter file {path}. Name one, or restore it with: git checkout params.yaml"
        ) from None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise ParameterError(f"{path} is not valid YAML: {error}. Correct that line.") from None
    return parse(values, str(path))


def parse(values: object, name: str) -> Parameters:
    """Check the parsed values of a params file called `name`.

    Raises:
        ParameterError: lists every mistake with key, rule and value.
    """
    try:
        return Parameters.model_validate(values)
    except ValidationError as error:
        raise ParameterError(mistakes(error, name)) from None
