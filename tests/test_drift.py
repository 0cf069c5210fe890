"""Random halves of one data set do not drift, at the bounds that are shipped; what was planted is found and named."""

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handful import drift, parameters, profile, readers
from handful.champion import Champion
from handful.embedding import Backbone
from handful.modality import part
from handful.parameters import Parameters
from handful.parameters.tables import Drift
from handful.profile import Cloud, Profile

ROOT = Path(__file__).parents[1]
SEEDS = range(12)
GERMAN = [
    *("Wo bleibt mein Paket?", "Ich möchte die Bestellung stornieren", "Das Passwort geht nicht mehr"),
    *("Die Rechnung ist falsch, bitte korrigieren", "Ich will mein Geld zurück", "Wann kommt die Ware endlich an?"),
]


class Sample:
    """The rows of one parameter file's training table, and how they are summed up."""

    def __init__(self, name: str) -> None:
        self.parameters: Parameters = parameters.read(ROOT / name)
        given = self.parameters.ingest
        raw, modality = ROOT / self.parameters.raw, self.parameters.modality
        self.labelled = readers.read(given.training, raw, given.columns, True, modality).groupby("label").head(12)
        table = given.unlabelled if given.unlabelled.kind != "none" else given.training
        self.pool = readers.read(table, raw, given.columns, False, modality).tail(700)
        self.content: ModuleType = part(modality, "content")
        self.backbone: Backbone = part(modality, "backbone").load(self.parameters.backbone, 1)

    def profile(self, labelled: pd.DataFrame, pool: pd.DataFrame, backbone: Backbone | None = None) -> Profile:
        test = pd.DataFrame({"id": ["1", "2"], "label": ["a", "b"]})
        tables = {"labelled": labelled, "unlabelled": pool, "test": test}
        return profile.profile(tables, self.parameters.modality, self.content, backbone or self.backbone)

    def halves(self, seed: int) -> list[Profile]:
        parts = []
        for table in (self.labelled, self.pool):
            mixed = table.sample(frac=1, random_state=seed)
            parts.append((mixed[: len(mixed) // 2], mixed[len(mixed) // 2 :]))
        return [self.profile(*both) for both in zip(*parts, strict=True)]

    def found(self, labelled: pd.DataFrame, pool: pd.DataFrame) -> set[tuple[str, str]]:
        """Name and table of the checks that fail against the whole sample, at the shipped bounds."""
        reference = self.profile(self.labelled, self.pool)
        bounds = self.parameters.validate_.drift
        checks = drift.compare(self.profile(labelled, pool), reference, bounds, seed=1)
        return {(check.name, check.table) for check in checks if not check.success}


@pytest.fixture(scope="module", params=["params.yaml", "params.image.yaml"])
def sample(request: pytest.FixtureRequest) -> Sample:
    return Sample(request.param)


@pytest.fixture(scope="module")
def texts() -> Sample:
    return Sample("params.yaml")


def test_random_halves_do_not_drift(sample: Sample) -> None:
    bounds = sample.parameters.validate_.drift
    failed = [
        check
        for seed in SEEDS
        for check in drift.compare(*sample.halves(seed), bounds, seed)
        if not check.success and check.name != "classes"
    ]
    assert failed == []


def test_chance_alone_explains_nearly_all_of_random_halves(sample: Sample) -> None:
    # With bounds of nothing, only what chance gives is left to allow.
    tight = Drift(labels=0, sizes=0, embeddings=0)
    checks = [check for seed in SEEDS for check in drift.compare(*sample.halves(seed), tight, seed)]
    beyond = [check for check in checks if not check.success and check.name != "classes"]
    assert len(checks) >= 6 * len(SEEDS)
    assert len(beyond) <= 1


def test_the_same_data_lie_at_no_distance(sample: Sample) -> None:
    assert sample.found(sample.labelled, sample.pool) == set()


def test_chance_drawn_in_blocks_is_chance_drawn_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    empty = {"format": 1, "modality": "text", "test": "", "sizes": {}, "backbone": None, "embeddings": {}}
    now, before = (
        Profile.model_validate({**empty, "labels": {f"{n}": 3 + n * step % 7 for n in range(40)}}) for step in (2, 3)
    )
    in_blocks = drift._labels(now, before, 0.1, seed=5)
    monkeypatch.setattr(drift, "BLOCKS", 1)
    assert drift._labels(now, before, 0.1, seed=5) == in_blocks
    generator = np.random.default_rng(5)
    counts = np.array([[3 + n * step % 7 for n in sorted(range(40), key=str)] for step in (2, 3)])
    drawn = [generator.multinomial(row.sum(), counts.sum(0) / counts.sum(), drift.DRAWS) / row.sum() for row in counts]
    whole = np.quantile(np.abs(drawn[0] - drawn[1]).sum(axis=1) / 2, 1 - drift.CHANCE)
    assert in_blocks.by_chance == round(float(whole), profile.DECIMALS)


def test_a_class_that_vanished_is_found_and_named(texts: Sample) -> None:
    without = texts.labelled[texts.labelled["label"] != "cancel_order"]
    assert texts.found(without, texts.pool) == {("classes", "labelled")}
    current, reference = texts.profile(without, texts.pool), texts.profile(texts.labelled, texts.pool)
    [first, *_] = drift.compare(current, reference, texts.parameters.validate_.drift, 1)
    assert first.what == "classes without a row now: cancel_order"


def test_labels_that_a_person_added_to_one_class_are_no_drift(texts: Sample) -> None:
    more = texts.labelled[texts.labelled["label"] == "cancel_order"]
    assert texts.found(pd.concat([texts.labelled, more, more]), texts.pool) == set()


def test_one_label_for_most_rows_is_drift(texts: Sample) -> None:
    stuck = texts.labelled.assign(label=lambda table: table["label"].where(np.arange(len(table)) % 3 == 0, "other"))
    assert ("labels", "labelled") in texts.found(pd.concat([texts.labelled.head(0), stuck]), texts.pool)


def test_rows_in_another_language_are_drift(texts: Sample) -> None:
    german = pd.DataFrame({"content": GERMAN * 35})
    assert ("embeddings", "unlabelled") in texts.found(texts.labelled, pd.concat([texts.pool.tail(490), german]))


def test_texts_that_were_cut_off_are_drift(texts: Sample) -> None:
    cut = texts.pool.assign(content=texts.pool["content"].str[:40])
    assert ("sizes", "unlabelled") in texts.found(texts.labelled, cut)


def test_a_null_checks_nothing_and_needs_no_embeddings(texts: Sample) -> None:
    tables = {"labelled": texts.labelled, "unlabelled": texts.pool, "test": texts.labelled.assign(id="1")}
    bare = profile.profile(tables, "text", texts.content, None)
    assert (bare.backbone, bare.embeddings) == (None, {})
    assert drift.compare(bare, bare, Drift(labels=None, sizes=None, embeddings=None), 1) == []
    assert {check.name for check in drift.compare(bare, bare, Drift(labels=0, sizes=0, embeddings=0), 1)} == {
        "classes", "labels", "sizes",
    }  # fmt: skip


def test_an_empty_pool_or_one_row_has_nothing_to_compare(texts: Sample) -> None:
    for rows in (0, 1):
        small = texts.profile(texts.labelled, texts.pool.head(rows))
        checks = drift.compare(small, small, texts.parameters.validate_.drift, 1)
        assert ("embeddings", "unlabelled") not in {(check.name, check.table) for check in checks}
        assert all(check.success for check in checks)


def toy(modality: str = "text", backbone: str | None = "one", **labels: int) -> Profile:
    cloud = Cloud(rows=100, mean=[0.1, 0.2], variance=0.5, directions=1.5)
    values: dict[str, Any] = {"format": 1, "modality": modality, "test": "x", "labels": labels}
    sizes = {"labelled": {3: 5}, "unlabelled": {}}
    return Profile(**values, sizes=sizes, backbone=backbone, embeddings={"labelled": cloud})


BOUNDS = Drift(labels=0.25, sizes=0.2, embeddings=0.15)


def judged(current: Profile, reference: Profile) -> dict[str, Any]:
    return drift.judge(current, Champion("v3", reference, Path()), BOUNDS, 1)


def test_without_a_champion_there_is_nothing_to_drift_from() -> None:
    assert drift.judge(toy(a=9), None, BOUNDS, 1) == {"reference": None, "checks": [], "note": None, "problem": None}


def test_another_modality_or_backbone_is_noted_and_stops_nothing() -> None:
    assert judged(toy(a=9), toy("image", a=9))["note"] == (
        "The champion v3 is for image: its data and these cannot be compared."
    )
    found = judged(toy(a=9, b=9), toy(backbone="other", a=9, b=9))
    assert {check["name"] for check in found["checks"]} == {"classes", "labels", "sizes"}
    assert "no embeddings of this backbone" in found["note"]
    assert found["problem"] is None


def test_the_problem_lays_out_what_was_wrong_and_what_to_do() -> None:
    problem = judged(toy(a=900, b=100), toy(a=100, b=900, c=50))["problem"]
    lines = problem.splitlines()
    assert lines[1].split("  ")[0] == "table"
    assert "classes without a row now: c" in lines[2]
    assert "0.805     0.250    " in lines[3]
    for said in ("v3", "validate.drift (labels)", "null", "correct the data"):
        assert said in problem


COUNTS = st.dictionaries(st.sampled_from("abcd"), st.integers(1, 50), min_size=1)


@given(COUNTS, COUNTS)
def test_the_distance_of_labels_is_the_same_both_ways_and_at_most_one(
    first: dict[str, int], second: dict[str, int]
) -> None:
    only = Drift(labels=0, sizes=None, embeddings=None)
    there, back = (drift.compare(toy(**one), toy(**two), only, 1)[1] for one, two in ((first, second), (second, first)))
    assert there.observed == back.observed
    assert 0 <= there.observed <= 1
    shares = [{label: rows / sum(some.values()) for label, rows in some.items()} for some in (first, second)]
    moved = sum(abs(shares[0].get(label, 0) - shares[1].get(label, 0)) for label in "abcd") / 2
    assert there.observed == pytest.approx(moved, abs=1e-4)


def test_a_profile_is_small_and_the_order_of_rows_does_not_matter(texts: Sample) -> None:
    first = texts.profile(texts.labelled, texts.pool)
    again = texts.profile(texts.labelled.iloc[::-1], texts.pool.iloc[::-1])
    assert first == again
    assert len(first.model_dump_json()) < 20_000
    assert Profile.model_validate_json(first.model_dump_json()) == first


def test_the_fingerprint_of_the_test_rows_knows_ids_and_labels(texts: Sample) -> None:
    def print_of(ids: list[str], labels: list[str]) -> str:
        test = pd.DataFrame({"id": ids, "label": labels})
        tables = {"labelled": texts.labelled, "unlabelled": texts.pool, "test": test}
        return profile.profile(tables, "text", texts.content, None).test

    known = print_of(["1", "2"], ["a", "b"])
    assert print_of(["2", "1"], ["b", "a"]) == known
    assert known not in {print_of(["1", "2"], ["b", "a"]), print_of(["1", "3"], ["a", "b"]), print_of(["1"], ["a"])}
