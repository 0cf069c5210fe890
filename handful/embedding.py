"""Embeddings, computed once per content and backbone and kept in one cache for all stages."""

import hashlib
import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from handful import progress
from handful.batches import Room, compute
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

    def surface(self, contents: Sequence[Any]) -> Any:
        """What of the contents shows without the encoder, an array or sparse matrix [n, features]; n-grams, pixels."""

    def freeze(self, layers: int) -> None:
        """Keep the first layers, counted from the input, as they are while the rest is trained."""

    def save(self, folder: Path) -> None:
        """Write weights and settings, so that the modality's `backbone.restore(folder)` gives the same backbone."""


def embed(embedder: Embedder, contents: Sequence[Any], cached: bool = True) -> np.ndarray:
    """Return the L2-normalised embeddings, float32 [n, dimensions], in the order of `contents`.

    With `cached`, rows seen before are read from the cache folder (HANDFUL_CACHE, else `handful` in the user's cache
    folder) and new ones are added to it as they are computed, so that an interrupted pass goes on where it stopped.
    An adapted embedder is never cached: tomorrow's will be another.
    """
    if not len(contents):
        return np.empty((0, embedder.dimensions), np.float32)
    if not cached or embedder.adapted:
        return _compute(embedder, contents, filled=False)
    keys = [hashlib.blake2b(_bytes(content), digest_size=16).digest() for content in contents]
    with closing(_open(embedder.fingerprint)) as cache:
        known = _lookup(cache, set(keys), embedder.dimensions)
        missing = {key: content for key, content in zip(keys, contents, strict=True) if key not in known}
        todo = list(missing)
        for start in range(0, len(todo), ROWS_PER_COMMIT):
            part = todo[start : start + ROWS_PER_COMMIT]
            vectors = _compute(embedder, [missing[key] for key in part], filled=True)
            with cache:
                cache.executemany(
                    "INSERT OR REPLACE INTO embeddings VALUES (?, ?)",
                    ((key, vector.tobytes()) for key, vector in zip(part, vectors, strict=True)),
                )
            known.update(zip(part, vectors, strict=True))
            progress.report((start + len(part)) / len(todo), f"embedding, {len(todo)} new of {len(contents)} rows")
    return np.stack([known[key] for key in keys])


def _compute(embedder: Embedder, contents: Sequence[Any], filled: bool) -> np.ndarray:
    by_shape: dict[int, list[int]] = {}
    for row, content in enumerate(contents):
        by_shape.setdefault(embedder.shape(content), []).append(row)
    vectors = np.empty((len(contents), embedder.dimensions), np.float32)
    module = embedder.module.to(device()).eval()
    room = Room()

    def answers(rows: Sequence[int]) -> np.ndarray:
        inputs = embedder.collate([contents[row] for row in rows])
        embedded = module(**{name: tensor.to(device()) for name, tensor in inputs.items()})
        vectors: np.ndarray = embedded.float().cpu().numpy()
        return vectors

    with torch.inference_mode(), autocast():
        for shape, rows in sorted(by_shape.items()):
            batch_rows = max(1, BATCH_SIZE // shape)
            for start in range(0, len(rows), batch_rows):
                batch = rows[start : start + batch_rows]
                repeats = batch[-1:] * (batch_rows - len(batch)) if filled else []
                vectors[batch] = compute(answers, batch + repeats, room)[: len(batch)]
    return vectors


def _bytes(content: Any) -> bytes:
    return content.encode("utf-8", "surrogatepass") if isinstance(content, str) else bytes(content)


def _open(fingerprint: str) -> sqlite3.Connection:
    folder = Path(os.environ.get("HANDFUL_CACHE") or Path.home() / ".cache" / "handful") / "embeddings"
    folder.mkdir(parents=True, exist_ok=True)
    # bf16 on a GPU gives other bits than the CPU: each precision has its own file.
    cache = sqlite3.connect(folder / f"{fingerprint}-{device().type}.sqlite", timeout=60)
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
