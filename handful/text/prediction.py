"""What a text student needs to predict: hashed n-grams and token ids, with numpy and tokenizers alone."""

from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from handful.errors import StudentError

Features = Callable[[Sequence[str]], dict[str, np.ndarray]]

BUCKET_BITS = 18
BUCKETS = 2**BUCKET_BITS
# Odd, so that it has an inverse modulo 2^64: a window's hash is then a difference of two prefix sums.
BASE = np.uint64(0x9E3779B97F4A7C15)
INVERSE = np.uint64(pow(int(BASE), -1, 2**64))
MIX = np.uint64(0xFF51AFD7ED558CCD)
MAX_CHARACTERS = 2000
MOST_REMEMBERED = 2**20  # characters of words whose tokens are kept: some tens of megabytes
# A single character says something only in scripts in which it can be a word, which stand from here on.
IDEOGRAPHS = 0x2E80


def read(line: str) -> str:
    """A line of input is the text itself."""
    return line


def cost(content: str) -> int:
    """What a row weighs in a batch: its characters, as far as they are looked at."""
    return min(len(content), MAX_CHARACTERS) + 16


def featurizer(features: dict[str, Any], folder: Path) -> Features:
    """Return the function that turns texts into the inputs of the student in `folder`.

    `features` is what training stored: the most `tokens` per text and the `padding_id`; and for students that look
    words up `ngrams`, the longest character n-gram. Without it they are the encoder's inputs.
    """
    tokenizer, most, padding_id = _tokenizer(folder / "tokenizer.json"), features["tokens"], features["padding_id"]
    if "ngrams" not in features:
        tokenizer.enable_truncation(most)
        return lambda texts: encoder_inputs(tokenizer, texts, padding_id)
    words = Words(tokenizer, most, padding_id)
    return lambda texts: {"ngrams": ngram_buckets(texts, features["ngrams"]), "input_ids": words(texts)}


def _tokenizer(path: Path) -> Tokenizer:
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises nothing narrower for a missing and for a broken file
        raise StudentError(f"{path} cannot be loaded ({error}). Make the student again with: dvc repro") from None
    tokenizer.no_padding()
    return tokenizer


class Words:
    """The token ids of texts, word by word: each word is given to the tokenizer once and then looked up.

    Most texts are made of words that others had, and a tokenizer takes longer than all else that a student does.
    """

    def __init__(self, tokenizer: Tokenizer, most: int, padding_id: int) -> None:
        self.most, self.padding_id = most, padding_id
        self._tokenizer = Tokenizer.from_str(tokenizer.to_str())  # a copy: the encoder goes on truncating with its own
        self._tokenizer.no_truncation()
        self._known: dict[str, list[int]] = {}
        self._characters = 0

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """`input_ids` int64 [n, longest], at most `most` of each text, padded."""
        rows = [text[:MAX_CHARACTERS].split() for text in texts]
        known = self._looked_up({word for row in rows for word in row})
        return _padded(
            [[*chain.from_iterable(map(known.__getitem__, row))][: self.most] for row in rows], self.padding_id
        )

    def _looked_up(self, words: set[str]) -> dict[str, list[int]]:
        """Tokens by word, at least of these words."""
        if self._characters > MOST_REMEMBERED:
            self._known, self._characters = {}, 0  # a thread that still reads the old ones keeps them
        known = self._known
        new = sorted(word for word in words if word not in known)
        self._characters += sum(map(len, new))
        # After a space, as within a text: some tokenizers know a word by the space before it.
        known.update(zip(new, _ids(self._tokenizer, [f" {word}" for word in new], special=False), strict=True))
        return known


def encoder_inputs(tokenizer: Tokenizer, texts: Sequence[str], padding_id: int) -> dict[str, np.ndarray]:
    """`input_ids` and `attention_mask`, int64 [n, longest], with the special tokens that an encoder expects."""
    ids = _ids(tokenizer, texts, special=True)
    return {"input_ids": _padded(ids, padding_id), "attention_mask": _padded([[1] * len(row) for row in ids], 0)}


def _ids(tokenizer: Tokenizer, texts: Sequence[str], special: bool) -> list[list[int]]:
    # tokenizers takes whole characters alone: half of a surrogate pair becomes a question mark.
    whole = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
    return [encoding.ids for encoding in tokenizer.encode_batch_fast(whole, add_special_tokens=special)]


def _padded(ids: Sequence[Sequence[int]], padding_id: int) -> np.ndarray:
    """int64 [n, longest], longest at least 1."""
    lengths = np.array([len(row) for row in ids])
    inside = np.arange(max(1, int(lengths.max()))) < lengths[:, None]
    padded = np.full(inside.shape, padding_id, np.int64)
    padded[inside] = np.fromiter(chain.from_iterable(ids), np.int64, int(lengths.sum()))
    return padded


def ngram_buckets(texts: Sequence[str], longest: int) -> np.ndarray:
    """Hash character 2- to `longest`-grams, words and word pairs to buckets (Weinberger et al. 2009, without signs).

    Letter case and runs of white space do not count. Of scripts without spaces (Chinese) single characters count too.

    Returns:
        int64 [n, most n-grams of a text]; padded with BUCKETS.
    """
    cleaned = [f" {' '.join(text[:MAX_CHARACTERS].lower().split())} " for text in texts]
    characters = np.frombuffer("".join(cleaned).encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    lengths = np.array([len(text) for text in cleaned])
    ends = np.cumsum(lengths)
    text_of = np.repeat(np.arange(len(texts)), lengths)
    # prefix[i] = sum of character[j] · BASE^j for j < i, modulo 2^64 (Karp & Rabin 1987)
    powers = np.cumprod(np.concatenate([[np.uint64(1)], np.full(len(characters), BASE)]), dtype=np.uint64)
    inverses = np.cumprod(np.concatenate([[np.uint64(1)], np.full(len(characters), INVERSE)]), dtype=np.uint64)
    prefix = np.concatenate([[np.uint64(0)], np.cumsum((characters + np.uint64(1)) * powers[:-1], dtype=np.uint64)])
    starts, stops = [], []
    positions = np.arange(len(characters))
    for size in range(1, longest + 1):
        inside = positions[positions + size <= ends[text_of]]
        if size == 1:
            inside = inside[characters[inside] >= IDEOGRAPHS]
        starts.append(inside)
        stops.append(inside + size)
    spaces = np.flatnonzero(characters == ord(" "))
    for words in (1, 2):
        first, last = spaces[:-words], spaces[words:]
        # A word shorter than a character n-gram, with its spaces, is there already; one never spans two texts.
        word = (text_of[first] == text_of[last]) & (last - first + 1 > longest)
        starts.append(first[word])
        stops.append(last[word] + 1)
    start, stop = np.concatenate(starts), np.concatenate(stops)
    hashes = (prefix[stop] - prefix[start]) * inverses[start] * MIX
    buckets = (hashes ^ (hashes >> np.uint64(29))) * MIX >> np.uint64(64 - BUCKET_BITS)
    return _by_text(buckets.astype(np.int64), text_of[start], len(texts))


def _by_text(values: np.ndarray, text_of: np.ndarray, count: int) -> np.ndarray:
    order = np.argsort(text_of, kind="stable")
    lengths = np.bincount(text_of, minlength=count)
    inside = np.arange(int(lengths.max())) < lengths[:, None]
    padded = np.full(inside.shape, BUCKETS, np.int64)
    padded[inside] = values[order]
    return padded
