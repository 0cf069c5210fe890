"""What is found out about an image before it is used."""

import io

import numpy as np
import pytest
from PIL import Image

from handful.image import content, prediction
from tests.images import encoded, header_only, noise, stripes


def test_a_whole_image_of_a_fitting_size_is_accepted() -> None:
    assert content.check(encoded(noise(8, 8)), 4, 64) is None


@pytest.mark.parametrize("file_format", ["JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_every_common_format_is_accepted(file_format: str) -> None:
    assert content.check(encoded(noise(16, 12), file_format), 4, 64) is None


@pytest.mark.parametrize(
    "image",
    [noise(8, 8, "RGBA"), noise(8, 8, "RGB").convert("P"), noise(8, 8).convert("1"), noise(8, 8).convert("LA")],
    ids=["alpha", "palette", "bilevel", "grey-alpha"],
)
def test_every_colour_mode_is_accepted(image: Image.Image) -> None:
    assert content.check(encoded(image), 4, 64) is None


def test_cmyk_and_animated_images_are_accepted() -> None:
    assert content.check(encoded(noise(8, 8, "CMYK"), "JPEG"), 4, 64) is None
    animated = encoded(noise(8, 8), "GIF", save_all=True, append_images=[noise(8, 8, seed=1)])
    assert content.check(animated, 4, 64) is None


def test_a_truncated_png_is_refused_wherever_it_is_cut() -> None:
    whole = encoded(noise(16, 16))
    # The last 20 bytes hold no pixels: two checksums and the chunk that says that the file ends.
    for cut in range(1, len(whole) - 20):
        assert content.check(whole[:cut], 4, 64) is not None


def test_a_flipped_byte_of_the_pixel_data_is_refused() -> None:
    whole = bytearray(encoded(noise(16, 16)))
    whole[len(whole) // 2] ^= 0xFF
    assert content.check(bytes(whole), 4, 64) == "is truncated or damaged"


@pytest.mark.parametrize("mode", ["F", "I"])
def test_numbers_without_a_scale_are_refused_with_the_reason(mode: str) -> None:
    reason = content.check(encoded(noise(8, 8).convert(mode), "TIFF"), 4, 64)
    assert reason == "has pixels of 32 bits, of which nothing says how bright they are"


def test_an_image_of_one_pixel_is_too_small() -> None:
    assert content.check(encoded(noise(1, 1)), 4, 64) == "has fewer than 4 pixels on its longer side"


@pytest.mark.parametrize("side", [4097, 10_000, 20_000, 60_000])
def test_a_huge_image_is_refused_by_its_header_without_its_pixels(side: int) -> None:
    # The file holds no pixels to speak of: decoding it would say "truncated" instead.
    assert content.check(header_only(side, side), 4, 4096) == "has more than 4096 pixels on its longer side"


def test_an_image_of_too_many_pixels_is_not_decoded_even_where_its_sides_are_allowed() -> None:
    assert content.check(header_only(8000, 8000), 4, 10_000) == "has more than 50,000,000 pixels in all"


@pytest.mark.parametrize(
    "junk", [b"\0" * 100, b"id,label\n1,2\n", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"]
)
def test_other_files_are_no_images(junk: bytes) -> None:
    assert str(content.check(junk, 4, 64)).startswith("is not an image in one of the formats PNG")


def test_an_empty_file_is_called_empty() -> None:
    assert content.check(b"", 4, 64) == "is empty"


def test_the_size_is_the_longer_side_and_zero_where_there_is_no_image() -> None:
    assert content.size(encoded(noise(5, 9))) == 9
    assert content.size(b"no image") == 0


def test_the_fingerprint_follows_the_bytes() -> None:
    first, second = encoded(noise(8, 8)), encoded(noise(8, 8, seed=1))
    assert len(content.fingerprint(first)) == 32
    assert content.fingerprint(first) == content.fingerprint(bytes(first))
    assert content.fingerprint(first) != content.fingerprint(second)


def test_a_copy_in_another_format_size_or_contrast_is_a_near_duplicate() -> None:
    picture = noise(6, 6).resize((96, 96), Image.Resampling.BICUBIC)
    copies = [
        encoded(picture, "JPEG", quality=70),
        encoded(picture.resize((64, 64))),
        encoded(picture.point(lambda value: value // 2 + 60)),
    ]
    references = [encoded(noise(96, 96, seed=7)), encoded(picture)]
    assert content.near_duplicates(copies, references, 0.95).tolist() == [1, 1, 1]


def test_other_images_and_unreadable_ones_are_no_near_duplicates() -> None:
    references = [encoded(noise(32, 32)), b"broken"]
    found = content.near_duplicates([encoded(noise(32, 32, seed=1)), b"broken", b""], references, 0.9)
    assert found.tolist() == [-1, -1, -1]


def test_images_of_a_single_tone_are_duplicates_of_each_other_alone() -> None:
    white, black = encoded(Image.new("L", (8, 8), 255)), encoded(Image.new("L", (8, 8), 0))
    assert content.near_duplicates([white, encoded(noise(8, 8))], [black], 0.9).tolist() == [0, -1]


def test_near_duplicates_are_the_same_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [stripes(seed % 2 == 0, seed) for seed in range(30)]
    whole = content.near_duplicates(rows[:17], rows[13:], 0.8)
    monkeypatch.setattr(content, "BLOCK_ROWS", 4)
    assert np.array_equal(content.near_duplicates(rows[:17], rows[13:], 0.8), whole)
    assert whole[13:17].tolist() == [0, 1, 2, 3]


def test_nothing_duplicates_an_empty_table() -> None:
    assert content.near_duplicates([encoded(noise(8, 8))], [], 0.9).tolist() == [-1]
    assert content.near_duplicates([], [encoded(noise(8, 8))], 0.9).shape == (0,)


def shown(image: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content.picture(image)))


def test_a_picture_for_people_shows_what_a_classifier_is_given() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert shown(encoded(noise(12, 4), exif=exif)).size == (4, 12)
    ramp = encoded(Image.fromarray(np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)))
    assert np.array_equal(shown(ramp), prediction.decode(ramp))
    assert len(np.unique(np.asarray(shown(ramp)))) > 50


def test_a_picture_for_people_is_small() -> None:
    assert shown(encoded(noise(192, 384, "RGB"))).size == (48, 96)


def test_the_preview_is_one_line_for_whole_and_for_broken_images() -> None:
    assert content.preview(encoded(noise(5, 9))).startswith("PNG 5x9, ")
    assert content.preview(b"broken\n") == "unreadable, 7 bytes"
