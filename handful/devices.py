"""Several devices, a process for each: how they are started, and what they tell each other."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
from torch import Tensor, distributed, nn

PATIENCE = timedelta(hours=12)  # the others may be busy between two batches


@contextmanager
def company() -> Iterator[bool]:
    """Start this command once more for each further device, and say whether this process leads: it alone writes.

    There are as many as HANDFUL_DEVICES says, else as many as there are GPUs to be seen; under torchrun, as it says.
    All processes compute the same, and share out what `batches.learn` is given.
    """
    many = int(os.environ.get("HANDFUL_DEVICES") or torch.cuda.device_count() or 1)
    if many == 1 and "RANK" not in os.environ:
        yield True
        return
    others = [] if "RANK" in os.environ else _start(many)
    try:
        with _joined():
            yield rank() == 0
    finally:
        for other in others:
            other.terminate()
            other.wait()


def _start(many: int) -> "list[subprocess.Popen[bytes]]":
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(many)}
    os.environ |= {"RANK": "0", "LOCAL_RANK": "0"}
    command = [sys.executable, *sys.orig_argv[1:]]
    numbers = [{"RANK": str(number), "LOCAL_RANK": str(number)} for number in range(1, many)]
    return [subprocess.Popen(command, env=os.environ | number, stdout=subprocess.DEVNULL) for number in numbers]


@contextmanager
def _joined() -> Iterator[None]:
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo", timeout=PATIENCE)
    try:
        yield
    finally:
        distributed.destroy_process_group()


def count() -> int:
    """How many devices train together."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def rank() -> int:
    """The number of this process among them, from 0."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def share(rows: int) -> slice:
    """Which of so many rows are for this process."""
    return slice(rows * rank() // count(), rows * (rank() + 1) // count())


def gather(own: Tensor, rows: int) -> Tensor:
    """The rows of all processes, [rows, ...], from each one's share."""
    whole = own.new_zeros((rows, *own.shape[1:]))
    whole[share(rows)] = own
    distributed.all_reduce(whole)
    return whole


def all_agree(yes: bool, device: torch.device) -> bool:
    """Whether it is so for every process."""
    if count() == 1:
        return yes
    votes = torch.tensor(int(yes), device=device)
    distributed.all_reduce(votes, distributed.ReduceOp.MIN)
    return bool(votes)


def sum_gradients(network: nn.Module) -> None:
    """Give every process the sum of all their gradients; each has gradients for the same weights."""
    for weight in network.parameters():
        if weight.grad is not None:
            distributed.all_reduce(weight.grad)
