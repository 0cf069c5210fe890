"""Contrastive fine-tuning: what the loss is, what is drawn, and that classes come together."""

import copy
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from handful import contrastive, parameters
from handful.embedding import Backbone, embed
from handful.errors import BackboneError
from handful.image import backbone as image_backbone
from handful.image.parameters import CnnBackbone
from handful.parameters.learning import ContrastiveFineTuning, NoSelfTraining
from handful.text import backbone as text_backbone
from tests.images import encoded, noise, stripes

ROOT = Path(__file__).parents[1]
SETTINGS = ContrastiveFineTuning(
    kind="contrastive_fine_tuning",
    learning_rate=0.01,
    weight_decay=0.01,
    temperature=0.1,
    epochs=1,
    minimum_steps=12,
    steps_per_root=0.0,
    batch_size=8,
    frozen_layers=0,
    self_training=NoSelfTraining(kind="none"),
)
PARCEL = ["where is my parcel", "the delivery is late", "track the shipment", "nothing was at my door"]
PASSWORD = ["i forgot my password", "cannot log in", "locked out of my account", "reset it please"]


@dataclass(frozen=True)
class Toy:
    """Rows of two classes, a backbone for them, settings that suit it, and weights that `frozen_layers: 1` keeps."""

    backbone: Backbone
    contents: Sequence[Any]
    labels: np.ndarray
    settings: ContrastiveFineTuning
    first_layer: str

    def tuned(self, seed: int = 0, **settings: float) -> Backbone:
        changed = self.settings.model_copy(update=settings)
        return contrastive.fine_tune(
            self.backbone, self.contents, self.labels, np.ones(len(self.labels)), changed, seed, "a toy"
        )


@pytest.fixture(scope="module", params=["text", "image"])
def toy(request: pytest.FixtureRequest) -> Toy:
    if request.param == "text":
        encoder = text_backbone.load(parameters.read(ROOT / "params.yaml").backbone, 0)
        labels = np.repeat(["parcel", "password"], 4)
        settings = SETTINGS.model_copy(update={"learning_rate": 1e-4, "minimum_steps": 6})
        return Toy(encoder, [*PARCEL, *PASSWORD], labels, settings, "transformer.encoder.layer.0.")
    contents = [stripes(row % 2 == 0, row) for row in range(24)]
    return Toy(images(), contents, np.array(["up", "across"] * 12), SETTINGS, "layers.0.")


def images() -> image_backbone.Backbone:
    return image_backbone.load(CnnBackbone(kind="cnn", image_size=8, grey=True, channels=4), seed=0)


class Recording(image_backbone.Backbone):
    """An image backbone whose copies write down the batches that they are trained on."""

    batches: list[list[bytes]]

    def copy(self) -> "Recording":
        copied = Recording(self.settings, copy.deepcopy(self.module), self.origin, adapted=True)
        copied.batches = self.batches
        return copied

    def collate(self, contents: Sequence[bytes]) -> dict[str, Tensor]:
        if self.adapted:
            self.batches.append(list(contents))
        return super().collate(contents)


def drawn(labels: Sequence[str], weights: Sequence[float] | None = None, **settings: float) -> list[np.ndarray]:
    """The row numbers of each batch of a fine-tuning over pictures of noise with these labels."""
    contents = [encoded(noise(8, 8, seed=row)) for row in range(len(labels))]
    given = images()
    recording = Recording(given.settings, given.module, given.origin, adapted=False)
    recording.batches = []
    odds = np.ones(len(labels)) if weights is None else np.array(weights)
    changed = SETTINGS.model_copy(update=settings)
    contrastive.fine_tune(recording, contents, np.array(labels), odds, changed, 0, "pictures of noise")
    number = {content: row for row, content in enumerate(contents)}
    return [np.array([number[content] for content in batch]) for batch in recording.batches]


def separation(backbone: Backbone, contents: Sequence[Any], labels: np.ndarray) -> float:
    """The mean cosine within a class minus the one between classes."""
    vectors = embed(backbone, contents, cached=False)
    cosines, same = vectors @ vectors.T, labels[:, None] == labels[None, :]
    return float(cosines[same & ~np.eye(len(labels), dtype=bool)].mean() - cosines[~same].mean())


def weights_of(backbone: Backbone) -> dict[str, Tensor]:
    return {name: weight.clone() for name, weight in backbone.module.state_dict().items()}


