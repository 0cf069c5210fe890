"""The student at work: loads a stored one and predicts, with numpy and onnxruntime alone."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np
import onnxruntime

from handful.errors import StudentError
from handful.modality import MODALITIES, part

FORMAT = 3
# Rows are sorted by cost and share a batch up to this much of it, so that little is padding, and what is looked up for
# a batch stays in the processor's cache until it is added up.
BATCH_COST = 2**12


class Student:
    """A small classifier read from its folder. `classes_` are the labels, in the order of the probabilities."""

    def __init__(self, folder: Path, threads: int) -> None:
        self.folder = folder
        self.description = _describe(folder)
        self.classes_: list[str] = self.description["classes"]
        self.temperature, self.threshold = float(self.description["temperature"]), float(self.description["threshold"])
        prediction = part(self.description["modality"], "prediction")
        self.read = prediction.read
        self._cost = prediction.cost
        self._features = prediction.featurizer(self.description["features"], folder)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options, ["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises classes of its own for a missing and for a broken file
            raise StudentError(
                f"{folder / 'model.onnx'} cannot be loaded ({error}). Make the student again with: dvc repro"
            ) from None

    @property
    def size_bytes(self) -> int:
        """Bytes of the folder: all that has to be shipped."""
        return sum(file.stat().st_size for file in self.folder.iterdir() if file.is_file())

    def predict_proba(self, contents: Sequence[Any]) -> np.ndarray:
        """Return float32 [n, classes]; rows sum to 1. Texts are str, images the bytes of an encoded file."""
        return softmax(self.logits(contents), self.temperature)

    @overload
    def predict(self, contents: Sequence[Any], abstain: Literal[False] = False) -> list[str]: ...
    @overload
    def predict(self, contents: Sequence[Any], abstain: bool) -> list[str | None]: ...
    def predict(self, contents: Sequence[Any], abstain: bool = False) -> Sequence[str | None]:
        """The most probable label of each content; with `abstain` None where its probability is below `threshold`."""
        probabilities = self.predict_proba(contents)
        labels = [self.classes_[best] for best in probabilities.argmax(axis=1)]
        if not abstain:
            return labels
        answered = probabilities.max(axis=1) >= self.threshold
        return [label if sure else None for label, sure in zip(labels, answered, strict=True)]

    def logits(self, contents: Sequence[Any]) -> np.ndarray:
        """What the probabilities are made of, before the temperature; float32 [n, classes]."""
        if isinstance(contents, str | bytes):
            raise TypeError("A student classifies a list of contents; give it one content as a list of one: [content].")
        logits = np.empty((len(contents), len(self.classes_)), np.float32)
        for rows in self._batches(contents):
            (logits[rows],) = self._session.run(["logits"], self._features([contents[row] for row in rows]))
        return logits

    def _batches(self, contents: Sequence[Any]) -> Iterator[list[int]]:
        costs = [self._cost(content) for content in contents]
        batch: list[int] = []
        for row in sorted(range(len(contents)), key=costs.__getitem__):
            if batch and (len(batch) + 1) * costs[row] > BATCH_COST:
                yield batch
                batch = []
            batch.append(row)
        if batch:
            yield batch


def load(folder: str | Path, threads: int = 0) -> Student:
    """Load the student in `folder`; `threads` limits the cores it uses, 0 leaves that to onnxruntime.

    Raises:
        StudentError: the folder is missing, holds no student, or one of a format that this version does not know.
    """
    return Student(Path(folder), threads)


def _describe(folder: Path) -> dict[str, Any]:
    path = folder / "student.json"
    try:
        description: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise StudentError(
            f"There is no student in {folder}: student.json is missing. Name the folder in which student.json lies."
        ) from None
    except OSError as error:
        raise StudentError(f"{path} cannot be read ({error}). Give leave to read it, or make it anew.") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise StudentError(f"{path} is damaged ({error}). Make the student again with: dvc repro") from None
    if not isinstance(description, dict):
        raise StudentError(f"{path} is damaged (it holds no JSON object). Make the student again with: dvc repro")
    if description.get("format") != FORMAT or description.get("modality") not in MODALITIES:
        raise StudentError(
            f"{path} has format {description.get('format')!r}; this version of Handful "
            f"reads format {FORMAT}. Install the version that wrote it, or make the student again with: dvc repro"
        )
    if missing := {"kind", "classes", "features", "temperature", "threshold"} - description.keys():
        raise StudentError(
            f"{path} is damaged (it lacks {', '.join(sorted(missing))}). Make the student again with: dvc repro"
        )
    return description


def softmax(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities float32 [n, classes] at a temperature, which never changes what class is the likeliest."""
    # The largest becomes exp(0) = 1 exactly, and rounding takes no other above it.
    shifted = np.exp((logits - logits.max(axis=1, keepdims=True)) / np.float32(temperature))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))
