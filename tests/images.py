"""Toy images for the tests: encoded files of every kind, made on the spot."""

import io
import struct
import zlib

import numpy as np
from hypothesis import strategies as st
from PIL import Image


def encoded(image: Image.Image, file_format: str = "PNG", **options: object) -> bytes:
    """The bytes of an image file."""
    file = io.BytesIO()
    image.save(file, format=file_format, **options)
    return file.getvalue()


def noise(width: int, height: int, mode: str = "L", seed: int = 0) -> Image.Image:
    """An image of random pixels."""
    values = np.random.default_rng(seed).integers(0, 256, width * height * len(Image.new(mode, (1, 1)).getbands()))
    return Image.frombytes(mode, (width, height), values.astype(np.uint8).tobytes())


def stripes(upright: bool, seed: int, side: int = 8) -> bytes:
    """Upright or lying stripes with noise, period 4, random phase: two classes that a gradient tells apart."""
    random = np.random.default_rng(seed)
    wave = ((np.arange(side) + random.integers(4)) % 4 < 2) * 180.0
    values = np.tile(wave, (side, 1)) if upright else np.tile(wave[:, None], (1, side))
    return encoded(Image.fromarray((values + random.uniform(0, 60, (side, side))).astype(np.uint8)))


def header_only(width: int, height: int) -> bytes:
    """A PNG whose header promises width x height grey pixels, and whose pixel data hold a single row of zeros."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(width + 1))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def images() -> st.SearchStrategy[bytes]:
    """PNG files of 2 to 24 pixels a side, grey or colour."""
    return st.builds(
        lambda width, height, mode, seed: encoded(noise(width, height, mode, seed)),
        st.integers(2, 24),
        st.integers(2, 24),
        st.sampled_from(["L", "RGB"]),
        st.integers(0, 1000),
    )
