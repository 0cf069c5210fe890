"""Pieces of a page in Markdown."""

import re
from collections.abc import Iterable, Sequence

MOST_ROWS = 10


def section(title: str, text: str) -> list[str]:
    """Give a heading and what stands under it, or nothing where there is nothing to say."""
    return [f"## {title}", text] if text else []


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table, cut where it gets long; without rows there is none. What stands in a cell is shown as it is."""
    lines = [" | ".join(map(_escaped, row)) for row in rows]
    hidden = [f"and {len(lines) - MOST_ROWS} more"] if len(lines) > MOST_ROWS else []
    shown = [" | ".join(header), " | ".join("---" for _ in header), *lines[:MOST_ROWS], *hidden]
    return "\n".join(f"| {line} |" for line in shown) if lines else ""


def _escaped(text: str) -> str:
    """One line that is shown as it is: texts come from strangers, and may hold signs of Markdown or HTML."""
    return re.sub(r"([\\`*_\[\]<>|!&#~$])", r"\\\1", " ".join(text.split()))
