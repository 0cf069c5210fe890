"""Texts: what is usable, what is the same, what nearly repeats."""

import time
import tracemalloc
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handful.text import content


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Where is my parcel?", None),
        ("钱", None),
        ("", "empty text"),
        (" \n\t\u3000", "empty text"),
        ("a\0b", "holds a NUL character"),
        (b"bytes", "not a text"),
        ("x" * 21, "longer than 20 characters"),
        ("x" * 1_000_000, "longer than 20 characters"),
    ],
)
def test_a_text_that_cannot_be_used_has_a_reason(text: object, reason: str | None) -> None:
    assert content.check(text, 1, 20) == reason


def test_a_text_at_the_bounds_is_usable_and_one_character_beyond_is_not() -> None:
    assert content.check("abc", 3, 5) is None
    assert content.check("abcde", 3, 5) is None
    assert content.check("ab", 3, 5) == "shorter than 3 characters"
    assert content.check("abcdef", 3, 5) == "longer than 5 characters"


@given(st.text())
def test_composed_and_decomposed_letters_have_one_fingerprint(text: str) -> None:
    prints = {content.fingerprint(unicodedata.normalize(form, text)) for form in ("NFC", "NFD")}
    assert len(prints) == 1
    assert len(prints.pop()) == 32


def test_texts_that_differ_in_case_alone_have_different_fingerprints() -> None:
    assert content.fingerprint("Card") != content.fingerprint("card")


def test_a_preview_is_one_short_line() -> None:
    assert content.preview("a\n\n b\0") == "a b␀"
    assert len(content.preview("word " * 100)) == 80


def test_a_text_has_no_picture() -> None:
    assert content.picture("a") is None


def test_a_near_duplicate_is_found_across_case_punctuation_and_one_typo() -> None:
    references = ["What is the weather like in Lisbon today?", "I was charged twice for the same order last week"]
    texts = [
        "i was charged twice for the same order last week!!",
        "I was charged twise for the same order last week",
        "No",
    ]
    assert content.near_duplicates(texts, references, 0.85).tolist() == [1, 1, -1]


def test_a_near_duplicate_is_found_in_chinese() -> None:
    references = ["酒店位置很好，离地铁站很近，房间也干净", "书的内容很好"]
    texts = ["酒店位置很好,离地铁站很近,房间也干净!", "酒店位置很差", "书的内容很差劲"]
    assert content.near_duplicates(texts, references, 0.9).tolist() == [0, -1, -1]


def test_the_most_similar_reference_wins_and_of_equal_ones_the_first() -> None:
    references = ["please cancel my order nowadays", "please cancel my order now", "Please cancel my order now."]
    assert content.near_duplicates(["please cancel my order now"], references, 0.6).tolist() == [1]


@pytest.mark.parametrize("text", ["?", "ok", "", "😀", "钱", "\0"])
def test_a_text_shorter_than_an_n_gram_matches_itself_and_nothing_else(text: str) -> None:
    assert content.near_duplicates([text], ["another text", text], 0.9).tolist() == [1]
    assert content.near_duplicates([text], ["another text"], 0.9).tolist() == [-1]


def test_no_texts_or_no_references_give_no_matches() -> None:
    assert content.near_duplicates([], ["a"], 0.9).tolist() == []
    assert content.near_duplicates(["a", "b"], [], 0.9).tolist() == [-1, -1]


WORDS = st.lists(st.sampled_from(["card", "order", "refund", "my", "late", "退款", "a"]), min_size=1, max_size=8)
TEXTS = st.lists(WORDS.map(" ".join), min_size=1, max_size=12)


@settings(deadline=None)
@given(TEXTS, TEXTS, st.sampled_from([0.55, 0.7, 0.9, 1.0]))
def test_the_prefix_filter_finds_what_comparing_all_pairs_finds(
    texts: list[str], others: list[str], bound: float
) -> None:
    def grams(text: str) -> set[bytes]:
        padded = f"  {text}  ".encode()
        return {padded[i : i + 5] for i in range(len(padded) - 4)}

    def cosine(text: str, other: str) -> float:
        return len(grams(text) & grams(other)) / np.sqrt(len(grams(text)) * len(grams(other)))

    found = content.near_duplicates(texts, others, bound)
    for text, index in zip(texts, found, strict=True):
        best = max(cosine(text, other) for other in others)
        assert (index >= 0) == (best >= bound - 1e-6)
        assert index < 0 or cosine(text, others[index]) == pytest.approx(best)


def test_ten_thousand_texts_against_three_thousand_take_seconds_and_little_memory() -> None:
    random = np.random.default_rng(0)
    words = np.array([f"w{random.integers(10**5)}" for _ in range(2000)])
    texts = [" ".join(random.choice(words, 12)) for _ in range(10_000)]
    references = [f"{text} please" for text in texts[:3000]]
    content.near_duplicates(texts[:2], references[:2], 0.9)  # the import is not what is measured
    tracemalloc.start()
    began = time.process_time()
    found = content.near_duplicates(texts, references, 0.85)
    seconds = time.process_time() - began
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found[:3000].tolist() == list(range(3000))
    assert seconds < 30
    assert peak < 500e6


def test_thousands_of_texts_from_one_template_stay_in_bounded_memory() -> None:
    texts = [f"Your parcel with the number {number} is on its way to you" for number in range(3000)]
    tracemalloc.start()
    found = content.near_duplicates(texts, texts[:1000], 0.8)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found[:1000].tolist() == list(range(1000))
    assert peak < 800e6
