"""New texts from labelled ones: random edits, contextual replacement, sentences made of label names."""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from handful.embedding import embed
from handful.text.backbone import Backbone
from handful.text.parameters import ContextualReplacement, LabelTemplates, RandomEdit, TextOperation

# A unit is a word, or one character of a script that is written without spaces.
UNIT = re.compile(r"[぀-ヿ㐀-䶿一-鿿豈-﫿฀-๿]|[^\s぀-ヿ㐀-䶿一-鿿豈-﫿฀-๿]+")
NEIGHBOURS = 10
VOCABULARY_UNITS = 2000
SHARE_KEPT = 0.6


@dataclass(frozen=True)
class Words:
    """The units that labelled texts use, and how near they are to each other in the backbone's space."""

    units: list[str]
    row_of: dict[str, int]
    neighbours: np.ndarray


def augment(
    labelled: pd.DataFrame,
    operations: Sequence[TextOperation],
    rows_per_example: int,
    backbone: Backbone,
    seed: int,
) -> pd.DataFrame:
    """Make up to `rows_per_example` new texts for each labelled one and operation, and one per label and template.

    A row depends on the seed, its parent, the operation and its number, not on the order of the rows. Texts that
    equal a labelled one or an earlier new one are left out.

    Args:
        labelled: columns id, content, label.

    Returns:
        columns content, label, parent, operation; the parent of a template's text is `label:<label>`.
    """
    rows = []
    for operation in operations:
        if isinstance(operation, LabelTemplates):
            rows += _templates(labelled, operation)
        elif isinstance(operation, ContextualReplacement):
            rows += _contextual(labelled, operation, rows_per_example, backbone, seed)
        else:
            rows += _random_edits(labelled, operation, rows_per_example, seed)
    table = pd.DataFrame(rows, columns=["content", "label", "parent", "operation"], dtype=object)
    known = table["content"].isin(set(labelled["content"]))
    return table[~known & ~table["content"].duplicated()].reset_index(drop=True)


def multiply(contents: Sequence[str], count: int, seed: int) -> list[str]:
    """Make `count` new texts for a teacher to label: words left out, and halves of two texts put together.

    Half are of each kind. They need not keep a meaning: what the teacher makes of them is what a student learns.
    """
    random = np.random.default_rng(seed)
    made = []
    for number in range(count):
        first, second = (contents[row] for row in random.integers(len(contents), size=2))
        made.append(_thinned(first, random) if number % 2 else _joined(first, second))
    return made


