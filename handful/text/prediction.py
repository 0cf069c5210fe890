"""What a text student needs to predict: hashed n-grams and token ids, with numpy and tokenizers alone."""

from collections.abc import Callable, Sequence
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

    `features` is what training stored: `ngrams` (longest character n-gram) for the input `ngrams`, `tokens` (the most
    tokens per text) and `padding_id` for token inputs, `mask` whether an attention mask goes with them.
    """
    parts: list[Features] = []
    if "ngrams" in features:
        parts.append(lambda texts: {"ngrams": ngram_buckets(texts, features["ngrams"])})
    if "tokens" in features:
        tokenizer = _tokenizer(folder / "tokenizer.json")
        tokenizer.enable_truncation(features["tokens"])
        special = features["special_tokens"]
        parts.append(lambda texts: token_ids(tokenizer, texts, features["padding_id"], special, features["mask"]))
    return lambda texts: {name: array for part in parts for name, array in part(texts).items()}


def _tokenizer(path: Path) -> Tokenizer:
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises nothing narrower for a missing and for a broken file
        raise StudentError(f"{path} cannot be loaded ({error}). Make the student again with: dvc repro") from None
    tokenizer.no_padding()
    return tokenizer


def token_ids(
    tokenizer: Tokenizer, texts: Sequence[str], padding_id: int, special: bool, mask: bool
) -> dict[str, np.ndarray]:
    """`input_ids` int64 [n, longest], padded; with `mask` also `attention_mask`."""
    # tokenizers takes whole characters alone: half of a surrogate pair becomes a question mark.
    whole = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
    ids = [encoding.ids for encoding in tokenizer.encode_batch_fast(whole, add_special_tokens=special)]
    lengths = np.array([len(row) for row in ids])
    inside = np.arange(max(1, int(lengths.max()))) < lengths[:, None]
    input_ids = np.full(inside.shape, padding_id, np.int64)
    input_ids[inside] = np.concatenate([np.asarray(row, np.int64) for row in ids])
    return {"input_ids": input_ids, "attention_mask": inside.astype(np.int64)} if mask else {"input_ids": input_ids}


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
