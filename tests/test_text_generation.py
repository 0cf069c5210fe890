"""Texts written by networks: tiny random ones that each test run builds and saves as a hub's folder would lie there."""

import io
import json
from pathlib import Path

import pandas as pd
import pytest
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from tokenizers.decoders import ByteLevel
from transformers import GPT2Config, GPT2LMHeadModel, MarianConfig, MarianMTModel, PreTrainedTokenizerFast

from handful import lineage
from handful.errors import BackboneError
from handful.text import checkpoints, generation, translation
from handful.text.augmentation import augment
from handful.text.backbone import Backbone, load
from handful.text.parameters import (
    BackTranslation,
    BeamSearch,
    LanguageModelGeneration,
    PretrainedBackbone,
    Sampling,
)

CORPUS = [
    "where is my parcel, it was promised for monday",
    "the delivery of the order is late again",
    "please reset the password of my account",
    "i cannot sign in after the update 🙂",
    "我的包裹在哪里",
    "我忘记了密码",
]
LABELS = ["parcel", "parcel", "sign_in", "sign_in", "parcel", "sign_in"]
BEAM = BeamSearch(kind="beam", beams=3)
SAMPLING = Sampling(kind="sampling", temperature=0.9, top_p=0.95)


def table() -> pd.DataFrame:
    return pd.DataFrame({"id": [f"id{row}" for row in range(6)], "content": CORPUS, "label": LABELS}, dtype=object)


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return load(
        PretrainedBackbone(kind="pretrained", name="sentence-transformers/all-MiniLM-L6-v2", max_tokens=64), seed=0
    )


