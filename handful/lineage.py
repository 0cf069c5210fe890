"""What a new row was made from: its parents in one column, and which rows know something of rows that are held out."""

from collections.abc import Iterable

import numpy as np

SEPARATOR = ";"
LABEL = "label:"


def joined(parents: Iterable[str]) -> str:
    """The ids of the labelled rows that a row was made from as one value: distinct, in order."""
    return SEPARATOR.join(sorted(set(parents)))


def of_label(label: str) -> str:
    """The parent of a row that was made from a label's name alone."""
    return LABEL + label


def parents(value: object) -> tuple[str, ...]:
    """The ids of the labelled rows in the column `parent`; none for a row of a label's name, or without a parent."""
    if not isinstance(value, str) or value.startswith(LABEL):
        return ()
    return tuple(value.split(SEPARATOR))


def descends(column: Iterable[object], ids: Iterable[str]) -> np.ndarray:
    """Which rows have at least one of `ids` among their parents; bool [rows].

    Args:
        column: the column `parent`.
    """
    held_out = set(ids)
    return np.array([not held_out.isdisjoint(parents(value)) for value in column], dtype=bool)
