"""Vectors on disk by the hash of what they stand for: two files that only grow, safe with many writers and any kill."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

KEY_BYTES = 16
KEY = np.dtype(f"S{KEY_BYTES}")
KEYS_AT_ONCE = 2**18
ROWS_AT_ONCE = 2**16
KEYS, VECTORS = ".keys", ".vectors"
Array = np.ndarray[Any, Any]


class Vectors:
    """`<name>.keys` holds a key of 16 bytes for each row of `<name>.vectors`, float32 [rows, dimensions].

    A row is there once its key is: vectors reach the disk before their keys, so whatever a killed writer left behind
    the last whole key counts for nothing and is written over. Writers take turns; readers never wait.
    """

    def __init__(self, folder: Path, name: str, dimensions: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.dimensions, self.row_bytes = dimensions, 4 * dimensions
        opened = [os.open(folder / f"{name}{ending}", os.O_RDWR | os.O_CREAT, 0o644) for ending in (KEYS, VECTORS)]
        self.keys, self.vectors = opened
        # Its age is the time since it was last used, not since it last grew.
        os.utime(self.keys)

    def close(self) -> None:
        """Close both files."""
        os.close(self.keys)
        os.close(self.vectors)

    def __len__(self) -> int:
        whole_keys, whole_rows = os.fstat(self.keys).st_size // KEY_BYTES, os.fstat(self.vectors).st_size
        return min(whole_keys, whole_rows // self.row_bytes)

    def find(self, wanted: Array) -> Array:
        """The row of each of the distinct wanted keys, -1 where there is none; int64 [n]."""
        # The keys on disk are read a part at a time: their number is not bounded, that of the wanted ones is.
        found = np.full(len(wanted), -1, np.int64)
        order = np.argsort(wanted)
        ascending = wanted[order]
        rows = len(self)
        for start in range(0, rows if len(wanted) else 0, KEYS_AT_ONCE):
            count = min(KEYS_AT_ONCE, rows - start)
            stored = np.frombuffer(os.pread(self.keys, count * KEY_BYTES, start * KEY_BYTES), KEY)
            places = np.searchsorted(ascending, stored).clip(max=len(wanted) - 1)
            known = np.flatnonzero(ascending[places] == stored)
            found[order[places[known]]] = start + known
        return found

    def read(self, rows: Array) -> Array:
        """float32 [n, dimensions], in the order of `rows`; neighbours on disk are read in one go."""
        vectors = np.empty((len(rows), self.dimensions), np.float32)
        breaks = np.flatnonzero(np.diff(rows) != 1) + 1
        for start, stop in zip(np.r_[0, breaks], np.r_[breaks, len(rows)], strict=True):
            for first in range(start, stop, ROWS_AT_ONCE):
                part = vectors[first : min(first + ROWS_AT_ONCE, stop)]
                _read(self.vectors, part.reshape(-1).view(np.uint8).data, int(rows[first]) * self.row_bytes)
        return vectors

    def append(self, keys: Array, vectors: Array) -> Array:
        """Add rows, and give their numbers; int64 [n]."""
        with self._turn():
            first = len(self)
            # What a killed writer left of a key must not become the beginning of this one.
            os.ftruncate(self.keys, first * KEY_BYTES)
            _write(self.vectors, np.ascontiguousarray(vectors, np.float32).tobytes(), first * self.row_bytes)
            os.fdatasync(self.vectors)
            _write(self.keys, keys.tobytes(), first * KEY_BYTES)
        return np.arange(first, first + len(keys))

    @contextmanager
    def _turn(self) -> Iterator[None]:
        # The lock dies with its process.
        fcntl.flock(self.keys, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self.keys, fcntl.LOCK_UN)


def _write(file: int, data: bytes, offset: int) -> None:
    rest = memoryview(data)
    while rest:
        written = os.pwrite(file, rest, offset)
        rest, offset = rest[written:], offset + written


def _read(file: int, whole: memoryview, offset: int) -> None:
    while whole:
        read = os.preadv(file, [whole], offset)
        if not read:
            raise OSError("The cache of embeddings was cut short while it was read. Run again.")
        whole, offset = whole[read:], offset + read


def remove_unused(folder: Path, prefix: str, seconds: float) -> None:
    """Remove those whose name begins with `prefix` and that nobody has opened for so long."""
    for keys in folder.glob(f"{prefix}*{KEYS}"):
        with suppress(FileNotFoundError):  # somebody else was as tidy at the same time
            if time.time() - keys.stat().st_mtime > seconds:
                keys.with_suffix(VECTORS).unlink(missing_ok=True)
                keys.unlink(missing_ok=True)
