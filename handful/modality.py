"""The one table of modalities: what text and image each offer under the same file and function names."""

from importlib import import_module
from types import ModuleType

MODALITIES = {"text": "handful.text", "image": "handful.image"}


def part(modality: str, name: str) -> ModuleType:
    """Return the module `name` (content, backbone, augmentation, student, prediction) of a modality.

    Imported on first use, so that predicting never loads what only training needs.
    """
    return import_module(f"{MODALITIES[modality]}.{name}")
