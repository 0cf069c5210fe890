"""New texts keep label and parent, differ from it, and depend on the seed alone."""

from random import Random

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handful import lineage
from handful.embedding import embed
from handful.text import augmentation, content, markov, recombination, units
from handful.text import templates as label_templates
from handful.text.backbone import Backbone, load
from handful.text.parameters import (
    ContextualReplacement,
    LabelTemplates,
    MarkovGeneration,
    PretrainedBackbone,
    RandomEdit,
    SegmentRecombination,
    TextOperation,
)

EDITS = [RandomEdit(kind=kind, share=0.3) for kind in ("random_insertion", "random_swap", "random_deletion")]
CONTEXTUAL = ContextualReplacement(kind="contextual_replacement", share=0.3, candidates=4)
TEMPLATES = LabelTemplates(kind="label_templates", templates=("{label}", "About {label}!"))
SEGMENTS = SegmentRecombination(kind="segment_recombination", segments=2)
MARKOV = MarkovGeneration(kind="markov_generation", order=2, parents=3)
MOST_PARENTS = {
    "random_insertion": 2,
    "random_swap": 1,
    "random_deletion": 1,
    "contextual_replacement": 1,
    "label_templates": 0,
    "segment_recombination": 2,
    "markov_generation": 3,
}
ENGLISH = [
    "where is my parcel, it was promised for monday",
    "the delivery of the order is late again",
    "please reset the password of my account",
    "i cannot sign in after the update",
]
CHINESE = ["我的包裹在哪里", "我忘记了密码", "发票上的金额不对"]


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return load(
        PretrainedBackbone(kind="pretrained", name="sentence-transformers/all-MiniLM-L6-v2", max_tokens=64), seed=0
    )


def table(contents: list[str], labels: list[str] | None = None) -> pd.DataFrame:
    given = [f"label {row % 2}" for row in range(len(contents))] if labels is None else labels
    ids = [f"id {row}" for row in range(len(contents))]
    return pd.DataFrame({"id": ids, "content": contents, "label": given}, dtype=object)


def ordered(made: pd.DataFrame) -> pd.DataFrame:
    return made.sort_values(list(made.columns), ignore_index=True)


def check(labelled: pd.DataFrame, made: pd.DataFrame, operations: list[TextOperation], rows: int) -> None:
    assert list(made.columns) == ["content", "label", "parent", "operation"]
    ids = made["content"].map(content.fingerprint)
    assert not ids.duplicated().any()
    assert not ids.isin(labelled["content"].map(content.fingerprint)).any()
    assert set(made["operation"]) <= {operation.kind for operation in operations}
    assert made["content"].str.strip().all()
    label_of = dict(zip(labelled["id"], labelled["label"], strict=True))
    for label, parent, operation in zip(made["label"], made["parent"], made["operation"], strict=True):
        parents = lineage.parents(parent)
        assert {label_of[one] for one in parents} == {label} if parents else parent == f"label:{label}"
        assert len(parents) <= MOST_PARENTS[operation]
    assert (
        made[made["operation"] != "label_templates"].groupby("operation").size().max() <= rows * len(labelled)
        or (made["operation"] == "label_templates").all()
    )


WORDS = st.sampled_from(["parcel", "late", "我", "忘记", "🙂", "👩‍👩‍👧", "don't", "a", "ภาษา", "été", "x\ny", "-"])
TEXTS = st.lists(WORDS, min_size=1, max_size=8).flatmap(
    lambda words: st.sampled_from([" ", "", "  ", ", "]).map(lambda gap: gap.join(words))
) | st.text(min_size=1, max_size=30)


@given(st.lists(TEXTS, max_size=6), st.integers(1, 3), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=150)
def test_edits_and_templates_keep_labels_and_parents_and_repeat_no_text(
    backbone: Backbone, contents: list[str], rows: int, seed: int
) -> None:
    labelled, operations = table(contents), [*EDITS, TEMPLATES, SEGMENTS, MARKOV]
    check(labelled, augmentation.augment(labelled, operations, rows, backbone, seed), operations, rows)


@pytest.mark.parametrize(
    ("contents", "expected"),
    [(["caf\u00e9 b", "cafe\u0301 c"], ["b", "c", "caf\u00e9"]), (["cafe\u0301 b", "caf\u00e9"], ["b"])],
)
def test_a_text_that_unicode_writes_in_two_ways_is_one_text(
    backbone: Backbone, contents: list[str], expected: list[str]
) -> None:
    made = augmentation.augment(table(contents), [EDITS[2]], 20, backbone, 0)
    assert sorted(made["content"]) == expected


@given(st.lists(TEXTS, min_size=1, max_size=5, unique=True), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=80)
def test_the_order_of_the_rows_does_not_count(backbone: Backbone, contents: list[str], random: Random) -> None:
    labelled = table(contents)
    order = list(range(len(contents)))
    random.shuffle(order)
    # Of two parents with the same child the first keeps it: so each operation's texts are compared.
    for operation in [*EDITS, TEMPLATES, SEGMENTS, MARKOV]:
        texts = [
            sorted(augmentation.augment(rows, [operation], 2, backbone, 3)["content"])
            for rows in (labelled, labelled.iloc[order])
        ]
        assert texts[0] == texts[1]


