"""The profile of a data set: what is kept of its accepted rows to see drift later, and nothing of their contents."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from handful.embedding import Embedder, embed

TABLES = ("labelled", "unlabelled")
BINS_PER_OCTAVE = 4
# Enough for any distance that matters; what lies below may differ between machines.
DECIMALS = 4
ROWS_PER_BLOCK = 2**14  # at double precision, so that a large pool is not held twice more


class Cloud(BaseModel):
    """Embeddings summed up: their mean, their variance over all directions, and over how many it is spread."""

    model_config = ConfigDict(frozen=True)

    rows: int
    mean: list[float]
    variance: float
    directions: float


class Profile(BaseModel):
    """Some kilobytes, whatever the number of rows.

    `test` is a fingerprint of the test table, `labels` the labelled rows by label, `sizes` the rows of each table by
    logarithmic bin, `backbone` the fingerprint of what made the embeddings, or None where there are none.
    """

    model_config = ConfigDict(frozen=True)

    format: Literal[1]
    modality: str
    test: str
    labels: dict[str, int]
    sizes: dict[str, dict[int, int]]
    backbone: str | None
    embeddings: dict[str, Cloud]


def read(path: Path) -> Profile:
    """Read a profile that was written as JSON."""
    return Profile.model_validate_json(path.read_bytes())


def profile(
    tables: Mapping[str, pd.DataFrame], modality: str, content: ModuleType, backbone: Embedder | None
) -> Profile:
    """Sum up the accepted tables; without a `backbone` nothing is embedded."""
    test = zip(tables["test"]["id"], tables["test"]["label"], strict=True)
    digest = hashlib.blake2b("\n".join(sorted(f"{row} {label!r}" for row, label in test)).encode(), digest_size=16)
    contents = {name: tables[name]["content"].tolist() for name in TABLES}
    clouds = {name: _cloud(embed(backbone, some)) for name, some in contents.items() if backbone and len(some) > 1}
    return Profile(
        format=1,
        modality=modality,
        test=digest.hexdigest(),
        labels=_counts(tables["labelled"]["label"]),
        sizes={name: _counts(_bins([content.size(value) for value in some])) for name, some in contents.items()},
        backbone=backbone.fingerprint if backbone else None,
        embeddings=clouds,
    )


def _counts(values: pd.Series) -> dict[Any, int]:
    return {key: int(rows) for key, rows in values.value_counts().sort_index().items()}


def _bins(sizes: list[int]) -> pd.Series:
    octaves = np.log2(np.maximum(np.asarray(sizes, dtype=np.float64), 1))
    return pd.Series(np.floor(BINS_PER_OCTAVE * octaves).astype(int))


def _cloud(embeddings: np.ndarray) -> Cloud:
    """Sum up `embeddings` [n, d]; directions is tr(S)² / tr(S²) of their covariance S, 1 to d."""
    mean = embeddings.mean(axis=0, dtype=np.float64)
    blocks = (embeddings[at : at + ROWS_PER_BLOCK] - mean for at in range(0, len(embeddings), ROWS_PER_BLOCK))
    covariance = sum((centred.T @ centred for centred in blocks), np.zeros((len(mean), len(mean)))) / len(embeddings)
    variance = float(np.trace(covariance))
    directions = variance**2 / float(np.square(covariance).sum()) if variance > 0 else 1.0
    return Cloud(
        rows=len(embeddings),
        mean=[round(float(value), DECIMALS) for value in mean],
        variance=round(variance, DECIMALS),
        directions=round(directions, 1),
    )
