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
    """Sentences made of a label's name: each template holds `{label}` once, and no other braces."""

    kind: Literal["label_templates"]
    templates: Annotated[tuple[str, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _each_names_the_label(self) -> "LabelTemplates":
        for template in self.templates:
            if template.count("{label}") != 1 or set("{}") & set(template.replace("{label}", "")):
                raise ValueError(f"template {template!r} must hold {{label}} exactly once and no other braces")
        return self


class SegmentRecombination(Section):
    """Texts of a class cut into `segments` parts, of which each comes from one of two texts (Lotte 2015)."""

    kind: Literal["segment_recombination"]
    segments: Annotated[int, Field(ge=2, le=8)]


class MarkovGeneration(Section):
    """Texts written by a Markov chain of that `order` over `parents` texts of a class.

    Few parents: a fold that holds out one of them cannot use the text.
    """

    kind: Literal["markov_generation"]
    order: Annotated[int, Field(ge=1, le=5)]
    parents: Annotated[int, Field(ge=1, le=10)]


class BeamSearch(Section):
    """The likeliest texts that a search with so many beams finds."""

    kind: Literal["beam"]
    beams: Annotated[int, Field(ge=1, le=32)]


class Sampling(Section):
    """Texts drawn token by token, out of the likeliest that make up `top_p` (Holtzman et al. 2020)."""

    kind: Literal["sampling"]
    temperature: Positive
    top_p: Annotated[float, Field(gt=0.0, le=1.0)]


Decoding = Annotated[BeamSearch | Sampling, Field(discriminator="kind")]
Checkpoint = Annotated[str, Field(min_length=1)]


class BackTranslation(Section):
    """Texts translated by one MarianMT checkpoint and back by another; each a local folder or a name on the hub.

    There they go by beam search with `beams`, back by `decoding`.
    """

    kind: Literal["back_translation"]
    forward: Checkpoint
    backward: Checkpoint
    beams: Annotated[int, Field(ge=1, le=32)]
    decoding: Decoding
    max_tokens: Annotated[int, Field(ge=1, le=1024)]


class LanguageModelGeneration(Section):
    """Texts that a causal language model, a local folder or a name on the hub, writes after some of a class.

    The prompt is a line that may hold `{label}`, and below it `examples` texts.
    """

    kind: Literal["language_model_generation"]
    name: Checkpoint
    prompt: Annotated[str, Field(min_length=1)]
    examples: Annotated[int, Field(ge=1, le=32)]
    decoding: Decoding
    max_tokens: Annotated[int, Field(ge=1, le=1024)]


class SparseLayer(Section):
    """A linear layer over the `features` most frequent n-grams and the mean of the text's static token embeddings."""

    ngrams: Annotated[int, Field(ge=1, le=8)]
    features: Annotated[int, Field(ge=1024, le=2**17)]
    static_dimensions: Annotated[int, Field(ge=8, le=1024)]
    weight_decay: Positive
    iterations: Count


class LinearStudent(SparseLayer):
    """That layer alone, stored in int8."""

    kind: Literal["linear"]


class ConvolutionalStudent(SparseLayer):
    """That layer averaged with a convolution over the static token embeddings, stored in int8.

    The convolution sees `width` tokens at a time. It learns in `epochs` passes over the rows, or in as many more as
    `minimum_steps` steps need, and ends sooner where the training loss no longer falls.
    """

    kind: Literal["convolutional"]
    width: Literal[1, 3, 5]
    filters: Annotated[int, Field(ge=8, le=1024)]
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)]
    learning_rate: Positive
    epochs: Count
    minimum_steps: Count
    batch_size: Count


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
TextOperation = (
    RandomEdit
    | ContextualReplacement
    | LabelTemplates
    | SegmentRecombination
    | MarkovGeneration
    | BackTranslation
    | LanguageModelGeneration
)
TextStudent = LinearStudent | ConvolutionalStudent | ShallowTransformerStudent
