"""The schema of params.yaml: every key, its bounds, and the choices that exist."""

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from handful.errors import ParameterError
from handful.image.parameters import ImageBackbone, ImageOperation, ImageStudent
from handful.schema import Count, Positive, Section, Share, mistakes
from handful.text.parameters import TextBackbone, TextOperation, TextStudent


class Probe(Section):
    """Logistic regression on embeddings; `inverse_regularisation` is scikit-learn's C."""

    inverse_regularisation: Positive


class FileTable(Section):
    """CSV, JSONL or Parquet: a path inside the raw folder, an absolute path, or any fsspec URI."""

    kind: Literal["file"]
    path: Annotated[str, Field(min_length=1)]


class ImageFolderTable(Section):
    """A folder with one sub-folder of images per label; images that lie directly in it have no label."""

    kind: Literal["image_folder"]
    path: Annotated[str, Field(min_length=1)]


class HuggingFaceTable(Section):
    """One split of a data set on the Hugging Face hub or in a local folder."""

    kind: Literal["hugging_face"]
    name: Annotated[str, Field(min_length=1)]
    split: Annotated[str, Field(min_length=1)]


class DigitsTable(Section):
    """The handwritten digits that scikit-learn brings along."""

    kind: Literal["scikit_learn_digits"]


class NoTable(Section):
    """This table is left empty."""

    kind: Literal["none"]


class SplitTable(Section):
    """A share of the labelled training rows, drawn per class before anything is multiplied."""

    kind: Literal["split"]
    share: Share


Table = Annotated[FileTable | ImageFolderTable | HuggingFaceTable | DigitsTable, Field(discriminator="kind")]
OptionalTable = Annotated[
    FileTable | ImageFolderTable | HuggingFaceTable | DigitsTable | NoTable, Field(discriminator="kind")
]
TestTable = Annotated[
    FileTable | ImageFolderTable | HuggingFaceTable | DigitsTable | SplitTable, Field(discriminator="kind")
]


class Columns(Section):
    """What the columns of the raw tables are called. `key` names a column of the user's own row ids, or is null."""

    content: Annotated[str, Field(min_length=1)]
    label: Annotated[str, Field(min_length=1)]
    key: Annotated[str, Field(min_length=1)] | None


class Ingest(Section):
    """Where the rows come from, and how many labels per class are used."""

    training: Table
    unlabelled: OptionalTable
    test: TestTable
    source: OptionalTable
    columns: Columns
    shots: Count | None
    near_duplicate_similarity: Annotated[float, Field(gt=0.5, le=1.0)]


class Validate(Section):
    """What a good row and a usable table are. Sizes are characters for text, pixels of the longer side for images."""

    minimum_size: Count
    maximum_size: Count
    minimum_rows_per_class: Annotated[int, Field(ge=2)]
    maximum_share_quarantined: Annotated[float, Field(ge=0.0, le=1.0)]


Operation = Annotated[TextOperation | ImageOperation, Field(discriminator="kind")]


class Augment(Section):
    """New rows per labelled row for each operation, and the share of the worst by quality that is dropped."""

    operations: tuple[Operation, ...]
    rows_per_example: Count
    share_dropped: Annotated[float, Field(ge=0.0, lt=1.0)]


class Selection(Section):
    """How rows are chosen within a class when there are more candidates than wanted."""

    kind: Literal["random", "farthest_point", "facility_location"]


class Gate(Section):
    """Repeated stratified cross-validation: an addition is used if its mean gain exceeds the bound.

    `minimum_gain` is counted in standard errors of the paired gain over the labelled rows.
    """

    folds: Annotated[int, Field(ge=2, le=20)]
    repeats: Count
    minimum_gain: Annotated[float, Field(ge=0.0)]


class Select(Section):
    """Which augmented, pool and source rows join the training table, and which to label next.

    `added_weight` is what an added row counts beside a labelled one.
    """

    gate: Gate
    selection: Selection
    augmented_rows_per_class: Count
    pool_rows_per_class: Count
    source_rows_per_class: Count
    minimum_confidence: Share
    added_weight: Annotated[float, Field(gt=0.0, le=1.0)]
    label_next: Count


class NoPretraining(Section):
    """The backbone is used as it is."""

    kind: Literal["none"]


class DenoisingAutoencoder(Section):
    """The backbone learns to restore noisy pool rows (Vincent et al. 2008)."""

    kind: Literal["denoising_autoencoder"]
    noise: Share
    epochs: Count
    learning_rate: Positive
    batch_size: Count


class LinearProbe(Section):
    """Logistic regression over frozen embeddings, as the section `probe` says."""

    kind: Literal["linear_probe"]


class FullFineTuning(Section):
    """All weights, started from the probe (Kumar et al. 2022, LP-FT), AdamW, ReduceLROnPlateau, early stopping."""

    kind: Literal["full_fine_tuning"]
    learning_rate: Positive
    head_learning_rate: Positive
    weight_decay: Annotated[float, Field(ge=0.0)]
    epochs: Count
    batch_size: Count
    patience: Count


Transfer = Annotated[LinearProbe | FullFineTuning, Field(discriminator="kind")]
Pretraining = Annotated[NoPretraining | DenoisingAutoencoder, Field(discriminator="kind")]


class PretrainTransfer(Section):
    """How the backbone is adapted to the pool, and what cross-validation chooses from, simplest first."""

    pretrain: Pretraining
    candidates: Annotated[tuple[Transfer, ...], Field(min_length=1)]
    folds: Annotated[int, Field(ge=2, le=20)]
    minimum_gain: Annotated[float, Field(ge=0.0)]


StudentKind = Annotated[TextStudent | ImageStudent, Field(discriminator="kind")]


class Distill(Section):
    """L(labelled) + pool_weight · L(pool) with temperature (Hinton et al. 2015, eq. 1); the first is the default."""

    temperature: Positive
    pool_weight: Annotated[float, Field(ge=0.0)]
    transfer_rows: Annotated[int, Field(ge=0)]
    students: Annotated[tuple[StudentKind, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _kinds_differ(self) -> "Distill":
        kinds = [student.kind for student in self.students]
        if len(set(kinds)) < len(kinds):
            raise ValueError(f"each kind of student may be named once, got {kinds}")
        return self


class Evaluate(Section):
    """How sure the numbers are to be."""

    bootstrap_samples: Annotated[int, Field(ge=100)]
    confidence_level: Annotated[float, Field(gt=0.5, lt=1.0)]
    calibration_bins: Annotated[int, Field(ge=2, le=100)]
    latency_rows: Count


# What each modality chooses from: backbones, augmentation operations, students.
CHOICES = {
    "text": (TextBackbone, TextOperation, TextStudent),
    "image": (ImageBackbone, ImageOperation, ImageStudent),
}


class Parameters(Section):
    """The whole of params.yaml."""

    modality: Literal["text", "image"]
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    raw: Annotated[str, Field(min_length=1)]
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
        backbone, operation, student = CHOICES[self.modality]
        chosen: list[tuple[str, Any, Any]] = [
            ("backbone", self.backbone, backbone),
            *((f"augment.operations[{i}]", value, operation) for i, value in enumerate(self.augment.operations)),
            *((f"distill.students[{i}]", value, student) for i, value in enumerate(self.distill.students)),
        ]
        if self.modality == "text":
            chosen.append(("pretrain_transfer.pretrain", self.pretrain_transfer.pretrain, NoPretraining))
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
