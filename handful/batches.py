"""The gradients of one batch, the same however it is cut: over several devices, or into parts where memory is short."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from handful import devices
from handful.errors import BackboneError

log = logging.getLogger("handful.batches")
Collate = Callable[[Sequence[Any]], Mapping[str, Tensor]]
T = TypeVar("T")
RandomState = tuple[Tensor, Tensor | None]
BF16 = ("amx_bf16", "avx512_bf16")  # what a processor may have that multiplies bf16 faster than full precision


def device() -> torch.device:
    """The accelerator if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def arithmetic(device_type: str) -> str:
    """How a device of that type multiplies here; what was computed one way is not, to the last bit, the other's.

    Returns:
        `cuda`, in bf16; `cpu-bf16` on a processor with instructions for that, where it takes half of the time; `cpu`.
    """
    can = torch.cpu.get_capabilities()
    return "cpu-bf16" if device_type == "cpu" and any(can.get(name) for name in BF16) else device_type


def autocast(enabled: bool = True) -> torch.autocast:
    """bf16, where it costs no accuracy, on what is made for it; full precision elsewhere, and if not `enabled`."""
    made_for_it = arithmetic(device().type) != "cpu"
    return torch.autocast(device().type, dtype=torch.bfloat16, enabled=enabled and made_for_it)


class Room:
    """How many rows fit into a device's memory at once: all, until it is said that they do not."""

    def __init__(self) -> None:
        self.rows: int | None = None

    def cut(self, rows: Sequence[Any]) -> list[Sequence[Any]]:
        """The rows in parts that fit, in their order."""
        size = self.rows or max(1, len(rows))
        return [rows[start : start + size] for start in range(0, len(rows), size)]

    def halve(self, tried: int) -> None:
        """Take half of what was tried for what fits, and say so.

        Raises:
            BackboneError: it was one row.
        """
        tried = min(tried, self.rows or tried)
        if tried == 1:
            raise BackboneError(
                "The memory of the GPU is too small for a single row. End what else runs there, let texts or images be "
                "smaller (backbone.max_tokens, backbone.image_size), or name a smaller backbone in params.yaml."
            )
        self.rows = (tried + 1) // 2
        torch.cuda.empty_cache()
        log.warning("Out of GPU memory with %d rows at once: going on with %d, as one batch", tried, self.rows)


def compute(work: Callable[[Sequence[Any]], np.ndarray], rows: Sequence[Any], room: Room) -> np.ndarray:
    """What `work` gives for the rows, [n, ...]; as many at once as there is room for."""
    while True:
        try:
            return np.concatenate([work(part) for part in room.cut(rows)])
        except torch.OutOfMemoryError:
            pass  # left first: the error holds on to what was in memory
        room.halve(len(rows))


def learn(
    network: nn.Module, collate: Collate, contents: Sequence[Any], loss: Callable[[Tensor], Tensor], room: Room
) -> float:
    """Set the gradients of `network` to those of one batch's loss, and return the loss.

    `loss` may be any function of all outputs, float32 [n, d], with which `network(**collate(contents))` answers. Each
    device answers for its share of the rows. Where that is too much for its memory, it answers twice, part by part:
    once to know the loss's gradient at the outputs, and once more to pass it on (GradCache, Gao et al. 2021). A network
    that normalises over the batch is not cut: each device then takes all of it.
    """
    normalised = any(isinstance(layer, _BatchNorm) for layer in network.modules())
    shared = devices.count() > 1 and not normalised and len(contents) >= devices.count()
    while (value := _attempt(network, collate, contents, loss, room, shared)) is None:
        if normalised:
            raise BackboneError("The memory of the GPU is too small for a batch. Lower its batch_size in params.yaml.")
        room.halve(-(-len(contents) // devices.count()) if shared else len(contents))
    return value


def _attempt(
    network: nn.Module,
    collate: Collate,
    contents: Sequence[Any],
    loss: Callable[[Tensor], Tensor],
    room: Room,
    shared: bool,
) -> float | None:
    """The loss, or None where memory did not suffice on some device; then nothing has changed."""
    network.zero_grad(set_to_none=True)
    mine = devices.share(len(contents)) if shared else slice(None)
    parts, before = room.cut(contents[mine]), _random_state()
    if (answers := _within_memory(lambda: _answer(network, collate, parts))) is not None:
        outputs = torch.cat([answer.output.detach() for answer in answers])
        outputs = (devices.gather(outputs, len(contents)) if shared else outputs).requires_grad_()
        value = loss(outputs)
        [gradient] = torch.autograd.grad(value, outputs)
        if _within_memory(lambda: _pass_on(network, collate, answers, gradient[mine])):
            if shared:
                devices.sum_gradients(network)
            return float(value.detach())
    _restore(before)
    return None


@dataclass(frozen=True)
class Answer:
    """A network's outputs for a part of the batch, and the random state before it answered."""

    part: Sequence[Any]
    before: RandomState
    output: Tensor


def _answer(network: nn.Module, collate: Collate, parts: list[Sequence[Any]]) -> list[Answer]:
    with torch.set_grad_enabled(len(parts) == 1):  # of several parts only one at a time is kept for its gradient
        return [Answer(part, _random_state(), _output(network, collate, part)) for part in parts]


def _pass_on(network: nn.Module, collate: Collate, answers: list[Answer], gradient: Tensor) -> bool:
    after, start = _random_state(), 0
    for answer in answers:
        output = answer.output
        if len(answers) > 1:
            _restore(answer.before)  # what was dropped out is dropped out again
            output = _output(network, collate, answer.part)
        output.backward(gradient[start : start + len(output)])
        start += len(output)
    _restore(after)
    return True


def _output(network: nn.Module, collate: Collate, part: Sequence[Any]) -> Tensor:
    inputs = {name: tensor.to(device()) for name, tensor in collate(part).items()}
    with autocast():
        output: Tensor = network(**inputs)
    return output.float()


def _within_memory(work: Callable[[], T]) -> T | None:
    try:
        made = work()
    except torch.OutOfMemoryError:
        made = None
    return made if devices.all_agree(made is not None, device()) else None


def _random_state() -> RandomState:
    return torch.get_rng_state(), torch.cuda.get_rng_state() if torch.cuda.is_available() else None


def _restore(state: RandomState) -> None:
    torch.set_rng_state(state[0])
    if state[1] is not None:
        torch.cuda.set_rng_state(state[1])
