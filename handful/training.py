"""The one training loop: soft cross-entropy, AdamW, ReduceLROnPlateau, early stopping."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from handful import devices, progress
from handful.batches import Collate, Room, compute, device, learn
from handful.probe import Head

# Few enough that batches stay random, many enough that their rows are of like length.
BATCHES_SORTED_TOGETHER = 8


@dataclass(frozen=True)
class Examples:
    """Rows to learn from: `contents`, `targets` float32 [n, classes] that sum to 1, `weights` float32 [n].

    `hints` float32 [n, d], if given, are embeddings that the network's last layer is to tell of; see `Hinted`.
    """

    contents: Sequence[Any]
    targets: np.ndarray
    weights: np.ndarray
    hints: np.ndarray | None = None
    hint_weight: float = 0.0

    def __len__(self) -> int:
        return len(self.contents)


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train. `head_learning_rate` is for the layer named `head`, the other for all else."""

    learning_rate: float
    head_learning_rate: float
    weight_decay: float
    epochs: int
    batch_size: int
    patience: int


@dataclass(frozen=True)
class History:
    """The monitored loss after each epoch, and the epoch (from 1) whose weights the network now has."""

    losses: list[float]
    best_epoch: int


class Classifier(nn.Module):
    """An encoder and a linear head: `forward(**inputs)` gives logits [n, classes]."""

    def __init__(self, encoder: nn.Module, head: Head) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(head.coefficients.shape[1], len(head.classes))
        with torch.no_grad():
            self.head.weight.copy_(torch.from_numpy(head.coefficients))
            self.head.bias.copy_(torch.from_numpy(head.intercept))

    def forward(self, **inputs: Tensor) -> Tensor:
        logits: Tensor = self.head(self.encoder(**inputs))
        return logits

    def trained_head(self, classes: tuple[str, ...]) -> Head:
        """The head's weights as they are now."""
        weight, bias = self.head.weight.detach().cpu(), self.head.bias.detach().cpu()
        return Head(classes, weight.numpy().copy(), bias.numpy().copy())


class Hinted(nn.Module):
    """A network in training that also says what a teacher's embedding of its inputs is.

    It tells from what its `head` is given, through a linear layer that only training needs (FitNets, Romero et al.
    2015, eq. 3, with the cosine as distance). `forward(**inputs)` gives logits and embeddings, [n, classes + d].
    """

    def __init__(self, network: nn.Module, dimensions: int) -> None:
        super().__init__()
        head = network.get_submodule("head")
        assert isinstance(head, nn.Linear)
        self.network = network
        self.regressor = nn.Linear(head.in_features, dimensions)

    def forward(self, **inputs: Tensor) -> Tensor:
        """What the network answers, and beside it the embeddings."""
        given: list[Tensor] = []
        head = self.network.get_submodule("head")
        with head.register_forward_pre_hook(lambda _, features: given.extend(features)):
            logits = self.network(**inputs)
        return torch.cat([logits, *map(self.regressor, given)], dim=1)


def fit(
    network: nn.Module,
    collate: Collate,
    examples: Examples,
    schedule: Schedule,
    seed: int,
    validation: Examples | None = None,
    what: str = "training",
) -> History:
    """Train `network` in place; `network(**collate(contents))` gives logits [n, classes].

    With `validation` its loss is monitored and the best epoch's weights are kept; without, the training loss is
    monitored and the last epoch's weights are kept. The same seed gives the same weights on the same machine; several
    devices share out each batch, which stays as large as it is.
    """
    torch.manual_seed(seed)  # weights are the same on all devices, what is dropped out is each one's own
    learner = network if examples.hints is None else Hinted(network, examples.hints.shape[1])
    torch.manual_seed(seed + devices.rank())
    learner.to(device()).train()
    optimizer = _optimizer(learner, schedule)
    # Half-way to early stopping, or the slower steps would never be tried.
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=(schedule.patience - 1) // 2)
    losses: list[float] = []
    room = Room()
    best = copy.deepcopy(network.state_dict()) if validation is not None else None
    best_epoch = 0
    pace = progress.Pace(len(examples) * schedule.epochs, what)
    for epoch in range(1, schedule.epochs + 1):
        trained = _epoch(
            learner, collate, examples, schedule.batch_size, optimizer, np.random.default_rng([seed, epoch]), room, pace
        )
        losses.append(trained if validation is None else loss(network, collate, validation))
        progress.report(epoch / schedule.epochs, f"{what}, epoch {epoch}, loss {losses[-1]:.4f}")
        plateau.step(losses[-1])
        if losses[-1] <= min(losses):
            best_epoch = epoch
            best = copy.deepcopy(network.state_dict()) if validation is not None else None
        elif epoch - best_epoch >= schedule.patience:
            break
    if best is not None:
        network.load_state_dict(best)
    network.eval()
    return History(losses, best_epoch if validation is not None else len(losses))


