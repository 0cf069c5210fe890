"""What a text is made of: words, or single characters where a script is written without spaces."""

import re
from collections.abc import Sequence

import numpy as np

# Japanese and Chinese characters, and Thai: each is a unit of its own.
UNSPACED = "぀-ヿ㐀-䶿一-鿿豈-﫿฀-๿"
# Full-width punctuation belongs to those scripts and takes no space either.
TIGHT = re.compile(f"[{UNSPACED}、-〿！-～]")
UNIT = re.compile(f"[{UNSPACED}]|[^\\s{UNSPACED}]+")

Span = tuple[int, int]


def spans(content: str) -> list[Span]:
    """Where each unit begins and ends."""
    return [(match.start(), match.end()) for match in UNIT.finditer(content)]


def vocabulary(contents: Sequence[str]) -> list[str]:
    """The distinct units of texts, sorted."""
    return sorted({unit for content in contents for unit in UNIT.findall(content)})


def exchanged(content: str, places: Sequence[Span], units: Sequence[str]) -> str:
    """The content with its units exchanged and everything between them kept."""
    ends = [0, *(end for _, end in places)]
    between = [content[end:start] for end, (start, _) in zip(ends, places, strict=False)]
    return "".join(gap + unit for gap, unit in zip(between, units, strict=True)) + content[ends[-1] :]


def thinned(content: str, share_kept: float, random: np.random.Generator) -> str:
    """About that share of the content's units, one space between; the content itself where none would be kept."""
    places = spans(content)
    kept = [content[start:end] if random.random() < share_kept else "" for start, end in places]
    return " ".join(exchanged(content, places, kept).split()) or content


def put_together(pieces: Sequence[str]) -> str:
    """The pieces as one text: with a space between two of them, but none beside a script that is written without."""
    whole = ""
    for piece in filter(None, (piece.strip() for piece in pieces)):
        tight = not whole or TIGHT.match(whole[-1]) or TIGHT.match(piece[0])
        whole += piece if tight else f" {piece}"
    return whole
