"""What the gates of a night said: tables out of the JSON files that `meta.gates` of the stages names."""

import json
from collections.abc import Iterator
from typing import Any

from flows.artifacts import readable
from flows.graph import DEFINITION, GraphError, Stage
from flows.markdown import section, table
from flows.meta import Gate
from flows.night import Night


def named(stages: list[Stage]) -> dict[str, Gate]:
    """Return every gate by its title."""
    return {title: gate for stage in stages for title, gate in stage.gates.items()}


def said(night: Night, gates: dict[str, Gate]) -> Iterator[str]:
    """Give a section for each gate that has something to say tonight."""
    for title, gate in gates.items():
        content = json.loads((night.folder / gate.file).read_text(encoding="utf-8"))
        try:
            rows = [[_cell(record[column]) for column in gate.columns] for record in _records(content, gate)]
        except KeyError as error:
            where = f"{DEFINITION}, meta, gates, {title}"
            raise GraphError(f"{where}: {gate.file} has no {error}. Correct that name.") from None
        yield from section(title, table([column.replace("_", " ") for column in gate.columns], rows))


def _records(content: Any, gate: Gate) -> list[dict[str, Any]]:
    found = content if gate.inside is None else content[gate.inside]
    return [{"name": name, **record} for name, record in found.items()] if isinstance(found, dict) else found


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return readable(value) if isinstance(value, int | float) else str(value)