@pytest.fixture(scope="module")
def language_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random GPT-2 of one layer over bytes, which can read 96 tokens."""
    folder = tmp_path_factory.mktemp("language_model")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=320, special_tokens=["<end>"], initial_alphabet=alphabet)
    tokenizer.train_from_iterator(CORPUS, trainer)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>").save_pretrained(folder)
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=tokenizer.get_vocab_size(), n_positions=96, n_embd=32, n_layer=1, n_head=2, bos_token_id=0
    )
    config.eos_token_id = 0
    GPT2LMHeadModel(config).save_pretrained(folder)
    return folder


@pytest.mark.parametrize(("family", "longest"), [("Bloom", 2048), ("Mpt", 80)])
def test_a_language_model_may_state_its_length_otherwise_or_not_at_all(
    family: str, longest: int, language_model: Path, tmp_path: Path
) -> None:
    tokenizer = PreTrainedTokenizerFast.from_pretrained(language_model)
    tokenizer.save_pretrained(tmp_path)
    bloom = {"hidden_size": 32, "n_layer": 1, "n_head": 2}
    sizes = {"Bloom": bloom, "Mpt": {"d_model": 32, "n_layers": 1, "n_heads": 2, "max_seq_len": 80}}[family]
    config = getattr(transformers, f"{family}Config")(vocab_size=len(tokenizer), **sizes)
    getattr(transformers, f"{family}ForCausalLM")(config).save_pretrained(tmp_path)
    generator = checkpoints.load(str(tmp_path), "language")
    assert generator.longest == longest
    assert len(generator.write(["where is"], 1, SAMPLING, 4, seed=0)[0]) == 1


def marian(folder: Path, seed: int, silent: bool = False) -> Path:
    """A random MarianMT of one layer with its sentencepiece tokenizer; a silent one writes nothing."""
    import sentencepiece

    made = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS), model_writer=made, vocab_size=100, hard_vocab_limit=False, minloglevel=2
    )
    pieces = sentencepiece.SentencePieceProcessor(model_proto=made.getvalue())
    names = ["</s>", "<unk>", *(pieces.id_to_piece(i) for i in range(3, pieces.get_piece_size())), "<pad>"]
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("source.spm", "target.spm"):
        (folder / name).write_bytes(made.getvalue())
    (folder / "vocab.json").write_text(json.dumps({name: i for i, name in enumerate(names)}), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "MarianTokenizer"}', encoding="utf-8")
    torch.manual_seed(seed)
    padding, ends = len(names) - 1, 0
    config = MarianConfig(
        vocab_size=len(names), d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, max_position_embeddings=48,
        pad_token_id=padding, eos_token_id=ends, decoder_start_token_id=padding, forced_eos_token_id=ends,
    )  # fmt: skip
    network = MarianMTModel(config)
    if silent:
        network.final_logits_bias[0, ends] = 1e4
    network.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def translators(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    pytest.importorskip("sentencepiece", reason="back-translation needs handful[translation]")
    folder = tmp_path_factory.mktemp("translators")
    return marian(folder / "there", 1), marian(folder / "back", 2)


def back_translation(translators: tuple[Path, Path], decoding: BeamSearch | Sampling) -> BackTranslation:
    there, back = map(str, translators)
    return BackTranslation(
        kind="back_translation", forward=there, backward=back, beams=2, decoding=decoding, max_tokens=12
    )


def language_model_generation(folder: Path, decoding: BeamSearch | Sampling) -> LanguageModelGeneration:
    return LanguageModelGeneration(
        kind="language_model_generation",
        name=str(folder),
        prompt="Messages about {label}:",
        examples=3,
        decoding=decoding,
        max_tokens=12,
    )


@pytest.mark.parametrize("decoding", [BEAM, SAMPLING])
def test_a_translated_text_keeps_label_and_parent(
    translators: tuple[Path, Path], backbone: Backbone, decoding: BeamSearch | Sampling
) -> None:
    made = augment(table(), [back_translation(translators, decoding)], 2, backbone, 0)
    label_of = dict(zip(table()["id"], LABELS, strict=True))
    assert 0 < len(made) <= 12
    assert made["label"].tolist() == [label_of[parent] for parent in made["parent"]]
    assert made.groupby("parent").size().max() <= 2
    assert made["content"].str.strip().all()


def test_translation_back_reads_what_translation_there_wrote(translators: tuple[Path, Path]) -> None:
    operation = back_translation(translators, BEAM)
    there, back = (checkpoints.load(str(folder), "translation") for folder in translators)
    abroad = there.write(CORPUS, 1, BeamSearch(kind="beam", beams=2), 12, 5)
    home = back.write([texts[0] for texts in abroad], 1, BEAM, 12, 5)
    drafts = translation.translated(table(), operation, 1, 5)
    assert [draft.content for draft in drafts] == [texts[0].strip() for texts in home]


def test_a_translator_that_writes_nothing_gives_no_rows(
    translators: tuple[Path, Path], backbone: Backbone, tmp_path: Path
) -> None:
    mute = marian(tmp_path / "silent", 3, silent=True)
    likeliest = BeamSearch(kind="beam", beams=1)
    assert augment(table(), [back_translation((translators[0], mute), likeliest)], 2, backbone, 0).empty


def test_a_beam_search_gives_no_more_texts_than_it_has_beams(translators: tuple[Path, Path]) -> None:
    drafts = translation.translated(table(), back_translation(translators, BEAM), 9, 0)
    assert len(drafts) == 6 * BEAM.beams


def test_what_a_language_model_writes_names_all_examples_of_its_prompt_as_parents(
    language_model: Path, backbone: Backbone
) -> None:
    made = augment(table(), [language_model_generation(language_model, SAMPLING)], 3, backbone, 0)
    label_of = dict(zip(table()["id"], LABELS, strict=True))
    assert len(made)
    assert not made["content"].str.contains("\n").any()
    for label, parent in zip(made["label"], made["parent"], strict=True):
        assert len(lineage.parents(parent)) == 3
        assert {label_of[one] for one in lineage.parents(parent)} == {label}


def test_a_prompt_shows_the_labels_name_and_one_line_for_each_example() -> None:
    assert generation.prompt("About {label}:", "lateDelivery", ["where\nis it", "我的包裹"]) == (
        "About late delivery:\n- where is it\n- 我的包裹\n-"
    )


@pytest.mark.parametrize("decoding", [BEAM, SAMPLING])
def test_the_same_seed_writes_the_same_and_the_order_of_the_rows_does_not_count(
    translators: tuple[Path, Path], language_model: Path, backbone: Backbone, decoding: BeamSearch | Sampling
) -> None:
    for operation in (back_translation(translators, decoding), language_model_generation(language_model, decoding)):
        first = augment(table(), [operation], 2, backbone, 7)
        torch.rand(3)
        pd.testing.assert_frame_equal(first, augment(table()[::-1], [operation], 2, backbone, 7))


def test_another_seed_samples_other_texts(
    translators: tuple[Path, Path], language_model: Path, backbone: Backbone
) -> None:
    for operation in (back_translation(translators, SAMPLING), language_model_generation(language_model, SAMPLING)):
        one, other = (set(augment(table(), [operation], 1, backbone, seed)["content"]) for seed in (1, 2))
        assert one != other


def test_sampling_leaves_the_randomness_of_others_alone(language_model: Path) -> None:
    torch.manual_seed(4)
    expected = torch.rand(2)
    torch.manual_seed(4)
    generation.generated(table(), language_model_generation(language_model, SAMPLING), 1, 0)
    assert torch.equal(torch.rand(2), expected)


def test_too_long_a_prompt_loses_its_beginning_and_still_is_followed(language_model: Path) -> None:
    writer = checkpoints.load(str(language_model), "language")
    long = "parcel " * 200
    assert writer.write([long], 2, BEAM, 12, 0) == writer.write([f"other words {long}"], 2, BEAM, 12, 0)
    assert writer.write([long], 2, BEAM, 12, 0) != writer.write([f"{long} other words"], 2, BEAM, 12, 0)


@pytest.mark.parametrize("max_tokens", [81, 96, 1024])
def test_more_to_write_than_leaves_room_for_a_prompt_is_refused_with_both_numbers(
    language_model: Path, max_tokens: int
) -> None:
    writer = checkpoints.load(str(language_model), "language")
    with pytest.raises(BackboneError, match=f"96 tokens at most, and max_tokens is {max_tokens}"):
        writer.write(["where is my parcel"], 1, BEAM, max_tokens, 0)


def test_a_translator_may_be_asked_for_more_than_it_can_write(translators: tuple[Path, Path]) -> None:
    writer = checkpoints.load(str(translators[0]), "translation")
    most, more = (writer.write(CORPUS[:2], 1, BEAM, tokens, 0) for tokens in (47, 1024))
    assert most == more


def test_a_checkpoint_that_is_nowhere_is_named(tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match="no-such-checkpoint"):
        checkpoints.load(str(tmp_path / "no-such-checkpoint"), "language")


def test_a_checkpoint_of_another_kind_is_refused(language_model: Path) -> None:
    with pytest.raises(BackboneError, match="translation model"):
        checkpoints.load(str(language_model), "translation")
