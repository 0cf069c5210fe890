"""The pictures of an evaluation as PNG files: confusion matrix and reliability diagram."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from handful.storage import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RIGHT, WRONG = "#2563a8", "#c2410c"
MOST_NUMBERED = 20  # classes; with more, the numbers in the cells are too small to read
MOST_NAMED = 100  # classes; with more, the names beside the picture are too small to read
LONGEST_LABEL = 32  # characters


def plot_confusion(counts: NDArray[np.integer[Any]], names: Sequence[str], path: Path) -> None:
    """Draw the confusion matrix [true, guessed]: blue where right, orange where wrong, darker for more of the row."""
    inches = float(np.clip(0.42 * len(names), 3.0, 12.0))
    figure, axes = _canvas(inches + 2.4, inches + 2.2)
    axes.imshow(_colours(counts))
    shown = [_printable(name, place) for place, name in enumerate(names)] if len(names) <= MOST_NAMED else []
    size = float(np.clip(72 * inches / len(names) * 0.75, 4.5, 10.0))
    places = range(len(shown))
    axes.set_xticks(places, shown, rotation=90, fontsize=size, parse_math=False)
    axes.set_yticks(places, shown, fontsize=size, parse_math=False)
    axes.set(xlabel="guessed label", ylabel="true label")
    axes.tick_params(length=0)
    if len(names) <= MOST_NUMBERED:
        _number(axes, counts, size)
    _save(figure, path)


def plot_reliability(bins: Sequence[dict[str, float]], path: Path) -> None:
    """Draw accuracy against confidence per bin: bars on the diagonal mean probabilities to be taken at their word."""
    figure, axes = _canvas(4.8, 4.8)
    filled = [place for place in bins if place["rows"]]
    axes.bar(
        [(place["low"] + place["high"]) / 2 for place in filled],
        [place["accuracy"] for place in filled],
        width=0.9 / len(bins),
        color=RIGHT,
        alpha=0.75,
        label="guesses in the bin",
    )
    axes.plot([0, 1], [0, 1], "--", color="black", linewidth=1, label="perfectly calibrated")
    axes.set(xlabel="probability of the guess", ylabel="share of guesses that are right", xlim=(0, 1), ylim=(0, 1))
    axes.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, fontsize=9)
    _save(figure, path)


def _canvas(width: float, height: float) -> tuple["Figure", "Axes"]:
    # Imported late, and without pyplot: a Figure of its own needs no display and leaves no state behind.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _colours(counts: NDArray[np.integer[Any]]) -> NDArray[np.floating[Any]]:
    """Return an RGBA picture: the hue says right or wrong, the opacity the share of the true label's rows."""
    from matplotlib.colors import to_rgb

    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    colours = np.empty((*counts.shape, 4), np.float32)  # half the memory of float64: a picture has but eight bits
    colours[..., :3] = to_rgb(WRONG)
    colours[range(len(counts)), range(len(counts)), :3] = to_rgb(RIGHT)
    colours[..., 3] = np.where(counts > 0, 0.2 + 0.8 * shares, 0.0)
    return colours


def _number(axes: "Axes", counts: NDArray[np.integer[Any]], size: float) -> None:
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    for true, guessed in np.argwhere(counts > 0):
        colour = "white" if shares[true, guessed] > 0.5 else "black"
        axes.text(guessed, true, str(counts[true, guessed]), ha="center", va="center", fontsize=size, color=colour)


def _printable(name: str, place: int) -> str:
    """A label in one short line; its number where the font that comes with matplotlib lacks a character of it."""
    from matplotlib.font_manager import findfont, get_font

    line = " ".join(name.split())
    shown = line if len(line) <= LONGEST_LABEL else line[: LONGEST_LABEL - 1] + "…"
    font = get_font(findfont("DejaVu Sans"))
    return shown if all(font.get_char_index(ord(character)) for character in shown) else f"label {place + 1}"


def _save(figure: "Figure", path: Path) -> None:
    with replacing(path) as unfinished:
        figure.savefig(unfinished, format="png", dpi=150, metadata={"Software": None})
