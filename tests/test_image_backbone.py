"""The image encoder: what it sees untrained, how it is pretrained, saved and restored."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from handful import probe
from handful.embedding import embed
from handful.errors import BackboneError
from handful.image import backbone
from handful.image.parameters import CnnBackbone
from handful.parameters.learning import DenoisingAutoencoder, NoPretraining
from tests.images import encoded, noise, stripes

SETTINGS = CnnBackbone(kind="cnn", image_size=8, grey=True, channels=4)
AUTOENCODER = DenoisingAutoencoder(
    kind="denoising_autoencoder", noise=0.3, epochs=2, learning_rate=0.002, batch_size=16
)
STRIPES = [stripes(seed % 2 == 0, seed) for seed in range(40)]


@pytest.mark.parametrize("image_size", [8, 12, 20, 32, 256])
@pytest.mark.parametrize("grey", [True, False])
def test_embeddings_are_unit_vectors_for_every_size(image_size: int, grey: bool) -> None:
    settings = SETTINGS.model_copy(update={"image_size": image_size, "grey": grey})
    encoder = backbone.load(settings, seed=0)
    vectors = embed(encoder, [encoded(noise(30, 20, "RGB")), encoded(noise(8, 8))], cached=False)
    assert vectors.shape == (2, encoder.dimensions)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_a_black_image_trains_without_infinities() -> None:
    encoder = backbone.load(SETTINGS, seed=0)
    vector = encoder.module(torch.zeros(1, 1, 8, 8))
    vector.sum().backward()
    gradients = [weight.grad for weight in encoder.module.parameters()]
    assert torch.isfinite(vector).all()
    assert all(gradient is not None and torch.isfinite(gradient).all() for gradient in gradients)


def test_the_untrained_embedding_already_tells_digits_apart_better_than_pixels() -> None:
    digits = load_digits()
    contents = [encoded_digit(pixels) for pixels in digits.images[:800]]
    labels = digits.target[:800].astype(str)
    encoder = backbone.load(SETTINGS.model_copy(update={"channels": 16}), seed=0)
    vectors, pixels = embed(encoder, contents, cached=False), digits.data[:800].astype(np.float32) / 16
    few, rest = np.arange(100), np.arange(100, 800)

    def accuracy(features: np.ndarray) -> float:
        head = probe.fit(features[few], labels[few], 10.0)
        return float(np.mean(np.array(head.classes)[head.logits(features[rest]).argmax(axis=1)] == labels[rest]))

    assert accuracy(vectors) > accuracy(pixels) + 0.01


def encoded_digit(pixels: np.ndarray) -> bytes:
    return encoded(Image.fromarray((pixels * 255 / 16).astype(np.uint8)))


def test_the_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    first, again, other = (backbone.load(SETTINGS, seed) for seed in (1, 1, 2))
    assert first.fingerprint == again.fingerprint != other.fingerprint
    assert first.origin == "from scratch, seed 1"


def test_loading_leaves_the_global_random_state_alone() -> None:
    state = torch.random.get_rng_state()
    backbone.load(SETTINGS, seed=3)
    assert torch.equal(state, torch.random.get_rng_state())


def test_a_row_is_embedded_alike_whatever_its_batch() -> None:
    encoder = backbone.load(SETTINGS, seed=0)
    alone, together = embed(encoder, STRIPES[:1], cached=False), embed(encoder, STRIPES, cached=False)
    assert np.allclose(alone[0], together[0], atol=1e-6)


def test_pretraining_learns_to_restore_and_repeats_itself() -> None:
    untrained = backbone.load(SETTINGS, seed=0)
    before = untrained.fingerprint
    first = backbone.pretrain(untrained, STRIPES, AUTOENCODER, seed=5)
    again = backbone.pretrain(untrained, STRIPES, AUTOENCODER, seed=5)
    other = backbone.pretrain(untrained, STRIPES, AUTOENCODER, seed=6)
    assert first.fingerprint == again.fingerprint
    assert len({before, first.fingerprint, other.fingerprint}) == 3
    assert backbone.load(SETTINGS, seed=0).fingerprint == before
    assert untrained.copy().fingerprint is None
    assert [each.adapted for each in (untrained, untrained.copy(), first)] == [False, True, True]


def test_longer_pretraining_restores_better() -> None:
    def restored(epochs: int) -> float:
        encoder = backbone.load(SETTINGS, seed=0)
        trained = backbone.pretrain(encoder, STRIPES, AUTOENCODER.model_copy(update={"epochs": epochs}), seed=0)
        return linear_restoration_error(trained)

    assert restored(30) < restored(1)


def linear_restoration_error(encoder: backbone.Backbone) -> float:
    """How badly a linear map from the learned maps restores unseen images."""
    unseen = [stripes(seed % 2 == 0, seed) for seed in range(1000, 1200)]
    pixels = encoder.collate(unseen)["pixels"]
    with torch.no_grad():
        maps = encoder.module.layers(backbone.gradient_maps(pixels)).flatten(1).double()
    target = pixels.flatten(1).double()
    half = len(unseen) // 2
    ridge = maps[:half].T @ maps[:half] + 0.1 * torch.eye(maps.shape[1], dtype=torch.float64)
    weights = torch.linalg.solve(ridge, maps[:half].T @ target[:half])
    return float(((maps[half:] @ weights - target[half:]) ** 2).mean())


def test_without_pretraining_or_without_a_pool_the_backbone_stays_as_it_is() -> None:
    encoder = backbone.load(SETTINGS, seed=0)
    assert backbone.pretrain(encoder, STRIPES, NoPretraining(kind="none"), seed=0) is encoder
    assert backbone.pretrain(encoder, [], AUTOENCODER, seed=0) is encoder


def test_a_saved_backbone_is_restored_whole(tmp_path: Path) -> None:
    trained = backbone.pretrain(backbone.load(SETTINGS, seed=0), STRIPES, AUTOENCODER, seed=0)
    trained.save(tmp_path / "encoder")
    restored = backbone.restore(tmp_path / "encoder")
    assert (restored.fingerprint, restored.origin, restored.adapted) == (trained.fingerprint, trained.origin, True)
    assert np.array_equal(embed(restored, STRIPES, cached=False), embed(trained, STRIPES, cached=False))
    assert sorted(file.suffix for file in (tmp_path / "encoder").iterdir()) == [".json", ".safetensors"]


@pytest.mark.parametrize("damage", ["backbone.json", "model.safetensors"])
def test_a_damaged_backbone_is_named(tmp_path: Path, damage: str) -> None:
    backbone.load(SETTINGS, seed=0).save(tmp_path)
    (tmp_path / damage).write_bytes(b"{")
    with pytest.raises(BackboneError, match="holds no whole image backbone"):
        backbone.restore(tmp_path)


def test_a_gradient_falls_into_its_own_orientation() -> None:
    ramp = torch.arange(8.0).expand(8, 8)[None, None] / 8
    strengths = backbone.gradient_maps(ramp)[0, : backbone.ORIENTATIONS].sum((1, 2))
    assert strengths.argmax() == 0
    assert torch.count_nonzero(strengths) == 1
    turned = backbone.gradient_maps(ramp.transpose(2, 3))[0, : backbone.ORIENTATIONS].sum((1, 2))
    assert turned.argmax() == backbone.ORIENTATIONS // 4
