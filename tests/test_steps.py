"""Training by steps: what is frozen stays, the rest learns, and the learning rate rises and falls."""

from collections.abc import Iterator, Sequence

import pytest
import torch
from torch import Tensor, nn

from handful import steps

NUMBERS = [1.0, 2.0, 3.0]


class Line(nn.Module):
    """Numbers times a slope that is learned, plus one that is not."""

    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.zeros(1))
        self.shift = nn.Parameter(torch.ones(1), requires_grad=False)

    def forward(self, numbers: Tensor) -> Tensor:
        return (numbers * self.slope + self.shift)[:, None]


def collate(numbers: Sequence[float]) -> dict[str, Tensor]:
    return {"numbers": torch.tensor(numbers)}


def batches(slope: float) -> Iterator[steps.Batch]:
    while True:
        yield NUMBERS, lambda outputs: ((outputs[:, 0] - torch.tensor(NUMBERS) * slope - 1) ** 2).mean()


def test_what_is_not_frozen_learns_and_nothing_stays_frozen() -> None:
    line = Line()
    steps.train(line, collate, batches(slope=0.5), steps.Cycle(200, 0.05, 0.0), 0, "a line")
    assert line.slope.item() == pytest.approx(0.5, abs=0.02)
    assert line.shift.item() == 1
    assert line.shift.requires_grad
    assert not line.training


def test_the_learning_rate_rises_to_what_was_asked_for_and_falls(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = []
    before = torch.optim.AdamW.step

    def noted(self: torch.optim.AdamW, *arguments: object) -> object:
        rates.append(self.param_groups[0]["lr"])
        return before(self, *arguments)

    monkeypatch.setattr(torch.optim.AdamW, "step", noted)
    steps.train(Line(), collate, batches(slope=0.5), steps.Cycle(50, 0.1, 0.0), 0, "a line")
    top = rates.index(max(rates))
    assert len(rates) == 50
    assert max(rates) == pytest.approx(0.1, rel=0.1)
    assert top < 10
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert rates[-1] < 0.01


@pytest.mark.parametrize("count", [1, 2, 9, 10, 19])
def test_few_steps_are_a_cycle_too(count: int) -> None:
    line = Line()
    steps.train(line, collate, batches(slope=0.5), steps.Cycle(count, 0.05, 0.0), 0, "a line")
    assert 0 < line.slope.item() < 1
