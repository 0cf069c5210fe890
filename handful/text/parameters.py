"""The parts of params.yaml that only text has."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from handful.schema import Count, Positive, Section, Share


class PretrainedBackbone(Section):
    """A pretrained text encoder: a local folder, or a name on the Hugging Face hub."""

    kind: Literal["pretrained"]
    name: Annotated[str, Field(min_length=1)]
    max_tokens: Annotated[int, Field(ge=8, le=512)]


class RandomEdit(Section):
    """Insert, swap or delete a share of the words at random (Wei & Zou 2019, EDA)."""

    kind: Literal["random_insertion", "random_swap", "random_deletion"]
    share: Share


class ContextualReplacement(Section):
    """Replace a share of the words by a near word of the backbone's that fits the whole text best."""

    kind: Literal["contextual_replacement"]
    share: Share
    candidates: Annotated[int, Field(ge=2, le=64)]


class LabelTemplates(Section):
    """Sentences made of a label's name: each template holds `{label}` once."""

    kind: Literal["label_templates"]
    templates: Annotated[tuple[str, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _each_names_the_label(self) -> "LabelTemplates":
        for template in self.templates:
            if template.count("{label}") != 1 or template.replace("{label}", "").count("{"):
                raise ValueError(f"template {template!r} must hold {{label}} exactly once and no other braces")
        return self


class LinearStudent(Section):
    """A linear layer over hashed character and word n-grams and static token embeddings, stored in int8."""

    kind: Literal["linear"]
    ngrams: Annotated[int, Field(ge=1, le=8)]
    features: Annotated[int, Field(ge=1024, le=2**17)]
    static_dimensions: Annotated[int, Field(ge=8, le=1024)]
    weight_decay: Positive
    iterations: Count


class ShallowTransformerStudent(Section):
    """The first layers of the backbone, fine-tuned on the teacher's probabilities, exported to ONNX in int8."""

    kind: Literal["shallow_transformer"]
    layers: Annotated[int, Field(ge=1, le=12)]
    learning_rate: Positive
    head_learning_rate: Positive
    weight_decay: Annotated[float, Field(ge=0.0)]
    epochs: Count
    batch_size: Count


TextBackbone = PretrainedBackbone
TextOperation = RandomEdit | ContextualReplacement | LabelTemplates
TextStudent = LinearStudent | ShallowTransformerStudent
