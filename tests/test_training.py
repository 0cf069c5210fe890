"""The training loop on networks small enough to know what they must learn."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from handful.training import Examples, History, Schedule, fit, loss

SCHEDULE = Schedule(learning_rate=0.05, head_learning_rate=0.05, weight_decay=0.0, epochs=60, batch_size=8, patience=60)


def collate(contents: Sequence[str]) -> Mapping[str, Tensor]:
    """`x` float32 [n, 2]: how often a text holds an a, and a b."""
    return {"x": torch.tensor([[text.count("a"), text.count("b")] for text in contents], dtype=torch.float32)}


class Linear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(2, 2)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(x)
        return logits


class Dropped(Linear):
    """One whose training is random."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(nn.functional.dropout(x, 0.5, self.training))


def examples(contents: list[str], targets: list[list[float]], weights: list[float] | None = None) -> Examples:
    given = np.ones(len(contents)) if weights is None else np.array(weights)
    return Examples(contents, np.array(targets, np.float32), given.astype(np.float32))


def trained(
    rows: Examples, schedule: Schedule = SCHEDULE, seed: int = 0, validation: Examples | None = None
) -> tuple[Linear, History]:
    network = Linear()
    return network, fit(network, collate, rows, schedule, seed, validation)


def probabilities(network: nn.Module, text: str) -> list[float]:
    with torch.no_grad():
        return [float(value) for value in torch.softmax(network(**collate([text])), 1)[0]]


RIGHT = examples(["a", "b"] * 8, [[1, 0], [0, 1]] * 8)
OPPOSITE = examples(["a", "b"], [[0, 1], [1, 0]])


def test_the_probabilities_that_were_given_are_learned() -> None:
    schedule = Schedule(0.05, 0.05, 0.0, epochs=300, batch_size=16, patience=300)
    network, _ = trained(examples(["a", "b"] * 8, [[0.7, 0.3], [0.2, 0.8]] * 8), schedule)
    assert probabilities(network, "a") == pytest.approx([0.7, 0.3], abs=0.01)
    assert probabilities(network, "b") == pytest.approx([0.2, 0.8], abs=0.01)


def test_of_two_rows_that_contradict_each_other_the_weightier_counts_more() -> None:
    schedule = Schedule(0.05, 0.05, 0.0, epochs=300, batch_size=2, patience=300)
    network, _ = trained(examples(["a", "a"], [[1, 0], [0, 1]], [3, 1]), schedule)
    assert probabilities(network, "a") == pytest.approx([0.75, 0.25], abs=0.01)


def test_a_row_without_weight_teaches_nothing() -> None:
    network, _ = trained(examples(["a", "b", "ab"], [[1, 0], [0, 1], [1, 0]], [1, 1, 0]))
    assert probabilities(network, "ab") == pytest.approx([0.5, 0.5], abs=0.01)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    def weights(seed: int) -> list[float]:
        network = Dropped()
        fit(network, collate, RIGHT, SCHEDULE, seed)
        return network.head.weight.flatten().tolist()

    assert weights(1) == weights(1)
    assert weights(1) != weights(2)


def test_the_best_epoch_by_the_validation_rows_is_kept() -> None:
    # What is validated contradicts what is learned, so every epoch is worse than the one before.
    network, history = trained(RIGHT, validation=OPPOSITE)
    assert history.best_epoch == 1
    assert history.losses == sorted(history.losses)
    assert loss(network, collate, OPPOSITE) == pytest.approx(history.losses[0])


def test_without_validation_rows_the_last_epoch_is_kept() -> None:
    network, history = trained(RIGHT)
    assert history.best_epoch == len(history.losses) == SCHEDULE.epochs
    assert history.losses[-1] < history.losses[0]
    assert loss(network, collate, RIGHT) < history.losses[-1] + 0.01


