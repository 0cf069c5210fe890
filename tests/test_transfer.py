"""Cross-validation chooses the teacher, and learns nothing from what it holds out."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from handful import candidates, crossvalidation, lineage, probe, selftraining, transfer
from handful.embedding import embed
from handful.image import backbone
from handful.image.parameters import CnnBackbone
from handful.parameters.learning import (
    ClassBalancedSelfTraining,
    ContrastiveFineTuning,
    FullFineTuning,
    LinearProbe,
    NoPretraining,
    NoSelfTraining,
    PretrainTransfer,
    Probe,
    Transfer,
)
from handful.teacher import Teacher
from tests.images import encoded, noise, stripes

BACKBONE = backbone.load(CnnBackbone(kind="cnn", image_size=8, grey=True, channels=4), seed=0)
FREE = Probe(inverse_regularisation=1e5)
FROZEN = LinearProbe(kind="linear_probe")
TUNED = FullFineTuning(
    kind="full_fine_tuning",
    learning_rate=0.01,
    head_learning_rate=0.1,
    weight_decay=0.0,
    epochs=8,
    batch_size=16,
    patience=8,
)
DRAWN_TOGETHER = ContrastiveFineTuning(
    kind="contrastive_fine_tuning",
    learning_rate=0.01,
    weight_decay=0.01,
    temperature=0.1,
    epochs=1,
    minimum_steps=10,
    steps_per_root=0.0,
    batch_size=16,
    frozen_layers=0,
    self_training=NoSelfTraining(kind="none"),
)
GUESSING = ClassBalancedSelfTraining(
    kind="class_balanced",
    pool_rows=20,
    pool_rows_per_class=0,
    share=0.5,
    minimum_per_class=2,
    weight=0.5,
    learning_rate=0.001,
    epochs=1,
    minimum_steps=5,
    neighbours=5,
    diffusion=0.5,
    surface_share=0.25,
    nearest=3,
    nearest_share=0.25,
)


def choose(
    training: pd.DataFrame, given: PretrainTransfer, head: Probe, seed: int
) -> tuple[Teacher, list[dict[str, Any]]]:
    trained, records = transfer.choose(candidates.Start(BACKBONE, training, [], head, seed), given)
    return trained.teacher, records


def parameters(*candidates: Transfer, minimum_rows_per_class: float = 0) -> PretrainTransfer:
    return PretrainTransfer(
        pretrain=NoPretraining(kind="none"),
        candidates=candidates,
        minimum_rows_per_class=minimum_rows_per_class,
        folds=3,
        folds_examined=3,
        minimum_gain=0.5,
    )


def table(contents: list[bytes], labels: list[str]) -> pd.DataFrame:
    ids = [f"id {row}" for row in range(len(contents))]
    return pd.DataFrame(
        {
            "id": ids,
            "content": contents,
            "label": labels,
            "weight": 1.0,
            "origin_kind": "labelled",
            "parent": None,
            "reason": "labelled",
        }
    )


@pytest.fixture(scope="module")
def unlearnable() -> pd.DataFrame:
    """Noise with labels drawn by chance: who predicts a row rightly has seen it."""
    labels = np.random.default_rng(0).permutation(["a", "b"] * 20).tolist()
    return table([encoded(noise(8, 8, seed=row)) for row in range(40)], labels)


@pytest.fixture(scope="module")
def lopsided() -> pd.DataFrame:
    """Stripes, three times as many of the one kind: easy, but not for a probe that may hardly leave zero."""
    upright = [row % 4 == 0 for row in range(48)]
    return table(
        [stripes(each, row) for row, each in enumerate(upright)], ["up" if each else "across" for each in upright]
    )


def copies(labelled: pd.DataFrame, origin_kind: str, parents: list[str] | None) -> pd.DataFrame:
    """The same rows once more, as rows of another origin."""
    return labelled.assign(
        id=[f"copy of {name}" for name in labelled["id"]], origin_kind=origin_kind, parent=parents, weight=1.0
    )


def accuracy(training: pd.DataFrame) -> float:
    """The cross-validated accuracy of the probe; it stands twice, for one candidate alone is not cross-validated."""
    _, (record, _) = choose(training, parameters(FROZEN, FROZEN), FREE, seed=0)
    return float(record["accuracy"])


def test_only_the_folds_that_are_asked_for_are_held_out(unlearnable: pd.DataFrame) -> None:
    labels = unlearnable["label"].to_numpy(str)
    training, held = crossvalidation.splits(labels, 3, 1, seed=0)[0]
    teacher = candidates.linear_probe(BACKBONE, unlearnable.iloc[training], FREE)
    expected = np.mean(np.array(teacher.predict(unlearnable["content"].iloc[held].tolist())) == labels[held])
    one = parameters(FROZEN, FROZEN).model_copy(update={"folds_examined": 1})
    _, records = choose(unlearnable, one, FREE, seed=0)
    assert [record["accuracy"] for record in records] == pytest.approx([expected, expected])
    assert expected != pytest.approx(accuracy(unlearnable))


def test_the_children_of_a_held_out_row_are_not_learned_from(unlearnable: pd.DataFrame) -> None:
    alone = accuracy(unlearnable)
    assert alone < 0.75
    children = copies(unlearnable, "augmented", unlearnable["id"].tolist())
    assert accuracy(pd.concat([unlearnable, children], ignore_index=True)) == pytest.approx(alone, abs=0.1)
    # The same rows with no known parent give the answers away, so the test above would notice.
    assert accuracy(pd.concat([unlearnable, copies(unlearnable, "augmented", None)], ignore_index=True)) == 1


def test_the_children_of_several_parents_are_not_learned_from_while_one_of_them_is_held_out(
    unlearnable: pd.DataFrame,
) -> None:
    names = unlearnable["id"].tolist()
    # Each a copy of one row, which says that it was made from that row and another one.
    children = copies(
        unlearnable, "augmented", [lineage.joined(pair) for pair in zip(names, [*names[1:], names[0]], strict=True)]
    )
    assert accuracy(pd.concat([unlearnable, children], ignore_index=True)) < 0.75


def test_guesses_on_the_pool_are_not_learned_from_while_rows_are_held_out(unlearnable: pd.DataFrame) -> None:
    guesses = copies(unlearnable, "pool", None)
    assert accuracy(pd.concat([unlearnable, guesses], ignore_index=True)) == accuracy(unlearnable)


def test_training_stops_by_rows_that_neither_teach_nor_score(
    unlearnable: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[set[str], set[str]]] = []
    tune = candidates.full_fine_tuning

    def spy(*given: Any) -> Any:
        rows, watched = given[1], given[6]
        if watched is not None:
            assert not lineage.descends(rows["parent"], watched["id"]).any()
            seen.append((set(rows["id"]), set(watched["id"])))
        return tune(*given)

    monkeypatch.setattr(transfer, "full_fine_tuning", spy)
    training = pd.concat([unlearnable, copies(unlearnable, "augmented", unlearnable["id"].tolist())], ignore_index=True)
    choose(training, parameters(FROZEN, TUNED), FREE, seed=0)
    folds = crossvalidation.splits(unlearnable["label"].to_numpy(str), 3, 1, seed=0)
    assert len(seen) == len(folds)
    for (learned, watched), (_, held) in zip(seen, folds, strict=True):
        scored = set(unlearnable["id"].iloc[held])
        assert watched
        assert not watched & scored
        assert not learned & (watched | scored)


def test_a_class_of_one_row_is_learned_and_not_watched(lopsided: pd.DataFrame) -> None:
    # Two rows of one class: in each half of the folds one of them is left.
    few = pd.concat([lopsided[lopsided["label"] == "up"].head(2), lopsided[lopsided["label"] == "across"]])
    halves = parameters(FROZEN, TUNED).model_copy(update={"folds": 2})
    _, (_, record) = choose(few.reset_index(drop=True), halves, FREE, seed=0)
    assert record["accuracy"] > 0.9


def test_the_winner_learns_from_every_row_of_the_training_table(unlearnable: pd.DataFrame) -> None:
    pool = table([stripes(row % 2 == 0, row) for row in range(20)], ["a", "b"] * 10).assign(origin_kind="pool")
    training = pd.concat([unlearnable, pool.assign(id=[f"pool {row}" for row in range(20)])], ignore_index=True)
    teacher, _ = choose(training, parameters(FROZEN), FREE, seed=0)
    assert teacher.predict(training["content"].tolist()) == training["label"].tolist()


def test_the_first_candidate_is_taken_where_no_other_clearly_beats_it(lopsided: pd.DataFrame) -> None:
    teacher, records = choose(lopsided, parameters(FROZEN, TUNED), FREE, seed=0)
    assert [record["kind"] for record in records] == ["linear_probe", "full_fine_tuning"]
    assert [record["chosen"] for record in records] == [True, False]
    assert records[0]["accuracy"] == 1
    assert records[1]["gain"] <= 0
    assert teacher.kind == "linear_probe"
    assert not teacher.backbone.adapted


def test_the_first_candidate_is_taken_though_a_later_one_is_simpler_and_as_good(lopsided: pd.DataFrame) -> None:
    teacher, records = choose(lopsided, parameters(DRAWN_TOGETHER, FROZEN), FREE, seed=0)
    assert [record["kind"] for record in records] == ["contrastive_fine_tuning", "linear_probe"]
    assert [record["accuracy"] for record in records] == [1, 1]
    assert [(record["gain"], record["standard_error"]) for record in records] == [(0, 0), (0, 0)]
    assert [record["chosen"] for record in records] == [True, False]
    assert teacher.kind == "contrastive_fine_tuning"
    assert teacher.backbone.adapted


UNEXAMINED = {"accuracy": None, "log_loss": None, "gain": None, "standard_error": None}


def test_one_candidate_alone_is_not_cross_validated(lopsided: pd.DataFrame) -> None:
    teacher, (record,) = choose(lopsided, parameters(FROZEN), FREE, seed=0)
    assert record.items() >= {"kind": "linear_probe", "chosen": True, **UNEXAMINED}.items()
    assert "one candidate" in record["reason"]
    assert teacher.predict(lopsided["content"].tolist()) == lopsided["label"].tolist()


def test_few_labelled_rows_are_not_cross_validated_and_the_first_candidate_is_taken(lopsided: pd.DataFrame) -> None:
    # Rows that nobody labelled by hand do not count.
    children = copies(lopsided, "augmented", lopsided["id"].tolist())
    training = pd.concat([lopsided, children], ignore_index=True)
    few = parameters(DRAWN_TOGETHER, FROZEN, minimum_rows_per_class=24.5)
    teacher, (record,) = choose(training, few, FREE, seed=0)
    assert record.items() >= {"kind": "contrastive_fine_tuning", "chosen": True, **UNEXAMINED}.items()
    assert "24 labelled rows per class" in record["reason"]
    assert teacher.kind == "contrastive_fine_tuning"
    assert teacher.predict(lopsided["content"].tolist()) == lopsided["label"].tolist()


def test_as_many_labelled_rows_as_asked_for_are_cross_validated(lopsided: pd.DataFrame) -> None:
    enough = parameters(FROZEN, FROZEN, minimum_rows_per_class=len(lopsided) / 2)
    _, records = choose(lopsided, enough, FREE, seed=0)
    assert [record["accuracy"] for record in records] == [1, 1]
    assert [record["reason"] for record in records] == [None, None]


def test_a_later_candidate_wins_by_a_clear_gain(lopsided: pd.DataFrame) -> None:
    stiff = Probe(inverse_regularisation=1e-6)
    teacher, records = choose(lopsided, parameters(FROZEN, TUNED), stiff, seed=0)
    assert [record["chosen"] for record in records] == [False, True]
    assert records[0]["accuracy"] == pytest.approx(0.75)
    assert records[1]["gain"] == pytest.approx(records[1]["accuracy"] - records[0]["accuracy"])
    assert records[1]["gain"] > 0.5 * records[1]["standard_error"] > 0
    assert teacher.kind == "full_fine_tuning"
    assert teacher.backbone.adapted
    assert not BACKBONE.adapted
    unseen = [stripes(row % 2 == 0, 900 + row) for row in range(40)]
    assert np.mean(np.array(teacher.predict(unseen)) == ["up", "across"] * 20) > 0.9


def test_fine_tuning_leaves_the_backbone_that_it_began_from(lopsided: pd.DataFrame) -> None:
    before = BACKBONE.fingerprint
    tuned, epochs = candidates.full_fine_tuning(BACKBONE, lopsided, FREE, TUNED, 2, 0, lopsided, "fine-tuning")
    assert 1 <= epochs <= 2
    assert backbone.Backbone(BACKBONE.settings, BACKBONE.module, "", adapted=False).fingerprint == before
    assert tuned.backbone.module is not BACKBONE.module


@pytest.mark.parametrize("settings", [TUNED, DRAWN_TOGETHER])
def test_what_a_new_encoder_gave_is_not_computed_again_by_the_stage_that_reads_it(
    lopsided: pd.DataFrame,
    settings: FullFineTuning | ContrastiveFineTuning,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HANDFUL_CACHE", str(tmp_path / "cache"))
    teacher, _ = choose(lopsided, parameters(settings), FREE, seed=0)
    contents = lopsided["content"].tolist()
    given = embed(teacher.backbone, contents)
    teacher.backbone.save(tmp_path / "encoder")
    restored = backbone.restore(tmp_path / "encoder")
    monkeypatch.setattr(restored.module, "forward", None)
    assert np.array_equal(embed(restored, contents), given)


def test_the_surest_rows_of_each_guessed_class_are_learned_from_and_some_of_a_rare_one() -> None:
    sure = [(0, 0.9), (0, 0.6), (0, 0.8), (0, 0.7), (0, 0.95), (0, 0.65), (2, 0.5), (2, 0.55), (2, 0.52)]
    probabilities = np.full((len(sure), 3), 0.01)
    for row, (code, probability) in enumerate(sure):
        probabilities[row, code] = probability
    assert selftraining.surest(probabilities, share=0.5, minimum=1).tolist() == [0, 2, 4, 7, 8]
    assert selftraining.surest(probabilities, share=0.1, minimum=2).tolist() == [0, 4, 7, 8]


def test_a_teacher_goes_on_learning_from_its_own_labels_on_the_pool(lopsided: pd.DataFrame) -> None:
    settings = DRAWN_TOGETHER.model_copy(update={"self_training": GUESSING})
    pool = [stripes(row % 2 == 0, 500 + row) for row in range(40)]
    unseen = [stripes(row % 2 == 0, 900 + row) for row in range(40)]
    few = lopsided.groupby("label").head(12)  # enough for the pixels to tell the kinds apart, too
    without, poolless, trained = (
        candidates.contrastive_fine_tuning(candidates.Start(BACKBONE, few, rows, FREE, 0), few, each, "a toy")
        for each, rows in ((DRAWN_TOGETHER, pool), (settings, []), (settings, pool))
    )
    alone, without_pool, with_pool, told = without.teacher, poolless.teacher, trained.teacher, trained.guessed
    assert poolless.guessed.empty
    assert without.before is poolless.before is None
    assert trained.before is not None
    assert np.array_equal(trained.before.predict_proba(unseen), alone.predict_proba(unseen))
    assert len(told) == 20
    assert [row.content for row in told.itertuples()] == [pool[row] for row in told.index]
    assert np.mean([row.label == ("up" if row.Index % 2 == 0 else "across") for row in told.itertuples()]) > 0.8
    assert set(told["weight"]) == {0.5}
    again = candidates.linear_probe(with_pool.backbone, pd.concat([few, told], ignore_index=True), FREE)
    assert again.predict(unseen) == replace(with_pool, surface=None, nearest=None).predict(unseen)
    assert with_pool.shares == {"head": 0.5, "surface": 0.25, "nearest_rows": 0.25}
    assert with_pool.nearest is not None
    assert with_pool.nearest.known["content"].tolist() == [*few["content"], *told["content"]]
    assert with_pool.nearest.known["label"].tolist() == [*few["label"], *told["label"]]
    assert with_pool.nearest.known["weight"].tolist() == [1.0] * len(few) + [0.5] * 20
    assert np.array_equal(with_pool.nearest.embeddings, embed(with_pool.backbone, with_pool.nearest.known["content"]))
    assert with_pool.surface is not None
    pixels = BACKBONE.surface([*few["content"], *told["content"], *unseen], {})
    both = np.concatenate([few["label"], told["label"]])
    second = probe.fit(pixels[: len(both)], both, FREE.inverse_regularisation, np.repeat([1.0, 0.5], [len(few), 20]))
    assert with_pool.surface.head.predict(pixels[len(both) :]).tolist() == second.predict(pixels[len(both) :]).tolist()
    assert alone.shares == without_pool.shares == {"head": 1.0}
    assert with_pool.kind == alone.kind == "contrastive_fine_tuning"
    assert np.array_equal(alone.predict_proba(unseen), without_pool.predict_proba(unseen))
    assert not np.array_equal(alone.predict_proba(unseen), with_pool.predict_proba(unseen))
    assert np.mean(np.array(with_pool.predict(unseen)) == ["up", "across"] * 20) > 0.8


@pytest.mark.parametrize(("absent", "formed"), [("nearest_share", "surface"), ("surface_share", "nearest_rows")])
def test_an_opinion_without_a_share_is_not_formed(lopsided: pd.DataFrame, absent: str, formed: str) -> None:
    settings = DRAWN_TOGETHER.model_copy(update={"self_training": GUESSING.model_copy(update={absent: 0.0})})
    few, pool = lopsided.groupby("label").head(12), [stripes(row % 2 == 0, 500 + row) for row in range(40)]
    trained = candidates.contrastive_fine_tuning(candidates.Start(BACKBONE, few, pool, FREE, 0), few, settings, "a toy")
    assert trained.teacher.shares == {"head": 0.75, formed: 0.25}
    assert np.mean(np.array(trained.teacher.predict(pool)) == ["up", "across"] * 20) > 0.8


def test_an_encoder_learns_the_surest_guesses(lopsided: pd.DataFrame) -> None:
    few, pool = lopsided.groupby("label").head(12), [stripes(row % 2 == 0, 500 + row) for row in range(20)]
    alone = candidates.linear_probe(BACKBONE, few, FREE)
    surface = BACKBONE.surface([*few["content"], *pool], {})
    learned = selftraining.guessed([alone], None, surface, few, pool, FREE, GUESSING)
    assert 10 <= len(learned) <= 11  # the half of twenty, rounded up for each class
    assert learned["content"].tolist() == [pool[row] for row in learned.index]
    assert set(learned["weight"]) == {0.5}
    assert np.mean([row.label == ("up" if row.Index % 2 == 0 else "across") for row in learned.itertuples()]) > 0.8


class Named:
    """An encoder of single letters whose classes are called like the letters that they hold, or not."""

    fingerprint, dimensions, adapted = None, 2, False

    def __init__(self, *degrees: float) -> None:
        self.called = on_a_circle(*degrees)

    def names(self, labels: list[str]) -> np.ndarray:
        return self.called


def test_names_are_believed_as_far_as_they_are_right_of_labelled_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selftraining, "embed", lambda _, contents: on_a_circle(*contents))
    rows = pd.DataFrame({"content": [5.0, 10.0, 80.0, 85.0, 5.0], "label": ["low", "low", "high", "high", "high"]})
    rows["origin_kind"] = ["labelled"] * 4 + ["augmented"]  # which says nothing of how right names are
    classes, contents = np.array(["high", "low"]), [0.0, 30.0, 60.0, 90.0]
    right = selftraining.named(Named(90, 0), rows, classes, contents)
    wrong = selftraining.named(Named(0, 90), rows, classes, contents)
    assert right is not None
    assert wrong is not None
    assert right.opinions.argmax(axis=1).tolist() == [1, 1, 0, 0]
    assert (right.right, wrong.right) == ((4 + 1) / (4 + 2), (0 + 1) / (4 + 2))
    assert right.opinions.max(axis=1).mean() == pytest.approx(right.right, abs=1e-3)
    assert wrong.opinions.max(axis=1).max() < 0.75  # no class is ruled out by names that are never right


def test_names_are_heard_where_they_are_right_as_often_as_a_probe_of_rows_it_did_not_see(
    unlearnable: pd.DataFrame, lopsided: pd.DataFrame
) -> None:
    names = selftraining.Names(np.eye(2, dtype=np.float32), right=0.9)
    by_chance, easy = (candidates.Start(BACKBONE, rows, [], FREE, 0) for rows in (unlearnable, lopsided))
    assert by_chance.shown < 0.75
    assert easy.shown > 0.9
    assert candidates._worth_hearing(names, by_chance) is names
    assert candidates._worth_hearing(names, easy) is None
    assert candidates._worth_hearing(None, by_chance) is None


def test_images_have_no_names(lopsided: pd.DataFrame) -> None:
    assert selftraining.named(BACKBONE, lopsided, np.array(["across", "up"]), lopsided["content"].tolist()) is None


def test_many_classes_have_more_of_the_pool_looked_at() -> None:
    settings = GUESSING.model_copy(update={"pool_rows_per_class": 3})
    assert [len(selftraining.drawn(100, classes, settings, seed=0)) for classes in (2, 10, 50)] == [20, 30, 100]
    numbers = selftraining.drawn(100, 2, settings, seed=1)
    assert numbers.tolist() == sorted(set(numbers))
    assert not np.array_equal(numbers, selftraining.drawn(100, 2, settings, seed=2))


def on_a_circle(*degrees: float) -> np.ndarray:
    return np.stack([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))], axis=1).astype(np.float32)


def test_the_border_between_classes_goes_where_no_rows_are() -> None:
    rows = pd.DataFrame({"label": ["low", "high"], "weight": 1.0})
    low, high = np.arange(38, 55), np.arange(75, 90)
    embeddings, right = on_a_circle(10, 88, *low, *high), np.repeat(["low", "high"], [len(low), len(high)])
    shares = []
    for share in (0.0, 0.8):
        settings = GUESSING.model_copy(update={"diffusion": share, "neighbours": 9})
        head, told = selftraining.settled(embeddings, rows, selftraining.nothing(), None, FREE, settings)
        shares.append(np.mean(told["label"] == right))
        assert head.predict(embeddings[2:]).tolist() == told["label"].tolist()
    assert shares[0] < 0.9
    assert shares[1] == 1


def test_names_that_are_heard_move_the_border() -> None:
    rows = pd.DataFrame({"label": ["low", "high"], "weight": 1.0})
    embeddings = on_a_circle(0, 90, *range(1, 90))
    low = np.linspace(0.99, 0.01, 89, dtype=np.float32)[:, None] ** 0.5  # by their names two thirds are low
    names = selftraining.Names(np.concatenate([1 - low, low], axis=1), right=1.0)
    without, heard = (
        selftraining.settled(
            embeddings, rows, selftraining.nothing(), each, Probe(inverse_regularisation=1.0), GUESSING
        )[1]
        for each in (None, names)
    )
    assert np.mean(without["label"] == "low") == pytest.approx(0.5, abs=0.05)
    assert 0.55 < np.mean(heard["label"] == "low") < 0.8


def test_a_head_is_no_surer_of_what_it_said_itself() -> None:
    rows = pd.DataFrame({"label": ["low", "high"], "weight": 1.0})
    embeddings = on_a_circle(0, 90, *range(1, 90))
    before = probe.fit(embeddings[:2], rows["label"].to_numpy(str), 10.0)
    settings = Probe(inverse_regularisation=10.0)
    after, _ = selftraining.settled(embeddings, rows, selftraining.nothing(), None, settings, GUESSING)
    sure = [head.predict_proba(embeddings[2:]).max(axis=1).mean() for head in (before, after)]
    assert sure[0] == pytest.approx(sure[1], abs=1e-3)


def test_an_opinion_that_finds_a_class_impossible_outweighs_one_that_is_nearly_sure() -> None:
    sure, against = np.array([[0.9, 0.1]], np.float32), np.array([[0.0, 1.0]], np.float32)
    assert selftraining.agreed([sure, sure]) == pytest.approx(sure)
    assert selftraining.agreed([sure, against]).argmax() == 1


def test_the_same_seed_gives_the_same_teacher(lopsided: pd.DataFrame) -> None:
    stiff = Probe(inverse_regularisation=1e-6)
    contents = lopsided["content"].tolist()
    (first, records), (again, records_again) = (
        choose(lopsided, parameters(FROZEN, TUNED), stiff, seed=3) for _ in range(2)
    )
    assert np.array_equal(first.predict_proba(contents), again.predict_proba(contents))
    assert records == records_again


def test_a_heavier_row_counts_more(unlearnable: pd.DataFrame) -> None:
    picture = stripes(True, 1)
    torn = table([picture, picture, *unlearnable["content"][:4]], ["a", "b", "a", "a", "b", "b"])
    for weights, expected in (([9.0, 1.0], "a"), ([1.0, 9.0], "b")):
        rows = torn.assign(weight=[*weights, 1.0, 1.0, 1.0, 1.0])
        assert candidates.linear_probe(BACKBONE, rows, FREE).predict([picture]) == [expected]
