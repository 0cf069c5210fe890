"""New images from labelled ones: flips, rotations, translations, crops, scalings and colour changes."""

import hashlib
import io
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import torch
from kornia import enhance
from kornia.geometry import transform
from PIL import Image
from torch import Tensor

from handful.image import prediction
from handful.image.backbone import Backbone
from handful.image.content import fingerprint
from handful.image.parameters import ImageTransform

# What strength 1 means, where digits are still legible: degrees, shares of the side, of the size, and of the colour.
ROTATION_DEGREES = 30.0
TRANSLATION = 0.2
CROP = 0.4
SCALE = 0.3
COLOUR = 0.5
STRENGTH = 0.3  # of the changes that only multiply what a student learns from

Transform = Callable[[Tensor, float, np.random.Generator], Tensor]


def augment(
    labelled: pd.DataFrame,
    operations: Sequence[ImageTransform],
    rows_per_example: int,
    backbone: Backbone,
    seed: int,
) -> pd.DataFrame:
    """Make up to `rows_per_example` new images for each labelled one and operation, each of its parent's size.

    An image depends on the seed, its parent, the operation and its number, not on the order of the rows. One that
    equals a labelled one or an earlier new one teaches nothing and is left out.

    Args:
        labelled: columns id, content, label.

    Returns:
        columns content (PNG), label, parent, operation.
    """
    rows: list[tuple[bytes, str, str, str]] = []
    seen = {fingerprint(_png(prediction.decode(content))) for content in labelled["content"]}
    for parent, content, label in zip(labelled["id"], labelled["content"], labelled["label"], strict=True):
        original = prediction.decode(content)
        for operation in operations:
            for number in range(rows_per_example):
                new = _png(_changed(original, operation, _random(seed, parent, operation.kind, number)))
                if (name := fingerprint(new)) not in seen:
                    seen.add(name)
                    rows.append((new, label, parent, operation.kind))
    return pd.DataFrame(rows, columns=["content", "label", "parent", "operation"], dtype=object)


def multiply(contents: Sequence[bytes], count: int, seed: int) -> list[bytes]:
    """Make `count` new images for a teacher to label: a small rotation, translation or scaling of a random one."""
    random = np.random.default_rng(seed)
    operations = [ImageTransform(kind=kind, strength=STRENGTH) for kind in ("rotation", "translation", "scale")]
    return [
        _png(_changed(prediction.decode(contents[row]), operations[number % len(operations)], random))
        for number, row in enumerate(random.integers(len(contents), size=count))
    ]


def _changed(original: Image.Image, operation: ImageTransform, random: np.random.Generator) -> Image.Image:
    array = np.asarray(original, np.float32) / 255
    pixels = torch.from_numpy(array.reshape(original.height, original.width, -1)).permute(2, 0, 1).unsqueeze(0)
    changed = TRANSFORMS[operation.kind](pixels, operation.strength, random).clamp(0, 1)
    whole = (changed[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    return Image.fromarray(whole.squeeze(2) if original.mode == "L" else whole)


def _flip(pixels: Tensor, strength: float, random: np.random.Generator) -> Tensor:
    return transform.hflip(pixels)


def _rotation(pixels: Tensor, strength: float, random: np.random.Generator) -> Tensor:
    angle = torch.tensor([ROTATION_DEGREES * _amount(strength, random)])
    return transform.rotate(pixels, angle, padding_mode="border")


def _translation(pixels: Tensor, strength: float, random: np.random.Generator) -> Tensor:
    height, width = pixels.shape[-2:]
    shift = [TRANSLATION * _amount(strength, random) * width, TRANSLATION * _amount(strength, random) * height]
    return transform.translate(pixels, torch.tensor([shift]), padding_mode="border")


def _crop(pixels: Tensor, strength: float, random: np.random.Generator) -> Tensor:
    height, width = pixels.shape[-2:]
    kept = 1 - CROP * abs(_amount(strength, random))
    # Corners are centres of pixels, so that keeping everything changes nothing.
    right, bottom = kept * (width - 1), kept * (height - 1)
    left, top = random.uniform(0, width - 1 - right), random.uniform(0, height - 1 - bottom)
    corners = [[left, top], [left + right, top], [left + right, top + bottom], [left, top + bottom]]
    return transform.crop_and_resize(pixels, torch.tensor([corners]), (height, width), align_corners=True)


def _scale(pixels: Tensor, strength: float, random: np.random.Generator) -> Tensor:
    factor = 1 + SCALE * _amount(strength, random)
    return transform.scale(pixels, torch.tensor([[factor, factor]]), padding_mode="border")


def _colour(pixels: Tensor, strength: float, random: np.random.Generator) -> Tensor:
    changed = enhance.adjust_brightness(pixels, 0.5 * COLOUR * _amount(strength, random))
    changed = enhance.adjust_contrast(changed, 1 + COLOUR * _amount(strength, random))
    if pixels.shape[1] == 3:
        changed = enhance.adjust_saturation(changed, 1 + COLOUR * _amount(strength, random))
    return changed


TRANSFORMS: dict[str, Transform] = {
    "flip": _flip,
    "rotation": _rotation,
    "translation": _translation,
    "crop": _crop,
    "scale": _scale,
    "colour": _colour,
}


def _amount(strength: float, random: np.random.Generator) -> float:
    """From half to the whole strength, in either direction: a change near zero would repeat the parent."""
    return float(strength * random.uniform(0.5, 1.0) * random.choice((-1.0, 1.0)))


def _random(seed: int, parent: str, kind: str, number: int) -> np.random.Generator:
    name = f"{seed} {parent} {kind} {number}".encode()
    return np.random.default_rng(int.from_bytes(hashlib.blake2b(name, digest_size=16).digest()))


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, format="PNG")
    return file.getvalue()
