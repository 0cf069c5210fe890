"""The sections of params.yaml about learning: from augmenting the rows to evaluating the student."""

import math
from typing import Annotated, Literal

from pydantic import Field, model_validator

from handful.image.parameters import ImageOperation, ImageStudent
from handful.schema import Count, Positive, Section, Share
from handful.text.parameters import TextOperation, TextStudent


class Probe(Section):
    """Logistic regression on embeddings; `inverse_regularisation` is scikit-learn's C."""

    inverse_regularisation: Positive


Operation = Annotated[TextOperation | ImageOperation, Field(discriminator="kind")]


class Quality(Section):
    """What a new row is judged by: its distance to the mean of its class, or how likely a probe finds its label."""

    kind: Literal["euclidean", "mahalanobis", "likelihood"]


class Augment(Section):
    """New rows per labelled row for each operation, and the share of the worst by quality that is dropped."""

    operations: tuple[Operation, ...]
    rows_per_example: Count
    quality: Quality
    share_dropped: Annotated[float, Field(ge=0.0, lt=1.0)]


class Selection(Section):
    """How rows are chosen within a class when there are more candidates than wanted."""

    kind: Literal["random", "farthest_point", "facility_location"]


class SourceSelection(Section):
    """The same for source rows; by density ratio those come first that are most like the labelled and pool rows."""

    kind: Literal["random", "farthest_point", "facility_location", "density_ratio"]


class Bound(Section):
    """Added rows must lie within, both ends included; `column` is `size` or a measure of augmented rows."""

    column: Literal["size", "euclidean", "mahalanobis", "likelihood", "diversity", "quality"]
    minimum: float | None
    maximum: float | None

    @model_validator(mode="after")
    def _ends_are_in_order(self) -> "Bound":
        lowest, highest = self.ends
        if lowest > highest:
            raise ValueError(f"minimum is {lowest:g} and maximum {highest:g}: no row lies within")
        return self

    @property
    def ends(self) -> tuple[float, float]:
        """Both bounds as numbers."""
        lowest = -math.inf if self.minimum is None else self.minimum
        return lowest, math.inf if self.maximum is None else self.maximum


class Pruning(Section):
    """Whether labelled rows whose label looks wrong may be left out, where the gate says that it helps."""

    kind: Literal["none", "cleanlab"]


class LabelNext(Section):
    """How many pool rows are proposed for labelling, and how they are chosen."""

    kind: Literal["random", "margin", "badge", "margin_facility_location", "weighted_facility_location"]
    count: Count


class Gate(Section):
    """Repeated stratified cross-validation: an addition is used if it clearly lowers log loss and costs no accuracy.

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
    prune_noise: Pruning
    filter: tuple[Bound, ...]
    selection: Selection
    source_selection: SourceSelection
    augmented_rows_per_class: Count
    pool_rows_per_class: Count
    source_rows_per_class: Count
    minimum_confidence: Share
    added_weight: Annotated[float, Field(gt=0.0, le=1.0)]
    label_next: LabelNext


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


class ContrastivePretraining(Section):
    """Two readings of a pool row, each without the share `noise` of its words, are drawn together (Yan et al. 2021).

    A step reads `batch_size` rows twice.
    """

    kind: Literal["contrastive"]
    noise: Annotated[float, Field(ge=0.0, lt=1.0)]
    temperature: Positive
    epochs: Count
    learning_rate: Positive
    weight_decay: Annotated[float, Field(ge=0.0)]
    batch_size: Annotated[int, Field(ge=2)]
    frozen_layers: Annotated[int, Field(ge=0)]


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


class NoSelfTraining(Section):
    """The pool's labels are never guessed by the teacher itself."""

    kind: Literal["none"]


class ClassBalancedSelfTraining(Section):
    """The teacher labels rows of the pool and goes on learning from the surest `share` of each guessed class.

    It looks at `pool_rows` of the pool, or at `pool_rows_per_class` for each class where that is more. Of a class that
    is guessed seldom, it learns from `minimum_per_class` rows. A guessed label weighs `weight`, a given one 1. In the
    end the head learns all rows looked at; the share `diffusion` of what each is taken for comes of its nearest
    `neighbours`. A probe on the surface of the contents learns them too, and has `surface_share` of the say; the
    `nearest` of these rows are asked themselves, and have `nearest_share`. What is left is the head's.
    """

    kind: Literal["class_balanced"]
    pool_rows: Count
    pool_rows_per_class: Annotated[int, Field(ge=0)]
    share: Annotated[float, Field(gt=0.0, le=1.0)]
    minimum_per_class: Count
    weight: Positive
    learning_rate: Positive
    epochs: Count
    minimum_steps: Count
    neighbours: Count
    diffusion: Annotated[float, Field(ge=0.0, le=0.95)]  # nearer to 1 it takes thousands of steps, and all rows agree
    surface_share: Annotated[float, Field(ge=0.0, lt=1.0)]
    nearest: Count
    nearest_share: Annotated[float, Field(ge=0.0, lt=1.0)]

    @model_validator(mode="after")
    def _the_head_has_a_say(self) -> "ClassBalancedSelfTraining":
        if self.surface_share + self.nearest_share >= 1:
            raise ValueError("surface_share and nearest_share must add up to less than 1: the rest is the head's say")
        return self