@pytest.mark.parametrize("contents", [ENGLISH, CHINESE])
def test_contextual_replacement_keeps_labels_parents_and_meaning(backbone: Backbone, contents: list[str]) -> None:
    labelled = table(contents)
    made = augmentation.augment(labelled, [CONTEXTUAL], 2, backbone, 0)
    assert set(made["parent"]) == set(labelled["id"])
    check(labelled, made, [CONTEXTUAL], 2)
    parents = labelled.set_index("id")["content"]
    alike = (embed(backbone, made["content"].tolist()) * embed(backbone, parents[made["parent"]].tolist())).sum(axis=1)
    assert (alike > 0.3).all()


def test_of_more_candidates_one_nearer_to_the_parent_is_kept(backbone: Backbone) -> None:
    labelled = table(ENGLISH)

    def likeness(candidates: int) -> float:
        operation = ContextualReplacement(kind="contextual_replacement", share=0.3, candidates=candidates)
        made = augmentation.augment(labelled, [operation], 1, backbone, 0)
        parents = embed(backbone, labelled.set_index("id")["content"][made["parent"]].tolist())
        return float((embed(backbone, made["content"].tolist()) * parents).sum(axis=1).mean())

    assert likeness(32) > likeness(2)


def test_contextual_replacement_needs_words_to_choose_from(backbone: Backbone) -> None:
    assert augmentation.augment(table(["parcel late", "password"]), [CONTEXTUAL], 2, backbone, 0).empty
    assert augmentation.augment(table(["🙂", "?!"]), [CONTEXTUAL], 2, backbone, 0).empty


def test_the_same_seed_gives_the_same_texts_and_another_seed_others(backbone: Backbone) -> None:
    labelled, operations = table(ENGLISH), [*EDITS, CONTEXTUAL, TEMPLATES, SEGMENTS, MARKOV]
    first, again, other = (augmentation.augment(labelled, operations, 2, backbone, seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first, again)
    assert not ordered(first).equals(ordered(other))
    backwards = augmentation.augment(labelled[::-1], operations, 2, backbone, 1)
    pd.testing.assert_frame_equal(ordered(first), ordered(backwards))


def made_by(kind: str, content: str, backbone: Backbone, others: list[str] | None = None) -> list[str]:
    labelled = table([content, *(others or [])], ["x"] * (1 + len(others or [])))
    operation = next(edit for edit in EDITS if edit.kind == kind)
    made = augmentation.augment(labelled, [operation], 5, backbone, 0)
    return [text for text, parent in zip(made["content"], made["parent"], strict=True) if "id 0" in parent.split(";")]


def test_insertion_adds_words_of_the_same_class(backbone: Backbone) -> None:
    labelled = table(["alpha beta gamma", "delta epsilon"], ["x", "y"])
    made = augmentation.augment(labelled, EDITS[:1], 5, backbone, 0)
    for row in made[made["label"] == "x"].itertuples():
        words = row.content.split()
        assert len(words) == 4
        assert set(words) == {"alpha", "beta", "gamma"}


def test_a_swap_moves_words_and_keeps_what_lies_between_them(backbone: Backbone) -> None:
    for text in made_by("random_swap", "one  two\tthree", backbone):
        assert sorted(text.split()) == ["one", "three", "two"]
        assert [character for character in text if character.isspace()] == [" ", " ", "\t"]


def test_a_deletion_takes_words_and_never_all(backbone: Backbone) -> None:
    found = made_by("random_deletion", "one two", backbone)
    assert found
    assert set(found) <= {"one", "two"}


def test_texts_without_spaces_are_edited_by_their_characters(backbone: Backbone) -> None:
    (parent, *others) = CHINESE
    swapped = made_by("random_swap", parent, backbone, others)
    deleted = made_by("random_deletion", parent, backbone, others)
    inserted = made_by("random_insertion", parent, backbone, others)
    assert swapped
    assert all(sorted(text) == sorted(parent) for text in swapped)
    assert deleted
    assert all(len(text) < len(parent) and set(text) <= set(parent) for text in deleted)
    assert inserted
    assert all(len(text) > len(parent) and " " not in text for text in inserted)


@pytest.mark.parametrize("content", ["parcel", "🙂", "我", "?"])
def test_a_text_of_one_word_has_no_edits(backbone: Backbone, content: str) -> None:
    assert augmentation.augment(table([content]), EDITS, 3, backbone, 0).empty


def test_templates_are_made_once_per_label_and_belong_to_it(backbone: Backbone) -> None:
    labelled = table(["a b", "c d", "e f"], ["lateDelivery", "wrong_invoice", "wrong_invoice"])
    made = augmentation.augment(labelled, [TEMPLATES], 3, backbone, 0)
    assert made["content"].tolist() == [
        "late delivery",
        "About late delivery!",
        "wrong invoice",
        "About wrong invoice!",
    ]
    assert made["parent"].tolist() == ["label:lateDelivery"] * 2 + ["label:wrong_invoice"] * 2
    assert made["label"].tolist() == ["lateDelivery"] * 2 + ["wrong_invoice"] * 2


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("late_delivery", "late delivery"),
        ("lateDelivery", "late delivery"),
        ("Refund_not_showing_up", "refund not showing up"),
        ("billing/invoice.wrong", "billing invoice wrong"),
        ("  top-up  ", "top up"),
        ("ATM", "atm"),
        ("密码错误", "密码错误"),
        ("7", "7"),
    ],
)
def test_a_label_is_read_as_words(label: str, words: str) -> None:
    assert label_templates.readable(label) == words


