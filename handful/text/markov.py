"""Markov generation: texts written unit by unit, as a few texts of one class would go on."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from handful import lineage
from handful.text import units
from handful.text.drafts import Draft, company
from handful.text.parameters import MarkovGeneration

BEGIN, END = "<begin>", "<end>"  # no units: a unit of that spelling would only begin or end a text, too
LONGEST = 2  # times the longest parent
Chain = dict[tuple[str, ...], Counter[str]]


def generated(labelled: pd.DataFrame, operation: MarkovGeneration, rows_per_example: int, seed: int) -> list[Draft]:
    """For each labelled text and number, one text from the chain of that text and random others of its class.

    All rows of the chain are parents, so there are few: with all of the class no row would be left in a fold.
    """
    drafts = []
    for label, rows, random in company(labelled, operation.parents, operation.kind, rows_per_example, seed):
        text = _written(chain(rows["content"], operation.order), operation.order, random)
        drafts.append(Draft(text, label, lineage.joined(rows["id"]), operation.kind))
    return drafts


def chain(contents: Iterable[str], order: int) -> Chain:
    """How often each unit follows each context of up to `order` units; the empty context holds all units."""
    follows: Chain = defaultdict(Counter)
    for content in contents:
        said = [*[BEGIN] * order, *units.UNIT.findall(content), END]
        for place in range(order, len(said)):
            for length in range(order + 1):
                follows[tuple(said[place - length : place])][said[place]] += 1
    return follows


def _written(follows: Chain, order: int, random: np.random.Generator) -> str:
    said = [BEGIN] * order
    # The empty context holds each unit once for each time it was said, and an end for each text.
    texts = follows[()][END]
    longest = order + LONGEST * max(1, follows[()].total() // texts)
    while said[-1] != END and len(said) < longest:
        said.append(_next(follows, said, order, random))
    return units.put_together([unit for unit in said[order:] if unit != END])


def _next(follows: Chain, said: Sequence[str], order: int, random: np.random.Generator) -> str:
    """Draw from the longest context, or from one unit less at every turn of a coin (interpolation by halves).

    A context of one unit is the shortest: without any, words would follow each other at random.
    """
    length = order
    while length > 1 and (random.random() < 0.5 or tuple(said[-length:]) not in follows):
        length -= 1
    counts = follows[tuple(said[-length:])]
    names = sorted(counts)
    shares = np.array([counts[name] for name in names], float)
    return str(names[random.choice(len(names), p=shares / shares.sum())])
