"""How an encoded image becomes the student's input, with numpy and Pillow alone; training uses this same code."""

import io
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from handful.errors import DataError

# What may be opened. Pillow knows more formats, and some of them start other programs.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
# More pixels than a large camera gives are never decoded: 50 million take 150 MB.
MAXIMUM_PIXELS = 50_000_000
# Whole and broken numbers of 32 bits: nothing says which of them is white.
UNSCALED = ("I", "F")


def featurizer(features: dict[str, Any], folder: Path) -> Callable[[Sequence[bytes]], dict[str, np.ndarray]]:
    """Return the function from encoded images to the ONNX input, `pixels` float32 [n, channels, size, size]."""
    image_size, grey = features["image_size"], features["grey"]
    return lambda contents: {"pixels": pixels(contents, image_size, grey)}


def read(line: str) -> bytes:
    """Return the image file that a line of input names.

    Raises:
        DataError: there is no such file, or it does not begin as an image.
    """
    path = Path(line.strip())
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"The image {path} cannot be read ({error.strerror}). Each line of input must be the path of an image."
        ) from None
    try:
        with opened(content) as image:
            image.verify()
    except Exception as error:  # decoders raise whatever they trip over
        raise DataError(
            f"{path} is not a whole image of a known format ({error}). Give one of {', '.join(FORMATS)}."
        ) from None
    return content


def cost(content: bytes) -> int:
    """Every image costs the same: all are brought to one size."""
    return 1


def pixels(contents: Sequence[bytes], image_size: int, grey: bool) -> np.ndarray:
    """Decode to float32 [n, 1 or 3, image_size, image_size] from 0 to 1; the sides are stretched to a square."""
    channels = 1 if grey else 3
    batch = np.empty((len(contents), channels, image_size, image_size), np.float32)
    for row, content in enumerate(contents):
        image = decode(content).convert("L" if grey else "RGB")
        if image.size != (image_size, image_size):
            image = image.resize((image_size, image_size), Image.Resampling.BILINEAR)
        batch[row] = np.asarray(image, np.float32).reshape(image_size, image_size, channels).transpose(2, 0, 1) / 255
    return batch


def decode(content: bytes) -> Image.Image:
    """Decode the first frame, upright, as grey (mode L) or colour (mode RGB); what is transparent becomes white.

    Raises:
        DataError: the bytes are no whole image, one of more than MAXIMUM_PIXELS, or one of numbers without a scale.
    """
    try:
        with opened(content) as image, warnings.catch_warnings():
            # Pillow warns of odd metadata that it skips; the pixels are all that counts.
            warnings.simplefilter("ignore")
            if image.width * image.height > MAXIMUM_PIXELS:
                raise ValueError(f"{image.width}x{image.height} pixels are more than {MAXIMUM_PIXELS:,}")
            if image.mode in UNSCALED:
                raise ValueError("its pixels are numbers of 32 bits, of which nothing says how bright they are")
            image.load()
            return _grey_or_colour(ImageOps.exif_transpose(image))
    except Exception as error:  # decoders raise whatever they trip over
        raise DataError(
            f"An image of {len(content)} bytes cannot be decoded ({error}). Remove it, or save it again as PNG or JPEG."
        ) from None


def opened(content: bytes) -> Image.Image:
    """Read the header alone. Above 179 million pixels Pillow raises; what it only warns of, `decode` refuses."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Image.open(io.BytesIO(content), formats=FORMATS)


def _grey_or_colour(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        # Pillow would clip sixteen bits at 255, which turns nearly everything white.
        return Image.fromarray((np.asarray(image, np.uint16) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        colours = image.convert("RGBA")
        white = Image.new("RGBA", colours.size, "white")
        image = Image.alpha_composite(white, colours)
    return image.convert("L" if image.mode in ("1", "L") else "RGB")
