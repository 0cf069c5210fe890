"""Training by steps: one batch after the other, while the learning rate rises and falls once."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from handful import devices, progress
from handful.batches import Collate, Room, device, learn

WARM_UP = 0.1  # share of the steps in which the learning rate rises
REPORTS = 10

Batch = tuple[Sequence[Any], Callable[[Tensor], Tensor]]


@dataclass(frozen=True)
class Cycle:
    """So many steps of AdamW; the learning rate rises to `learning_rate` and falls to nothing (Smith & Topin 2019)."""

    steps: int
    learning_rate: float
    weight_decay: float


def train(network: nn.Module, collate: Collate, batches: Iterator[Batch], cycle: Cycle, seed: int, what: str) -> None:
    """Train what is not frozen of `network` in place, and leave it on the CPU with nothing frozen.

    Args:
        batches: as many as there are steps, or more; each the contents, and the loss of all outputs that
            `network(**collate(contents))` gives for them.
        what: what the lines of progress call it.
    """
    network.to(device()).train()
    trained = [weight for weight in network.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(trained, cycle.learning_rate, weight_decay=cycle.weight_decay, fused=True)
    total = cycle.steps + 1
    rising = max(WARM_UP, 2 / total)  # at least over one step, or the cycle would divide by none
    rate = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, cycle.learning_rate, total_steps=total, pct_start=rising, anneal_strategy="linear"
    )
    torch.manual_seed(seed + devices.rank())
    room = Room()
    for step, (contents, criterion) in zip(range(1, cycle.steps + 1), batches, strict=False):
        loss = learn(network, collate, contents, criterion, room)
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        rate.step()
        if step % math.ceil(cycle.steps / REPORTS) == 0:
            progress.report(step / cycle.steps, f"{what}, step {step} of {cycle.steps}, loss {loss:.4f}")
    network.cpu().eval().requires_grad_(True)  # whoever trains it further begins with nothing frozen
