"""Two processes that train together: what one alone would have learned, from batches of the same size."""

import os
import subprocess
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

ROOT = Path(__file__).parents[1]
# Batches of 7 and 3 rows do not go into two like parts, and the last has fewer rows than there are devices.
PROGRAM = """import sys
from functools import partial
import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn
from handful import batches, contrastive, devices
from handful.training import Examples, Schedule, fit

class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.most = 99
        self.first, self.unused, self.head = nn.Linear(3, 8), nn.Linear(1, 1), nn.Linear(8, 4)
    def forward(self, x):
        if devices.rank() == 1 and len(x) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return nn.functional.normalize(self.head(torch.tanh(self.first(x))), dim=1)

with devices.company() as leads:
    random = np.random.default_rng(0)
    rows = [tuple(row) for row in random.random((15, 3), dtype=np.float32)]
    collate = lambda contents: {"x": torch.tensor(contents)}
    torch.manual_seed(0)
    network = Small()
    examples = Examples(rows, np.eye(4, dtype=np.float32)[random.integers(0, 4, 15)], random.random(15, np.float32))
    fit(network, collate, examples, Schedule(0.01, 0.01, 0.01, 2, 7, 2), 0, examples)
    loss = partial(contrastive.contrastive_loss, classes=torch.arange(10) % 3, temperature=0.1)
    optimizer, room = torch.optim.SGD(network.parameters(), 0.1), batches.Room()
    for most in (99, 99, 2):
        network.most = most
        batches.learn(network, collate, rows[:10], loss, room)
        optimizer.step()
    if leads:
        save_file({name: tensor for name, tensor in network.state_dict().items()}, sys.argv[1])
    assert devices.count() == int(sys.argv[2])
"""


def learned(folder: Path, devices: int) -> dict[str, torch.Tensor]:
    out = folder / f"{devices}.safetensors"
    settings = {**os.environ, "HANDFUL_DEVICES": str(devices), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", PROGRAM, out, str(devices)], env=settings, check=True, timeout=500)
    return load_file(out)


def test_two_processes_learn_what_one_does_also_when_memory_is_short_on_one_of_them(tmp_path: Path) -> None:
    together = learned(tmp_path, 2)
    for name, tensor in learned(tmp_path, 1).items():
        torch.testing.assert_close(together[name], tensor, rtol=1e-4, atol=1e-6)
