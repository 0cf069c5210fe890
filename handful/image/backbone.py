"""The image encoder: fixed oriented gradients and, beside them, a small convolutional network trained from scratch."""

import copy
import itertools
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from handful import batches, progress
from handful.embedding import fingerprint
from handful.errors import BackboneError
from handful.image import prediction
from handful.image.parameters import CnnBackbone
from handful.parameters.learning import DenoisingAutoencoder, NoPretraining

ORIENTATIONS = 8
CELLS = 4
LEARNED_CELLS = 2
GROUPS = 4
WEIGHTS, SETTINGS = "model.safetensors", "backbone.json"


class GradientCnn(nn.Module):
    """Histograms of oriented gradients (Dalal & Triggs 2005) and a convolutional residual on the same gradients.

    The fixed part makes the embedding mean something before any weight is trained, which is when rows are chosen and
    judged; the learned part begins small (`gain`) and grows as far as training finds it useful.
    """

    def __init__(self, image_size: int, grey: bool, channels: int) -> None:
        super().__init__()
        maps = ORIENTATIONS + (1 if grey else 3)
        halvings = max(1, int(math.log2(image_size / CELLS)))
        widths = [channels * 2 ** min(step, 2) for step in range(halvings + 1)]
        layers = [convolution(maps, widths[0], 1)]
        for before, after in itertools.pairwise(widths):
            layers += [convolution(before, after, 2), convolution(after, after, 1)]
        self.layers = nn.Sequential(*layers)
        self.gain = nn.Parameter(torch.tensor(0.3))
        self.learned_channels = widths[-1]
        self.dimensions = maps * CELLS**2 + widths[-1] * LEARNED_CELLS**2

    def forward(self, pixels: Tensor) -> Tensor:
        """Pixels float32 [n, channels, size, size] from 0 to 1 in, unit vectors [n, dimensions] out."""
        maps = gradient_maps(pixels)
        # The square root keeps a few strong edges from outweighing all others.
        fixed = functional.adaptive_avg_pool2d(maps, CELLS).flatten(1).clamp_min(1e-12).sqrt()
        learned = functional.adaptive_avg_pool2d(self.layers(maps), LEARNED_CELLS).flatten(1)
        parts = [functional.normalize(fixed, dim=1), self.gain * functional.normalize(learned, dim=1)]
        return functional.normalize(torch.cat(parts, dim=1), dim=1)


class Decoder(nn.Module):
    """Paints the pixels from the encoder's last maps; thrown away after pretraining."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.first = convolution(channels_in, channels_in // 2, 1)
        self.second = convolution(channels_in // 2, channels_in // 2, 1)
        self.last = nn.Conv2d(channels_in // 2, channels_out, 3, padding=1)

    def forward(self, maps: Tensor, side: int) -> Tensor:
        """Maps [n, channels_in, h, w] in, pixels [n, channels_out, side, side] out."""
        half = functional.interpolate(self.first(maps), size=(side // 2, side // 2), mode="nearest")
        whole = functional.interpolate(self.second(half), size=(side, side), mode="nearest")
        painted: Tensor = self.last(whole)
        return painted


class Backbone:
    """The encoder with its settings; `fingerprint` names both, `origin` says where the weights came from.

    `adapted` says whether the weights have been trained since `load` made them.
    """

    def __init__(self, settings: CnnBackbone, module: GradientCnn, origin: str, adapted: bool) -> None:
        self.settings = settings
        self.module = module
        self.origin = origin
        self.adapted = adapted
        self.dimensions = module.dimensions
        self.fingerprint: str | None = None
        self.finish()

    def shape(self, content: bytes) -> int:
        """All images are brought to one shape."""
        return self.settings.image_size

    def collate(self, contents: Sequence[bytes]) -> dict[str, Tensor]:
        """Pixels, float32 [n, channels, size, size]."""
        return {"pixels": torch.from_numpy(prediction.pixels(contents, self.settings.image_size, self.settings.grey))}

    def copy(self) -> "Backbone":
        """One with weights of its own, free to be trained, and marked as adapted."""
        copied = Backbone(self.settings, copy.deepcopy(self.module), self.origin, adapted=True)
        copied.fingerprint = None  # its weights are about to change
        return copied

    def names(self, labels: Sequence[str]) -> None:
        """Nothing: an encoder of images reads no words."""

    def vocabulary(self, contents: Sequence[bytes]) -> dict[str, np.ndarray]:
        """Nothing: pixels are read as they are."""
        return {}

    def surface(self, contents: Sequence[bytes], vocabulary: Mapping[str, np.ndarray]) -> np.ndarray:
        """The pixels themselves, float32 [n, channels · size · size]."""
        return self.collate(contents)["pixels"].flatten(1).numpy()

    def freeze(self, layers: int) -> None:
        """Keep the first learned layers as they are while the rest is trained."""
        if not list(self.module.layers[layers:].parameters()):
            raise BackboneError(
                f"frozen_layers is {layers}: of {len(self.module.layers)} layers none would learn. "
                "Lower it in params.yaml."
            )
        for weight in self.module.layers[:layers].parameters():
            weight.requires_grad = False

    def finish(self) -> None:
        """Give the weights as they are now their fingerprint: they are no longer trained."""
        fixed = f"{ORIENTATIONS} {CELLS} {LEARNED_CELLS} {self.settings.model_dump_json()}"
        self.fingerprint = fingerprint(fixed, self.module)

    def save(self, folder: Path) -> None:
        """Write the weights as safetensors and the settings as JSON."""
        folder.mkdir(parents=True, exist_ok=True)
        weights = {name: tensor.detach().cpu().contiguous() for name, tensor in self.module.state_dict().items()}
        save_file(weights, folder / WEIGHTS)
        description = {"origin": self.origin, "settings": self.settings.model_dump()}
        (folder / SETTINGS).write_text(json.dumps(description, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def load(parameters: CnnBackbone, seed: int) -> Backbone:
    """Make the backbone whose weights are drawn with the seed; its fixed part already describes images."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = _module(parameters)
    return Backbone(parameters, module, f"from scratch, seed {seed}", adapted=False)


