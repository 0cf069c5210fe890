"""Embeddings, computed once per content and backbone and kept in one cache for all stages."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from handful import batches, compute, devices
from handful.batches import autocast, device
from handful.progress import Pace
from handful.vectors import KEY, KEY_BYTES, Vectors, remove_unused

# A batch holds rows of one shape, as many as fit this size. Unless it is for measuring, it is filled up with repeats:
# then a row's embedding does not depend, to the last bit, on its neighbours, and a cached value is the value that would
# be computed. (On as many threads: in bf16 some shapes are summed in another order on two than on one.)
BATCH_SIZE = 1536
ROWS_PER_COMMIT = 2048
# An adapted encoder is asked while it is made, on the same day by later stages, and when its students are made anew.
ADAPTED = "adapted-"
ADAPTED_SECONDS = 2 * 24 * 3600


class Embedder(Protocol):
    """What can embed contents. `adapted` says whether its weights have been trained since `load` gave them.

    `fingerprint` names weights and settings; None while the weights are about to change.
    """

    fingerprint: str | None
    dimensions: int
    adapted: bool

    @property
    def module(self) -> nn.Module:
        """The network: `module(**collate(contents))` gives unit vectors [n, dimensions]."""

    def shape(self, content: Any) -> int:
        """The size of a row, such as its padded tokens; rows of equal shape can share a batch."""

    def collate(self, contents: Sequence[Any]) -> dict[str, Tensor]:
        """The inputs of `module` for contents of one or several shapes."""


class Backbone(Embedder, Protocol):
    """What both modalities' backbones offer; `origin` says where the weights came from."""

    origin: str

    def copy(self) -> "Backbone":
        """One with weights of its own, free to be trained, and marked as adapted."""

    def names(self, labels: Sequence[str]) -> np.ndarray | None:
        """What the labels' names mean, as the encoder sees it: unit vectors [labels, d]; None if it knows no words."""

    def vocabulary(self, contents: Sequence[Any]) -> dict[str, np.ndarray]:
        """What has to be known of such contents to read their surface; nothing for images."""

    def surface(self, contents: Sequence[Any], vocabulary: Mapping[str, np.ndarray]) -> Any:
        """What of the contents shows without the encoder, an array or sparse matrix [n, features]; n-grams, pixels."""

    def freeze(self, layers: int) -> None:
        """Keep the first layers, counted from the input, as they are while the rest is trained."""

    def finish(self) -> None:
        """Say that training is over: the weights get their fingerprint, and what they give is kept from now on."""

    def save(self, folder: Path) -> None:
        """Write weights and settings, so that the modality's `backbone.restore(folder)` gives the same backbone."""


def fingerprint(settings: str, module: nn.Module) -> str:
    """Name weights and the settings that they are used with; the same where the weights are, in memory or stored.

    Several devices that trained together take the name that the leader gives.
    """
    digest = hashlib.blake2b(settings.encode(), digest_size=8)
    weights = module.state_dict()
    for name in sorted(weights):
        digest.update(name.encode() + weights[name].detach().cpu().numpy().tobytes())
    own = torch.tensor(list(digest.digest()), dtype=torch.uint8)
    return bytes(devices.from_leader(own.to(device())).tolist()).hex()


def embed(embedder: Embedder, contents: Sequence[Any], cached: bool = True) -> np.ndarray:
    """Return the L2-normalised embeddings, float32 [n, dimensions], in the order of `contents`.

    With `cached`, rows seen before are read from the cache folder (HANDFUL_CACHE, else `handful` in the user's cache
    folder) and new ones are added to it as they are computed, so that an interrupted pass goes on where it stopped.
    An embedder in training is never cached; what an adapted one has given is removed after two days without use.
    Batches are computed where the stage's parameters say, and in bf16 on what is made for it; but with `cached=False`,
    which is for measuring, here and at full precision.
    Several devices share out the new rows by their keys, so that none is computed twice.
    """
    if not len(contents):
        return np.empty((0, embedder.dimensions), np.float32)
    where = compute.current() if cached else compute.HERE
    if not cached or embedder.fingerprint is None:
        return _afresh(embedder, contents, where, precise=not cached)
    keys = np.array([hashlib.blake2b(_bytes(one), digest_size=KEY_BYTES).digest() for one in contents], KEY)
    distinct, first, copies = np.unique(keys, return_index=True, return_inverse=True)
    with closing(_open(embedder, where.device)) as known:
        places = known.find(distinct)
        missing = np.flatnonzero((places < 0) & _ours(distinct, where))
        missing = missing[np.argsort(first[missing])]  # in the order of the contents
        new = [contents[row] for row in first[missing]]
        shapes = _shapes(embedder, new)
        pace = Pace(int(shapes.sum()), f"embedding, {len(new):,} new of {len(contents):,} rows")
        for start in range(0, len(new), ROWS_PER_COMMIT * where.width):
            part = slice(start, start + ROWS_PER_COMMIT * where.width)
            vectors = _compute(embedder, new[part], shapes[part], where, pace)
            places[missing[part]] = known.append(distinct[missing[part]], vectors)
        if devices.count() > 1:
            devices.wait()
            places = known.find(distinct)
        return known.read(places[copies])


