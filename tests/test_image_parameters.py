"""The parameter file that switches to images."""

from pathlib import Path

from handful import parameters

ROOT = Path(__file__).parent.parent


def test_the_file_for_images_is_valid_and_mirrors_no_digits() -> None:
    read = parameters.read(ROOT / "params.image.yaml")
    assert read.modality == "image"
    assert "flip" not in {operation.kind for operation in read.augment.operations}
