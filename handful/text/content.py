"""What a text is: whether it is usable, its identity, its size, and which texts nearly repeat others."""

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

GRAM_BYTES = 5
GRAM_FEATURES = 2**20
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


def near_duplicates(contents: Sequence[str], references: Sequence[str], similarity: float) -> NDArray[np.int64]:
    """Give for each content the index of its most similar reference, or -1 if none is at least that similar.

    Similarity is the cosine between the sets of byte 5-grams of the texts without case and punctuation. Only pairs that
    share one of their rarest n-grams are compared (prefix filter, Bayardo et al. 2007): exact, and not quadratic.
    """
    nearest = np.full(len(contents), -1, dtype=np.int64)
    if not len(contents) or not len(references):
        return nearest
    texts, text_of_row = np.unique([_plain(content) for content in contents], return_inverse=True)
    others, first = np.unique([_plain(reference) for reference in references], return_index=True)
    # In the order of the references, so that the first of equally similar ones wins.
    order = np.argsort(first)
    found = _nearest(_grams(texts.tolist()), _grams(others[order].tolist()), similarity)[text_of_row]
    return np.where(found >= 0, first[order][found], -1)


def _nearest(rows: Any, columns: Any, similarity: float) -> NDArray[np.int64]:
    """Compare binary CSR matrices [n, features] and [m, features]; give [n] indices of columns' rows, or -1."""
    frequency = np.asarray(rows.sum(axis=0) + columns.sum(axis=0)).ravel()
    rare_rows, rare_columns = (_rarest(matrix, frequency, similarity) for matrix in (rows, columns))
    nearest = np.full(rows.shape[0], -1, dtype=np.int64)
    best = np.zeros(rows.shape[0])
    for start in range(0, rows.shape[0], ROWS_PER_BLOCK):
        pairs = (rare_rows[start : start + ROWS_PER_BLOCK] @ rare_columns.T).tocoo()
        left, right = pairs.row + start, pairs.col
        cosines = _cosines(rows, columns, left, right)
        ranked = np.lexsort((right, -cosines, left))
        winners = ranked[np.unique(left[ranked], return_index=True)[1]]
        nearest[left[winners]], best[left[winners]] = right[winners], cosines[winners]
    return np.where(best >= similarity - 1e-6, nearest, -1)


def _cosines(rows: Any, columns: Any, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.float64]:
    """Give the cosine of each pair (rows[left], columns[right]) of binary CSR matrices."""
    sizes, other_sizes = np.diff(rows.indptr), np.diff(columns.indptr)
    chunks = 1 + int(sizes[left].sum() + other_sizes[right].sum()) // GRAMS_PER_CHUNK
    overlaps = [
        np.asarray(rows[some].multiply(columns[others]).sum(axis=1), dtype=np.float64).ravel()
        for some, others in zip(np.array_split(left, chunks), np.array_split(right, chunks), strict=True)
    ]
    cosines: NDArray[np.float64] = np.concatenate(overlaps) / np.sqrt(
        sizes[left] * other_sizes[right].astype(np.float64)
    )
    return cosines


def _rarest(matrix: Any, frequency: NDArray[np.float64], similarity: float) -> Any:
    """Keep of each row the rarest features that two rows of that cosine cannot both do without.

    Rows x, y with cosine >= s share at least s²·|x| features, so the |x| - ⌈s²·|x|⌉ + 1 rarest of x meet those of y.
    """
    sizes = np.diff(matrix.indptr)
    row_of = np.repeat(np.arange(len(sizes)), sizes)
    order = np.lexsort((matrix.indices, frequency[matrix.indices], row_of))
    place = np.arange(matrix.nnz) - np.repeat(matrix.indptr[:-1], sizes)
    needed = sizes - np.ceil(similarity**2 * sizes - 1e-9).astype(np.int64) + 1
    kept = order[place < needed[row_of]]
    rare = matrix.copy()
    rare.data = np.zeros_like(matrix.data)
    rare.data[kept] = 1.0
    rare.eliminate_zeros()
    return rare


def _grams(texts: list[str]) -> Any:
    """Give the binary CSR matrix [len(texts), features] of the texts' byte 5-grams."""
    from sklearn.feature_extraction.text import HashingVectorizer

    vectorizer = HashingVectorizer(
        analyzer=_byte_grams, n_features=GRAM_FEATURES, binary=True, norm=None, alternate_sign=False, dtype=np.float32
    )
    return vectorizer.transform(texts)


def _byte_grams(text: str) -> list[bytes]:
    """Cut a text into n-grams of bytes: five Latin letters are about two Chinese characters, which say as much.

    Spaces around it give a text of any length some n-grams.
    """
    padded = b"".join([b"  ", text.encode("utf-8", "surrogatepass"), b"  "]).ljust(GRAM_BYTES)
    return [padded[start : start + GRAM_BYTES] for start in range(len(padded) - GRAM_BYTES + 1)]


def _plain(text: str) -> str:
    """Give the text without case, punctuation and repeated space; a text of punctuation alone keeps it."""
    folded = unicodedata.normalize("NFKC", text).casefold().replace("\0", " ")
    return re.sub(r"\s+", " ", folded.translate(_punctuation())).strip() or folded


@cache
def _punctuation() -> dict[int, str]:
    # "P" alone: marks that combine into letters, as in Devanagari, must stay.
    return {point: " " for point in range(0x20000) if unicodedata.category(chr(point)).startswith("P")}
