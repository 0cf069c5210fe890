"""A row's embedding depends on the row alone, and the cache changes nothing but the time."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from handful import embedding
from handful.embedding import Embedder, embed
from handful.image import backbone as image_backbone
from handful.image.parameters import CnnBackbone
from handful.text import backbone as text_backbone
from handful.text.parameters import PretrainedBackbone
from tests.images import stripes

ROOT = Path(__file__).parents[1]
TEXTS = ["", "parcel", "my parcel is late", "a much longer text of many words " * 4, "我的包裹在哪里", "🙂", "Parcel"]
PICTURES = [stripes(row % 2 == 0, row) for row in range(7)]


class Letters(nn.Module):
    """Counts letters, and how many rows it has been asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = 0

    def forward(self, counts: Tensor) -> Tensor:
        self.rows += len(counts)
        return nn.functional.normalize(counts + 0.1, dim=-1)


class Toy:
    """The smallest embedder: a text's vector is its count of five letters. Stops, or dies, at a certain text."""

    dimensions = 5

    def __init__(
        self, fingerprint: str | None = "toy", adapted: bool = False, stop: str | None = None, die: str | None = None
    ) -> None:
        self.fingerprint, self.adapted, self.stop, self.die = fingerprint, adapted, stop, die
        self.module = Letters()
        self.asked: set[str] = set()

    def shape(self, content: str) -> int:
        return 128

    def collate(self, contents: Sequence[str]) -> dict[str, Tensor]:
        if self.stop in contents:
            raise KeyboardInterrupt
        if self.die in contents:
            os.kill(os.getpid(), signal.SIGKILL)
        self.asked |= set(contents)
        return {"counts": torch.tensor([[float(text.count(letter)) for letter in "01234"] for text in contents])}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HANDFUL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def text() -> text_backbone.Backbone:
    name = "sentence-transformers/all-MiniLM-L6-v2"
    return text_backbone.load(PretrainedBackbone(kind="pretrained", name=name, max_tokens=32), 0)


@pytest.fixture(scope="module")
def image() -> image_backbone.Backbone:
    return image_backbone.load(CnnBackbone(kind="cnn", image_size=8, grey=True, channels=4), 0)


def freshly(embedder: Embedder, contents: list[Any]) -> np.ndarray:
    """What an empty cache is filled with."""
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("HANDFUL_CACHE", folder)
        return embed(embedder, contents)


@pytest.fixture(scope="module")
def alone(text: text_backbone.Backbone) -> dict[str, np.ndarray]:
    return {content: freshly(text, [content])[0] for content in TEXTS}


@given(st.lists(st.sampled_from(TEXTS), min_size=1, max_size=12))
@settings(deadline=None, max_examples=10)
def test_a_text_has_the_same_embedding_alone_in_company_and_in_any_order(
    text: text_backbone.Backbone, alone: dict[str, np.ndarray], contents: list[str]
) -> None:
    for vector, content in zip(freshly(text, contents), contents, strict=True):
        assert np.array_equal(vector, alone[content])


def test_so_has_a_text_that_a_backbone_in_training_is_asked_for(text: text_backbone.Backbone) -> None:
    trained = text.copy()
    together = embed(trained, TEXTS * 3)
    assert np.array_equal(together, np.concatenate([embed(trained, [content]) for content in TEXTS] * 3))


@given(st.permutations(PICTURES), st.integers(1, 7))
@settings(deadline=None, max_examples=25)
def test_an_image_has_the_same_embedding_alone_in_company_and_in_any_order(
    image: image_backbone.Backbone, contents: list[bytes], count: int
) -> None:
    together = freshly(image, contents[:count])
    for row, content in enumerate(contents[:count]):
        assert np.array_equal(together[row], freshly(image, [content])[0])


