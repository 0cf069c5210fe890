"""Where batches are computed changes no byte: here, or in actors of Ray of which some are killed."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from conftest import command, small_repository
from test_pipeline import digests
from torch import Tensor, nn

from handful import compute
from handful.cluster import SECONDS_OF_SILENCE, Cluster, _facts
from handful.embedding import embed
from handful.errors import BackboneError, ComputeError, ParameterError
from handful.parameters import parse
from handful.parameters.compute import LocalCompute, RayCompute

ROOT = Path(__file__).parents[1]
HAS_RAY = pytest.mark.skipif(find_spec("ray") is None, reason="needs ray: pip install 'handful[ray]'")


def settings(address: str = "local", actors: int = 2, cpus: int = 1, gpus: float = 0) -> RayCompute:
    return RayCompute(kind="ray", address=address, actors=actors, cpus_per_actor=cpus, gpus_per_actor=gpus)


class Words(nn.Module):
    """A random linear layer over the letters of a text."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.layer = nn.Linear(128, 16)

    def forward(self, letters: Tensor) -> Tensor:
        return nn.functional.normalize(self.layer(letters), dim=-1)


class Toy:
    """A small embedder whose rows have many shapes."""

    dimensions = 16

    def __init__(self, adapted: bool) -> None:
        self.fingerprint, self.adapted, self.module = "words", adapted, Words()

    def shape(self, content: str) -> int:
        return 8 * (1 + len(content) // 8)

    def collate(self, contents: Sequence[str]) -> dict[str, Tensor]:
        counted = [np.bincount(np.frombuffer(text.encode("ascii"), np.uint8), minlength=128) for text in contents]
        return {"letters": torch.from_numpy(np.array(counted, np.float32))}


TEXTS = [f"text number {number} {'of many words ' * (number % 9)}" for number in range(3000)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[compute.Compute]:
    """One Ray on this machine for all tests; the first that uses it waits for its start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT / "tests"))  # what the actors do here stands in this file
        with compute.running(settings()):
            yield compute.current()


def squares(batches: Iterable[int]) -> Iterator[int]:
    for number in batches:
        time.sleep(0.01)
        yield number**2


def deadly(batches: Iterable[int], mark: Path, deaths: int) -> Iterator[int]:
    """Kill this process in the midst of the batches, so many times."""
    for number in batches:
        if number == 70:
            died = len(list(mark.iterdir()))
            if died < deaths:
                (mark / str(died)).touch()
                os.kill(os.getpid(), signal.SIGKILL)
        yield number**2


def failing(batches: Iterable[int]) -> Iterator[int]:
    raise BackboneError(f"The weights for {next(iter(batches))} are gone.")
    yield 0


@contextmanager
def as_many_threads_as_an_actor() -> Iterator[None]:
    """Some processors sum in another order on two threads than on one."""
    before = torch.get_num_threads()
    torch.set_num_threads(settings().cpus_per_actor)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("adapted", [False, True])
@HAS_RAY
def test_actors_give_the_bytes_that_this_process_gives(
    cluster: compute.Compute, adapted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HANDFUL_CACHE", str(tmp_path / "here"))
    with compute.running(LocalCompute(kind="local")), as_many_threads_as_an_actor():
        here = embed(Toy(adapted), TEXTS)
    monkeypatch.setenv("HANDFUL_CACHE", str(tmp_path / "there"))
    there = embed(Toy(adapted), TEXTS)
    assert there.tobytes() == here.tobytes()


@HAS_RAY
def test_results_come_in_order_however_many_batches_there_are(cluster: compute.Compute) -> None:
    for count in (0, 1, 3, 200):
        assert list(cluster.spread(squares, range(count))) == [number**2 for number in range(count)]


@HAS_RAY
def test_a_killed_actor_is_replaced_and_its_batches_are_computed_again(
    cluster: compute.Compute, tmp_path: Path
) -> None:
    work = partial(deadly, mark=tmp_path, deaths=1)
    assert list(cluster.spread(work, range(200))) == [number**2 for number in range(200)]
    assert len(list(tmp_path.iterdir())) == 1


@HAS_RAY
def test_an_error_of_the_work_is_told_as_if_it_had_been_here(cluster: compute.Compute) -> None:
    with pytest.raises(BackboneError, match="The weights for 0 are gone"):
        list(cluster.spread(failing, range(1)))


@HAS_RAY
@pytest.mark.slow
def test_batches_that_kill_every_actor_end_the_stage(cluster: compute.Compute, tmp_path: Path) -> None:
    with pytest.raises(ComputeError, match="3 actors of Ray died"):
        list(cluster.spread(partial(deadly, mark=tmp_path, deaths=99), range(200)))


@pytest.mark.parametrize(
    ("asked", "lacking"), [(settings(gpus=0.5), "0.5 GPUs"), (settings(cpus=10_000), "10000 CPUs")]
)
@HAS_RAY
def test_a_request_that_no_machine_can_meet_is_refused_at_once(
    cluster: compute.Compute, asked: RayCompute, lacking: str
) -> None:
    list(cluster.spread(squares, [1]))  # Ray has started
    began = time.monotonic()
    with compute.running(asked), pytest.raises(ComputeError, match=f"{lacking}.*room for 0"):
        list(compute.current().spread(squares, [1]))
    assert time.monotonic() - began < SECONDS_OF_SILENCE  # after which it would have looked for the first time


@pytest.mark.parametrize(
    ("gpus", "nodes", "room"),
    [
        (0.5, [{"CPU": 8.0, "GPU": 1.0}], 2),  # and not a third
        (0.5, [{"CPU": 1.0, "GPU": 1.0}], 1),
        (0.4, [{"CPU": 8.0, "GPU": 2.0}], 4),
        (0.5, [{"CPU": 8.0}, {"GPU": 1.0}], 0),
        (0, [{"CPU": 8.0}, {"CPU": 2.0, "GPU": 1.0}], 10),
    ],
)
def test_as_many_actors_fit_as_whole_gpus_and_the_cpus_beside_them_hold(
    gpus: float, nodes: list[dict[str, float]], room: int
) -> None:
    asking = Cluster(settings(gpus=gpus))
    asking._ray = SimpleNamespace(nodes=lambda: [{"Alive": True, "Resources": has} for has in nodes])
    assert asking._room() == room


def test_an_actor_with_a_gpu_that_its_torch_does_not_see_is_refused_for_that() -> None:
    found = {**_facts(), "arithmetic": "cpu-bf16", "torch": "2.13.0+cpu"}
    with pytest.raises(ComputeError, match=r"has GPUs by Ray's count, and torch 2\.13\.0\+cpu sees none there"):
        Cluster(settings(gpus=0.5))._require_likeness(found)


OTHER_PACKAGES = """
import sys
import ray
import torch
from handful import batches, compute, errors
from test_compute import settings, squares

ray.init("local", include_dashboard=False, log_to_driver=False)
sys.path.insert(0, sys.argv[1])  # seen by this process alone, like the next two lines
has_units = batches.arithmetic("cpu") == "cpu-bf16"
torch.cpu.get_capabilities = lambda: {"amx_bf16": not has_units}
with compute.running(settings(actors=1)):
    try:
        list(compute.current().spread(squares, [1]))
    except errors.ComputeError as error:
        print(error)
"""


@HAS_RAY
@pytest.mark.slow
def test_a_machine_with_other_packages_or_another_processor_is_refused_and_the_difference_named(tmp_path: Path) -> None:
    (tmp_path / "torch-99.0.dist-info").mkdir()
    (tmp_path / "torch-99.0.dist-info" / "METADATA").write_text("Name: torch\nVersion: 99.0\n", encoding="utf-8")
    code = [sys.executable, "-c", OTHER_PACKAGES, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "RAY_USAGE_STATS_ENABLED": "0"}
    done = subprocess.run(code, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert f"torch {metadata.version('torch')} instead of 99.0" in done.stdout
    assert re.search(r"arithmetic cpu(-bf16 instead of cpu| instead of cpu-bf16),", done.stdout)


def test_an_address_where_nothing_listens_is_refused_at_once() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        began = time.monotonic()
        with compute.running(settings(address)), pytest.raises(ComputeError, match=address):
            list(compute.current().spread(squares, [1]))
    assert time.monotonic() - began < SECONDS_OF_SILENCE  # Ray itself tries for minutes


def test_by_the_parameters_batches_are_computed_here() -> None:
    with compute.running(LocalCompute(kind="local")):
        assert list(compute.current().spread(squares, [1, 2])) == [1, 4]


@pytest.mark.parametrize(
    ("key", "value"),
    [("address", "ray://head:10001"), ("address", "head"), ("actors", 0), ("cpus_per_actor", 0), ("gpus_per_actor", 2)],
)
def test_a_key_out_of_its_bounds_is_named(key: str, value: object) -> None:
    values = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    with pytest.raises(ParameterError, match=f"compute.ray.{key}"):
        parse({**values, "compute": {**settings().model_dump(), key: value}}, "params.yaml")


@HAS_RAY
@pytest.mark.slow
def test_ray_makes_the_same_student_byte_for_byte_and_runs_no_stage_again(trained: Path, tmp_path: Path) -> None:
    root = small_repository(tmp_path / "repository")
    values = yaml.safe_load((root / "params.yaml").read_text(encoding="utf-8"))
    asked = values | {"compute": settings().model_dump()}
    (root / "params.yaml").write_text(yaml.safe_dump(asked, sort_keys=False), encoding="utf-8")
    # A cache of its own: what the other run has embedded must not be what makes the two equal.
    command(root, "dvc", "repro", HANDFUL_CACHE=str(tmp_path / "cache"))
    for stage in ("augment", "select", "distill"):
        assert digests(root / "data" / stage) == digests(trained / "data" / stage)
    (root / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    assert "Running stage" not in command(root, "dvc", "repro").stdout
