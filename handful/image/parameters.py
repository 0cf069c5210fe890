"""The parts of params.yaml that only images have."""

from typing import Annotated, Literal

from pydantic import Field

from handful.schema import Count, Positive, Section


class CnnBackbone(Section):
    """A small convolutional network trained from scratch on square images of `image_size` pixels."""

    kind: Literal["cnn"]
    image_size: Annotated[int, Field(ge=8, le=256, multiple_of=4)]
    grey: bool
    channels: Annotated[int, Field(ge=4, le=256)]


class ImageTransform(Section):
    """One geometric or colour change; `strength` from 0 (nothing) to 1 (the strongest that keeps digits legible)."""

    kind: Literal["flip", "rotation", "translation", "crop", "scale", "colour"]
    strength: Annotated[float, Field(gt=0.0, le=1.0)]


class CnnStudent(Section):
    """A convolution for each halving of the side, down to 3 or 4 pixels, and two more, exported to ONNX."""

    kind: Literal["cnn"]
    channels: Annotated[int, Field(ge=2, le=256)]
    learning_rate: Positive
    weight_decay: Annotated[float, Field(ge=0.0)]
    epochs: Count
    batch_size: Count


ImageBackbone = CnnBackbone
ImageOperation = ImageTransform
ImageStudent = CnnStudent