def readable(label: str) -> str:
    """A label's name as words: `late_delivery` and `lateDelivery` become `late delivery`."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", label)
    return " ".join(re.sub(r"[_\-/.]+", " ", spaced).split()).lower()


def _templates(labelled: pd.DataFrame, operation: LabelTemplates) -> list[tuple[str, str, str, str]]:
    return [
        (template.replace("{label}", readable(label)), label, f"label:{label}", operation.kind)
        for label in sorted(labelled["label"].unique())
        for template in operation.templates
    ]


def _random_edits(
    labelled: pd.DataFrame, operation: RandomEdit, rows_per_example: int, seed: int
) -> list[tuple[str, str, str, str]]:
    edit = EDITS[operation.kind]
    vocabulary = {label: _units_of(group["content"]) for label, group in labelled.groupby("label")}
    rows: list[tuple[str, str, str, str]] = []
    for parent, content, label in zip(labelled["id"], labelled["content"], labelled["label"], strict=True):
        for number in range(rows_per_example):
            random = _random(seed, parent, operation.kind, number)
            spans = [(match.start(), match.end()) for match in UNIT.finditer(content)]
            changes = max(1, round(operation.share * len(spans)))
            if len(spans) > 1:
                rows.append((edit(content, spans, changes, vocabulary[label], random), label, parent, operation.kind))
    return rows


def _insert(
    content: str, spans: list[tuple[int, int]], changes: int, vocabulary: list[str], random: np.random.Generator
) -> str:
    """Words of the same class, put before random words."""
    for place in sorted(random.choice(len(spans), min(changes, len(spans)), replace=False), reverse=True):
        start, end = spans[place]
        space = " " if end - start > 1 else ""
        content = content[:start] + vocabulary[random.integers(len(vocabulary))] + space + content[start:]
    return content


def _swap(
    content: str, spans: list[tuple[int, int]], changes: int, vocabulary: list[str], random: np.random.Generator
) -> str:
    units = [content[start:end] for start, end in spans]
    for _ in range(changes):
        first, second = random.choice(len(units), 2, replace=False)
        units[first], units[second] = units[second], units[first]
    return _with_units(content, spans, units)


def _delete(
    content: str, spans: list[tuple[int, int]], changes: int, vocabulary: list[str], random: np.random.Generator
) -> str:
    gone = set(random.choice(len(spans), min(changes, len(spans) - 1), replace=False).tolist())
    units = ["" if place in gone else content[start:end] for place, (start, end) in enumerate(spans)]
    return re.sub(r" {2,}", " ", _with_units(content, spans, units)).strip()


EDITS: dict[str, Callable[[str, list[tuple[int, int]], int, list[str], np.random.Generator], str]] = {
    "random_insertion": _insert,
    "random_swap": _swap,
    "random_deletion": _delete,
}


def _contextual(
    labelled: pd.DataFrame, operation: ContextualReplacement, rows_per_example: int, backbone: Backbone, seed: int
) -> list[tuple[str, str, str, str]]:
    """Draw several replacements by near words, and keep the text that stays nearest to its parent in meaning."""
    words = _words(labelled["content"], backbone)
    if len(words.units) <= NEIGHBOURS:
        return []
    drafts, owners = [], []
    for row, (parent, content) in enumerate(zip(labelled["id"], labelled["content"], strict=True)):
        for number in range(rows_per_example):
            random = _random(seed, parent, operation.kind, number)
            made = {_replaced(content, operation.share, words, random) for _ in range(operation.candidates)} - {content}
            drafts += sorted(made)
            owners += [(row, number)] * len(made)
    originals = embed(backbone, labelled["content"].tolist())
    likeness = (embed(backbone, drafts) * originals[[row for row, _ in owners]]).sum(axis=1) if drafts else []
    best = pd.DataFrame({"owner": owners, "draft": drafts, "likeness": likeness}).sort_values(
        ["owner", "likeness", "draft"], ascending=[True, False, True]
    )
    chosen = best.drop_duplicates("owner")
    labels, parents = labelled["label"].tolist(), labelled["id"].tolist()
    return [
        (draft, labels[row], parents[row], operation.kind)
        for draft, (row, _) in zip(chosen["draft"], chosen["owner"], strict=True)
    ]


def _words(contents: Sequence[str], backbone: Backbone) -> Words:
    counts = Counter(unit.lower() for content in contents for unit in UNIT.findall(content) if unit.isalpha())
    units = sorted(unit for unit, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:VOCABULARY_UNITS])
    if len(units) <= NEIGHBOURS:
        return Words(units, {}, np.empty((0, 0)))
    vectors = embed(backbone, units)
    likeness = vectors @ vectors.T
    np.fill_diagonal(likeness, -1)
    neighbours = np.argsort(-likeness, axis=1, kind="stable")[:, :NEIGHBOURS]
    return Words(units, {unit: row for row, unit in enumerate(units)}, neighbours)


def _replaced(content: str, share: float, words: Words, random: np.random.Generator) -> str:
    spans = [(match.start(), match.end()) for match in UNIT.finditer(content)]
    units = [content[start:end] for start, end in spans]
    known = [place for place, unit in enumerate(units) if unit.lower() in words.row_of]
    for place in random.permutation(known)[: max(1, round(share * len(units)))]:
        near = words.neighbours[words.row_of[units[place].lower()]]
        units[place] = words.units[near[random.integers(len(near))]]
    return _with_units(content, spans, units)


def _thinned(content: str, random: np.random.Generator) -> str:
    spans = [(match.start(), match.end()) for match in UNIT.finditer(content)]
    kept = [content[start:end] if random.random() < SHARE_KEPT else "" for start, end in spans]
    return " ".join(_with_units(content, spans, kept).split()) or content


def _joined(first: str, second: str) -> str:
    """The first half of one text's units and the second half of another's."""
    begin, end = list(UNIT.finditer(first)), list(UNIT.finditer(second))
    cut = begin[(len(begin) - 1) // 2].end() if begin else len(first)
    start = end[len(end) // 2].start() if end else 0
    return f"{first[:cut]} {second[start:]}"


def _with_units(content: str, spans: list[tuple[int, int]], units: list[str]) -> str:
    """The content with its units exchanged and everything between them kept."""
    ends = [0, *(end for _, end in spans)]
    between = [content[end:start] for end, (start, _) in zip(ends, spans, strict=False)]
    return "".join(gap + unit for gap, unit in zip(between, units, strict=True)) + content[ends[-1] :]


def _units_of(contents: Sequence[str]) -> list[str]:
    return sorted({unit for content in contents for unit in UNIT.findall(content)})


def _random(seed: int, parent: str, operation: str, number: int) -> np.random.Generator:
    digest = hashlib.blake2b(f"{seed} {parent} {operation} {number}".encode(), digest_size=8).digest()
    return np.random.default_rng(int.from_bytes(digest, "big"))
