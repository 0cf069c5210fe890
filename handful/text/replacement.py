"""Contextual replacement: words exchanged for near ones, such that the whole text stays near to what it meant."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from handful.embedding import embed
from handful.text import units
from handful.text.backbone import Backbone
from handful.text.drafts import Draft, random_of
from handful.text.parameters import ContextualReplacement

NEIGHBOURS = 10
VOCABULARY_UNITS = 2000


@dataclass(frozen=True)
class Words:
    """The units that labelled texts use, and how near they are to each other in the backbone's space."""

    units: list[str]
    row_of: dict[str, int]
    neighbours: np.ndarray


def replaced(
    labelled: pd.DataFrame, operation: ContextualReplacement, rows_per_example: int, backbone: Backbone, seed: int
) -> list[Draft]:
    """Draw several replacements by near words, and keep the text that stays nearest to its parent in meaning.

    The words are those of all labelled texts, whatever their label, as those of a pool would be.
    """
    words = _words(labelled["content"], backbone)
    if len(words.units) <= NEIGHBOURS:
        return []
    texts, owners = [], []
    for row, (parent, content) in enumerate(zip(labelled["id"], labelled["content"], strict=True)):
        for number in range(rows_per_example):
            random = random_of(seed, parent, operation.kind, number)
            made = {_replaced(content, operation.share, words, random) for _ in range(operation.candidates)} - {content}
            texts += sorted(made)
            owners += [(row, number)] * len(made)
    originals = embed(backbone, labelled["content"].tolist())
    likeness = (embed(backbone, texts) * originals[[row for row, _ in owners]]).sum(axis=1) if texts else []
    best = pd.DataFrame({"owner": owners, "text": texts, "likeness": likeness}).sort_values(
        ["owner", "likeness", "text"], ascending=[True, False, True]
    )
    chosen = best.drop_duplicates("owner")
    labels, parents = labelled["label"].tolist(), labelled["id"].tolist()
    return [
        Draft(text, labels[row], parents[row], operation.kind)
        for text, (row, _) in zip(chosen["text"], chosen["owner"], strict=True)
    ]


def _words(contents: Sequence[str], backbone: Backbone) -> Words:
    counts = Counter(unit.lower() for content in contents for unit in units.UNIT.findall(content) if unit.isalpha())
    commonest = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:VOCABULARY_UNITS]
    known = sorted(unit for unit, _ in commonest)
    if len(known) <= NEIGHBOURS:
        return Words(known, {}, np.empty((0, 0)))
    vectors = embed(backbone, known)
    likeness = vectors @ vectors.T
    np.fill_diagonal(likeness, -1)
    neighbours = np.argsort(-likeness, axis=1, kind="stable")[:, :NEIGHBOURS]
    return Words(known, {unit: row for row, unit in enumerate(known)}, neighbours)


def _replaced(content: str, share: float, words: Words, random: np.random.Generator) -> str:
    places = units.spans(content)
    said = [content[start:end] for start, end in places]
    known = [place for place, unit in enumerate(said) if unit.lower() in words.row_of]
    for place in random.permutation(known)[: max(1, round(share * len(said)))]:
        near = words.neighbours[words.row_of[said[place].lower()]]
        said[place] = words.units[near[random.integers(len(near))]]
    return units.exchanged(content, places, said)
