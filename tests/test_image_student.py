"""The convolutional student learns, and its export predicts what torch predicts."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

import handful
from handful.distillation import Trained, save_student
from handful.embedding import embed
from handful.export import export
from handful.image import backbone, student
from handful.image.parameters import CnnBackbone, CnnStudent
from handful.training import Examples
from tests.images import encoded, noise, stripes

ENCODER = backbone.load(CnnBackbone(kind="cnn", image_size=8, grey=True, channels=4), seed=0)
PARAMETERS = CnnStudent(kind="cnn", channels=4, learning_rate=0.01, weight_decay=0.01, epochs=8, batch_size=16)
CLASSES = ["lying", "upright"]


def train(seed: int) -> Trained:
    contents = [stripes(row % 2 == 1, row) for row in range(80)]
    targets = np.eye(2, dtype=np.float32)[[row % 2 for row in range(80)]]
    examples = Examples(contents, targets, np.ones(80, np.float32), embed(ENCODER, contents), 1.0)
    return student.train(PARAMETERS, examples, CLASSES, ENCODER, seed)


@pytest.fixture(scope="module")
def trained() -> Trained:
    return train(seed=0)


def test_a_stored_student_predicts_unseen_images(trained: Trained, tmp_path: Path) -> None:
    save_student(tmp_path, trained, "cnn", "image", CLASSES)
    loaded = handful.load(tmp_path)
    unseen = [stripes(row % 2 == 1, 1000 + row) for row in range(60)]
    assert np.mean([label == CLASSES[row % 2] for row, label in enumerate(loaded.predict(unseen))]) > 0.95
    assert np.allclose(loaded.predict_proba(unseen).sum(axis=1), 1, atol=1e-5)


def test_the_same_seed_gives_the_same_bytes(trained: Trained) -> None:
    again = train(seed=0)
    assert again.files == trained.files
    assert again.features == trained.features == {"image_size": 8, "grey": True}


def test_the_export_holds_no_path_of_this_machine(trained: Trained) -> None:
    model = trained.files["model.onnx"]
    assert str(Path.cwd()).encode() not in model
    assert Path(torch.__file__).parent.as_posix().encode() not in model


@pytest.mark.parametrize(("image_size", "grey"), [(8, True), (12, False), (20, True), (36, False), (64, True)])
def test_the_export_gives_the_logits_of_torch_for_any_number_of_rows(image_size: int, grey: bool) -> None:
    torch.manual_seed(0)
    network = student.SmallCnn(image_size, grey, channels=4, classes=3)
    mode = "L" if grey else "RGB"
    settings = CnnBackbone(kind="cnn", image_size=image_size, grey=grey, channels=4)
    rows = backbone.load(settings, 0).collate([encoded(noise(17, 23, mode, seed)) for seed in range(5)])["pixels"]
    network(rows)  # moves the running averages off their start
    network.eval()
    session = onnxruntime.InferenceSession(export(network, {"pixels": rows[:2]}, free_axes=[0]).SerializeToString())
    for count in (1, 5):
        (logits,) = session.run(["logits"], {"pixels": rows[:count].numpy()})
        with torch.no_grad():
            expected = network(rows[:count]).numpy()
        assert np.allclose(logits, expected, atol=1e-4)
