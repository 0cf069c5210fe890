"""The teacher: encoder, head and perhaps further opinions, behind fit-free predict, predict_proba and classes_."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
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
from handful.nearest import Nearest
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
    """An encoder, perhaps adapted, the head on its embeddings, and perhaps a second and a third opinion.

    Only an adapted encoder is stored. The temperature changes how sure the teacher is, and no guess.
    """

    backbone: Backbone
    head: probe.Head
    kind: str
    surface: Surface | None = None
    nearest: Nearest | None = None
    temperature: float = 1.0

    @property
    def classes_(self) -> list[str]:
        """The labels, sorted, in the order of the columns of `predict_proba`."""
        return list(self.head.classes)

    @property
    def shares(self) -> dict[str, float]:
        """How much of the say each opinion has."""
        given = {"surface": self.surface, "nearest_rows": self.nearest}
        further = {name: opinion.share for name, opinion in given.items() if opinion is not None}
        return {"head": 1 - sum(further.values()), **further}

    @property
    def size_bytes(self) -> int:
        """Bytes of all weights that predicting needs."""
        weights = self.backbone.module.state_dict().values()
        encoder = sum(int(tensor.nbytes) for tensor in weights)
        further = sum(opinion.size_bytes for opinion in (self.surface, self.nearest) if opinion)
        return encoder + self.head.size_bytes + further

    def predict_proba(self, contents: Sequence[Any], cached: bool = True) -> np.ndarray:
        """float32 [n, classes]; `cached=False` computes every embedding anew, for measuring."""
        return np.asarray(softmax(self.logits(contents, cached) / self.temperature, axis=1), np.float32)

    def logits(self, contents: Sequence[Any], cached: bool = True) -> np.ndarray:
        """The logarithms of what the probabilities are at a temperature of 1, [n, classes]."""
        embeddings = embed(self.backbone, contents, cached)
        parts = [slice(start, start + ROWS_READ) for start in range(0, len(contents), ROWS_READ)]
        said = [self._logits(contents[part], embeddings[part]) for part in parts]
        return np.concatenate([np.empty((0, len(self.head.classes)), np.float32), *said])

    def _logits(self, contents: Sequence[Any], embeddings: np.ndarray) -> np.ndarray:
        """The logarithm of what the opinions say on average, each by its share."""
        opinions, read = {"head": log_softmax(self.head.logits(embeddings), axis=1)}, None
        if self.surface is not None:
            read = self.backbone.surface(contents, self.surface.vocabulary)
            opinions["surface"] = log_softmax(self.surface.head.logits(read), axis=1)
        if self.nearest is not None:
            opinions["nearest_rows"] = np.log(self.nearest.predict_proba(embeddings, read))
        said = [np.log(share) + opinions[name] for name, share in self.shares.items()]
        return np.asarray(reduce(np.logaddexp, said))

    def predict(self, contents: Sequence[Any]) -> list[str]:
        """The most probable label of each content."""
        return [self.head.classes[best] for best in self.predict_proba(contents).argmax(axis=1)]

    def save(self, folder: Path, modality: str, parameters: TextBackbone | ImageBackbone, seed: int) -> None:
        """Write teacher.json, head.safetensors, if it was adapted the encoder, and the files of further opinions."""
        folder.mkdir(parents=True, exist_ok=True)
        self.head.save(folder / "head.safetensors")
        if self.backbone.adapted:
            self.backbone.save(folder / "encoder")
        if self.surface is not None:
            self.surface.head.save(folder / "surface.safetensors")
            save_file(dict(self.surface.vocabulary), folder / "vocabulary.safetensors")
        if self.nearest is not None:
            storage.write_table(self.nearest.known, folder / "nearest.parquet")
            save_file({"embeddings": self.nearest.embeddings}, folder / "nearest.safetensors")
        description = {
            "modality": modality,
            "kind": self.kind,
            "classes": self.classes_,
            "adapted": self.backbone.adapted,
            "temperature": self.temperature,
            "surface_share": self.surface and self.surface.share,
            "nearest": self.nearest and {"count": self.nearest.count, "share": self.nearest.share},
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
    nearest = None
    if settings := description["nearest"]:
        known = storage.read_table(folder / "nearest.parquet")
        embeddings = load_file(folder / "nearest.safetensors")["embeddings"]
        read = backbone.surface(known["content"].tolist(), surface.vocabulary) if surface else None
        nearest = Nearest(classes, known, embeddings, read, **settings)
    return Teacher(backbone, head, description["kind"], surface, nearest, description["temperature"])
