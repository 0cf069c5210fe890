"""What may join the labelled rows, and what a fold may see of it."""

import numpy as np
import pandas as pd
import pytest

from handful import crossvalidation, lineage, offers
from handful.embedding import embed
from handful.gate import Gate, Rows
from handful.parameters import read
from handful.parameters.learning import Bound, Select, SourceSelection
from handful.text import augmentation, content
from handful.text.backbone import Backbone, load
from handful.text.parameters import MarkovGeneration, PretrainedBackbone, RandomEdit, SegmentRecombination

TEXTS = {
    "parcel": ["where is my parcel", "the parcel is late, again", "my delivery is lost", "the box came broken"],
    "password": ["i forgot my password", "the login fails, why", "reset my account please", "i cannot sign in"],
}
OPERATIONS = [
    RandomEdit(kind="random_insertion", share=0.3),
    SegmentRecombination(kind="segment_recombination", segments=2),
    MarkovGeneration(kind="markov_generation", order=2, parents=3),
]


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return load(
        PretrainedBackbone(kind="pretrained", name="sentence-transformers/all-MiniLM-L6-v2", max_tokens=64), seed=0
    )


@pytest.fixture(scope="module")
def labelled() -> pd.DataFrame:
    rows = [(f"id{label}{row}", text, label) for label, texts in TEXTS.items() for row, text in enumerate(texts)]
    return pd.DataFrame(rows, columns=["id", "content", "label"], dtype=object)


@pytest.fixture(scope="module")
def augmented(labelled: pd.DataFrame, backbone: Backbone) -> pd.DataFrame:
    made = augmentation.augment(labelled, OPERATIONS, 4, backbone, 0)
    return made.assign(id=[f"new{row}" for row in range(len(made))])


@pytest.fixture(scope="module")
def parameters() -> Select:
    return read("params.yaml").select.model_copy(update={"augmented_rows_per_class": 50, "source_rows_per_class": 2})


def test_a_fold_learns_nothing_from_rows_of_which_any_parent_is_held_out(
    labelled: pd.DataFrame, augmented: pd.DataFrame, backbone: Backbone, parameters: Select
) -> None:
    ids = labelled["id"].to_numpy()
    assert (augmented["parent"].str.count(lineage.SEPARATOR) > 0).any()
    for offer in offers.augmentations(labelled, augmented, parameters, backbone, 0):
        for _, held_out in crossvalidation.splits(labelled["label"].to_numpy(str), 4, 1, 0):
            training = np.setdiff1d(np.arange(len(ids)), held_out)
            table = offer.table(training)
            assert not any(set(lineage.parents(parent)) & set(ids[held_out]) for parent in table["parent"])
            assert offer.rows(training).embeddings == pytest.approx(embed(backbone, table["content"].tolist()))
        assert len(offer.table(np.arange(len(ids)))) == offer.count


def test_of_a_fold_that_holds_out_one_parent_the_children_of_others_stay(
    labelled: pd.DataFrame, augmented: pd.DataFrame, backbone: Backbone, parameters: Select
) -> None:
    everyone = np.arange(len(labelled))
    for offer in offers.augmentations(labelled, augmented, parameters, backbone, 0):
        assert 0 < len(offer.rows(everyone[1:])) < offer.count


def test_rows_outside_of_a_bound_are_not_offered(augmented: pd.DataFrame) -> None:
    measured = augmented.assign(diversity=np.linspace(0, 1, len(augmented)))
    bounds = [
        Bound(column="size", minimum=10, maximum=None),
        Bound(column="diversity", minimum=0.2, maximum=0.8),
    ]
    kept = offers.within(measured, bounds, content.size)
    assert kept["content"].str.len().min() >= 10
    assert kept["diversity"].between(0.2, 0.8).all()
    expected = measured[(measured["content"].str.len() >= 10) & measured["diversity"].between(0.2, 0.8)]
    assert kept["id"].tolist() == expected["id"].tolist()


def test_a_bound_on_a_measure_that_a_table_lacks_leaves_its_rows(labelled: pd.DataFrame) -> None:
    kept = offers.within(labelled, [Bound(column="diversity", minimum=2, maximum=None)], content.size)
    pd.testing.assert_frame_equal(kept, labelled)


@pytest.mark.parametrize("kind", ["random", "facility_location", "density_ratio"])
def test_source_rows_are_taken_for_our_labels_alone(
    labelled: pd.DataFrame, backbone: Backbone, parameters: Select, kind: str
) -> None:
    source = pd.DataFrame(
        {
            "id": [f"s{row}" for row in range(6)],
            "content": ["the parcel got lost", "purple elephants sing", "where did my box go", "hello", "a", "b"],
            "label": ["parcel"] * 4 + ["weather"] * 2,
        },
        dtype=object,
    )
    known = offers.rows_of(labelled, backbone, 1.0)
    chosen = parameters.model_copy(update={"source_selection": SourceSelection(kind=kind)})
    offer = offers.source_offer(source, known, known.embeddings[:0], chosen, backbone, 0)
    table = offer.table(np.arange(8))
    assert offer.count == len(table) == len(offer.rows(np.arange(8))) == 2
    assert set(table["label"]) == {"parcel"}
    if kind == "density_ratio":
        assert set(table["content"]) == {"the parcel got lost", "where did my box go"}
        assert table["weight"].between(0, 2 * parameters.added_weight).all()


def test_guesses_on_the_pool_come_from_a_probe_of_the_rows_that_are_believed(
    labelled: pd.DataFrame, backbone: Backbone, parameters: Select
) -> None:
    known = offers.rows_of(labelled, backbone, 1.0)
    pool = pd.DataFrame({"id": ["p0", "p1"], "content": ["my parcel, please", "a new password"], "label": None})
    vectors = embed(backbone, pool["content"].tolist())
    gate = Gate(known, crossvalidation.splits(known.labels, 2, 1, 0), 10.0, 0.5)
    sure = parameters.model_copy(update={"minimum_confidence": 0.51})
    offer = offers.pool_offer(pool, vectors, gate, sure)
    assert dict(zip(offer.table(np.arange(8))["id"], offer.table(np.arange(8))["label"], strict=True)) == {
        "p0": "parcel",
        "p1": "password",
    }
    # With the labels exchanged the guesses are exchanged, too: they are the probe's.
    exchanged = Gate(Rows(known.embeddings, known.labels[::-1], known.weights), gate.splits, 10.0, 0.5)
    assert offers.pool_offer(pool, vectors, exchanged, sure).rows(np.arange(8)).labels.tolist() == [
        "password",
        "parcel",
    ]


def test_guesses_on_the_pool_prune_no_rows_a_second_time(
    labelled: pd.DataFrame, backbone: Backbone, parameters: Select
) -> None:
    known = offers.rows_of(labelled, backbone, 1.0)
    asked: list[int] = []

    def without_the_first(training: np.ndarray) -> np.ndarray:
        asked.append(len(training))
        return training[1:]

    gate = Gate(known, crossvalidation.splits(known.labels, 2, 1, 0), 10.0, 0.5, keep=without_the_first)
    pool = labelled.head(2)
    offer = offers.pool_offer(pool, known.embeddings[:2], gate, parameters)
    offer.table(gate.believed(np.arange(8)))
    assert asked.count(8) == 1
    assert 7 not in asked
