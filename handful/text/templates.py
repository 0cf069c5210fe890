"""Texts made of a label's name alone."""

import re

import pandas as pd

from handful import lineage
from handful.text.drafts import Draft
from handful.text.parameters import LabelTemplates


def filled(labelled: pd.DataFrame, operation: LabelTemplates) -> list[Draft]:
    """One text for each label and template."""
    return [
        Draft(template.replace("{label}", readable(label)), label, lineage.of_label(label), operation.kind)
        for label in sorted(labelled["label"].unique())
        for template in operation.templates
    ]


def readable(label: str) -> str:
    """A label's name as words: `late_delivery` and `lateDelivery` become `late delivery`."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", label)
    return " ".join(re.sub(r"[_\-/.]+", " ", spaced).split()).lower()
