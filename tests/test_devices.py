"""Two processes that train together: what one alone would have learned, from batches of the same size."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from handful import devices
from handful.errors import ComputeError
from handful.vectors import KEY_BYTES

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

torch.cpu.get_capabilities = dict  # no units for bf16, so that weights can be compared closely

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
    targets, weights = np.eye(4, dtype=np.float32)[random.integers(0, 4, 15)], random.random(15, np.float32)
    examples = Examples(rows, targets, weights, hints=random.random((15, 5), np.float32), hint_weight=1.0)
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


# Each process leaves behind what it embedded, and how many rows it was asked for.
EMBEDDING = """import sys
from pathlib import Path
import numpy as np
from handful import compute, devices
from handful.embedding import embed
from handful.parameters.compute import LocalCompute, RayCompute
from test_embedding import Toy

TEXTS = [str(number) for number in [*range(3000), *range(100)]]
out, kind, fingerprint = sys.argv[1:]
ray = {"kind": "ray", "address": "local", "actors": 1, "cpus_per_actor": 1, "gpus_per_actor": 0}
place = RayCompute(**ray) if kind == "ray" else LocalCompute(kind="local")
with devices.company(), compute.running(place):
    toy = Toy(fingerprint or None)
    vectors = embed(toy, TEXTS)
    joined = "ray" in sys.modules and sys.modules["ray"].is_initialized()
    np.savez(Path(out, f"{devices.rank()}.npz"), vectors=vectors, asked=len(toy.asked), joined=joined)
    devices.wait()
"""
# What each of two processes does, as the first argument says.
MISFORTUNE = """import logging, os, sys
from pathlib import Path
import torch
from handful import devices
from handful.errors import DataError
from handful.parameters import Parameters
from tasks import start

def main(parameters: Parameters, what: Path, out: Path) -> None:
    log = logging.getLogger("handful.toy")
    log.info("Row 5 is read.")
    log.warning("Row 6 is long.")
    if what.name == "both":
        raise DataError("Row 7 has no label. Give it one.")
    if what.name == "one" and devices.rank() == 1:
        raise DataError("Row 8 has no label. Give it one.")
    if what.name == "killed" and devices.rank() == 1:
        os.kill(os.getpid(), 9)
    devices.gather(torch.ones(1), 2)

if "early" in sys.argv and os.environ.get("RANK") == "1":
    sys.exit(3)
start(main, devices.company)
"""


def ended(what: str, many: str = "2") -> str:
    """What two processes said before they ended with a mistake."""
    command = [sys.executable, "-c", MISFORTUNE, str(ROOT / "params.yaml"), what, "out"]
    settings = {**os.environ, "HANDFUL_DEVICES": many, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=settings, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def learned(folder: Path, devices: int) -> dict[str, torch.Tensor]:
    out = folder / f"{devices}.safetensors"
    settings = {**os.environ, "HANDFUL_DEVICES": str(devices), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", PROGRAM, out, str(devices)], env=settings, check=True, timeout=500)
    return load_file(out)


def test_two_processes_learn_what_one_does_also_when_memory_is_short_on_one_of_them(tmp_path: Path) -> None:
    together = learned(tmp_path, 2)
    for name, tensor in learned(tmp_path, 1).items():
        torch.testing.assert_close(together[name], tensor, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("what", "status"), [("early", "3"), ("killed", "-9")])
def test_a_process_that_ends_early_ends_the_others_and_is_named(what: str, status: str) -> None:
    assert f"Process 1 of 2 that share the work of this machine's devices ended with {status}" in ended(what)


def test_a_mistake_that_all_processes_come_to_is_said_once() -> None:
    said = ended("both")
    assert said.count("Row 7 has no label") == 1
    assert "Process 1" not in said


@pytest.mark.slow
def test_a_mistake_that_one_process_comes_to_is_said_by_that_one() -> None:
    assert "Row 8 has no label. Give it one." in ended("one")


def test_a_number_of_devices_that_is_none_is_one_paragraph() -> None:
    assert ended("both", "two").endswith("HANDFUL_DEVICES must be a whole number from 1, got 'two' instead.\n")


def test_what_happens_in_all_processes_is_logged_once_and_warnings_by_each(tmp_path: Path) -> None:
    (program := tmp_path / "program.py").write_text(MISFORTUNE, encoding="utf-8")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*torchrun, str(program), str(ROOT / "params.yaml"), "none", "out"]
    settings = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    said = subprocess.run(command, env=settings, capture_output=True, text=True, check=True, timeout=120).stdout
    assert said.count("Row 5 is read.") == 1
    assert said.count("Row 6 is long.") == 2


@pytest.mark.parametrize("many", ["0", "-1", "1.5", "2"])
def test_no_more_devices_are_shared_out_than_there_are(many: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setenv("HANDFUL_DEVICES", many)
    with (
        pytest.raises(ComputeError, match=f"from 1 to 1, the GPUs that are seen here, got '{many}'"),
        devices.company(),
    ):
        pass


def embedded(folder: Path, many: int, kind: str, fingerprint: str) -> list[dict[str, np.ndarray]]:
    """What each process has embedded, with a cache in the folder."""
    folder.mkdir()
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    settings = {**os.environ, "HANDFUL_DEVICES": str(many), "PYTHONPATH": path, "HANDFUL_CACHE": str(folder / "cache")}
    command = [sys.executable, "-c", EMBEDDING, str(folder), kind, fingerprint]
    subprocess.run(command, env=settings, check=True, timeout=300)
    return [dict(np.load(folder / f"{number}.npz")) for number in range(many)]


def test_two_processes_share_out_what_is_new_to_the_cache_and_store_each_row_once(tmp_path: Path) -> None:
    [alone] = embedded(tmp_path / "alone", 1, "local", "toy")
    together = embedded(tmp_path / "together", 2, "local", "toy")
    assert all(np.array_equal(one["vectors"], alone["vectors"]) for one in together)
    assert sum(int(one["asked"]) for one in together) == 3000
    assert all(1300 < int(one["asked"]) < 1700 for one in together)
    [keys] = (tmp_path / "together").rglob("*.keys")
    assert keys.stat().st_size == 3000 * KEY_BYTES


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ray") is None, reason="needs ray: pip install 'handful[ray]'")
@pytest.mark.parametrize("fingerprint", ["toy", ""])
def test_of_several_processes_one_asks_for_actors_and_all_have_what_these_gave(
    tmp_path: Path, fingerprint: str
) -> None:
    leader, other = embedded(tmp_path / "ray", 2, "ray", fingerprint)
    assert (bool(leader["joined"]), bool(other["joined"])) == (True, False)
    assert np.array_equal(leader["vectors"], other["vectors"])
    assert np.allclose(np.linalg.norm(leader["vectors"], axis=1), 1, atol=1e-5)
