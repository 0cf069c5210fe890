"""The teacher: encoder, head and perhaps a second opinion, behind fit-free predict, predict_proba and classes_."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter
from safetensors.numpy import load_file, save_file
from scipy.special import log_softmax, softmax

from handful import probe, storage
from handful.embedding import Backbone, embed
from handful.errors import BackboneError
from handful.image.parameters import ImageBackbone
from handful.modality import part
from handful.text.parameters import TextBackbone

ROWS_READ = 2048  # at a time: the surface of an image is all of its pixels, that of a text thousands of n-grams


@dataclass(frozen=True)
class Surface:
    """A second opinion, of a probe on what of a content shows without the encoder; it errs on other rows.

    `vocabulary` is what reading the surface needs, and of the teacher's probabilities `share` come of this one's.
    """

    vocabulary: Mapping[str, np.ndarray]
    head: probe.Head
    share: float

    @property
    def size_bytes(self) -> int:
        """Bytes of weights and vocabulary."""
        return self.head.size_bytes + sum(int(known.nbytes) for known in self.vocabulary.values())


@dataclass(frozen=True)
class Teacher:
    """An encoder, perhaps adapted, the head on its embeddings, and perhaps a second opinion.

    Only an adapted encoder is stored. The temperature changes how sure the teacher is, and no guess.
    """

    backbone: Backbone
    head: probe.Head
    kind: str
    surface: Surface | None = None
    temperature: float = 1.0

    @property
    def classes_(self) -> list[str]:
        """The labels, sorted, in the order of the columns of `predict_proba`."""
        return list(self.head.classes)

    @property
    def size_bytes(self) -> int:
        """Bytes of all weights that predicting needs."""
        weights = self.backbone.module.state_dict().values()
        encoder = sum(int(tensor.nbytes) for tensor in weights)
        return encoder + self.head.size_bytes + (self.surface.size_bytes if self.surface else 0)

    def predict_proba(self, contents: Sequence[Any], cached: bool = True) -> np.ndarray:
        """float32 [n, classes]; `cached=False` computes every embedding anew, for measuring."""
        return np.asarray(softmax(self.logits(contents, cached) / self.temperature, axis=1), np.float32)

    def logits(self, contents: Sequence[Any], cached: bool = True) -> np.ndarray:
        """The logarithms of what the probabilities are at a temperature of 1, [n, classes]."""
        own = log_softmax(self.head.logits(embed(self.backbone, contents, cached)), axis=1)
        if self.surface is None or not len(contents):
            return np.asarray(own)
        blocks = (contents[start : start + ROWS_READ] for start in range(0, len(contents), ROWS_READ))
        read = (self.backbone.surface(block, self.surface.vocabulary) for block in blocks)
        second = log_softmax(np.concatenate([self.surface.head.logits(rows) for rows in read]), axis=1)
        share = self.surface.share
        return np.asarray(np.logaddexp(own + np.log(1 - share), second + np.log(share)))

    def predict(self, contents: Sequence[Any]) -> list[str]:
        """The most probable label of each content."""
        return [self.head.classes[best] for best in self.predict_proba(contents).argmax(axis=1)]

    def save(self, folder: Path, modality: str, parameters: TextBackbone | ImageBackbone, seed: int) -> None:
        """Write teacher.json, head.safetensors, if it was adapted the encoder, and any second opinion's files."""
        folder.mkdir(parents=True, exist_ok=True)
        self.head.save(folder / "head.safetensors")
        if self.backbone.adapted:
            self.backbone.save(folder / "encoder")
        if self.surface is not None:
            self.surface.head.save(folder / "surface.safetensors")
            save_file(dict(self.surface.vocabulary), folder / "vocabulary.safetensors")
        description = {
            "modality": modality,
            "kind": self.kind,
            "classes": self.classes_,
            "adapted": self.backbone.adapted,
            "temperature": self.temperature,
            "surface_share": self.surface and self.surface.share,
            "backbone": {**parameters.model_dump(), "seed": seed, "fingerprint": self.backbone.fingerprint},
        }
        storage.write_json(description, folder / "teacher.json")


def load(folder: Path) -> Teacher:
    """Read a teacher that `Teacher.save` wrote.

    Raises:
        BackboneError: the unchanged backbone found here is not the one that the teacher was trained on.
    """
    description = storage.read_json(folder / "teacher.json")
    backbones = part(description["modality"], "backbone")
    if description["adapted"]:
        backbone = backbones.restore(folder / "encoder")
    else:
        wanted = description["backbone"]
        settings = {key: value for key, value in wanted.items() if key not in ("seed", "fingerprint")}
        parameters: TextBackbone | ImageBackbone = TypeAdapter(TextBackbone | ImageBackbone).validate_python(settings)
        backbone = backbones.load(parameters, wanted["seed"])
        if backbone.fingerprint != wanted["fingerprint"]:
            raise BackboneError(
                f"The teacher in {folder} was trained on other weights than those found here ({backbone.origin}). "
                "Train again with: dvc repro"
            )
    classes = tuple(description["classes"])
    head, surface = probe.load_head(folder / "head.safetensors", classes), None
    if share := description["surface_share"]:
        second = probe.load_head(folder / "surface.safetensors", classes)
        surface = Surface(load_file(folder / "vocabulary.safetensors"), second, share)
    return Teacher(backbone, head, description["kind"], surface, description["temperature"])
