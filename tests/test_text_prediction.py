"""What a text student sees of a text."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from handful.text import prediction
from handful.text.backbone import find


def bag(text: str, longest: int = 4) -> list[int]:
    (row,) = prediction.ngram_buckets([text], longest)
    return sorted(row[row != prediction.BUCKETS].tolist())


def slow(text: str, longest: int) -> set[str]:
    cleaned = f" {' '.join(text.lower().split())} "
    grams = {cleaned[i : i + n] for n in range(2, longest + 1) for i in range(len(cleaned) - n + 1)}
    words = cleaned.split()
    return grams | {f" {a} " for a in words} | {f" {a} {b} " for a, b in itertools.pairwise(words)}


@given(st.lists(st.text(max_size=40), min_size=1, max_size=6), st.integers(1, 5))
def test_a_text_has_the_same_buckets_alone_and_in_company(texts: list[str], longest: int) -> None:
    together = prediction.ngram_buckets(texts, longest)
    for text, row in zip(texts, together, strict=True):
        assert sorted(row[row != prediction.BUCKETS].tolist()) == bag(text, longest)


@given(st.text(alphabet="ab c", max_size=25))
def test_the_buckets_are_those_of_the_n_grams_words_and_word_pairs(text: str) -> None:
    assert len(set(bag(text))) <= len(slow(text, 4))
    # With so few distinct n-grams a collision among 2^18 buckets does not happen by chance.
    assert len(set(bag(text))) == len(slow(text, 4))


def test_case_and_white_space_do_not_count() -> None:
    assert bag("Where is  my PARCEL") == bag("where is my parcel ")


def test_chinese_and_emoji_have_n_grams() -> None:
    assert set(bag("我的包裹在哪里")) & set(bag("包裹在哪"))
    assert bag("🙂🙂")


def test_a_text_of_a_megabyte_costs_no_more_than_a_long_one() -> None:
    longest = prediction.ngram_buckets(["a b" * 400_000], 5)
    assert longest.shape[1] < 6 * prediction.MAX_CHARACTERS
    assert prediction.cost("a" * 1_000_000) == prediction.cost("a" * prediction.MAX_CHARACTERS)


def test_an_empty_text_is_harmless() -> None:
    assert prediction.ngram_buckets(["", "x"], 3).shape[0] == 2
    assert np.isfinite(prediction.ngram_buckets([""], 3)).all()


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    folder, _ = find("sentence-transformers/all-MiniLM-L6-v2")
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


@given(texts=st.lists(st.text(alphabet="aé'.,- XY我🙂", max_size=30), min_size=1, max_size=5))
def test_words_have_the_tokens_that_they_have_within_their_text(tokenizer: Tokenizer, texts: list[str]) -> None:
    tokenizer.no_truncation()
    tokenizer.no_padding()
    found = prediction.Words(tokenizer, 64, -1)(texts)
    for text, row in zip(texts, found, strict=True):
        assert row[row >= 0].tolist() == tokenizer.encode(text, add_special_tokens=False).ids


def test_no_more_tokens_than_allowed_and_no_harm_from_half_a_character(tokenizer: Tokenizer) -> None:
    words = prediction.Words(tokenizer, 3, -1)
    assert words(["one two three four five", "", "\ud83d"]).shape == (3, 3)
    assert words([""]).tolist() == [[-1]]


def test_words_are_forgotten_before_they_fill_the_memory(tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prediction, "MOST_REMEMBERED", 100)
    words, fresh = prediction.Words(tokenizer, 8, -1), prediction.Words(tokenizer, 8, -1)
    for number in range(200):
        text = f"number {number} of many"
        assert words([text]).tolist() == fresh([text]).tolist()
    assert sum(map(len, words._known)) < 200
