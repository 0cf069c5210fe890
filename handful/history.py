"""The history of the registry for people: each version, how good it is, and when it came to prod."""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from handful import registry
from handful.errors import MissingExtraError
from handful.registry import Registry, Version

LOCK = "dvc.lock"  # names every result of a commit, by DVC's own convention
HEADER = ("version", "registered (UTC)", "accuracy", "at prod")


def lines(root: Path) -> Iterator[str]:
    """Write one line per version of the repository at `root`, the newest first."""
    found = registry.read(root)
    if not found.versions:
        yield registry.NONE_YET
        return
    rows = [HEADER, *(_row(root, found, version) for version in reversed(found.versions))]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for *cells, last in rows:
        yield "  ".join([*(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)), last]).rstrip()


def _row(root: Path, found: Registry, version: Version) -> tuple[str, str, str, str]:
    accuracy = accuracy_of(root, version)
    moves = [
        f"{'rolled back to' if move.back else 'promoted'} {_minute(move.at)}"
        for move in found.assignments
        if move.version == version.name
    ]
    now = ["now"] if version == found.champion else []
    shown = "" if accuracy is None else f"{accuracy:.4f}"
    return version.name, _minute(version.registered), shown, "; ".join([*now, *moves])


def accuracy_of(root: Path, version: Version) -> float | None:
    """Read the student's accuracy from the metrics that the version's commit holds; None where it holds none."""
    try:
        import yaml
    except ModuleNotFoundError:
        raise MissingExtraError("pyyaml", "registry") from None
    stages = (yaml.safe_load(_show(root, version, LOCK) or "{}").get("stages") or {}).values()
    for path in [out["path"] for stage in stages for out in stage.get("outs", [])]:
        text = _show(root, version, path) if path.endswith(".json") else None
        metrics: Any = json.loads(text) if text else {}
        if isinstance(metrics, dict) and "accuracy" in (metrics.get("student") or {}):
            return float(metrics["student"]["accuracy"])
    return None


def _show(root: Path, version: Version, path: str) -> str | None:
    """The file as the commit has it; most results lie in DVC's cache, not in git."""
    done = registry.git(root, "show", f"{version.revision}:{path}")
    return done.stdout if done.returncode == 0 else None


def _minute(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M")
