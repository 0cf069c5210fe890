"""The stage select: what it offers, leaves out, lists and proposes; no row is lost."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from handful import quality
from handful.parameters import Parameters, read
from handful.parameters.learning import Bound, LabelNext, Pruning, Select
from handful.text import augmentation, content
from handful.text.backbone import Backbone, load
from handful.text.parameters import PretrainedBackbone
from tasks.augment import augment
from tasks.select import COLUMNS, Selected, select

WORDS = {
    "parcel": ["parcel", "box", "delivery", "shipment", "courier", "package"],
    "password": ["password", "login", "account", "sign in", "access code", "pin"],
    "invoice": ["invoice", "bill", "charge", "payment", "receipt", "price"],
}
SENTENCES = ["where is the {} that i was promised", "there is a problem with my {}", "please help me with this {}"]


def rows_of(words: slice, labels: bool) -> pd.DataFrame:
    made = [
        (f"{label}{word}{number}".replace(" ", ""), sentence.format(word), label if labels else None)
        for label, listed in WORDS.items()
        for word in listed[words]
        for number, sentence in enumerate(SENTENCES)
    ]
    table = pd.DataFrame(made, columns=["id", "content", "label"], dtype=object)
    return table.assign(key=None, origin=[f"rows.csv row {row + 2}" for row in range(len(table))])


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return load(
        PretrainedBackbone(kind="pretrained", name="sentence-transformers/all-MiniLM-L6-v2", max_tokens=64), seed=0
    )


@pytest.fixture(scope="module")
def parameters() -> Parameters:
    return read("params.yaml")


@pytest.fixture(scope="module")
def tables() -> dict[str, pd.DataFrame]:
    """Two labelled rows of parcels are called passwords."""
    labelled = rows_of(slice(0, 4), True)
    labelled.loc[[1, 5], "label"] = "password"
    return {"labelled": labelled, "unlabelled": rows_of(slice(4, 6), False), "source": labelled.head(0)}


@pytest.fixture(scope="module")
def augmented(tables: dict[str, pd.DataFrame], parameters: Parameters, backbone: Backbone) -> pd.DataFrame:
    return augment(tables["labelled"], parameters.augment, parameters.probe, augmentation, content, backbone, 0)


@pytest.fixture(scope="module")
def selecting(
    tables: dict[str, pd.DataFrame], augmented: pd.DataFrame, parameters: Parameters, backbone: Backbone
) -> Callable[[Select], Selected]:
    return lambda chosen: select(tables, augmented, chosen, parameters.probe, content, backbone, 0)


def test_without_pruning_all_labelled_rows_are_learned_from_and_none_is_listed(
    selecting: Callable[[Select], Selected], tables: dict[str, pd.DataFrame], parameters: Parameters
) -> None:
    found = selecting(parameters.select)
    assert list(found.training.columns) == COLUMNS
    own = found.training[found.training["origin_kind"] == "labelled"]
    assert own["id"].tolist() == tables["labelled"]["id"].tolist()
    assert found.pruned.empty
    assert found.training["weight"].min() > 0


def test_the_verdicts_name_every_operation_and_tell_its_quality(
    selecting: Callable[[Select], Selected], augmented: pd.DataFrame, parameters: Parameters
) -> None:
    gate = selecting(parameters.select).gate
    operations = {operation.kind for operation in parameters.augment.operations}
    assert set(gate) == {*operations, "source", "pool"}
    assert {name for name, verdict in gate.items() if verdict["quality"]} == operations
    for name in operations:
        own = augmented[augmented["operation"] == name]
        assert gate[name]["quality"]["rows"] == len(own)
        for measure in quality.MEASURES:
            assert gate[name]["quality"][measure] == pytest.approx(own[measure].mean(), abs=1e-4)


def test_rows_whose_label_looks_wrong_are_listed_and_neither_they_nor_their_children_are_learned_from(
    selecting: Callable[[Select], Selected], tables: dict[str, pd.DataFrame], parameters: Parameters
) -> None:
    pytest.importorskip("cleanlab", reason="pruning needs handful[noise]")
    found = selecting(parameters.select.model_copy(update={"prune_noise": Pruning(kind="cleanlab")}))
    assert found.gate["pruning"]["used"]
    assert found.gate["pruning"]["rows"] == len(found.pruned) > 0
    assert set(found.pruned["id"]) >= set(tables["labelled"]["id"].iloc[[1, 5]])
    assert set(found.pruned.loc[found.pruned["id"].isin(tables["labelled"]["id"].iloc[[1, 5]]), "guess"]) == {"parcel"}
    own = found.training[found.training["origin_kind"] == "labelled"]
    assert sorted([*own["id"], *found.pruned["id"]]) == sorted(tables["labelled"]["id"])
    parents = found.training["parent"].dropna().str.split(";").explode()
    assert not parents.isin(found.pruned["id"]).any()


def test_a_filter_bounds_what_is_added_and_not_what_is_proposed(
    selecting: Callable[[Select], Selected], tables: dict[str, pd.DataFrame], parameters: Parameters
) -> None:
    bound = Bound(column="size", minimum=None, maximum=3)
    found = selecting(parameters.select.model_copy(update={"filter": (bound,)}))
    assert found.training["origin_kind"].unique().tolist() == ["labelled"]
    assert set(found.label_next["id"]) <= set(tables["unlabelled"]["id"])
    assert len(found.label_next)


@pytest.mark.parametrize("kind", ["random", "badge", "weighted_facility_location"])
def test_as_many_rows_are_proposed_for_labelling_as_wanted(
    selecting: Callable[[Select], Selected], tables: dict[str, pd.DataFrame], parameters: Parameters, kind: str
) -> None:
    found = selecting(parameters.select.model_copy(update={"label_next": LabelNext(kind=kind, count=5)})).label_next
    assert list(found.columns) == [*tables["unlabelled"].columns, "guess", "probability"]
    assert len(found) == found["id"].nunique() == 5
    assert set(found["guess"]) <= set(WORDS)
    assert found["probability"].between(1 / 3, 1).all()
    assert found["probability"].map(lambda probability: len(str(probability)) <= len("0.1234")).all()


def test_the_worst_by_the_chosen_measure_are_dropped(
    tables: dict[str, pd.DataFrame], parameters: Parameters, backbone: Backbone
) -> None:
    def made(kind: str, share: float) -> pd.DataFrame:
        quality_of = parameters.augment.quality.model_copy(update={"kind": kind})
        chosen = parameters.augment.model_copy(update={"quality": quality_of, "share_dropped": share})
        return augment(tables["labelled"], chosen, parameters.probe, augmentation, content, backbone, 0)

    everything, kept = made("euclidean", 0.0), made("euclidean", 0.3)
    for operation, own in everything.groupby("operation"):
        left = kept[kept["operation"] == operation]
        assert len(left) == len(own) - int(0.3 * len(own))
        assert left["euclidean"].max() <= np.sort(own["euclidean"])[len(left) - 1] + 1e-6
    assert set(made("likelihood", 0.3)["id"]) != set(kept["id"])