def loss(network: nn.Module, collate: Collate, examples: Examples, batch_size: int = 64) -> float:
    """The weighted mean soft cross-entropy in nats, without gradients; hints do not count."""
    network.eval()
    total, room, examples = 0.0, Room(), replace(examples, hints=None)

    def answers(rows: Sequence[int]) -> np.ndarray:
        inputs = collate([examples.contents[row] for row in rows])
        logits: np.ndarray = (
            network(**{name: tensor.to(device()) for name, tensor in inputs.items()}).float().cpu().numpy()
        )
        return logits

    with torch.inference_mode():
        for rows in _batches(examples, batch_size, None):
            logits = torch.from_numpy(compute(answers, rows.tolist(), room)).to(device())
            total += float(_loss(examples, rows, logits)) * float(examples.weights[rows].sum())
    network.train()
    return total / float(examples.weights.sum())


def _optimizer(network: nn.Module, schedule: Schedule) -> torch.optim.Optimizer:
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            in_head = name.removeprefix("network.").startswith("head.")
            groups.setdefault((in_head, parameter.ndim > 1), []).append(parameter)
    described = [
        {
            "params": parameters,
            "lr": schedule.head_learning_rate if in_head else schedule.learning_rate,
            # Biases and norms are not decayed: they do not overfit, and decaying them moves the scale.
            "weight_decay": schedule.weight_decay if is_matrix else 0.0,
        }
        for (in_head, is_matrix), parameters in groups.items()
    ]
    return torch.optim.AdamW(described, fused=True)


def _epoch(
    network: nn.Module,
    collate: Collate,
    examples: Examples,
    batch_size: int,
    optimizer: torch.optim.Optimizer,
    random: np.random.Generator,
    room: Room,
    pace: progress.Pace,
) -> float:
    total = 0.0
    for rows in _batches(examples, batch_size, random):
        contents = [examples.contents[row] for row in rows]
        batch_loss = learn(network, collate, contents, partial(_loss, examples, rows), room)
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        total += batch_loss * float(examples.weights[rows].sum())
        pace.advance(len(rows))
    return total / float(examples.weights.sum())


def _batches(examples: Examples, batch_size: int, random: np.random.Generator | None) -> Iterator[np.ndarray]:
    """Row numbers, batch by batch; rows of like length share one, because padding costs as much as content."""
    order = np.arange(len(examples)) if random is None else random.permutation(len(examples))
    lengths = np.array([len(content) for content in examples.contents])
    batches = []
    for start in range(0, len(order), batch_size * BATCHES_SORTED_TOGETHER):
        stretch = order[start : start + batch_size * BATCHES_SORTED_TOGETHER]
        stretch = stretch[np.argsort(lengths[stretch], kind="stable")]
        batches += [stretch[first : first + batch_size] for first in range(0, len(stretch), batch_size)]
    for number in range(len(batches)) if random is None else random.permutation(len(batches)):
        yield batches[number]


def _loss(examples: Examples, rows: np.ndarray, outputs: Tensor) -> Tensor:
    """The weighted mean of soft cross-entropy and, with hints, of how far an embedding is from the hint."""
    classes = examples.targets.shape[1]
    targets = torch.from_numpy(examples.targets[rows]).to(device())
    weights = torch.from_numpy(examples.weights[rows]).to(device())
    losses = nn.functional.cross_entropy(outputs[:, :classes], targets, reduction="none")
    if examples.hints is not None:
        hints = torch.from_numpy(examples.hints[rows]).to(device())
        alike = nn.functional.cosine_similarity(outputs[:, classes:], hints)
        losses = losses + examples.hint_weight * (1 - alike)
    return (losses * weights).sum() / weights.sum()