def test_texts_are_multiplied_from_units_that_were_there() -> None:
    given_texts = ["where is my parcel", "我的包裹在哪里", "ok", "🙂"]
    made = augmentation.multiply(given_texts, 200, seed=3)
    assert len(made) == 200
    assert made == augmentation.multiply(given_texts, 200, seed=3)
    assert all(text.strip() for text in made)
    assert set(units.vocabulary(made)) <= set(units.vocabulary(given_texts))


def test_halves_of_chinese_texts_are_put_together_without_a_space() -> None:
    made = augmentation.multiply(["我的包裹在哪里", "我忘记了密码"], 50, seed=3)
    assert not any(" " in text for text in made)
    assert " " in augmentation._joined("where is my parcel", "reset the password")


def test_what_is_inserted_comes_from_a_row_that_is_named_as_a_parent(backbone: Backbone) -> None:
    labelled = table(["a b c", "d e f", "g h i"], ["x"] * 3)
    words = {"id 0": set("abc"), "id 1": set("def"), "id 2": set("ghi")}
    made = augmentation.augment(labelled, EDITS[:1], 9, backbone, 0)
    assert made["parent"].str.contains(";").any()
    for text, parent in zip(made["content"], made["parent"], strict=True):
        assert set(text.split()) <= set().union(*(words[one] for one in lineage.parents(parent)))


@pytest.mark.parametrize(
    ("text", "count", "parts"),
    [
        ("hello there, where is my parcel?", 2, ["hello there,", "where is my parcel?"]),
        ("one two three four", 2, ["one two", "three four"]),
        ("one two three four", 4, ["one", "two", "three", "four"]),
        ("one", 3, ["one", "", ""]),
        ("it costs 3.50 for me. Why?", 2, ["it costs 3.50 for me.", "Why?"]),
        ("你好，我的包裹在哪里？", 2, ["你好，", "我的包裹在哪里？"]),
        ("我忘记密码", 2, ["我忘", "记密码"]),
        ("🙂", 2, ["🙂", ""]),
        ("", 2, ["", ""]),
    ],
)
def test_a_text_is_cut_where_clauses_end_or_else_between_units(text: str, count: int, parts: list[str]) -> None:
    assert recombination.segments(text, count) == parts


@given(TEXTS, st.integers(2, 8))
def test_the_segments_of_a_text_hold_all_of_its_units(text: str, count: int) -> None:
    parts = recombination.segments(text, count)
    assert len(parts) == count
    assert "".join("".join(parts).split()) == "".join(text.split())


def test_segments_of_two_rows_of_a_class_are_put_together_in_their_places(backbone: Backbone) -> None:
    labelled = table(["hello, a parcel", "good day, a letter", "bye, a bill"], ["x", "x", "y"])
    made = augmentation.augment(labelled, [SEGMENTS], 8, backbone, 0)
    assert set(made["content"]) == {"hello, a letter", "good day, a parcel"}
    assert set(made["parent"]) == {"id 0;id 1"}
    assert set(made["label"]) == {"x"}


def test_segments_of_unspaced_texts_are_put_together_without_a_space(backbone: Backbone) -> None:
    labelled = table(["你好，包裹在哪里？", "请问，发票不对。"], ["x", "x"])
    made = augmentation.augment(labelled, [SEGMENTS], 8, backbone, 0)
    assert set(made["content"]) == {"你好，发票不对。", "请问，包裹在哪里？"}


def test_a_markov_text_says_only_what_its_few_parents_say(backbone: Backbone) -> None:
    labelled = table([*ENGLISH, *CHINESE], ["e"] * 4 + ["c"] * 3)
    contents = dict(zip(labelled["id"], labelled["content"], strict=True))
    made = augmentation.augment(labelled, [MARKOV], 6, backbone, 0)
    assert set(made["label"]) == {"e", "c"}
    for row in made.itertuples():
        known = {unit for one in lineage.parents(row.parent) for unit in units.UNIT.findall(contents[one])}
        assert set(units.UNIT.findall(row.content)) <= known
        assert " " not in row.content or row.label == "e"


def test_a_chain_counts_what_follows_each_context() -> None:
    follows = markov.chain(["a b a", "a c"], order=1)
    assert follows["a",] == {"b": 1, "c": 1, markov.END: 1}
    assert follows[markov.BEGIN,] == {"a": 2}
    assert follows[()] == {"a": 3, "b": 1, "c": 1, markov.END: 2}