def test_embeddings_are_unit_vectors_in_the_order_of_the_contents(text: text_backbone.Backbone) -> None:
    vectors = embed(text, TEXTS)
    assert vectors.shape == (len(TEXTS), text.dimensions)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[1] @ vectors[2] > vectors[1] @ vectors[4]
    assert embed(text, []).shape == (0, text.dimensions)


@pytest.mark.usefixtures("full_precision")
def test_what_is_cached_is_what_is_computed(text: text_backbone.Backbone, cache: Path) -> None:
    computed = freshly(text, TEXTS)
    assert not cache.exists()
    assert np.allclose(embed(text, TEXTS, cached=False), computed, atol=1e-5)
    assert not cache.exists()
    for _ in range(2):
        assert np.array_equal(embed(text, TEXTS), computed)
    assert np.array_equal(embed(text, [*TEXTS[::-1], TEXTS[0], "new"])[:7], computed[::-1])


def test_what_is_measured_is_at_full_precision_and_what_is_kept_points_the_same_way(
    text: text_backbone.Backbone, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with torch.inference_mode():
        expected = torch.cat([text.module(**text.collate([one])) for one in TEXTS]).numpy()
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True})  # slow, where it is not true
    assert np.allclose(embed(text, TEXTS, cached=False), expected, atol=1e-6)
    kept = embed(text, TEXTS)
    assert not np.allclose(kept, expected, atol=1e-6)
    assert np.all((kept * expected).sum(axis=1) > 0.999)


def test_processors_that_multiply_in_another_way_do_not_share_their_rows(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed = []
    for can in ({"amx_bf16": True}, {"amx_bf16": False}, {"avx512_bf16": True}, {"avx512_f": True}):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda can=can: can)
        embed(toy := Toy(), ["a", "b"])
        computed.append(toy.module.rows > 0)
    assert computed == [True, True, False, False]


def test_a_row_is_computed_once(cache: Path) -> None:
    toy = Toy()
    embed(toy, ["0", "1", "0"])
    rows = toy.module.rows
    embed(toy, ["1", "0"])
    assert toy.module.rows == rows
    embed(toy, ["1", "2"])
    assert toy.module.rows > rows


def test_the_cache_lies_where_the_environment_says(cache: Path) -> None:
    embed(Toy(), ["0"])
    assert [file.name.split("-")[0] for file in (cache / "embeddings").glob("*.keys")] == ["toy"]


def test_without_the_variable_the_cache_lies_in_the_users_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HANDFUL_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    embed(Toy(), ["0"])
    assert list((tmp_path / ".cache" / "handful" / "embeddings").glob("toy-*.keys"))


def test_backbones_of_other_weights_do_not_share_their_rows(cache: Path) -> None:
    embed(Toy("one"), ["0"])
    other = Toy("two")
    embed(other, ["0"])
    assert other.module.rows > 0


def test_an_interrupted_pass_keeps_what_it_had(cache: Path) -> None:
    contents = [str(number) for number in range(embedding.ROWS_PER_COMMIT + 10)]
    with pytest.raises(KeyboardInterrupt):
        embed(Toy(stop=contents[-1]), contents)
    resumed = Toy(stop=contents[0])  # would stop if it began anew
    assert np.array_equal(embed(resumed, contents), embed(Toy(), contents, cached=False))
    assert resumed.module.rows < 20


def test_a_killed_pass_goes_on_where_it_stopped(cache: Path) -> None:
    rows = 4 * embedding.ROWS_PER_COMMIT
    contents = [str(number) for number in range(rows)]
    code = (
        "from handful.embedding import embed; from tests.test_embedding import Toy;"
        f"embed(Toy(die='{rows - 500}'), [str(number) for number in range({rows})])"
    )
    killed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL
    resumed = Toy()
    assert np.array_equal(embed(resumed, contents), freshly(Toy(), contents))
    assert resumed.asked == set(contents[-embedding.ROWS_PER_COMMIT :])


