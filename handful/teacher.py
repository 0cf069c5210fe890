"""The teacher: an encoder and a linear head behind fit-free predict, predict_proba and classes_."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from handful import probe, storage
from handful.embedding import Backbone, embed
from handful.errors import BackboneError
from handful.image.parameters import ImageBackbone
from handful.modality import part
from handful.text.parameters import TextBackbone


@dataclass(frozen=True)
class Teacher:
    """An encoder, perhaps adapted, and the head on its embeddings; only an adapted encoder is stored."""

    backbone: Backbone
    head: probe.Head
    kind: str

    @property
    def classes_(self) -> list[str]:
        """The labels, sorted, in the order of the columns of `predict_proba`."""
        return list(self.head.classes)

    @property
    def size_bytes(self) -> int:
        """Bytes of all weights that predicting needs."""
        weights = self.backbone.module.state_dict().values()
        encoder = sum(int(tensor.nbytes) for tensor in weights)
        return encoder + self.head.coefficients.nbytes + self.head.intercept.nbytes

    def predict_proba(self, contents: Sequence[Any], cached: bool = True) -> np.ndarray:
        """float32 [n, classes]; `cached=False` computes every embedding anew, for measuring."""
        embeddings = embed(self.backbone, contents, cached)
        return self.head.predict_proba(embeddings)

    def predict(self, contents: Sequence[Any]) -> list[str]:
        """The most probable label of each content."""
        return [self.head.classes[best] for best in self.predict_proba(contents).argmax(axis=1)]

    def save(self, folder: Path, modality: str, parameters: TextBackbone | ImageBackbone, seed: int) -> None:
        """Write teacher.json, head.safetensors and, if it was adapted, the encoder."""
        folder.mkdir(parents=True, exist_ok=True)
        self.head.save(folder / "head.safetensors")
        if self.backbone.adapted:
            self.backbone.save(folder / "encoder")
        description = {
            "modality": modality,
            "kind": self.kind,
            "classes": self.classes_,
            "adapted": self.backbone.adapted,
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
    head = probe.load_head(folder / "head.safetensors", tuple(description["classes"]))
    return Teacher(backbone, head, description["kind"])
