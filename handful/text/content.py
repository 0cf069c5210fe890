"""What a text is: whether it is usable, its identity, its size, and which texts nearly repeat others."""

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from handful import progress

GRAM_BYTES = 5
ROWS_PER_BLOCK = 512
GRAMS_PER_CHUNK = 4_000_000  # bounds the memory of one comparison to about 100 MB
PREVIEW_CHARACTERS = 80


def check(content: object, minimum_size: int, maximum_size: int) -> str | None:
    """Say why `content` is not a usable text of that many characters, or None if it is one."""
    if not isinstance(content, str):
        return "not a text"
    if not content.strip():
        return "empty text"
    if "\0" in content:
        return "holds a NUL character"
    if len(content) < minimum_size:
        return f"shorter than {minimum_size} characters"
    if len(content) > maximum_size:
        return f"longer than {maximum_size} characters"
    return None


def fingerprint(content: str) -> str:
    """Give 32 hex digits that are equal for texts that are equal after NFC normalisation."""
    normalised = unicodedata.normalize("NFC", content)
    return hashlib.blake2b(normalised.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def size(content: str) -> int:
    """Count the characters."""
    return len(content)


def preview(content: str) -> str:
    """Give one short line that shows what the text is."""
    line = " ".join(content.replace("\0", "\N{SYMBOL FOR NULL}").split())
    return line if len(line) <= PREVIEW_CHARACTERS else line[: PREVIEW_CHARACTERS - 1] + "…"


def picture(content: str) -> None:
    """Give nothing: a text is shown by its preview."""


def written(content: str) -> str:
    """Give what a CSV file can hold of it: all of it."""
    return content


def near_duplicates(contents: Sequence[str], references: Sequence[str], similarity: float) -> NDArray[np.int64]:
    """Give for each content the index of its most similar reference, or -1 if none is at least that similar.

    Similarity is the cosine between the sets of byte 5-grams of the texts without case and punctuation. Only pairs that
    share one of their rarest n-grams are compared (prefix filter, Bayardo et al. 2007): exact, and not quadratic.
    """
    nearest = np.full(len(contents), -1, dtype=np.int64)
    if not len(contents) or not len(references):
        return nearest
    # Backwards, so that the first of equal references is the one that is kept.
    first = {_plain(references[row]): row for row in range(len(references) - 1, -1, -1)}
    others = sorted(first, key=first.__getitem__)
    known, indices = _index(others, similarity), np.array([first[text] for text in others])
    pace = progress.Pace(len(contents), "looking for near-duplicates")
    for start in range(0, len(contents), ROWS_PER_BLOCK):
        block = [_plain(content) for content in contents[start : start + ROWS_PER_BLOCK]]
        found = _nearest(block, known, similarity)
        nearest[start : start + len(block)] = np.where(found >= 0, indices[found], -1)
        pace.advance(len(block))
    return nearest


@dataclass(frozen=True)
class _Index:
    """The n-grams of the references: `grams` [g] ascending, `rank` [g] of each, the rarest first.

    `matrix` is binary CSR [m, g] with ranks as columns, `rarest` the part of it by which a pair is found, `sizes` [m].
    """

    grams: NDArray[np.int64]
    rank: NDArray[np.int64]
    matrix: Any
    rarest: Any
    sizes: NDArray[np.int64]


def _index(texts: list[str], similarity: float) -> _Index:
    row_of, grams = _grams(texts)
    distinct, places, counts = np.unique(grams, return_inverse=True, return_counts=True)
    rank = np.empty(len(distinct), np.int64)
    rank[np.argsort(counts, kind="stable")] = np.arange(len(distinct))
    sizes = np.bincount(row_of, minlength=len(texts))
    matrix = _matrix(row_of, rank[places], (len(texts), len(distinct)))
    return _Index(distinct, rank, matrix, _rarest(matrix, sizes, similarity), sizes)


def _nearest(texts: list[str], known: _Index, similarity: float) -> NDArray[np.int64]:
    """For each text the row of `known` that is most like it, the first of equal ones, or -1; [n]."""
    row_of, grams = _grams(texts)
    sizes = np.bincount(row_of, minlength=len(texts))
    places = np.searchsorted(known.grams, grams).clip(max=len(known.grams) - 1)
    shared = known.grams[places] == grams
    rows = _matrix(row_of[shared], known.rank[places[shared]], (len(texts), len(known.grams)))
    pairs = (_rarest(rows, sizes, similarity) @ known.rarest.T).tocoo()
    left, right = pairs.row, pairs.col
    cosines = _overlaps(rows, known.matrix, left, right) / np.sqrt(sizes[left] * known.sizes[right].astype(np.float64))
    ranked = np.lexsort((right, -cosines, left))
    winners = ranked[np.unique(left[ranked], return_index=True)[1]]
    winners = winners[cosines[winners] >= similarity - 1e-6]
    nearest = np.full(len(texts), -1, dtype=np.int64)
    nearest[left[winners]] = right[winners]
    return nearest


def _matrix(rows: NDArray[np.int64], columns: NDArray[np.int64], shape: tuple[int, int]) -> Any:
    """Binary CSR, the columns of each row ascending."""
    matrix = csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape)
    matrix.sort_indices()
    return matrix


