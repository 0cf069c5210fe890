"""What lies in a stage's folder: Parquet tables and JSON, written whole or not at all."""

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from handful.errors import DataError


def read_table(path: Path) -> pd.DataFrame:
    """Read one Parquet table; columns as data/README.md lists them.

    Raises:
        DataError: the file is missing or no Parquet.
    """
    try:
        return pd.read_parquet(path)
    except FileNotFoundError:
        raise DataError(f"There is no table {path}. Run the stage that makes it: dvc repro") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is not a readable Parquet table ({error}). Remove it and run: dvc repro") from None


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table as zstd Parquet; the same rows give the same bytes."""
    with replacing(path) as unfinished:
        table.reset_index(drop=True).to_parquet(unfinished, compression="zstd", index=False)


def read_json(path: Path) -> Any:
    """Read a JSON document that a stage wrote."""
    return json.loads(path.read_text(encoding="utf-8"))


def write_json(value: object, path: Path) -> None:
    """Write JSON with sorted keys, so that the same value gives the same bytes."""
    write_text(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n", path)


def write_text(text: str, path: Path) -> None:
    """Write a document as UTF-8."""
    with replacing(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path` that takes its place on success and vanishes on failure.

    Raises:
        DataError: the disk is full; what stood at `path` before is unchanged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        yield unfinished
        unfinished.replace(path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise DataError(
                f"There is no room to write {path}: the disk, or your share of it, is full. "
                "Free some space and run again; nothing was changed."
            ) from None
        raise
    finally:
        unfinished.unlink(missing_ok=True)
