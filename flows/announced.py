"""The files that `meta.announce` names: kept outside the worktree, and shown on the night's page."""

import csv
import shutil
from pathlib import Path

from flows.graph import Stage
from flows.markdown import section, table
from flows.night import Night


def keep(night: Night, stages: list[Stage]) -> dict[str, Path]:
    """Copy the files that are there to the night's results, and return where they are, by their names."""
    kept = {}
    for name, path in [(name, night.folder / path) for stage in stages for name, path in stage.announce.items()]:
        if path.is_file():  # a student is got by its version
            night.results.mkdir(parents=True, exist_ok=True)
            kept[name.capitalize()] = Path(shutil.copy(path, night.results))
    return kept


def shown(name: str, path: Path) -> list[str]:
    """Name the file, with the first of its rows if it is a table."""
    if path.suffix != ".csv":
        return [f"{name}: `{path}`"]
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    return section(name, f"The first of `{path}`:\n\n{table(header, rows)}")