def unit_vectors(rows: int, seed: int = 0) -> Tensor:
    made = torch.from_numpy(np.random.default_rng(seed).normal(size=(rows, 5)).astype(np.float32))
    return torch.nn.functional.normalize(made, dim=1)


def written_out(vectors: np.ndarray, classes: Sequence[int], temperature: float) -> float:
    """Equation 2 of Khosla et al. (2020), pair by pair."""
    losses = []
    for row, one in enumerate(classes):
        others = [other for other in range(len(classes)) if other != row]
        friends = [other for other in others if classes[other] == one]
        whole = sum(math.exp(float(vectors[row] @ vectors[other]) / temperature) for other in others)
        shares = [math.exp(float(vectors[row] @ vectors[friend]) / temperature) / whole for friend in friends]
        if friends:
            losses.append(-sum(math.log(share) for share in shares) / len(friends))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("classes", [[0, 0, 1, 1, 2, 2], [0, 0, 0, 1, 1, 2], [0, 0, 0, 0, 0, 0]])
@pytest.mark.parametrize("temperature", [0.05, 1.0])
def test_the_loss_is_the_published_equation(classes: list[int], temperature: float) -> None:
    vectors = unit_vectors(6)
    loss = contrastive.contrastive_loss(vectors, torch.tensor(classes), temperature)
    assert float(loss) == pytest.approx(written_out(vectors.double().numpy(), classes, temperature), rel=1e-4)


def test_the_loss_of_rows_that_share_no_class_is_zero_and_pulls_nowhere() -> None:
    vectors = unit_vectors(4).requires_grad_()
    loss = contrastive.contrastive_loss(vectors, torch.arange(4), 0.1)
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(vectors.grad, torch.zeros(4, 5))


@pytest.mark.parametrize("temperature", [0.01, 0.1, 1.0])
def test_the_gradient_is_finite_even_for_rows_that_are_one_and_the_same(temperature: float) -> None:
    vectors = torch.cat([unit_vectors(3), unit_vectors(3)]).requires_grad_()
    contrastive.contrastive_loss(vectors, torch.tensor([0, 0, 1, 0, 0, 1]), temperature).backward()
    assert torch.isfinite(vectors.grad).all()
    assert vectors.grad.abs().sum() > 0


def test_a_class_that_lies_together_costs_less() -> None:
    near, far = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]), torch.tensor([0, 1, 0, 1])
    together = contrastive.contrastive_loss(near, torch.tensor([0, 0, 1, 1]), 0.1)
    assert float(together) < 0.001 < 1 < float(contrastive.contrastive_loss(near, far, 0.1))


def test_classes_are_drawn_together_and_apart(toy: Toy) -> None:
    before = separation(toy.backbone, toy.contents, toy.labels)
    assert separation(toy.tuned(minimum_steps=20), toy.contents, toy.labels) > before + 0.1


def test_the_given_backbone_stays_as_it_was(toy: Toy) -> None:
    before = weights_of(toy.backbone)
    tuned = toy.tuned()
    assert all(torch.equal(weight, before[name]) for name, weight in weights_of(toy.backbone).items())
    assert tuned.adapted
    assert not toy.backbone.adapted
    assert any(not torch.equal(weight, before[name]) for name, weight in weights_of(tuned).items())


