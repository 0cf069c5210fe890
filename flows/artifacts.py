"""What a run shows beside its log: how far it is, its metrics as a table, its report with the pictures."""

import base64
import mimetypes
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)

from flows.graph import Stage

PROGRESS = re.compile(r"\[ *(\d+)%\] (.*)")
PICTURE = re.compile(r"(!\[[^\]]*\])\(([^):\s]+)\)")  # with a colon it is an address, not a file
SECONDS_BETWEEN_UPDATES = 1.0


class Progress:
    """The progress artifact of one stage, made when the stage first says how far it is."""

    def __init__(self, stage: str) -> None:
        self.key = key(stage, "progress")
        self.artifact: UUID | None = None
        self.said_at = 0.0

    def follow(self, line: str) -> None:
        """Take over what a line such as `[ 42%] fine-tuning, fold 2 of 3` says; any other line is passed by."""
        said = PROGRESS.fullmatch(line)
        if said is None:
            return
        share, what = float(said[1]), said[2]
        if self.artifact is None:
            self.artifact = create_progress_artifact(share, key=self.key, description=what)
        elif share == 100 or time.monotonic() - self.said_at >= SECONDS_BETWEEN_UPDATES:
            update_progress_artifact(self.artifact, share, description=what)
        else:
            return
        self.said_at = time.monotonic()


def publish(stage: Stage, root: Path) -> None:
    """Show the stage's metrics as a table and its `meta.show` as a page."""
    for path in stage.metrics:
        metrics = read_metrics(root, path)
        rows = list(table(metrics))
        create_table_artifact(rows, key=key(stage.name, Path(path).stem), description=f"{path} of stage {stage.name}")
    if stage.show is not None:
        create_markdown_artifact(with_pictures(root / stage.show), key=key(stage.name, Path(stage.show).stem))


def read_metrics(root: Path, path: str) -> dict[str, Any]:
    """Read one metrics file by DVC's own reader (JSON, YAML or TOML)."""
    from dvc.api import metrics_show

    return dict(metrics_show(path, repo=str(root)))


def table(metrics: dict[str, Any], name: str = "") -> Iterator[dict[str, Any]]:
    """Give one row for each record of numbers in nested metrics, named by where it stands."""
    numbers = {column: value for column, value in metrics.items() if isinstance(value, int | float)}
    if numbers:
        yield {"": name or "all", **{column: readable(value) for column, value in numbers.items()}}
    for part, value in metrics.items():
        if isinstance(value, dict):
            yield from table(value, f"{name}.{part}".strip("."))


def readable(number: float) -> str:
    """Write a number as a person would: `0.8437`, `12.31`, `31,200`."""
    return f"{number:,.4g}" if abs(number) < 1000 and not float(number).is_integer() else f"{number:,.0f}"


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
