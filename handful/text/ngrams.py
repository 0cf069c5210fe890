"""N-grams of texts, hashed and weighted by TF-IDF: what a linear model sees of them without any encoder."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from handful.text.prediction import BUCKETS, MAX_CHARACTERS, ngram_buckets

CHARACTERS_PER_BLOCK = 2**17
TINY = 1e-6


@dataclass(frozen=True)
class Vocabulary:
    """The n-grams that count: `slot_of` int32 [BUCKETS + 1] gives their rows, 0 for the ignored; `idf` [rows]."""

    slot_of: np.ndarray
    idf: np.ndarray


def vocabulary(texts: Sequence[str], longest: int, limit: int) -> Vocabulary:
    """The `limit` most frequent character n-grams up to `longest`, words and word pairs of the texts."""
    frequency = np.zeros(BUCKETS + 1, np.int64)
    for block in blocks(texts):
        rows = np.sort(ngram_buckets(block, longest), axis=1)
        first = np.concatenate([np.ones((len(rows), 1), bool), rows[:, 1:] != rows[:, :-1]], axis=1)
        frequency += np.bincount(rows[first], minlength=BUCKETS + 1)
    frequency[BUCKETS] = 0
    # An n-gram of one text alone tells nothing about another, unless there are too few texts to repeat any.
    kept = np.flatnonzero(frequency >= (2 if len(texts) > 100 else 1))
    kept = np.sort(kept[np.argsort(-frequency[kept], kind="stable")[:limit]])
    slot_of = np.zeros(BUCKETS + 1, np.int32)
    slot_of[kept] = np.arange(1, len(kept) + 1)
    idf = np.log((1 + len(texts)) / (1 + frequency[kept])) + 1
    return Vocabulary(slot_of, np.concatenate([[0.0], idf]).astype(np.float32))


def matrix(texts: Sequence[str], known: Vocabulary, longest: int) -> csr_matrix:
    """Sparse float32 [n, table rows]; every occurrence of an n-gram counts: rows are unit before they are summed."""
    lengths, columns, values = [], [], []
    for block in blocks(texts):
        slots = known.slot_of[ngram_buckets(block, longest)]
        idf = known.idf[slots]
        idf /= np.maximum(np.sqrt((idf**2).sum(1, keepdims=True)), TINY)
        used = slots > 0
        lengths.append(used.sum(1))
        columns.append(slots[used])
        values.append(idf[used])
    starts = np.concatenate([[0], np.cumsum(np.concatenate(lengths))])
    counted = csr_matrix((np.concatenate(values), np.concatenate(columns), starts), shape=(len(texts), len(known.idf)))
    counted.sum_duplicates()
    return counted


def blocks(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """The texts in parts that fit into memory as n-grams or tokens, where all rows are as long as the longest."""
    start = longest = 0
    for row, text in enumerate(texts):
        longest = max(longest, min(len(text), MAX_CHARACTERS) + 1)
        if row > start and (row + 1 - start) * longest > CHARACTERS_PER_BLOCK:
            yield texts[start:row]
            start, longest = row, min(len(text), MAX_CHARACTERS) + 1
    if len(texts):
        yield texts[start:]
