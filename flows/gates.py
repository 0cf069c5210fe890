"""What the gates of a night said: tables out of the JSON files that `meta.gates` of the stages names."""

import json
from collections.abc import Iterator
from typing import Any

from flows.artifacts import readable
from flows.earlier import read_earlier
from flows.graph import DEFINITION, GraphError, Stage
from flows.markdown import section, table
from flows.meta import Gate
from flows.night import Night
from handful.registry import Version


def named(stages: list[Stage]) -> dict[str, Gate]:
    """Return every gate by its title."""
    return {title: gate for stage in stages for title, gate in stage.gates.items()}


def said(night: Night, gates: dict[str, Gate], before: Version | None) -> Iterator[str]:
    """Give a section for each gate that has something to say tonight, beside what it said of the version before."""
    for title, gate in gates.items():
        content = json.loads((night.folder / gate.file).read_text(encoding="utf-8"))
        earlier = read_earlier(night.root, before.revision, gate.file) if before and gate.beside else None
        try:
            text = _table(_records(content, gate), _records(earlier, gate) if earlier else [], gate)
        except KeyError as error:
            where = f"{DEFINITION}, meta, gates, {title}"
            raise GraphError(f"{where}: {gate.file} has no {error}. Correct that name.") from None
        yield from section(title, text)


def _table(records: list[dict[str, Any]], earlier: list[dict[str, Any]], gate: Gate) -> str:
    past, columns = {record["name"]: record for record in earlier}, dict[str, list[str]]()
    for column in gate.columns:
        columns[column] = [_cell(record[column]) for record in records]
        if past and column in gate.beside:
            columns[f"{column} before"] = [_cell(past.get(record["name"], {}).get(column, "")) for record in records]
    return table([column.replace("_", " ") for column in columns], zip(*columns.values(), strict=True))


def _records(content: Any, gate: Gate) -> list[dict[str, Any]]:
    found = content if gate.inside is None else content[gate.inside]
    return [{"name": name, **record} for name, record in found.items()] if isinstance(found, dict) else found


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return readable(value) if isinstance(value, int | float) else str(value)
