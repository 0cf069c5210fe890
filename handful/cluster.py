"""Ray inside a stage: actors that hold the work, batches that come back in order, or what stands in the way."""

import hashlib
import logging
import os
import platform
import socket
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import torch

from handful.address import require_answer
from handful.batches import arithmetic, device
from handful.compute import Work
from handful.errors import ComputeError, MissingExtraError
from handful.parameters.compute import RayCompute

log = logging.getLogger("handful.cluster")

BATCHES_PER_MESSAGE = 8  # so that talking to an actor costs little beside what it does
MESSAGES_PER_ACTOR = 2  # one at work, one on its way
MESSAGES_AHEAD = 4  # for each actor, of results that wait for an earlier one: they lie in memory here
LOSSES = 3  # actors that may die over one message, or before they have begun
SECONDS_OF_SILENCE = 30
PACKAGES = ("numpy", "pillow", "tokenizers", "torch", "transformers")


@dataclass(frozen=True)
class Message:
    """Some batches that follow each other, sent as one; results are put in order by `number`."""

    number: int
    batches: Sequence[Any]


class Worker:
    """What runs in an actor's process: it keeps the work that it was given last."""

    def __init__(self) -> None:
        self.place: Any = None
        self.work: Work | None = None

    def ready(self, threads: int) -> dict[str, str]:
        """Prepare to compute, and say with what."""
        torch.set_num_threads(threads)
        return {**_facts(), "arithmetic": arithmetic(device().type)}

    def compute(self, place: list[Any], batches: Sequence[Any]) -> list[Any]:
        """Do the work that lies at `place` on each of the batches; a new actor fetches it, an old one has it."""
        if self.work is None or self.place != place[0]:
            self.work, self.place = import_module("ray").get(place[0]), place[0]
        return list(self.work(batches))


