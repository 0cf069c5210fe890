"""Back-translation: a text into another language and back, which keeps what it says and changes how."""

import importlib.util

import pandas as pd

from handful.errors import MissingExtraError
from handful.text import checkpoints
from handful.text.drafts import Draft
from handful.text.parameters import BackTranslation, BeamSearch


def translated(labelled: pd.DataFrame, operation: BackTranslation, rows_per_example: int, seed: int) -> list[Draft]:
    """Translate each text there once by beam search, and back `rows_per_example` times (Sennrich et al. 2016).

    Raises:
        MissingExtraError: sentencepiece, which cuts texts for MarianMT, is not installed.
        BackboneError: one of the two checkpoints cannot be loaded.
    """
    if importlib.util.find_spec("sentencepiece") is None:
        raise MissingExtraError("sentencepiece", "translation")
    rows, tokens = labelled.sort_values("id"), operation.max_tokens
    beams = BeamSearch(kind="beam", beams=operation.beams)
    there = checkpoints.load(operation.forward, "translation")
    abroad = there.write(rows["content"].tolist(), 1, beams, tokens, seed)
    back = checkpoints.load(operation.backward, "translation")
    home = back.write([texts[0] for texts in abroad], rows_per_example, operation.decoding, tokens, seed)
    return [
        Draft(text.strip(), label, parent, operation.kind)
        for texts, label, parent in zip(home, rows["label"], rows["id"], strict=True)
        for text in texts
    ]
