"""Embeddings, computed once per content and backbone and kept in one cache for all stages."""

import hashlib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from handful import compute, progress
from handful.training import autocast, device

# A batch holds rows of one shape, as many as fit this size. For the cache it is filled up with repeats: then a row's
# embedding does not depend, to the last bit, on its neighbours, and a cached value is the value that would be computed.
BATCH_SIZE = 384
ROWS_PER_COMMIT = 1024


class Embedder(Protocol):
    """What can embed contents. `adapted` says whether its weights still are those that the parameters name."""

    fingerprint: str
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

    def freeze(self, layers: int) -> None:
        """Keep the first layers, counted from the input, as they are while the rest is trained."""

    def save(self, folder: Path) -> None:
        """Write weights and settings, so that the modality's `backbone.restore(folder)` gives the same backbone."""


def embed(embedder: Embedder, contents: Sequence[Any], cached: bool = True) -> np.ndarray:
    """Return the L2-normalised embeddings, float32 [n, dimensions], in the order of `contents`.

    With `cached`, rows seen before are read from the cache folder (HANDFUL_CACHE, else `handful` in the user's cache
    folder) and new ones are added to it as they are computed, so that an interrupted pass goes on where it stopped.
    An adapted embedder is never cached: tomorrow's will be another. Batches are computed where the stage's parameters
    say, but for `cached=False`, which is for measuring: here.
    """
    if not len(contents):
        return np.empty((0, embedder.dimensions), np.float32)
    where = compute.current() if cached else compute.HERE
    if not cached or embedder.adapted:
        return _compute(embedder, contents, False, where)
    keys = [hashlib.blake2b(_bytes(content), digest_size=16).digest() for content in contents]
    with closing(_open(embedder.fingerprint, where.device)) as cache:
        known = _lookup(cache, set(keys), embedder.dimensions)
        missing = {key: content for key, content in zip(keys, contents, strict=True) if key not in known}
        todo = list(missing)
        rows_per_commit = ROWS_PER_COMMIT * where.width
        for start in range(0, len(todo), rows_per_commit):
            part = todo[start : start + rows_per_commit]
            vectors = _compute(embedder, [missing[key] for key in part], True, where)
            with cache:
                cache.executemany(
                    "INSERT OR REPLACE INTO embeddings VALUES (?, ?)",
                    ((key, vector.tobytes()) for key, vector in zip(part, vectors, strict=True)),
                )
            known.update(zip(part, vectors, strict=True))
            progress.report((start + len(part)) / len(todo), f"embedding, {len(todo)} new of {len(contents)} rows")
    return np.stack([known[key] for key in keys])


def _compute(embedder: Embedder, contents: Sequence[Any], filled: bool, where: compute.Compute) -> np.ndarray:
    by_shape: dict[int, list[int]] = {}
    for row, content in enumerate(contents):
        by_shape.setdefault(embedder.shape(content), []).append(row)
    batches, asked = [], []
    for shape, rows in sorted(by_shape.items()):
        batch_rows = max(1, BATCH_SIZE // shape)
        for start in range(0, len(rows), batch_rows):
            batches.append(rows[start : start + batch_rows])
            asked.append(([contents[row] for row in batches[-1]], batch_rows if filled else 0))
    vectors = np.empty((len(contents), embedder.dimensions), np.float32)
    for batch, embedded in zip(batches, where.spread(partial(_forward, embedder), asked), strict=True):
        vectors[batch] = embedded
    return vectors


def _forward(embedder: Embedder, batches: Iterable[tuple[list[Any], int]]) -> Iterator[np.ndarray]:
    """The vectors of each batch; where it holds fewer contents than the number beside them, it is filled up to that."""
    module = embedder.module.to(device()).eval()
    for contents, rows in batches:
        repeats = contents[-1:] * (rows - len(contents))
        with torch.inference_mode(), autocast():
            inputs = embedder.collate(contents + repeats)
            embedded = module(**{name: tensor.to(device()) for name, tensor in inputs.items()})
            vectors = embedded[: len(contents)].float().cpu().numpy()
        yield vectors  # outside of inference mode, which would else be on for whoever takes them


def _bytes(content: Any) -> bytes:
    return content.encode("utf-8", "surrogatepass") if isinstance(content, str) else bytes(content)


def _open(fingerprint: str, device_type: str) -> sqlite3.Connection:
    folder = Path(os.environ.get("HANDFUL_CACHE") or Path.home() / ".cache" / "handful") / "embeddings"
    folder.mkdir(parents=True, exist_ok=True)
    # bf16 on a GPU gives other bits than the CPU: each precision has its own file.
    cache = sqlite3.connect(folder / f"{fingerprint}-{device_type}.sqlite", timeout=60)
    cache.execute("PRAGMA journal_mode=WAL")
    cache.execute("CREATE TABLE IF NOT EXISTS embeddings (key BLOB PRIMARY KEY, vector BLOB NOT NULL) WITHOUT ROWID")
    return cache


def _lookup(cache: sqlite3.Connection, keys: set[bytes], dimensions: int) -> dict[bytes, np.ndarray]:
    known: dict[bytes, np.ndarray] = {}
    ordered = sorted(keys)
    for start in range(0, len(ordered), 500):
        part = ordered[start : start + 500]
        marks = ",".join("?" * len(part))
        for key, vector in cache.execute(f"SELECT key, vector FROM embeddings WHERE key IN ({marks})", part):
            known[key] = np.frombuffer(vector, np.float32, dimensions)
    return known
