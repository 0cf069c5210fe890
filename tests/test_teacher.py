"""A teacher that was saved predicts as before, or is refused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from handful import probe, teacher
from handful.embedding import Backbone, embed
from handful.errors import BackboneError
from handful.image import backbone as image_backbone
from handful.image.parameters import CnnBackbone
from handful.nearest import Nearest
from handful.teacher import Surface, Teacher
from handful.text import backbone as text_backbone
from handful.text.parameters import PretrainedBackbone
from tests.images import stripes

TEXT = PretrainedBackbone(kind="pretrained", name="sentence-transformers/all-MiniLM-L6-v2", max_tokens=32)
IMAGE = CnnBackbone(kind="cnn", image_size=8, grey=True, channels=4)
TEXTS = ["where is my parcel", "the delivery is late", "i forgot my password", "the login fails"]
PICTURES = [stripes(row < 2, row) for row in range(4)]
LABELS = np.array(["first", "first", "second", "second"])
Case = tuple[Teacher, str, PretrainedBackbone | CnnBackbone, list[Any]]  # a teacher, its modality, settings, contents


def teach(backbone: Backbone, contents: list[Any]) -> Teacher:
    return Teacher(backbone, probe.fit(embed(backbone, contents, cached=False), LABELS, 10.0), "linear_probe")


@pytest.fixture(scope="module")
def text() -> Teacher:
    return teach(text_backbone.load(TEXT, 0), TEXTS)


@pytest.fixture(scope="module")
def image() -> Teacher:
    return teach(image_backbone.load(IMAGE, 0), PICTURES)


@pytest.fixture(scope="module")
def each_modality(text: Teacher, image: Teacher) -> list[Case]:
    return [(text, "text", TEXT, TEXTS), (image, "image", IMAGE, PICTURES)]


def test_a_frozen_teacher_is_stored_without_its_encoder_and_comes_back(
    each_modality: list[Case], tmp_path: Path
) -> None:
    for given, modality, parameters, contents in each_modality:
        folder = tmp_path / modality
        given.save(folder, modality, parameters, 0)
        assert sorted(path.name for path in folder.iterdir()) == ["head.safetensors", "teacher.json"]
        loaded = teacher.load(folder)
        assert loaded.kind == "linear_probe"
        assert loaded.classes_ == given.classes_ == ["first", "second"]
        assert np.array_equal(loaded.predict_proba(contents), given.predict_proba(contents))
        assert loaded.predict(contents) == LABELS.tolist()


def with_second_opinion(given: Teacher, contents: list[Any]) -> Teacher:
    """The teacher with a probe on the surface of the contents, which were told the other way round."""
    vocabulary = given.backbone.vocabulary(contents)
    second = probe.fit(given.backbone.surface(contents, vocabulary), LABELS[::-1], 10.0)
    return replace(given, surface=Surface(vocabulary, second, 0.25), temperature=2.0)


def with_nearest_rows(given: Teacher, contents: list[Any]) -> Teacher:
    """The teacher that also asks the two rows that lie nearest, and perhaps how alike their surfaces are."""
    read = given.backbone.surface(contents, given.surface.vocabulary) if given.surface else None
    known = pd.DataFrame({"content": contents, "label": LABELS, "weight": 1.0})
    return replace(given, nearest=Nearest(given.head.classes, known, embed(given.backbone, contents), read, 2, 0.5))


def test_a_second_opinion_comes_back_and_has_its_share_in_what_is_said(
    each_modality: list[Case], tmp_path: Path
) -> None:
    for alone, modality, parameters, contents in each_modality:
        both = with_second_opinion(alone, contents)
        assert both.surface is not None
        other = both.surface.head.predict_proba(both.backbone.surface(contents, both.surface.vocabulary))
        assert other.argmax(axis=1).tolist() == [1, 1, 0, 0]
        mixed = 0.75 * alone.predict_proba(contents) + 0.25 * other
        expected = mixed**0.5 / (mixed**0.5).sum(axis=1, keepdims=True)  # at a temperature of two
        assert np.allclose(both.predict_proba(contents), expected, atol=1e-5)
        assert both.predict_proba([]).shape == (0, 2)
        both.save(tmp_path / modality, modality, parameters, 0)
        assert np.array_equal(teacher.load(tmp_path / modality).predict_proba(contents), both.predict_proba(contents))


def test_the_nearest_rows_come_back_and_have_their_share_in_what_is_said(
    each_modality: list[Case], tmp_path: Path
) -> None:
    for alone, modality, parameters, contents in each_modality:
        third = with_nearest_rows(alone, contents)
        assert third.nearest is not None
        said = third.nearest.predict_proba(embed(alone.backbone, contents), None)
        expected = 0.5 * alone.predict_proba(contents) + 0.5 * said
        assert np.allclose(third.predict_proba(contents), expected, atol=1e-5)
        all_three = with_nearest_rows(with_second_opinion(alone, contents), contents)
        assert all_three.shares == {"head": 0.25, "surface": 0.25, "nearest_rows": 0.5}
        assert all_three.size_bytes > third.size_bytes > alone.size_bytes
        for number, one in enumerate((third, all_three)):
            folder = tmp_path / f"{modality} {number}"
            one.save(folder, modality, parameters, 0)
            assert np.array_equal(teacher.load(folder).predict_proba(contents), one.predict_proba(contents))
            assert one.predict_proba([]).shape == (0, 2)


def test_the_surface_of_many_rows_is_read_a_part_at_a_time(
    each_modality: list[Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    for alone, _, _, contents in each_modality:
        both = with_second_opinion(alone, contents)
        at_once = both.predict_proba(contents)
        monkeypatch.setattr(teacher, "ROWS_READ", 3)
        assert np.allclose(both.predict_proba(contents), at_once, atol=1e-6)
        monkeypatch.undo()


def test_an_adapted_teacher_is_stored_with_its_encoder_and_comes_back(
    each_modality: list[Case], tmp_path: Path
) -> None:
    for given, modality, parameters, contents in each_modality:
        changed = given.backbone.copy()
        with torch.no_grad():
            for weights in changed.module.parameters():
                weights.mul_(1.1)
        adapted = teach(changed, contents)
        adapted.save(tmp_path / modality, modality, parameters, 0)
        loaded = teacher.load(tmp_path / modality)
        assert loaded.backbone.adapted
        expected = adapted.predict_proba(contents, cached=False)
        assert np.array_equal(loaded.predict_proba(contents, cached=False), expected)
        assert not np.array_equal(loaded.predict_proba(contents), given.predict_proba(contents))


@pytest.mark.parametrize("change", [{"seed": 1}, {"channels": 8}, {"image_size": 16}])
def test_a_teacher_of_other_weights_than_those_found_is_refused(
    image: Teacher, tmp_path: Path, change: dict[str, int]
) -> None:
    image.save(tmp_path, "image", IMAGE, 0)
    stored = json.loads((tmp_path / "teacher.json").read_text(encoding="utf-8"))
    stored["backbone"] |= change
    (tmp_path / "teacher.json").write_text(json.dumps(stored), encoding="utf-8")
    with pytest.raises(BackboneError, match="other weights"):
        teacher.load(tmp_path)


@pytest.mark.usefixtures("full_precision")
def test_what_a_teacher_computes_anew_is_what_it_keeps(text: Teacher) -> None:
    assert np.array_equal(text.predict_proba(TEXTS), text.predict_proba(TEXTS, cached=False))
    assert np.allclose(text.predict_proba(TEXTS).sum(axis=1), 1, atol=1e-6)


def test_the_size_is_that_of_all_weights(image: Teacher) -> None:
    encoder = sum(tensor.numel() * tensor.element_size() for tensor in image.backbone.module.state_dict().values())
    assert image.size_bytes == encoder + 4 * 2 * (image.backbone.dimensions + 1)
    assert with_second_opinion(image, PICTURES).size_bytes == image.size_bytes + 4 * 2 * (8 * 8 + 1)
