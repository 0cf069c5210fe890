"""What the operations on texts give, and the randomness that each new row has to itself."""

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd


class Draft(NamedTuple):
    """One new text; `parent` as handful.lineage writes it."""

    content: str
    label: str
    parent: str
    operation: str


def company(
    labelled: pd.DataFrame, most: int, operation: str, rows_per_example: int, seed: int
) -> Iterator[tuple[str, pd.DataFrame, np.random.Generator]]:
    """For each row and number its label, the row before random others of its class, `most` in all, and a generator."""
    for label, group in labelled.sort_values("id").groupby("label"):
        for own, parent in enumerate(group["id"]):
            others = np.delete(np.arange(len(group)), own)
            for number in range(rows_per_example):
                random = random_of(seed, parent, operation, number)
                yield str(label), group.iloc[[own, *random.permutation(others)[: most - 1]]], random


def random_of(seed: int, parent: str, operation: str, number: int) -> np.random.Generator:
    """A generator that depends on the seed, the first parent, the operation and the row's number, on nothing else."""
    return np.random.default_rng(seed_of(seed, parent, operation, number))


def seed_of(*parts: object) -> int:
    """A seed of 64 bits out of whatever a row depends on."""
    digest = hashlib.blake2b(" ".join(map(str, parts)).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big")