SelfTraining = Annotated[NoSelfTraining | ClassBalancedSelfTraining, Field(discriminator="kind")]


class ContrastiveFineTuning(Section):
    """Rows of one class are drawn together (Khosla et al. 2020), then a probe; linear in the rows.

    The steps are `epochs` passes over the training rows, each as much as it weighs, but at least `minimum_steps`, and
    at least `steps_per_root` times the root of the mean weight of a class: where classes are few, passes over many rows
    are soon made. `frozen_layers` counts from the input; with any, the input embeddings stay as they are too.
    """

    kind: Literal["contrastive_fine_tuning"]
    learning_rate: Positive
    weight_decay: Annotated[float, Field(ge=0.0)]
    temperature: Positive
    epochs: Count
    minimum_steps: Count
    steps_per_root: Annotated[float, Field(ge=0.0)]
    batch_size: Annotated[int, Field(ge=4)]
    frozen_layers: Annotated[int, Field(ge=0)]
    self_training: SelfTraining


Transfer = Annotated[LinearProbe | FullFineTuning | ContrastiveFineTuning, Field(discriminator="kind")]
Pretraining = Annotated[NoPretraining | DenoisingAutoencoder | ContrastivePretraining, Field(discriminator="kind")]


class PretrainTransfer(Section):
    """How the backbone is adapted to the pool, and how the teacher is made: the first candidate, unless another wins.

    A later candidate wins by a gain of more than `minimum_gain` standard errors in cross-validation. What is learned
    from a part of a few rows says little of all of them: where a class has fewer labelled rows than
    `minimum_rows_per_class` on average, the first is taken without cross-validation. Each of the `folds_examined`
    trains every candidate once more; of `folds` parts so many are held out, one after the other.
    """

    pretrain: Pretraining
    candidates: Annotated[tuple[Transfer, ...], Field(min_length=1)]
    minimum_rows_per_class: Annotated[float, Field(ge=0)]
    folds: Annotated[int, Field(ge=2, le=20)]
    folds_examined: Annotated[int, Field(ge=1, le=20)]
    minimum_gain: Annotated[float, Field(ge=0.0)]


StudentKind = Annotated[TextStudent | ImageStudent, Field(discriminator="kind")]


class Distill(Section):
    """L(labelled) + pool_weight · L(pool) with temperature (Hinton et al. 2015, eq. 1); the first is the default.

    A student that has layers also learns, with `matching_weight`, to tell the teacher's embedding of a row.
    `abstention_share` is the share of unseen pool rows that a student refuses when it is told to abstain.
    """

    temperature: Positive
    pool_weight: Positive  # at 0 a batch of pool rows alone would weigh nothing, and teach nothing that is a number
    matching_weight: Annotated[float, Field(ge=0.0)]
    transfer_rows: Annotated[int, Field(ge=0)]
    abstention_share: Annotated[float, Field(ge=0.0, lt=1.0)]
    students: Annotated[tuple[StudentKind, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _kinds_differ(self) -> "Distill":
        kinds = [student.kind for student in self.students]
        if len(set(kinds)) < len(kinds):
            raise ValueError(f"each kind of student may be named once, got {kinds}")
        return self


class Promotion(Section):
    """When a student may take the champion's place: `tolerance` is the share of accuracy that it may have lost."""

    tolerance: Annotated[float, Field(ge=0.0, lt=1.0)]


class Evaluate(Section):
    """How sure the numbers are to be, and what the student needs to be promoted."""

    bootstrap_samples: Annotated[int, Field(ge=100)]
    confidence_level: Annotated[float, Field(gt=0.5, lt=1.0)]
    calibration_bins: Annotated[int, Field(ge=2, le=100)]
    latency_rows: Count
    promotion: Promotion
