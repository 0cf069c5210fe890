"""How images become the student's inputs."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from handful.errors import DataError
from handful.image import prediction
from tests.images import encoded, header_only, images, noise


@given(st.lists(images(), min_size=1, max_size=4), st.sampled_from([8, 12]), st.booleans())
@settings(max_examples=30, deadline=None)
def test_any_image_becomes_one_square_from_zero_to_one(contents: list[bytes], image_size: int, grey: bool) -> None:
    featurize = prediction.featurizer({"image_size": image_size, "grey": grey}, Path())
    pixels = featurize(contents)["pixels"]
    assert pixels.shape == (len(contents), 1 if grey else 3, image_size, image_size)
    assert pixels.dtype == np.float32
    assert pixels.min() >= 0
    assert pixels.max() <= 1


def test_an_image_of_the_right_size_keeps_its_pixels() -> None:
    image = noise(8, 8, "RGB")
    pixels = prediction.pixels([encoded(image)], 8, grey=False)
    assert np.array_equal((pixels[0].transpose(1, 2, 0) * 255).round(), np.asarray(image))


def test_transparent_pixels_become_white() -> None:
    image = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    assert prediction.pixels([encoded(image)], 8, grey=True).min() == 1.0


def test_a_palette_with_a_transparent_entry_becomes_colour_on_white() -> None:
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 0, 0, 255, 0, 0])
    image.putpixel((0, 0), 0)
    pixels = prediction.pixels([encoded(image, transparency=0)], 8, grey=False)
    assert pixels[0, :, 0, 0].tolist() == [1, 1, 1]
    assert pixels[0, :, 4, 4].tolist() == [1, 0, 0]


def test_sixteen_bits_keep_their_shades() -> None:
    ramp = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    pixels = prediction.pixels([encoded(Image.fromarray(ramp))], 8, grey=True)
    assert np.allclose(pixels[0, 0], ramp / 65535, atol=1 / 255)


def test_a_photo_taken_sideways_is_turned_upright() -> None:
    image = Image.new("L", (8, 16), 0)
    image.paste(255, (0, 0, 8, 8))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it upright
    upright = prediction.decode(encoded(image, exif=exif))
    assert upright.size == (16, 8)
    assert upright.getpixel((15, 4)) == 255


def test_the_first_frame_of_an_animation_counts() -> None:
    animated = encoded(Image.new("L", (8, 8), 255), "GIF", save_all=True, append_images=[Image.new("L", (8, 8), 0)])
    assert prediction.pixels([animated], 8, grey=True).min() == 1.0


@pytest.mark.parametrize(
    "content",
    [b"", b"text", encoded(noise(16, 16))[:-40], header_only(20_000, 20_000), header_only(9_000, 9_000)],
    ids=["empty", "text", "truncated", "far too large", "too large"],
)
def test_what_cannot_be_decoded_is_a_data_error(content: bytes) -> None:
    with pytest.raises(DataError, match=f"An image of {len(content)} bytes cannot be decoded"):
        prediction.pixels([content], 8, grey=True)


@pytest.mark.parametrize("mode", ["F", "I"])
def test_numbers_without_a_scale_are_a_data_error_and_no_black_or_white_image(mode: str) -> None:
    with pytest.raises(DataError, match="nothing says how bright they are"):
        prediction.decode(encoded(noise(8, 8).convert(mode), "TIFF"))


def test_a_line_names_an_image_file(tmp_path: Path) -> None:
    path = tmp_path / "a b.png"
    path.write_bytes(encoded(noise(8, 8)))
    assert prediction.read(f"{path}\n") == path.read_bytes()


def test_a_missing_image_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.png cannot be read"):
        prediction.read(str(tmp_path / "gone.png"))


def test_a_truncated_image_is_named_when_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "half.png"
    path.write_bytes(encoded(noise(32, 32))[:-60])
    with pytest.raises(DataError, match=r"half\.png is not a whole image"):
        prediction.read(str(path))


def test_predicting_imports_nothing_that_only_training_needs() -> None:
    heavy = ["torch", "pandas", "pydantic", "sklearn", "scipy", "kornia"]
    program = f"import sys, handful.image.prediction; print([name for name in {heavy} if name in sys.modules])"
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"
