"""Batches cut into parts and over devices: the gradients stay those of the whole batch."""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from handful.batches import Room, compute, learn
from handful.contrastive import contrastive_loss
from handful.errors import BackboneError

pytestmark = pytest.mark.usefixtures("full_precision")
ROWS = 12


class Small(nn.Module):
    """A device whose memory takes no more rows than `most`; it forgets some of what it knows while it learns."""

    def __init__(self, most: int, dropped: float = 0.0, normalised: bool = False) -> None:
        super().__init__()
        self.most, self.dropped = most, dropped
        self.first = nn.Linear(3, 8)
        self.norm = nn.BatchNorm1d(8) if normalised else nn.Identity()
        self.second = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        if len(x) > self.most:
            torch.rand(3)  # what a failed attempt draws must not be missed later
            raise torch.OutOfMemoryError("CUDA out of memory.")
        hidden = nn.functional.dropout(torch.tanh(self.norm(self.first(x))), self.dropped, self.training)
        return nn.functional.normalize(self.second(hidden), dim=1)


def collate(contents: Sequence[Sequence[float]]) -> Mapping[str, Tensor]:
    return {"x": torch.tensor(contents)}


def contents() -> list[list[float]]:
    return torch.rand(ROWS, 3, generator=torch.Generator().manual_seed(0)).tolist()


LOSSES = {
    "of each row": lambda outputs: (outputs[:, 0] * torch.arange(float(len(outputs)))).sum() / len(outputs),
    "of all pairs": partial(contrastive_loss, classes=torch.arange(ROWS) % 3, temperature=0.1),
}


def network(most: int, **settings: float) -> Small:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Small(most, **settings)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())
@pytest.mark.parametrize("most", [11, 6, 5, 1])
def test_a_batch_that_does_not_fit_is_cut_and_its_gradients_are_those_of_the_whole(loss: object, most: int) -> None:
    whole, cut, room = network(ROWS), network(most), Room()
    expected = learn(whole, collate, contents(), loss, Room())
    assert learn(cut, collate, contents(), loss, room) == pytest.approx(expected, rel=1e-5)
    for one, other in zip(whole.parameters(), cut.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)
    assert room.rows is not None
    assert room.rows <= most


def test_the_gradients_of_a_batch_that_fits_are_those_of_plain_backpropagation() -> None:
    plain, ours = network(ROWS), network(ROWS)
    torch.manual_seed(1)
    LOSSES["of all pairs"](plain(**collate(contents()))).backward()
    learn(ours, collate, contents(), LOSSES["of all pairs"], Room())
    for one, other in zip(plain.parameters(), ours.parameters(), strict=True):
        assert torch.equal(one.grad, other.grad)


def test_what_is_dropped_out_when_the_loss_is_computed_is_dropped_out_when_its_gradient_is_passed_on() -> None:
    plain, ours, room = network(6, dropped=0.5), network(6, dropped=0.5), Room()
    room.rows = 6
    torch.manual_seed(1)
    outputs = torch.cat([plain(**collate(part)) for part in (contents()[:6], contents()[6:])])
    LOSSES["of all pairs"](outputs).backward()
    torch.manual_seed(1)
    learn(ours, collate, contents(), LOSSES["of all pairs"], room)
    for one, other in zip(plain.parameters(), ours.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_a_failed_attempt_draws_nothing() -> None:
    torch.manual_seed(1)
    learn(network(6), collate, contents(), LOSSES["of each row"], Room())
    after = torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(after, torch.rand(1))


def test_a_single_row_that_does_not_fit_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(BackboneError, match="max_tokens"):
        learn(network(0), collate, contents(), LOSSES["of each row"], Room())


def test_a_network_that_normalises_over_the_batch_is_not_cut() -> None:
    with pytest.raises(BackboneError, match="batch_size"):
        learn(network(6, normalised=True), collate, contents(), LOSSES["of each row"], Room())


def test_embeddings_are_computed_in_parts_that_fit_and_in_their_order() -> None:
    def doubled(rows: Sequence[int]) -> np.ndarray:
        if len(rows) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return 2 * np.array(rows)

    room = Room()
    assert compute(doubled, list(range(7)), room).tolist() == [0, 2, 4, 6, 8, 10, 12]
    assert room.rows == 2
    with pytest.raises(BackboneError, match="single row"):
        compute(lambda rows: doubled([*rows, 0, 0]), [1, 2], Room())