def _afresh(embedder: Embedder, contents: Sequence[Any], where: compute.Compute, precise: bool) -> np.ndarray:
    """The embeddings, from no cache. Each device computes all; but actors of Ray are asked by the leader alone."""
    if where is not compute.HERE and devices.rank():
        vectors = np.empty((len(contents), embedder.dimensions), np.float32)
    else:
        shapes = _shapes(embedder, contents)
        pace = Pace(int(shapes.sum()), f"embedding {len(contents):,} rows")
        vectors = _compute(embedder, contents, shapes, where, pace, precise)
    if where is compute.HERE:
        return vectors
    leaders: np.ndarray = devices.from_leader(torch.from_numpy(vectors).to(device())).cpu().numpy()
    return leaders


def _ours(keys: np.ndarray, where: compute.Compute) -> np.ndarray:
    """Which rows this process is to compute, bool [n]; it follows from the key alone, whatever others add meanwhile.

    Actors of Ray are asked by one process: if each asked for its own, some would wait for ever for those of others.
    """
    number, count = devices.beside()
    if where is not compute.HERE:
        return np.full(len(keys), number == 0)
    mine: np.ndarray = keys.view(np.uint32)[:: KEY_BYTES // 4] % count == number
    return mine


def _shapes(embedder: Embedder, contents: Sequence[Any]) -> np.ndarray:
    """The shape of each, which is what a row costs; int64 [n]."""
    pace = Pace(len(contents), f"measuring {len(contents):,} rows")
    shapes = np.empty(len(contents), np.int64)
    for row, content in enumerate(contents):
        shapes[row] = embedder.shape(content)
        pace.advance(1)
    return shapes


def _compute(
    embedder: Embedder,
    contents: Sequence[Any],
    shapes: np.ndarray,
    where: compute.Compute,
    pace: Pace,
    precise: bool = False,
) -> np.ndarray:
    groups, asked = [], []
    for shape in np.unique(shapes).tolist():
        rows = np.flatnonzero(shapes == shape).tolist()
        batch_rows = max(1, BATCH_SIZE // shape)
        for start in range(0, len(rows), batch_rows):
            groups.append(rows[start : start + batch_rows])
            asked.append(([contents[row] for row in groups[-1]], 0 if precise else batch_rows))
    vectors = np.empty((len(contents), embedder.dimensions), np.float32)
    work = partial(_forward, embedder, precise)
    for group, embedded in zip(groups, where.spread(work, asked), strict=True):
        vectors[group] = embedded
        pace.advance(int(shapes[group].sum()))
    return vectors


def _forward(embedder: Embedder, precise: bool, asked: Iterable[tuple[list[Any], int]]) -> Iterator[np.ndarray]:
    """The vectors of each batch; where it holds fewer contents than the number beside them, it is filled up to that."""
    module, room = embedder.module.to(device()).eval(), batches.Room()

    def answers(contents: Sequence[Any]) -> np.ndarray:
        inputs = {name: tensor.to(device()) for name, tensor in embedder.collate(contents).items()}
        vectors: np.ndarray = module(**inputs).float().cpu().numpy()
        return vectors

    for contents, rows in asked:
        repeats = contents[-1:] * (rows - len(contents))
        with torch.inference_mode(), autocast(enabled=not precise):
            vectors = batches.compute(answers, contents + repeats, room)[: len(contents)]
        yield vectors  # outside of inference mode, which would else be on for whoever takes them


def _bytes(content: Any) -> bytes:
    return content.encode("utf-8", "surrogatepass") if isinstance(content, str) else bytes(content)


def _open(embedder: Embedder, device_type: str) -> Vectors:
    folder = Path(os.environ.get("HANDFUL_CACHE") or Path.home() / ".cache" / "handful") / "embeddings"
    if embedder.adapted:
        remove_unused(folder, ADAPTED, ADAPTED_SECONDS)
    # One file for each arithmetic: a cached value is the value that would be computed.
    name = f"{ADAPTED if embedder.adapted else ''}{embedder.fingerprint}-{batches.arithmetic(device_type)}"
    return Vectors(folder, name, embedder.dimensions)
