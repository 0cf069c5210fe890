"""The evaluation as a page for people: one self-contained HTML file, and a short Markdown summary."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from handful import metrics
from handful.findings import Findings, confused_pairs, surest_mistakes
from handful.plots import LONGEST_LABEL, MOST_NUMBERED

PAIRS_IN_SUMMARY = 5
INTERVAL_PIXELS = 120


def html(findings: Findings) -> str:
    """Return the whole report as one HTML document that loads nothing from elsewhere."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    # Previews of rows are untrusted: everything is escaped, and a name missing from the context is an error.
    environment = Environment(
        loader=PackageLoader("handful", "."), autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True
    )
    environment.filters.update(
        percent=percent, count=count, size=size, times=times, milliseconds=milliseconds, gain=gain, fall=fall
    )
    return environment.get_template("report.html.jinja").render(_context(findings))


def markdown(findings: Findings) -> str:
    """Return the summary: headline, gate, most confused pairs; the picture lies beside it as confusion.png."""
    level = percent(findings.parameters.confidence_level, 0)
    systems = [
        f"| {_escape(row['name'])} | {percent(row['accuracy'])} | {_range(row['intervals']['accuracy'])} "
        f"| {percent(row['macro_f1'])} | {count(row['rows_per_second'])} | {size(row['size_bytes'])} |"
        for row in _systems(findings.metrics)
    ]
    gate = [
        f"| {_escape(row['name'])} | {count(row['rows'])} | {gain(row)} | {fall(row)} "
        f"| {'used' if row['used'] else 'left out'} |"
        for row in _gate(findings.gate)
    ]
    pairs = [
        f"| {_escape(pair['true'])} | {_escape(pair['guessed'])} | {pair['rows']} of {pair['of']} |"
        for pair in confused_pairs(findings)[:PAIRS_IN_SUMMARY]
    ]
    accuracy = percent(findings.metrics["student"]["accuracy"])
    lines = [
        f"# {accuracy} of {count(findings.metrics['rows'])} test rows right",
        f"Against the baseline, {_verdict(findings.metrics)}.",
        *_promotion(findings.metrics),
        _table(f"| | accuracy | {level} interval | macro F1 | rows a second | size |", systems),
        _agreement(findings),
        "## What was used for training",
        _table("| addition | rows offered | accuracy | log loss | verdict |", gate),
        _teacher_made(findings),
        "## What is taken for what",
        "![Confusion matrix: rows are true labels, columns guesses](confusion.png)",
        _table("| true label | taken for | rows |", pairs) if pairs else "No two labels were confused more than once.",
        _abstention(findings.metrics),
    ]
    return "\n\n".join(lines) + "\n"


def percent(share: float, digits: int = 1) -> str:
    """0.8342 as 83.4 %; the space does not break."""
    return f"{100 * share:.{digits}f}\u00a0%"


def count(number: float) -> str:
    """12345.6 as 12,346; small rates keep one digit."""
    return f"{number:,.1f}" if 0 < number < 10 and number != int(number) else f"{number:,.0f}"


