"""Several devices, a process for each: how they are started, and what they tell each other."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta

import torch
from torch import Tensor, distributed, nn

from handful.errors import ComputeError

PATIENCE = timedelta(hours=12)  # the others may be busy between two batches
SECONDS_FOR_THE_LEADER = 10.0  # to come to the mistake that this process has come to
A_MOMENT = 1.0


@contextmanager
def company() -> Iterator[bool]:
    """Start this command once more for each further device, and say whether this process leads: it alone writes.

    There are as many as HANDFUL_DEVICES says, else as many as there are GPUs to be seen; under torchrun, as it says.
    All processes compute the same, and share out what `batches.learn` and `embedding.embed` are given. None goes on
    without the others: where one ends early, so does this one.

    Raises:
        ComputeError: there are not so many devices.
    """
    numbered = "RANK" in os.environ  # by another process, which started this one
    many = 0 if numbered else _wanted()
    if many == 1:
        yield True
        return
    others: AbstractContextManager[None] = nullcontext() if numbered else _others(many)
    with others, _joined():
        try:
            yield rank() == 0
        except Exception:
            # What goes wrong everywhere is said once, by the leader, who then ends the others. What goes wrong because
            # another process has ended is said by who watches that one.
            time.sleep(SECONDS_FOR_THE_LEADER if rank() else A_MOMENT)
            raise


def _wanted() -> int:
    gpus, said = torch.cuda.device_count(), os.environ.get("HANDFUL_DEVICES")
    many = int(said) if said and said.isdecimal() else 0 if said else max(gpus, 1)
    if many < 1 or (gpus and many > gpus):
        most = f" to {gpus}, the GPUs that are seen here" if gpus else ""
        raise ComputeError(f"HANDFUL_DEVICES must be a whole number from 1{most}, got {said!r} instead.")
    return many


@contextmanager
def _others(many: int) -> Iterator[None]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(many)}
    os.environ |= {"RANK": "0", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": str(many)}
    command = [sys.executable, *sys.orig_argv[1:]]
    numbers = [{"RANK": str(number), "LOCAL_RANK": str(number)} for number in range(1, many)]
    others = [subprocess.Popen(command, env=os.environ | number, stdout=subprocess.DEVNULL) for number in numbers]
    done = threading.Event()
    for number in range(1, many):
        threading.Thread(target=_watch, args=(others, number, done), daemon=True).start()
    try:
        yield
    finally:
        done.set()
        for other in others:
            other.terminate()
            other.wait()


def _watch(others: "list[subprocess.Popen[bytes]]", number: int, done: threading.Event) -> None:
    """End this process if another one fails: it may wait for that one where no exception reaches it."""
    status = others[number - 1].wait()
    if status == 0 or done.is_set():
        return
    sys.stdout.flush()
    sys.stderr.write(
        f"Process {number} of {len(others) + 1} that share the work of this machine's devices ended with {status}, and "
        "the others cannot go on without it. What it said stands above; -9 is most often for want of memory.\n"
    )
    sys.stderr.flush()
    for other in others:
        other.terminate()
    os._exit(1)


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


def beside() -> tuple[int, int]:
    """The number of this process among those of its machine, which share its disks, and how many they are."""
    if count() == 1:
        return 0, 1
    return int(os.environ["LOCAL_RANK"]), int(os.environ["LOCAL_WORLD_SIZE"])


def share(rows: int) -> slice:
    """Which of so many rows are for this process."""
    return slice(rows * rank() // count(), rows * (rank() + 1) // count())


def gather(own: Tensor, rows: int) -> Tensor:
    """The rows of all processes, [rows, ...], from each one's share."""
    whole = own.new_zeros((rows, *own.shape[1:]))
    whole[share(rows)] = own
    distributed.all_reduce(whole)
    return whole


def wait() -> None:
    """Wait until every process has come here."""
    if count() > 1:
        distributed.barrier()


def from_leader(own: Tensor) -> Tensor:
    """What the leader has; of the same shape everywhere, whatever it holds elsewhere."""
    if count() > 1:
        distributed.broadcast(own, 0)
    return own


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