def test_the_same_seed_gives_the_same_weights_and_another_one_others(toy: Toy) -> None:
    first, again, other = (weights_of(toy.tuned(seed)) for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_frozen_layers_stay_and_the_others_learn(toy: Toy) -> None:
    before = weights_of(toy.backbone)
    free, frozen = toy.tuned(frozen_layers=0), toy.tuned(frozen_layers=1)
    layer = [name for name in before if name.startswith(toy.first_layer)]
    assert all(torch.equal(weights_of(frozen)[name], before[name]) for name in layer)
    assert not all(torch.equal(weights_of(free)[name], before[name]) for name in layer)
    learnt = [name for name, weight in weights_of(frozen).items() if not torch.equal(weight, before[name])]
    assert any(name.startswith(toy.first_layer.replace("0", "1")) for name in learnt)
    # Whoever trains the tuned backbone further finds nothing frozen.
    assert all(weight.requires_grad for weight in frozen.module.parameters())


def test_the_input_embeddings_of_a_text_are_frozen_with_the_first_layer() -> None:
    encoder = text_backbone.load(parameters.read(ROOT / "params.yaml").backbone, 0)
    for layers, learns in ((0, True), (2, False)):
        copied = encoder.copy()
        copied.freeze(layers)
        # Of words, of positions, of token types, and their normalisation: gradients end where the frozen part does.
        before = [*copied.module.transformer.embeddings.parameters()]
        assert len(before) > 2
        assert all(weight.requires_grad is learns for weight in before)
        if layers:
            ids = {"input_ids": torch.tensor([[101, 102]]), "attention_mask": torch.ones(1, 2, dtype=torch.int64)}
            states = copied.module.transformer(**ids, output_hidden_states=True).hidden_states
            assert [state.requires_grad for state in states[: layers + 2]] == [False] * (layers + 1) + [True]
    assert all(weight.requires_grad for weight in encoder.module.parameters())


def test_an_encoder_of_which_nothing_would_learn_is_refused(toy: Toy) -> None:
    with pytest.raises(BackboneError, match="frozen_layers is 99"):
        toy.backbone.copy().freeze(99)


def test_the_steps_grow_with_the_rows_and_the_epochs_and_no_faster() -> None:
    def steps(rows: int, epochs: int) -> int:
        return len(drawn(["a", "b"] * (rows // 2), epochs=epochs, minimum_steps=1))

    assert [steps(rows, 1) for rows in (32, 64, 128)] == [4, 8, 16]
    assert [steps(32, epochs) for epochs in (2, 3)] == [8, 12]
    assert steps(36, 1) == 5


def test_a_row_asks_for_as_many_steps_as_it_weighs() -> None:
    labels, weights = ["a", "b"] * 32, [1.0] * 32 + [0.5] * 32
    assert len(drawn(labels, weights, epochs=1, minimum_steps=1)) == (32 + 16) / 8


def test_few_rows_get_the_minimum_of_steps() -> None:
    assert len(drawn(["a", "a", "b", "b"], minimum_steps=12)) == 12


def test_few_classes_of_many_rows_get_more_steps_than_passes_over_the_rows_would_give() -> None:
    def steps(rows: int, classes: int) -> int:
        labels = [f"class {number % classes}" for number in range(rows)]
        return len(drawn(labels, minimum_steps=5, steps_per_root=4.0))

    assert [steps(2 * rows, 2) for rows in (1, 4, 16, 64)] == [5, 8, 16, 32]
    assert steps(200, 50) == 25  # of one row in eight each


def test_a_batch_holds_equally_many_rows_of_each_class_however_lopsided_the_table_is() -> None:
    labels = np.array(["a"] * 30 + ["b"] * 6 + ["c"] * 2)
    for batch in drawn(labels.tolist(), batch_size=12):
        assert Counter(labels[batch]) == {"a": 4, "b": 4, "c": 4}


def test_no_row_is_drawn_twice_into_a_batch_while_its_class_has_enough() -> None:
    for batch in drawn(["a"] * 8 + ["b"] * 4, batch_size=8):
        assert len(set(batch)) == 8


def test_rows_of_weight_zero_are_never_drawn() -> None:
    # One row of each class is left: fewer than a batch wants of it.
    batches = drawn(["a"] * 5 + ["b"] * 5 + ["c"] * 2, [1, 0, 0, 0, 0] * 2 + [0, 0])
    assert set(np.concatenate(batches)) == {0, 5}


def test_heavier_rows_are_drawn_more_often() -> None:
    counts = Counter(np.concatenate(drawn(["a"] * 8 + ["b"] * 8, [8.0, *[1.0] * 7] * 2, minimum_steps=60)).tolist())
    assert counts[0] > 1.5 * max(counts[row] for row in range(1, 8))
    assert counts[8] > 1.5 * max(counts[row] for row in range(9, 16))


def test_a_class_of_a_single_row_is_drawn_beside_the_others() -> None:
    batches = drawn(["a"] * 6 + ["b"])
    assert all((batch == 6).sum() == 4 for batch in batches)


def test_more_classes_than_a_batch_can_pair_all_get_their_turn() -> None:
    labels = np.repeat([f"class {number:02}" for number in range(20)], 3)
    batches = drawn(labels.tolist(), minimum_steps=60)
    assert {tuple(sorted(Counter(labels[batch]).values())) for batch in batches} == {(2, 2, 2, 2)}
    assert set(labels[np.concatenate(batches)]) == set(labels)


def test_one_class_alone_is_fine_tuned_without_harm() -> None:
    tuned = contrastive.fine_tune(
        images(), [stripes(True, row) for row in range(6)], np.array(["up"] * 6), np.ones(6), SETTINGS, 0, "one class"
    )
    assert all(torch.isfinite(weight).all() for weight in weights_of(tuned).values())