class Cluster:
    """Actors of one Ray cluster, until `close`. One that dies is replaced, and its batches are computed again."""

    def __init__(self, settings: RayCompute) -> None:
        self.settings = settings
        self.width = MESSAGES_AHEAD * settings.actors
        self.device = "cuda" if settings.gpus_per_actor else "cpu"
        self._ray: Any = None
        self._joined_here = False
        self._actors: list[Any] = []
        self._beginning: dict[Any, Any] = {}
        self._stillborn = 0

    def spread(self, work: Work, batches: Sequence[Any]) -> Iterator[Any]:
        """Give what `work` makes of each batch, in their order; `work` and batches travel by Ray's serialisation.

        Raises:
            ComputeError: the cluster cannot be joined, has no room for the actors, or lost them again and again.
        """
        self._join()
        place = self._ray.put(work)
        size = max(1, min(BATCHES_PER_MESSAGE, len(batches) // (MESSAGES_AHEAD * self.settings.actors)))
        starts = range(0, len(batches), size)
        messages = deque(Message(number, batches[start : start + size]) for number, start in enumerate(starts))
        sent: dict[Any, tuple[Any, Message]] = {}
        losses: Counter[int] = Counter()
        done: dict[int, list[Any]] = {}
        for due in range(len(starts)):
            while due not in done:
                self._send(place, messages, sent, due + MESSAGES_AHEAD * self.settings.actors)
                for actor, message, results in self._received(sent):
                    if results is not None:
                        done[message.number] = results
                        continue
                    losses[message.number] += 1
                    self._replace(actor, losses[message.number])
                    messages.appendleft(message)
            yield from done.pop(due)

    def close(self) -> None:
        """End the actors, and leave the cluster if this joined it; one that was started for this ends too."""
        for actor in [*self._actors, *self._beginning.values()]:
            self._ray.kill(actor)
        if self._joined_here:
            self._ray.shutdown()

    def _join(self) -> None:
        if self._ray is not None:
            return
        self._ray = _ray(self.settings.address)
        # A process that is part of a cluster already, such as a task of Ray, stays in that one.
        if not self._ray.is_initialized():
            _init(self._ray, self.settings.address)
            self._joined_here = True
        room, wanted = self._room(), self.settings
        if room < wanted.actors:
            raise ComputeError(
                f"compute asks Ray for {wanted.actors} actors with {self._asked()} each, and the cluster at "
                f"{wanted.address} has room for {room}: it has {_resources(self._ray)}. Ask for fewer or smaller "
                "actors in params.yaml, or add machines to the cluster."
            )
        log.info("%d actors with %s each, in Ray at %s", wanted.actors, self._asked(), wanted.address)
        for _ in range(wanted.actors):
            self._begin()

    def _begin(self) -> None:
        wanted = self.settings
        # Ray shows an actor the GPUs that it asked for; one that asked for none may see them all.
        hidden = {} if wanted.gpus_per_actor else {"env_vars": {"CUDA_VISIBLE_DEVICES": ""}}
        options = {"num_cpus": wanted.cpus_per_actor, "num_gpus": wanted.gpus_per_actor, "runtime_env": hidden}
        actor = self._ray.remote(**options)(Worker).remote()
        self._beginning[actor.ready.remote(wanted.cpus_per_actor)] = actor

    def _send(self, place: Any, messages: deque[Message], sent: dict[Any, tuple[Any, Message]], end: int) -> None:
        """Keep all actors that have begun busy with messages before number `end`."""
        busy = Counter(actor for actor, _ in sent.values())
        for load in range(MESSAGES_PER_ACTOR):
            for actor in self._actors:
                if busy[actor] == load and messages and messages[0].number < end:
                    message = messages.popleft()
                    # In a list, Ray passes the place on as it is, and the actor fetches the work once.
                    sent[actor.compute.remote([place], message.batches)] = (actor, message)
                    busy[actor] += 1

    def _received(self, sent: dict[Any, tuple[Any, Message]]) -> Iterator[tuple[Any, Message, list[Any] | None]]:
        """Wait until something happens: messages that were answered, with None where the actor is lost."""
        finished, _ = self._ray.wait([*sent, *self._beginning], num_returns=1, timeout=SECONDS_OF_SILENCE)
        if not finished and not sent:
            self._say_why_nothing_begins()
        for reference in finished:
            if reference in self._beginning:
                self._welcome(reference)
            else:
                actor, message = sent.pop(reference)
                yield actor, message, self._answer(reference)

    def _answer(self, reference: Any) -> list[Any] | None:
        lost = (self._ray.exceptions.RayActorError, self._ray.exceptions.OutOfMemoryError)
        try:
            results: list[Any] = self._ray.get(reference)
        except lost as error:
            log.info("An actor was lost (%s); its batches are computed again", _line(error))
            return None
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause from None
        return results

    def _replace(self, actor: Any, losses: int) -> None:
        if losses >= LOSSES:
            raise ComputeError(
                f"{losses} actors of Ray died one after the other over the same batches. Most often they lack memory: "
                "ask for fewer actors for each machine (compute.cpus_per_actor, compute.gpus_per_actor in params.yaml)."
            )
        if actor in self._actors:
            self._actors.remove(actor)
            self._ray.kill(actor)
            self._begin()

    def _welcome(self, reference: Any) -> None:
        """Let an actor that has begun work, if it is like this process; try another if it died meanwhile."""
        actor = self._beginning.pop(reference)
        try:
            found = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            self._stillborn += 1
            if self._stillborn >= LOSSES or not isinstance(error, self._ray.exceptions.RayActorError):
                raise ComputeError(
                    f"Ray's actors at {self.settings.address} do not begin: {_line(error)}. Install the same packages "
                    "there as here (constraints.txt), and look into Ray's log folder on that machine."
                ) from None
            self._begin()
            return
        self._require_likeness(found)
        self._actors.append(actor)

    def _require_likeness(self, found: dict[str, str]) -> None:
        """Refuse an actor that found another arithmetic or other packages than are here."""
        host = f"The machine {found['host']} of the Ray cluster"
        if self.device == "cuda" and found["arithmetic"] != "cuda":
            raise ComputeError(
                f"{host} has GPUs by Ray's count, and torch {found['torch']} sees none there. Install the driver of "
                "the GPU and a build of torch for its CUDA, here too; or compute on CPUs: compute.gpus_per_actor: 0 in "
                "params.yaml."
            )
        expected = {**_facts(), "arithmetic": arithmetic(self.device)}
        wrong = [f"{name} {found[name]} instead of {expected[name]}" for name in PARTS if found[name] != expected[name]]
        if wrong:
            raise ComputeError(
                f"{host} has {', '.join(wrong)}. Install there what is installed here (constraints.txt), or leave it "
                "out of the cluster."
            )

    def _say_why_nothing_begins(self) -> None:
        if not self._room():
            raise ComputeError(
                f"The Ray cluster at {self.settings.address} has lost the machines that the actors ran on: "
                f"{_resources(self._ray)} are left, and each asks for {self._asked()}. Bring them back, and run again."
            )
        log.info("Waiting for actors to begin; others may use some of the %s", _resources(self._ray))

    def _room(self) -> int:
        """How many actors the machines of the cluster can hold, if nobody else uses them."""
        wanted, room = self.settings, 0
        for has in (node["Resources"] for node in self._ray.nodes() if node["Alive"]):
            by_cpus = int(has.get("CPU", 0)) // wanted.cpus_per_actor
            # A fraction of a GPU is one of one GPU: what is left over on two does not make a third.
            by_gpus = int(has.get("GPU", 0)) * int(1 / wanted.gpus_per_actor) if wanted.gpus_per_actor else by_cpus
            room += min(by_cpus, by_gpus)
        return room

    def _asked(self) -> str:
        return f"{self.settings.cpus_per_actor} CPUs and {self.settings.gpus_per_actor:g} GPUs"


PARTS = ("arithmetic", "python", "ray", "handful", *PACKAGES)


def _facts() -> dict[str, str]:
    """What must be the same in every process for their results to be the same, and the name of the machine."""
    root = Path(__file__).parent
    source = hashlib.blake2b(digest_size=4)
    for path in sorted(root.rglob("*.py")):
        source.update(f"{path.relative_to(root)}\n".encode() + path.read_bytes())
    versions = {name: _version(name) for name in ("ray", *PACKAGES)}
    return {
        **versions,
        "handful": source.hexdigest(),
        "python": platform.python_version(),
        "host": socket.gethostname(),
    }


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "(none)"


def _ray(address: str) -> Any:
    """The module ray; what it shall keep to is said before its import, because it looks then."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if address == "local":
        # The first is Ray's name for: all on the loopback device; else its ports are open to the network. With the
        # usual niceness of 15 the actors would starve where anything else runs.
        os.environ.update(RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="0", RAY_worker_niceness="0")
    else:
        require_answer(address, "compute in params.yaml", "compute without it: {kind: local}")
    try:
        return import_module("ray")
    except ModuleNotFoundError:
        raise MissingExtraError("ray", "ray") from None


def _init(ray: Any, address: str) -> None:
    more: dict[str, Any] = {"include_dashboard": False} if address == "local" else {}
    code = {"py_modules": [str(Path(__file__).parent)]}  # this very code goes along
    try:
        ray.init(address, runtime_env=code, log_to_driver=False, logging_level=logging.ERROR, **more)
    except Exception as error:  # each way of not being joined has a class of its own
        raise ComputeError(
            f"The Ray cluster at {address} (compute.address in params.yaml) cannot be joined: {_line(error)}. "
            "Start Ray on this machine as part of it (ray start), with the same versions of Python and ray, or "
            "compute without it: {kind: local}."
        ) from None


def _resources(ray: Any) -> str:
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    cpus, gpus = (sum(node.get(name, 0) for node in nodes) for name in ("CPU", "GPU"))
    return f"{cpus:g} CPUs and {gpus:g} GPUs on {len(nodes)} machine{'s' * (len(nodes) != 1)}"


def _line(error: Exception) -> str:
    """The last line that says something: the others are for those who read Ray's source."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else type(error).__name__