def size(size_bytes: float) -> str:
    """Bytes in the largest decimal unit that keeps the number above one."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size_bytes >= scale:
            return f"{size_bytes / scale:.1f}\u00a0{unit}"
    return f"{size_bytes}\u00a0bytes"


def times(factor: float) -> str:
    """A ratio: 0.8 times, 3.1 times, 57 times."""
    return f"{factor:.1f} times" if factor < 10 else f"{factor:,.0f} times"


def milliseconds(duration: float) -> str:
    """A duration in milliseconds, with two digits that mean something."""
    return f"{duration:.2f}\u00a0ms" if duration < 1 else f"{duration:.1f}\u00a0ms"


def gain(row: Mapping[str, Any]) -> str:
    """The gain and its standard error in percentage points; a dash where nothing was compared."""
    if not row["standard_error"]:
        return "–"
    return f"{100 * row['gain']:+.1f} ± {100 * row['standard_error']:.1f} points".replace("-", "−")


def fall(row: Mapping[str, Any]) -> str:
    """By how much the log loss changed, and the standard error of that; a dash where nothing was compared."""
    if not row["log_loss_standard_error"]:
        return "–"
    return f"{-row['log_loss_gain']:+.3f} ± {row['log_loss_standard_error']:.3f}".replace("-", "−")


def _context(findings: Findings) -> dict[str, Any]:
    scores, counts = findings.metrics, findings.confusion
    per_class = [row for row in metrics.per_class(counts, findings.labels) if row["support"]]
    tables = [{"name": name, **row} for name, row in findings.validation["tables"].items()]
    candidates = [{**row, "name": _plain(row["kind"])} for row in findings.crossvalidation["candidates"]]
    return {
        "metrics": scores,
        "student": scores["student"],
        "teacher": scores["teacher"],
        "baseline": scores["baseline"],
        "confidence": findings.parameters.confidence_level,
        "verdict": _verdict(scores),
        "champion": scores["champion"],
        "promotion": scores["verdict"],
        "abstention": _abstention(scores),
        "drift": findings.drift,
        "unlabelled": findings.validation["tables"]["unlabelled"]["accepted"],
        "training": sorted(findings.training.items()),
        "systems": _systems(scores),
        "gate": _gate(findings.gate),
        "operations": [row for row in _gate(findings.gate) if row["quality"]],
        "candidates": [row for row in candidates if row["accuracy"] is not None],
        "teacher_made": _teacher_made(findings),
        "agreement": _agreement(findings),
        "backbone": findings.crossvalidation["backbone"],
        "per_class": sorted(per_class, key=lambda row: (row["recall"], row["label"])),
        "matrix": _matrix(counts, findings.labels),
        "pairs": confused_pairs(findings),
        "bins": findings.bins,
        "mistakes": surest_mistakes(findings),
        "tables": tables,
        "reasons": sorted(findings.validation["reasons"].items()),
        "set_aside": _set_aside(findings.set_aside),
        "versions": sorted(findings.versions.items()),
    }


def _systems(scores: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The records to compare, student first, each with the pixels of its interval on one common scale."""
    named = {f"student ({_plain(scores['student']['kind'])})": scores["student"]}
    named |= {f"other student ({_plain(kind)})": record for kind, record in scores["others"].items()}
    if scores["champion"] is not None and scores["champion"]["accuracy"] is not None:
        named[f"champion ({scores['champion']['version']})"] = scores["champion"]
    named |= {"teacher": scores["teacher"], "baseline": scores["baseline"]}
    ends = [end for record in named.values() for end in record["intervals"]["accuracy"]]
    lowest, width = min(ends), max(max(ends) - min(ends), 1e-9)

    def pixel(share: float) -> float:
        return float(round(5 + INTERVAL_PIXELS * min(max((share - lowest) / width, 0.0), 1.0), 1))

    return [
        {
            **record,
            "name": name,
            "low": pixel(record["intervals"]["accuracy"][0]),
            "middle": pixel(record["accuracy"]),
            "high": pixel(record["intervals"]["accuracy"][1]),
        }
        for name, record in named.items()
    ]


def _verdict(scores: Mapping[str, Any]) -> str:
    """What student and teacher won over the baseline, as the end of a sentence."""
    won = scores["gain_over_baseline"]
    low, high = won["interval"]
    teacher = 100 * (scores["teacher"]["accuracy"] - scores["baseline"]["accuracy"])
    faster = scores["student"]["rows_per_second"] / scores["baseline"]["rows_per_second"]
    beside = f"at {faster:.0f} times its speed; the teacher won {teacher:+.1f}".replace("-", "−")
    span = f"({100 * low:+.1f} to {100 * high:+.1f})".replace("-", "−")
    points = f"{abs(100 * won['accuracy']):.1f} points {span}"
    if low <= 0 <= high:
        changed = f"{100 * won['accuracy']:+.1f} points".replace("-", "−")
        return f"the student changed accuracy by {changed} {span}, no clear difference, {beside}"
    return f"the student {'gained' if low > 0 else 'lost'} {points}, {beside}"


def _promotion(scores: Mapping[str, Any]) -> list[str]:
    """The verdict on the champion's place, in a paragraph of its own; nothing where there is no champion."""
    if scores["champion"] is None:
        return []
    return [f"**{scores['verdict']['decision'].capitalize()}.** {_escape(scores['verdict']['reason'])}"]


def _abstention(scores: Mapping[str, Any]) -> str:
    """What the student answers, and how well, where it may refuse."""
    found = scores["student"]["abstention"]
    answered = f"answers {percent(found['share_answered'])} of the test rows"
    if found["accuracy_answered"] is not None:
        answered += f", and {percent(found['accuracy_answered'])} of these are right"
    return f"Where it may abstain, below a probability of {found['threshold']:.3f}, the student {answered}."


