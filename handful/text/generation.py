"""Language-model generation: a causal language model goes on with a list of texts of one class."""

from collections.abc import Sequence

import pandas as pd

from handful import lineage
from handful.text import checkpoints
from handful.text.drafts import Draft, company
from handful.text.parameters import LanguageModelGeneration
from handful.text.templates import readable

ITEM = "- "


def generated(
    labelled: pd.DataFrame, operation: LanguageModelGeneration, rows_per_example: int, seed: int
) -> list[Draft]:
    """For each labelled text and number, one text that follows it and random others of its class (Yoo et al. 2021).

    All examples of a prompt are parents of what follows. What the model writes after a line's end is not used.

    Raises:
        BackboneError: the checkpoint cannot be loaded.
    """
    prompts, owners = [], []
    for label, rows, _ in company(labelled, operation.examples, operation.kind, rows_per_example, seed):
        own, *others = rows["content"]
        # The row itself comes last: a prompt that is too long loses its beginning.
        prompts.append(prompt(operation.prompt, label, [*others, own]))
        owners.append((label, lineage.joined(rows["id"])))
    writer = checkpoints.load(operation.name, "language")
    written = writer.write(prompts, 1, operation.decoding, operation.max_tokens, seed)
    return [
        Draft(_first_line(texts[0]), label, parent, operation.kind)
        for texts, (label, parent) in zip(written, owners, strict=True)
    ]


def prompt(template: str, label: str, examples: Sequence[str]) -> str:
    """The template with the label's name, then a line for each example, and one that is begun."""
    lines = [f"{ITEM}{' '.join(example.split())}" for example in examples]
    return "\n".join([template.replace("{label}", readable(label)), *lines, ITEM.strip()])


def _first_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[0].strip() if lines else ""
