"""New images keep label, parent and size, and depend on the seed alone."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from handful.image import augmentation, backbone, content, prediction
from handful.image.parameters import CnnBackbone, ImageTransform
from tests.images import encoded, images, noise

BACKBONE = backbone.load(CnnBackbone(kind="cnn", image_size=8, grey=True, channels=4), seed=0)
EVERY_KIND = [ImageTransform(kind=kind, strength=0.5) for kind in sorted(augmentation.TRANSFORMS)]


def table(contents: list[bytes]) -> pd.DataFrame:
    ids = [f"{content.fingerprint(image)}-{row}" for row, image in enumerate(contents)]
    return pd.DataFrame({"id": ids, "content": contents, "label": [f"label {row % 3}" for row in range(len(contents))]})


def augment(labelled: pd.DataFrame, operations: list[ImageTransform], rows: int = 2, seed: int = 0) -> pd.DataFrame:
    return augmentation.augment(labelled, operations, rows, BACKBONE, seed)


@given(
    st.lists(images(), max_size=3),
    st.lists(st.sampled_from(EVERY_KIND), max_size=3, unique_by=lambda operation: operation.kind),
)
@settings(max_examples=25, deadline=None)
def test_new_images_keep_parent_label_and_size(contents: list[bytes], operations: list[ImageTransform]) -> None:
    labelled = table(contents)
    made = augment(labelled, operations)
    parents = labelled.set_index("id")
    assert list(made.columns) == ["content", "label", "parent", "operation"]
    assert len(made) <= 2 * len(contents) * len(operations)
    for row in made.itertuples():
        parent = prediction.decode(parents.loc[row.parent, "content"])
        child = prediction.decode(row.content)
        assert row.label == parents.loc[row.parent, "label"]
        assert row.operation in {operation.kind for operation in operations}
        assert (child.size, child.mode) == (parent.size, parent.mode)
        assert child.tobytes() != parent.tobytes()


def test_the_parameters_and_the_table_of_operations_name_the_same_kinds() -> None:
    kinds = ImageTransform.model_json_schema()["properties"]["kind"]["enum"]
    assert set(kinds) == set(augmentation.TRANSFORMS)


def test_the_same_seed_gives_the_same_bytes_in_any_order_of_rows() -> None:
    labelled = table([encoded(noise(9, 7, "RGB", seed)) for seed in range(4)])
    forwards, backwards = augment(labelled, EVERY_KIND), augment(labelled[::-1], EVERY_KIND)
    order = ["parent", "operation", "content"]
    pd.testing.assert_frame_equal(
        forwards.sort_values(order, ignore_index=True), backwards.sort_values(order, ignore_index=True)
    )


def test_another_seed_gives_other_images() -> None:
    labelled = table([encoded(noise(9, 7))])
    rotation = [ImageTransform(kind="rotation", strength=0.5)]
    assert not augment(labelled, rotation, seed=1)["content"].isin(augment(labelled, rotation, seed=2)["content"]).any()


def test_more_rows_per_example_add_to_the_same_first_ones() -> None:
    labelled = table([encoded(noise(9, 7))])
    crop = [ImageTransform(kind="crop", strength=0.5)]
    few, many = augment(labelled, crop, rows=1), augment(labelled, crop, rows=3)
    assert len(many) == 3
    assert few["content"][0] == many["content"][0]


def test_a_flip_mirrors_and_is_made_once() -> None:
    image = noise(9, 7)
    made = augment(table([encoded(image)]), [ImageTransform(kind="flip", strength=1.0)], rows=3)
    assert len(made) == 1
    assert np.array_equal(prediction.decode(made["content"][0]), np.asarray(image)[:, ::-1])


def test_what_other_rows_hold_or_gave_already_is_not_made_again() -> None:
    image = noise(9, 7)
    flip = [ImageTransform(kind="flip", strength=1.0)]
    twice = [encoded(image), encoded(image, "BMP")]
    assert twice[0] != twice[1]
    assert len(augment(table(twice), flip)) == 1
    assert augment(table([encoded(image), encoded(ImageOps.mirror(image))]), flip).empty


def test_an_image_of_a_single_tone_has_no_other_geometry() -> None:
    blank = table([encoded(Image.new("L", (8, 8), 200))])
    geometric = [operation for operation in EVERY_KIND if operation.kind != "colour"]
    assert augment(blank, geometric).empty
    assert len(augment(blank, EVERY_KIND)) == 2


@pytest.mark.parametrize("kind", ["rotation", "translation", "crop", "scale"])
def test_a_stronger_change_moves_more(kind: str) -> None:
    picture = noise(5, 5).resize((64, 64), Image.Resampling.BICUBIC)
    labelled = table([encoded(picture)])

    def moved(strength: float) -> float:
        made = augment(labelled, [ImageTransform(kind=kind, strength=strength)], rows=8)
        images = np.stack([np.asarray(prediction.decode(each), float) for each in made["content"]])
        return float(np.abs(images - np.asarray(picture, float)).mean())

    assert moved(0.1) < moved(0.4) < moved(1.0)


def test_the_border_is_continued_and_not_painted_black() -> None:
    bright = noise(5, 5).point(lambda value: 200 + value // 8).resize((32, 32))
    operations = [ImageTransform(kind=kind, strength=1.0) for kind in ("rotation", "translation", "scale")]
    made = augment(table([encoded(bright)]), operations, rows=4)
    assert all(np.asarray(prediction.decode(each)).min() >= 190 for each in made["content"])
