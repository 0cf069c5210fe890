"""New texts from labelled ones: each operation in a file of its own, and what all of them must keep to."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from handful.text import content, edits, generation, markov, recombination, replacement, templates, translation, units
from handful.text.backbone import Backbone
from handful.text.drafts import Draft
from handful.text.parameters import TextOperation

SHARE_KEPT = 0.6

# Called with the labelled rows, the operation, the rows per example, the backbone and the seed.
OPERATIONS: dict[str, Callable[[pd.DataFrame, Any, int, Backbone, int], list[Draft]]] = {
    "random_insertion": lambda labelled, own, rows, backbone, seed: edits.edited(labelled, own, rows, seed),
    "random_swap": lambda labelled, own, rows, backbone, seed: edits.edited(labelled, own, rows, seed),
    "random_deletion": lambda labelled, own, rows, backbone, seed: edits.edited(labelled, own, rows, seed),
    "contextual_replacement": replacement.replaced,
    "label_templates": lambda labelled, own, rows, backbone, seed: templates.filled(labelled, own),
    "segment_recombination": lambda labelled, own, rows, backbone, seed: recombination.recombined(
        labelled, own, rows, seed
    ),
    "markov_generation": lambda labelled, own, rows, backbone, seed: markov.generated(labelled, own, rows, seed),
    "back_translation": lambda labelled, own, rows, backbone, seed: translation.translated(labelled, own, rows, seed),
    "language_model_generation": lambda labelled, own, rows, backbone, seed: generation.generated(
        labelled, own, rows, seed
    ),
}


def augment(
    labelled: pd.DataFrame,
    operations: Sequence[TextOperation],
    rows_per_example: int,
    backbone: Backbone,
    seed: int,
) -> pd.DataFrame:
    """Make up to `rows_per_example` new texts for each labelled one and operation, and one per label and template.

    A text depends on the seed, its parents, the operation and its number, not on the order of the rows. Texts that are
    empty, or whose fingerprint is that of a labelled one or an earlier new one, are left out.

    Args:
        labelled: columns id, content, label.

    Returns:
        columns content, label, parent, operation; `parent` as handful.lineage writes it.
    """
    drafts = [
        draft
        for operation in operations
        for draft in OPERATIONS[operation.kind](labelled, operation, rows_per_example, backbone, seed)
    ]
    table = pd.DataFrame(drafts, columns=list(Draft._fields), dtype=object)
    empty = table["content"].str.strip() == ""
    prints = table["content"].map(content.fingerprint)  # what ids are made of: texts may be equal and not their strings
    known = prints.isin(set(labelled["content"].map(content.fingerprint)))
    return table[~empty & ~known & ~prints.duplicated()].reset_index(drop=True)


def multiply(contents: Sequence[str], count: int, seed: int) -> list[str]:
    """Make `count` new texts for a teacher to label: words left out, and halves of two texts put together.

    Half are of each kind. They need not keep a meaning: what the teacher makes of them is what a student learns.
    """
    random = np.random.default_rng(seed)
    made = []
    for number in range(count):
        first, second = (contents[row] for row in random.integers(len(contents), size=2))
        made.append(units.thinned(first, SHARE_KEPT, random) if number % 2 else _joined(first, second))
    return made


def _joined(first: str, second: str) -> str:
    """The first half of one text's units and the second half of another's."""
    begin, end = units.spans(first), units.spans(second)
    cut = begin[(len(begin) - 1) // 2][1] if begin else len(first)
    start = end[len(end) // 2][0] if end else 0
    return units.put_together([first[:cut], second[start:]])
