"""Segment recombination: parts of two texts of one class, each kept in its place, put together as a new text."""

import re

import numpy as np
import pandas as pd

from handful import lineage
from handful.text import units
from handful.text.drafts import Draft, random_of
from handful.text.parameters import SegmentRecombination

# Where a sentence or a clause ends: a mark before a space, or one of the full-width marks, which need none.
CLAUSE_END = re.compile(r"[.,;:!?…]+(?=\s)|[。、，；：！？]+|\n+")


def recombined(
    labelled: pd.DataFrame, operation: SegmentRecombination, rows_per_example: int, seed: int
) -> list[Draft]:
    """Cut the texts of a class into as many segments each, and fill each place from one of two parents.

    So Lotte (2015) recombines trials of one class. Both parents give at least one segment; a class of one row has no
    such texts.
    """
    drafts = []
    for label, group in labelled.sort_values("id").groupby("label"):
        ids = group["id"].tolist()
        cut = [segments(content, operation.segments) for content in group["content"]]
        for own, parent in enumerate(ids if len(ids) > 1 else []):
            for number in range(rows_per_example):
                random = random_of(seed, parent, operation.kind, number)
                givers = _givers(own, len(ids), operation.segments, random)
                text = units.put_together([cut[giver][place] for place, giver in enumerate(givers)])
                drafts.append(Draft(text, str(label), lineage.joined(ids[giver] for giver in givers), operation.kind))
    return drafts


def segments(content: str, count: int) -> list[str]:
    """Cut a text into `count` parts of like length: where clauses end, or between units where too few do.

    A text of fewer units has empty parts.
    """
    ends = sorted({match.end() for match in CLAUSE_END.finditer(content.strip())} - {len(content.strip())})
    content = content.strip()
    if len(ends) < count - 1:
        ends = [start for start, _ in units.spans(content)][1:]
    cuts = [0]
    for number in range(1, count):
        later = [end for end in ends if end > cuts[-1]]
        wanted = number * len(content) / count
        # As many ends must stay as there are cuts to come.
        allowed = later[: max(1, len(later) - (count - 1 - number))]
        cuts.append(min(allowed, key=lambda end: (abs(end - wanted), end)) if allowed else len(content))
    return [content[start:end].strip() for start, end in zip(cuts, [*cuts[1:], len(content)], strict=True)]


def _givers(own: int, rows: int, count: int, random: np.random.Generator) -> list[int]:
    """For each segment the row that gives it: `own` for one at least, one other row for the rest of them."""
    other = int(random.integers(rows - 1))
    other += other >= own
    givers = [own if chosen else other for chosen in random.integers(2, size=count)]
    kept, given = random.choice(count, 2, replace=False)
    givers[kept], givers[given] = own, other
    return givers
