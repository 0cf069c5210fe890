"""New texts keep label and parent, differ from it, and depend on the seed alone."""

from random import Random

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handful.embedding import embed
from handful.text import augmentation
from handful.text.backbone import Backbone, load
from handful.text.parameters import (
    ContextualReplacement,
    LabelTemplates,
    PretrainedBackbone,
    RandomEdit,
    TextOperation,
)

EDITS = [RandomEdit(kind=kind, share=0.3) for kind in ("random_insertion", "random_swap", "random_deletion")]
CONTEXTUAL = ContextualReplacement(kind="contextual_replacement", share=0.3, candidates=4)
TEMPLATES = LabelTemplates(kind="label_templates", templates=("{label}", "About {label}!"))
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
    assert not made["content"].duplicated().any()
    assert not made["content"].isin(labelled["content"]).any()
    assert set(made["operation"]) <= {operation.kind for operation in operations}
    label_of = dict(zip(labelled["id"], labelled["label"], strict=True))
    label_of |= {f"label:{label}": label for label in labelled["label"]}
    assert made["label"].tolist() == [label_of[parent] for parent in made["parent"]]
    edited = made[made["operation"] != "label_templates"]
    assert edited.groupby(["parent", "operation"]).size().max() <= rows if len(edited) else True


WORDS = st.sampled_from(["parcel", "late", "我", "忘记", "🙂", "👩‍👩‍👧", "don't", "a", "ภาษา", "été", "x\ny", "-"])
TEXTS = st.lists(WORDS, min_size=1, max_size=8).flatmap(
    lambda words: st.sampled_from([" ", "", "  ", ", "]).map(lambda gap: gap.join(words))
) | st.text(min_size=1, max_size=30)


@given(st.lists(TEXTS, max_size=6), st.integers(1, 3), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=150)
def test_edits_and_templates_keep_labels_and_parents_and_repeat_no_text(
    backbone: Backbone, contents: list[str], rows: int, seed: int
) -> None:
    labelled, operations = table(contents), [*EDITS, TEMPLATES]
    check(labelled, augmentation.augment(labelled, operations, rows, backbone, seed), operations, rows)


@given(st.lists(TEXTS, min_size=1, max_size=5, unique=True), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=80)
def test_the_order_of_the_rows_does_not_count(backbone: Backbone, contents: list[str], random: Random) -> None:
    labelled = table(contents)
    order = list(range(len(contents)))
    random.shuffle(order)
    # Of two parents with the same child the first keeps it: so each operation's texts are compared.
    for operation in [*EDITS, TEMPLATES]:
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
    labelled, operations = table(ENGLISH), [*EDITS, CONTEXTUAL, TEMPLATES]
    first, again, other = (augmentation.augment(labelled, operations, 2, backbone, seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first, again)
    assert not ordered(first).equals(ordered(other))
    backwards = augmentation.augment(labelled[::-1], operations, 2, backbone, 1)
    pd.testing.assert_frame_equal(ordered(first), ordered(backwards))


def made_by(kind: str, content: str, backbone: Backbone, others: list[str] | None = None) -> list[str]:
    labelled = table([content, *(others or [])], ["x"] * (1 + len(others or [])))
    operation = next(edit for edit in EDITS if edit.kind == kind)
    made = augmentation.augment(labelled, [operation], 5, backbone, 0)
    return made.loc[made["parent"] == "id 0", "content"].tolist()


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
    assert augmentation.readable(label) == words


def test_texts_are_multiplied_from_units_that_were_there() -> None:
    given_texts = ["where is my parcel", "我的包裹在哪里", "ok", "🙂"]
    made = augmentation.multiply(given_texts, 200, seed=3)
    assert len(made) == 200
    assert made == augmentation.multiply(given_texts, 200, seed=3)
    assert all(text.strip() for text in made)
    units = {unit for text in given_texts for unit in augmentation.UNIT.findall(text)}
    assert {unit for text in made for unit in augmentation.UNIT.findall(text)} <= units