def _agreement(findings: Findings) -> str:
    """What the teacher's opinion is worth in the student's hands, on rows that the student did not learn from."""
    share, rows = findings.distillation["agreement"][findings.metrics["student"]["kind"]], findings.distillation["rows"]
    if share is None:
        return "The pool is too small to keep rows of it apart, on which student and teacher could be compared."
    return f"On {count(rows['unseen'])} pool rows kept from it, student and teacher agree on {percent(share)}."


def _teacher_made(findings: Findings) -> str:
    """How the teacher was made, and what cross-validation said of it or why it was not asked."""
    row = next(row for row in findings.crossvalidation["candidates"] if row["chosen"])
    accuracy, reason = row["accuracy"], row["reason"]
    found = f"not cross-validated: {reason}" if accuracy is None else f"{percent(accuracy)} right in cross-validation"
    return f"The teacher was made by {_plain(row['kind'])}; {found}.{_self_training(findings.crossvalidation)}"


def _self_training(crossvalidation: Mapping[str, Any]) -> str:
    """What the teacher learned from the pool past the gate, as further sentences; nothing where it did not."""
    if not (classes := crossvalidation["guessed"]):
        return ""
    rows = count(sum(row["rows"] for row in classes))
    shares = ", ".join(f"{_plain(name)} {percent(share)}" for name, share in crossvalidation["shares"].items())
    return (
        f" Self-training, which the gate does not judge, let it learn from {rows} rows of the pool with guessed labels "
        f"of {len(classes)} classes; they are in guessed.parquet, beside the teacher. Its opinions: {shares}."
    )


def _gate(gate: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{**row, "name": _plain(name)} for name, row in gate.items()]


def _matrix(counts: NDArray[np.integer[Any]], names: Sequence[str]) -> dict[str, Any]:
    """Positions of everything in the picture of the confusion matrix; empty cells are not drawn."""
    cell = int(np.clip(780 / len(names), 10, 38))
    font = int(np.clip(cell - 1, 8, 12))
    shown = [name if len(name) <= LONGEST_LABEL else name[: LONGEST_LABEL - 1] + "…" for name in names]
    margin = 14 + int(max(map(_width, shown)) * font)
    totals = np.maximum(counts.sum(axis=1), 1)
    cells = [
        {
            "x": margin + cell * int(column),
            "y": margin + cell * int(row),
            "right": row == column,
            "opacity": round(float(0.2 + 0.8 * counts[row, column] / totals[row]), 2),
            "strong": counts[row, column] > 0.5 * totals[row],
            "rows": int(counts[row, column]),
            "of": int(totals[row]),
            "true": names[row],
            "guessed": names[column],
        }
        for row, column in np.argwhere(counts > 0)
    ]
    places = [margin + cell * index + cell / 2 for index in range(len(names))]
    texts = zip(shown, names, places, strict=True)
    return {
        "cell": cell,
        "font": font,
        "side": cell * len(names),
        "left": margin,
        "top": margin,
        "width": margin + cell * len(names) + 4,
        "height": margin + cell * len(names) + 4,
        "numbered": len(names) <= MOST_NUMBERED,
        "labels": [{"text": text, "full": full, "row": place, "column": place} for text, full, place in texts],
        "cells": cells,
    }


def _width(text: str) -> float:
    """Width of a text in ems, roughly: wide scripts take one, other letters a little more than half."""
    return sum(1.0 if ord(character) > 0x2E7F else 0.56 for character in text)


def _set_aside(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """For each table the number of its rows that were set aside, and the first one's origin and reason."""
    return [
        {"table": name, "rows": len(some), "origin": some["origin"].iloc[0], "reason": some["reason"].iloc[0]}
        for name, some in rows.groupby("table")
    ]


def _plain(name: str) -> str:
    return name.replace("_", " ")


def _range(ends: Sequence[float]) -> str:
    return f"{percent(ends[0])} to {percent(ends[1])}"


def _table(header: str, rows: Sequence[str]) -> str:
    rule = "|" + "---|" * (header.count("|") - 1)
    return "\n".join([header, rule, *rows])


def _escape(text: str) -> str:
    """Text that Markdown shows as it is: labels come from the user's data and may hold any character."""
    return re.sub(r"([\\`*_\[\]<>|!&#~$])", r"\\\1", " ".join(text.split()))