@pytest.mark.parametrize("patience", [1, 3])
def test_training_stops_when_it_has_not_got_better_for_as_long_as_the_patience(patience: int) -> None:
    schedule = Schedule(0.05, 0.05, 0.0, epochs=50, batch_size=16, patience=patience)
    _, history = trained(RIGHT, schedule, validation=OPPOSITE)
    assert len(history.losses) == 1 + patience


def test_training_goes_on_as_long_as_it_gets_better() -> None:
    schedule = Schedule(0.01, 0.01, 0.0, epochs=20, batch_size=16, patience=1)
    _, history = trained(RIGHT, schedule, validation=RIGHT)
    assert len(history.losses) == history.best_epoch == 20


def test_the_learning_rate_falls_half_way_to_stopping() -> None:
    # One epoch is one batch, and a step of Adam's along a steady gradient is as long as the learning rate.
    def steps(patience: int) -> np.ndarray:
        schedule = Schedule(0.01, 0.01, 0.0, epochs=20, batch_size=16, patience=patience)
        return np.diff(trained(RIGHT, schedule, validation=OPPOSITE)[1].losses)

    impatient, steady = steps(4), steps(20)
    assert len(impatient) == 4
    assert impatient[:2] == pytest.approx(steady[:2], rel=1e-3)
    assert impatient[2:] == pytest.approx(steady[2:4] / 2, rel=0.1)


def test_the_head_has_a_learning_rate_of_its_own() -> None:
    class Deep(Linear):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Linear(2, 2)
            nn.init.eye_(self.body.weight)

        def forward(self, x: Tensor) -> Tensor:
            return super().forward(self.body(x))

    def moved(learning_rate: float, head_learning_rate: float) -> tuple[bool, bool]:
        network = Deep()
        nn.init.eye_(network.head.weight)
        before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        fit(network, collate, RIGHT, Schedule(learning_rate, head_learning_rate, 0.0, 2, 8, 2), 0)
        after = network.state_dict()
        body, head = (not torch.equal(before[name], after[name]) for name in ("body.weight", "head.weight"))
        return body, head

    assert moved(0.0, 0.1) == (False, True)
    assert moved(0.1, 0.0) == (True, False)


def test_the_loss_is_the_weighted_mean_over_all_batches() -> None:
    network = Linear()
    with torch.no_grad():
        network.head.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 0.0]]))
    rows = examples(["a", "b", "aa"], [[1, 0], [1, 0], [0.5, 0.5]], [1, 2, 5])
    each = [-np.log(probabilities(network, "a")[0]), np.log(2), -np.log(probabilities(network, "aa")).mean()]
    expected = np.average(each, weights=[1, 2, 5])
    assert loss(network, collate, rows) == pytest.approx(expected, rel=1e-5)
    assert loss(network, collate, rows, batch_size=1) == pytest.approx(expected, rel=1e-5)


def test_a_hint_teaches_the_features_what_the_labels_do_not_tell() -> None:
    """Two texts of one target and unlike hints: only with hints do the features tell them apart."""

    def told_apart(hint_weight: float) -> float:
        torch.manual_seed(0)
        network = Deep()
        hints = np.array([[1, 0, 0], [0, 1, 0]] * 8, np.float32)
        rows = examples(["a", "b"] * 8, [[0.5, 0.5]] * 16)
        with_hints = replace(rows, hints=hints, hint_weight=hint_weight)
        fit(network, collate, with_hints, SCHEDULE, 0)
        with torch.no_grad():
            first, second = network.layer(collate(["a", "b"])["x"])
        assert probabilities(network, "a") == pytest.approx([0.5, 0.5], abs=0.02)
        return float(nn.functional.cosine_similarity(first, second, dim=0))

    assert told_apart(5.0) < 0.2 < told_apart(0.0)


class Deep(nn.Module):
    """One with features between input and head, which no label moves far apart."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head = nn.Linear(2, 4), nn.Linear(4, 2)
        nn.init.constant_(self.layer.weight, 0.5)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.layer(x))
        return logits
