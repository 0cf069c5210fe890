"""The files that `meta.announce` names: kept outside the worktree, and shown on the night's page."""

import csv
import shutil
import sys
from pathlib import Path

from flows.graph import Stage
from flows.markdown import section, table
from flows.night import Night


def keep(night: Night, stages: list[Stage]) -> dict[str, Path]:
    """Copy the files that are there to the night's results, and return where they are, by their names."""
    for path in [night.folder / path for stage in stages for path in stage.announce.values()]:
        if path.is_file():  # a student is got by its version
            night.results.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, night.results)
    return kept(night, stages)


def kept(night: Night, stages: list[Stage]) -> dict[str, Path]:
    """Return where the files are that were kept of a night, by their names."""
    announced = [(name.capitalize(), Path(path).name) for stage in stages for name, path in stage.announce.items()]
    return {name: night.results / file for name, file in announced if (night.results / file).is_file()}


def shown(name: str, path: Path) -> list[str]:
    """Name the file, with the first of its rows if it is a table."""
    if path.suffix != ".csv":
        return [f"{name}: `{path}`"]
    csv.field_size_limit(sys.maxsize)  # a text may be long
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    return section(name, f"The first of `{path}`:\n\n{table(header, rows)}")