@pytest.mark.parametrize("torn", [{"keys": b"half", "vectors": b""}, {"keys": b"", "vectors": b"x" * 31}])
def test_what_a_killed_writer_left_half_written_counts_for_nothing(cache: Path, torn: dict[str, bytes]) -> None:
    contents = [str(number) for number in range(20)]
    embed(Toy(), contents[:10])
    for ending, half in torn.items():
        (file,) = (cache / "embeddings").glob(f"*.{ending}")
        with file.open("ab") as opened:
            opened.write(half)
    resumed = Toy()
    for _ in range(2):
        assert np.array_equal(embed(resumed, contents), freshly(Toy(), contents))
    assert resumed.asked == set(contents[10:])


def test_a_cache_that_lost_vectors_computes_them_again(cache: Path) -> None:
    contents = [str(number) for number in range(20)]
    embed(Toy(), contents)
    (file,) = (cache / "embeddings").glob("*.vectors")
    os.truncate(file, 4 * Toy.dimensions * 15 + 3)
    resumed = Toy()
    for _ in range(2):
        assert np.array_equal(embed(resumed, contents), freshly(Toy(), contents))
    assert resumed.asked == set(contents[15:])


def test_a_hundred_rows_added_to_many_are_all_that_is_computed(cache: Path) -> None:
    contents = [str(number) for number in range(20_000)]
    embed(Toy(), contents)
    grown = Toy()
    vectors = embed(grown, [*contents[:5000], *(f"new {number}" for number in range(100)), *contents[5000:]])
    assert grown.asked == {f"new {number}" for number in range(100)}
    assert np.array_equal(np.delete(vectors, slice(5000, 5100), axis=0), embed(Toy(), contents))


def test_a_backbone_in_training_leaves_nothing_in_the_cache(
    cache: Path, image: image_backbone.Backbone, text: text_backbone.Backbone
) -> None:
    embed(Toy(None, adapted=True), ["0"])
    embed(image.copy(), PICTURES)
    embed(text.copy(), TEXTS[:1])
    assert not cache.exists()


def test_an_adapted_backbone_that_was_stored_goes_on_where_it_stopped(cache: Path) -> None:
    embed(Toy("tonight", adapted=True), ["0", "1"])
    again = Toy("tonight", adapted=True)
    embed(again, ["0", "1", "2"])
    assert again.asked == {"2"}


def test_adapted_backbones_of_other_nights_do_not_fill_the_disk(cache: Path) -> None:
    embed(Toy("frozen"), ["0"])
    for age, name in ((3, "older"), (1, "yesterday")):
        embed(Toy(name, adapted=True), ["0"])
        (file,) = (cache / "embeddings").glob(f"adapted-{name}-*.keys")
        os.utime(file, (time.time() - age * 24 * 3600,) * 2)
    embed(Toy("tonight", adapted=True), ["0"])
    left = {file.name.split("-cpu")[0].split("-cuda")[0] for file in (cache / "embeddings").iterdir()}
    assert left == {"frozen", "adapted-yesterday", "adapted-tonight"}


def test_two_processes_at_once_do_not_harm_the_cache(cache: Path) -> None:
    code = (
        "import sys, numpy; from handful.embedding import embed; from tests.test_embedding import Toy;"
        "contents = [str(number) for number in range(3000)];"
        "toy = Toy();"
        "parts = [embed(toy, contents[start:start + 100]) for start in range(0, 3000, 100)];"
        "sys.stdout.buffer.write(numpy.concatenate(parts).tobytes())"
    )
    running = [subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE) for _ in range(2)]
    outputs = [process.communicate()[0] for process in running]
    assert [process.returncode for process in running] == [0, 0]
    expected = embed(Toy(), [str(number) for number in range(3000)], cached=False).tobytes()
    assert [hashlib.sha256(output).hexdigest() for output in outputs] == [hashlib.sha256(expected).hexdigest()] * 2
    again = Toy()
    assert embed(again, [str(number) for number in range(3000)]).tobytes() == expected
    assert again.module.rows == 0
