"""What an image is as data: whether it is usable, its name, its size, its near-duplicates."""

import hashlib
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from handful.errors import DataError
from handful.image import prediction

THUMBNAIL_PIXELS = 16
PICTURE_PIXELS = 96
BLOCK_ROWS = 2048


def check(content: bytes, minimum_size: int, maximum_size: int) -> str | None:
    """Return why the image cannot be used, or None. It is decoded only after the size in its header has passed.

    A reason names no numbers of this one image, so that rows can be counted by reason.
    """
    if not content:
        return "is empty"
    too_large = f"has more than {maximum_size} pixels on its longer side"
    try:
        with prediction.opened(content) as image:
            (width, height), mode = image.size, image.mode
    except Image.DecompressionBombError:
        return too_large
    except Exception:  # decoders raise whatever they trip over
        return f"is not an image in one of the formats {', '.join(prediction.FORMATS)}"
    if max(width, height) > maximum_size:
        return too_large
    if max(width, height) < minimum_size:
        return f"has fewer than {minimum_size} pixels on its longer side"
    if width * height > prediction.MAXIMUM_PIXELS:
        return f"has more than {prediction.MAXIMUM_PIXELS:,} pixels in all"
    if mode in prediction.UNSCALED:
        return "has pixels of 32 bits, of which nothing says how bright they are"
    return None if _decodes(content) else "is truncated or damaged"


def fingerprint(content: bytes) -> str:
    """Name the image by its bytes: 32 hexadecimal digits."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def size(content: bytes) -> int:
    """The longer side in pixels, from the header; 0 where that cannot be read."""
    try:
        with prediction.opened(content) as image:
            return max(image.size)
    except Exception:  # decoders raise whatever they trip over
        return 0


def near_duplicates(contents: Sequence[bytes], references: Sequence[bytes], similarity: float) -> np.ndarray:
    """For each content the index of its most similar reference, or -1 where none is at least that similar.

    Similarity is the cosine of small grey thumbnails with their mean removed, so brightness and contrast do not count.
    What cannot be decoded is like nothing.

    Returns:
        int64 [n].
    """
    found = np.full(len(contents), -1, np.int64)
    if not len(references):
        return found
    known = _thumbnails(references)
    for start in range(0, len(contents), BLOCK_ROWS):
        best, nearest = _nearest(_thumbnails(contents[start : start + BLOCK_ROWS]), known)
        # Rounding may leave the cosine of two equal thumbnails a little below one.
        found[start : start + len(best)] = np.where(best >= similarity - 1e-5, nearest, -1)
    return found


def preview(content: bytes) -> str:
    """One short line for tables."""
    try:
        with prediction.opened(content) as image:
            return f"{image.format} {image.width}x{image.height}, {len(content)} bytes"
    except Exception:  # decoders raise whatever they trip over
        return f"unreadable, {len(content)} bytes"


def picture(content: bytes) -> bytes:
    """A small PNG for people, of the same pixels that a classifier is given."""
    small = prediction.decode(content)
    small.thumbnail((PICTURE_PIXELS, PICTURE_PIXELS))
    encoded = io.BytesIO()
    small.save(encoded, format="PNG")
    return encoded.getvalue()


def written(content: bytes) -> str:
    """What a CSV file can hold of it: a preview; the row's origin leads to the image itself."""
    return preview(content)


def _decodes(content: bytes) -> bool:
    try:
        prediction.decode(content)
    except DataError:
        return False
    return True


def _thumbnails(contents: Sequence[bytes]) -> np.ndarray:
    """Unit rows, float32 [n, THUMBNAIL_PIXELS² + 1]; the last column is 1 for images of a single tone, else 0."""
    rows = np.zeros((len(contents), THUMBNAIL_PIXELS**2 + 1), np.float32)
    for row, content in enumerate(contents):
        try:
            grey = prediction.pixels([content], THUMBNAIL_PIXELS, grey=True).reshape(-1)
        except DataError:
            continue
        deviations = grey - grey.mean()
        length = float(np.linalg.norm(deviations))
        if length > 1e-3:
            rows[row, :-1] = deviations / length
        else:
            rows[row, -1] = 1.0
    return rows


def _nearest(rows: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    best, nearest = np.full(len(rows), -np.inf, np.float32), np.full(len(rows), -1, np.int64)
    for start in range(0, len(known), BLOCK_ROWS):
        cosines = rows @ known[start : start + BLOCK_ROWS].T
        columns = cosines.argmax(axis=1)
        values = cosines[np.arange(len(rows)), columns]
        better = values > best
        best[better], nearest[better] = values[better], columns[better] + start
    return best, nearest
