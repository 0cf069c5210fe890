"""What a run leaves to look at: its metrics as a table, its report as a page with the pictures."""

import base64
import mimetypes
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from flows.graph import Stage

PICTURE = re.compile(r"(!\[[^\]]*\])\(([^):\s]+)\)")  # with a colon it is an address, not a file


def publish(stage: Stage, root: Path, *prefix: str) -> None:
    """Show the stage's metrics as tables and its `meta.show` as a page, under keys that start with `prefix`."""
    for path in stage.metrics:
        name = key(*prefix, stage.name, Path(path).stem)
        create_table_artifact(list(table(read_metrics(root, path))), key=name, description=path)
    if stage.show is not None:
        name = key(*prefix, stage.name, Path(stage.show).stem)
        create_markdown_artifact(with_pictures(root / stage.show), key=name, description=stage.show)


def read_metrics(root: Path, path: str) -> dict[str, Any]:
    """Read one metrics file by DVC's own reader (JSON, YAML or TOML)."""
    from dvc.api import metrics_show

    return dict(metrics_show(str(root / path), repo=str(root)))


def table(metrics: dict[str, Any]) -> Iterator[dict[str, str]]:
    """Give one row for each record of numbers in nested metrics, named by where it stands, with the same columns."""
    found = dict(_records(metrics, ()))
    columns = dict.fromkeys(column for numbers in found.values() for column in numbers)
    for where, numbers in found.items():
        cells = {column: readable(numbers[column]) if column in numbers else "" for column in columns}
        yield {"part": " ".join(where) or "all", **cells}


def _records(metrics: dict[str, Any], where: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], dict[str, float]]]:
    for part, value in metrics.items():
        if isinstance(value, dict):
            yield from _records(value, (*where, part))
    # A lone number beside records (how many rows were tested) stands last, in columns of its own.
    numbers = {column: value for column, value in metrics.items() if isinstance(value, int | float)}
    if numbers:
        yield where, numbers


def readable(number: float) -> str:
    """Write a number as a person would: `0.8437`, `12.3`, `31,200`."""
    if float(number).is_integer():
        return f"{number:,.0f}"
    return f"{number:.4f}" if abs(number) < 1 else f"{number:,.1f}"


def with_pictures(page: Path) -> str:
    """Return a Markdown file with its pictures inside, because the dashboard cannot reach files."""

    def inline(link: re.Match[str]) -> str:
        picture = page.parent / link[2]
        kind, data = mimetypes.guess_type(picture.name)[0], base64.b64encode(picture.read_bytes()).decode()
        return f"{link[1]}(data:{kind};base64,{data})"

    return PICTURE.sub(inline, page.read_text(encoding="utf-8"))


def key(*parts: str) -> str:
    """Make a name that Prefect takes as an artifact's key: lower-case letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower()).strip("-")