def _overlaps(rows: Any, columns: Any, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.float64]:
    """Count what each pair (rows[left], columns[right]) of binary CSR matrices has in common."""
    wide = np.diff(rows.indptr)[left].sum() + np.diff(columns.indptr)[right].sum()
    chunks = 1 + int(wide) // GRAMS_PER_CHUNK
    found = [
        np.asarray(rows[some].multiply(columns[others]).sum(axis=1), dtype=np.float64).ravel()
        for some, others in zip(np.array_split(left, chunks), np.array_split(right, chunks), strict=True)
    ]
    overlaps: NDArray[np.float64] = np.concatenate(found)
    return overlaps


def _rarest(matrix: Any, sizes: NDArray[np.int64], similarity: float) -> Any:
    """Keep of each row the rarest n-grams that two rows of that cosine cannot both do without.

    Rows x, y with cosine >= s share at least s²·|x| of them, so the |x| - ⌈s²·|x|⌉ + 1 rarest of x meet those of y.
    What no reference has is rarer than all else, and is not in the matrix: it only uses up these places.
    """
    in_matrix = np.diff(matrix.indptr)
    needed = in_matrix - np.ceil(similarity**2 * sizes - 1e-9).astype(np.int64) + 1
    place = np.arange(matrix.nnz) - np.repeat(matrix.indptr[:-1], in_matrix)
    rare = matrix.copy()
    rare.data = (place < np.repeat(needed, in_matrix)).astype(np.float32)
    rare.eliminate_zeros()
    return rare


def _grams(texts: list[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The distinct n-grams of bytes of each text, as numbers: the text of each and the n-gram, ascending; [n], [n].

    Of bytes, because five Latin letters are about two Chinese characters, which say as much. Spaces around it give a
    text of any length some n-grams.
    """
    padded = [b"".join([b"  ", text.encode("utf-8", "surrogatepass"), b"  "]).ljust(GRAM_BYTES) for text in texts]
    lengths = np.array([len(text) for text in padded])
    letters = np.frombuffer(b"".join(padded), np.uint8).astype(np.int64)
    last = len(letters) - GRAM_BYTES + 1
    grams = np.zeros(last, np.int64)
    for place in range(GRAM_BYTES):
        grams = grams << 8 | letters[place : last + place]
    row_of = np.repeat(np.arange(len(texts)), lengths)[:last]
    whole = np.arange(last) + GRAM_BYTES <= np.cumsum(lengths)[row_of]  # none spans two texts
    # Sorting and comparing neighbours is three times as fast as numpy's unique.
    found = np.sort(row_of[whole] << 8 * GRAM_BYTES | grams[whole])
    distinct = found[np.concatenate([[True], found[1:] != found[:-1]])]
    return distinct >> 8 * GRAM_BYTES, distinct & (1 << 8 * GRAM_BYTES) - 1


def _plain(text: str) -> str:
    """Give the text without case, punctuation and repeated space; a text of punctuation alone keeps it."""
    folded = unicodedata.normalize("NFKC", text).casefold().replace("\0", " ")
    return re.sub(r"\s+", " ", folded.translate(_punctuation())).strip() or folded


@cache
def _punctuation() -> dict[int, str]:
    # "P" alone: marks that combine into letters, as in Devanagari, must stay.
    return {point: " " for point in range(0x20000) if unicodedata.category(chr(point)).startswith("P")}
