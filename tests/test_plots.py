"""The pictures can be read, say right and wrong in colour, and are the same each time."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from handful import plots
from handful.metrics import calibration_bins


def orange(path: Path) -> int:
    """Number of pixels that are clearly more red than blue."""
    with Image.open(path) as picture:
        red, _, blue = np.moveaxis(np.asarray(picture.convert("RGB"), dtype=int), 2, 0)
    return int((red - blue > 20).sum())


@pytest.mark.parametrize("classes", [2, 12, 150])
def test_the_confusion_matrix_is_drawn_for_few_and_many_classes(tmp_path: Path, classes: int) -> None:
    plots.plot_confusion(np.eye(classes, dtype=int) * 5, [f"label {n}" for n in range(classes)], tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as picture:
        assert 400 < picture.width < 3000


def test_only_mistakes_are_orange(tmp_path: Path) -> None:
    right = np.eye(4, dtype=int) * 5
    plots.plot_confusion(right, list("abcd"), tmp_path / "right.png")
    plots.plot_confusion(right + np.eye(4, k=1, dtype=int), list("abcd"), tmp_path / "wrong.png")
    assert orange(tmp_path / "right.png") == 0
    assert orange(tmp_path / "wrong.png") > 1000


@pytest.mark.parametrize(("classes", "named"), [(100, True), (101, False)])
def test_names_are_drawn_only_while_they_can_be_read(tmp_path: Path, classes: int, named: bool) -> None:
    counts = np.eye(classes, dtype=int)
    for name in ("a", "b"):
        plots.plot_confusion(counts, [name] * classes, tmp_path / f"{name}.png")
    assert ((tmp_path / "a.png").read_bytes() != (tmp_path / "b.png").read_bytes()) == named


def test_labels_of_any_script_or_with_dollar_signs_are_drawn(tmp_path: Path) -> None:
    names = ["退款", "$x_{", "two\nlines", "a" * 300]
    plots.plot_confusion(np.ones((4, 4), dtype=int), names, tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 1000


def test_a_picture_is_the_same_byte_for_byte(tmp_path: Path) -> None:
    bins = calibration_bins(np.array([[0.9, 0.1], [0.4, 0.6]]), np.array([True, False]), 5)
    for name in ("first.png", "second.png"):
        plots.plot_reliability(bins, tmp_path / name)
        plots.plot_confusion(np.ones((3, 3), dtype=int), list("abc"), tmp_path / f"confusion-{name}")
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "second.png").read_bytes()
    assert (tmp_path / "confusion-first.png").read_bytes() == (tmp_path / "confusion-second.png").read_bytes()
