"""The image student: a small convolutional network on the pixels, exported to ONNX."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from handful.distillation import Trained
from handful.export import export
from handful.image.backbone import Backbone
from handful.parameters import CnnStudent
from handful.training import Examples, Schedule, fit

CELLS = 2


class SmallCnn(nn.Module):
    """Convolutions with batch normalisation, which the export folds into them, and a linear head."""

    def __init__(self, image_size: int, grey: bool, channels: int, classes: int) -> None:
        super().__init__()
        sides, widths = [image_size], [1 if grey else 3, channels]
        while sides[-1] > 2 * CELLS:  # ends with 3 or 4
            sides.append((sides[-1] + 1) // 2)
            widths.append(channels * 2 ** min(len(sides) - 1, 2))
        strides = [1] + [2] * (len(sides) - 1)
        layers = [_convolution(*step) for step in zip(widths, widths[1:], strides, strict=False)]
        layers.append(_convolution(widths[-1], widths[-1], 1))
        self.layers = nn.Sequential(*layers)
        cell = sides[-1] // CELLS
        self.pool = nn.AvgPool2d(cell)
        self.head = nn.Linear(widths[-1] * (sides[-1] // cell) ** 2, classes)

    def forward(self, pixels: Tensor) -> Tensor:
        """Pixels float32 [n, channels, size, size] from 0 to 1 in, logits [n, classes] out."""
        logits: Tensor = self.head(self.pool(self.layers(pixels)).flatten(1))
        return logits


def train(
    parameters: CnnStudent, examples: Examples, classes: Sequence[str], backbone: Backbone, seed: int
) -> Trained:
    """Train a student on the examples; it sees images as `backbone`, the teacher's encoder, does."""
    settings = backbone.settings
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = SmallCnn(settings.image_size, settings.grey, parameters.channels, len(classes))
    schedule = Schedule(
        learning_rate=parameters.learning_rate,
        head_learning_rate=parameters.learning_rate,
        weight_decay=parameters.weight_decay,
        epochs=parameters.epochs,
        batch_size=parameters.batch_size,
        patience=parameters.epochs,
    )
    fit(network, backbone.collate, examples, schedule, seed, what="training the convolutional student")
    features = {"image_size": settings.image_size, "grey": settings.grey}
    example = torch.zeros(2, 1 if settings.grey else 3, settings.image_size, settings.image_size)
    model = export(network, {"pixels": example}, free_axes=[0])
    return Trained({"model.onnx": model.SerializeToString(deterministic=True)}, features)


def _convolution(channels_in: int, channels_out: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(),
    )