def restore(folder: Path) -> Backbone:
    """Load a backbone that `Backbone.save` wrote.

    Raises:
        BackboneError: the folder does not hold one.
    """
    try:
        description = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
        settings = CnnBackbone.model_validate(description["settings"])
        module = _module(settings)
        module.load_state_dict(load_file(folder / WEIGHTS))
    except Exception as error:  # a missing file, broken JSON, broken or unfitting weights: each has a class of its own
        raise BackboneError(
            f"{folder} holds no whole image backbone ({error}). Make it again with: dvc repro"
        ) from None
    return Backbone(settings, module, description["origin"], adapted=True)


def pretrain(
    backbone: Backbone, contents: Sequence[bytes], parameters: NoPretraining | DenoisingAutoencoder, seed: int
) -> Backbone:
    """Return the backbone as it is, or one whose learned part has learnt to restore masked images without labels.

    Vincent et al. 2008: a share of the pixels is set to zero, encoder and decoder restore the whole, the decoder is
    thrown away.
    """
    if isinstance(parameters, NoPretraining) or not len(contents):
        return backbone
    trained = backbone.copy()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        decoder = Decoder(trained.module.learned_channels, 1 if backbone.settings.grey else 3)
    _denoise(trained, decoder, contents, parameters, np.random.default_rng(seed))
    origin = f"{backbone.origin}, then a denoising autoencoder over {len(contents)} images"
    return Backbone(backbone.settings, trained.module.cpu().eval(), origin, adapted=True)


def gradient_maps(pixels: Tensor) -> Tensor:
    """The gradient's length in each of its orientations, and the pixels themselves.

    Returns:
        float32 [n, ORIENTATIONS + channels, size, size]; a gradient between two orientations is shared between them.
    """
    grey = functional.pad(pixels.mean(1, keepdim=True), (1, 1, 1, 1), mode="replicate")
    across = (grey[:, :, 1:-1, 2:] - grey[:, :, 1:-1, :-2]) / 2
    down = (grey[:, :, 2:, 1:-1] - grey[:, :, :-2, 1:-1]) / 2
    angle = torch.atan2(down, across) * (ORIENTATIONS / (2 * math.pi))
    bins = torch.arange(ORIENTATIONS, device=pixels.device).view(1, -1, 1, 1)
    distance = ((angle - bins + ORIENTATIONS / 2) % ORIENTATIONS - ORIENTATIONS / 2).abs()
    return torch.cat([torch.hypot(across, down) * functional.relu(1 - distance), pixels], dim=1)


def convolution(channels_in: int, channels_out: int, stride: int) -> nn.Sequential:
    """A 3x3 convolution, normalised within each image so that a row's embedding does not depend on its batch."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1, bias=False),
        nn.GroupNorm(math.gcd(GROUPS, channels_out), channels_out),
        nn.ReLU(),
    )


def _denoise(
    backbone: Backbone,
    decoder: Decoder,
    contents: Sequence[bytes],
    parameters: DenoisingAutoencoder,
    random: np.random.Generator,
) -> None:
    device = batches.device()
    layers = backbone.module.to(device).train().layers
    weights = [*layers.parameters(), *decoder.to(device).train().parameters()]
    optimizer = torch.optim.AdamW(weights, parameters.learning_rate)
    steps = parameters.epochs * math.ceil(len(contents) / parameters.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, parameters.learning_rate, total_steps=steps)
    for epoch in range(1, parameters.epochs + 1):
        order, total = random.permutation(len(contents)), 0.0
        for start in range(0, len(order), parameters.batch_size):
            rows = order[start : start + parameters.batch_size]
            clean = backbone.collate([contents[row] for row in rows])["pixels"]
            kept = torch.from_numpy(random.random(clean[:, :1].shape, np.float32) >= parameters.noise)
            painted = decoder(layers(gradient_maps((clean * kept).to(device))), clean.shape[-1])
            loss = functional.mse_loss(painted, clean.to(device))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            total += float(loss.detach()) * len(rows)
        progress.report(epoch / parameters.epochs, f"pretraining, epoch {epoch}, loss {total / len(contents):.4f}")


def _module(settings: CnnBackbone) -> GradientCnn:
    return GradientCnn(settings.image_size, settings.grey, settings.channels).eval()
