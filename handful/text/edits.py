"""Random edits of a text: words of its class inserted, words swapped, words left out."""

import re
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from handful import lineage
from handful.text import units
from handful.text.drafts import Draft, random_of
from handful.text.parameters import RandomEdit
from handful.text.units import Span

Edit = Callable[[str, list[Span], int, Sequence[str], np.random.Generator], str]


def edited(labelled: pd.DataFrame, operation: RandomEdit, rows_per_example: int, seed: int) -> list[Draft]:
    """Edit each labelled text `rows_per_example` times; a text of one unit has no edits.

    What is inserted comes from one row of the same class, which is a parent too: else a text would carry words of a
    held-out row into the fold that is to predict it.
    """
    edit, giving = EDITS[operation.kind], operation.kind == "random_insertion"
    drafts = []
    for label, group in labelled.sort_values("id").groupby("label"):
        ids, contents = group["id"].tolist(), group["content"].tolist()
        for own, (parent, content) in enumerate(zip(ids, contents, strict=True)):
            places = units.spans(content)
            changes = max(1, round(operation.share * len(places)))
            for number in range(rows_per_example if len(places) > 1 else 0):
                random = random_of(seed, parent, operation.kind, number)
                donor = int(random.integers(len(ids))) if giving else own
                text = edit(content, places, changes, units.vocabulary([contents[donor]]), random)
                drafts.append(Draft(text, str(label), lineage.joined([parent, ids[donor]]), operation.kind))
    return drafts


def _insert(
    content: str, places: list[Span], changes: int, vocabulary: Sequence[str], random: np.random.Generator
) -> str:
    """Words of the vocabulary, put before random words."""
    for place in sorted(random.choice(len(places), min(changes, len(places)), replace=False), reverse=True):
        start = places[place][0]
        space = "" if units.TIGHT.match(content[start]) else " "
        word = vocabulary[int(random.integers(len(vocabulary)))] if vocabulary else ""
        content = content[:start] + word + space + content[start:]
    return content


def _swap(
    content: str, places: list[Span], changes: int, vocabulary: Sequence[str], random: np.random.Generator
) -> str:
    words = [content[start:end] for start, end in places]
    for _ in range(changes):
        first, second = random.choice(len(words), 2, replace=False)
        words[first], words[second] = words[second], words[first]
    return units.exchanged(content, places, words)


def _delete(
    content: str, places: list[Span], changes: int, vocabulary: Sequence[str], random: np.random.Generator
) -> str:
    gone = set(random.choice(len(places), min(changes, len(places) - 1), replace=False).tolist())
    words = ["" if place in gone else content[start:end] for place, (start, end) in enumerate(places)]
    return re.sub(r" {2,}", " ", units.exchanged(content, places, words)).strip()


EDITS: dict[str, Edit] = {"random_insertion": _insert, "random_swap": _swap, "random_deletion": _delete}
