"""Text students: what was trained is what predicts."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import LINEAR_STUDENT, SECOND_STUDENT
from onnxruntime import InferenceSession

import handful
from handful import parameters
from handful.distillation import save_student, transfer_set
from handful.embedding import embed
from handful.parameters import Parameters
from handful.text import convolutional, graph, linear, ngrams, student
from handful.text.backbone import Backbone, load
from handful.text.parameters import ConvolutionalStudent, LinearStudent, ShallowTransformerStudent
from handful.text.prediction import MAX_CHARACTERS
from handful.training import Examples

ROOT = Path(__file__).parents[1]
LINEAR = LinearStudent.model_validate(LINEAR_STUDENT)
FOLDERS = pytest.mark.parametrize("name", ["linear_folder", "convolutional_folder", "shallow_folder"])
CLASSES = ["parcel", "password"]
PARCEL = [
    "where is my parcel",
    "the parcel is late",
    "my package never came",
    "delivery is a week late",
    "track the shipment",
]
PASSWORD = [
    "i forgot my password",
    "reset the password please",
    "cannot log in",
    "login fails again",
    "locked out of my account",
]


@pytest.fixture(scope="module")
def given() -> Parameters:
    return parameters.read(ROOT / "params.yaml")


@pytest.fixture(scope="module")
def backbone(given: Parameters) -> Backbone:
    return load(given.backbone, 0)


@pytest.fixture(scope="module")
def examples(backbone: Backbone) -> Examples:
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8]], np.float32)
    labels = ["parcel"] * len(PARCEL) + ["password"] * len(PASSWORD)
    rows = transfer_set(
        [*PARCEL, *PASSWORD], labels, ["parcel lost", "password wrong"], probabilities, CLASSES, 1.0, 1.0
    )
    return replace(rows, hints=embed(backbone, rows.contents), hint_weight=1.0)


@pytest.fixture(scope="module")
def linear_folder(backbone: Backbone, examples: Examples, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("linear")
    save_student(folder, student.train(LINEAR, examples, CLASSES, backbone, 0), "linear", "text", CLASSES)
    return folder


@pytest.fixture(scope="module")
def settings(given: Parameters) -> ConvolutionalStudent:
    default = given.distill.students[0]
    assert isinstance(default, ConvolutionalStudent)
    return default.model_copy(update={"minimum_steps": 60})


@pytest.fixture(scope="module")
def convolutional_folder(
    settings: ConvolutionalStudent, backbone: Backbone, examples: Examples, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("convolutional")
    save_student(folder, student.train(settings, examples, CLASSES, backbone, 0), "convolutional", "text", CLASSES)
    return folder


@pytest.fixture(scope="module")
def shallow_folder(backbone: Backbone, examples: Examples, tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = ShallowTransformerStudent.model_validate(SECOND_STUDENT)
    folder = tmp_path_factory.mktemp("shallow")
    save_student(folder, student.train(settings, examples, CLASSES, backbone, 0), "shallow", "text", CLASSES)
    return folder


@FOLDERS
def test_a_student_learns_its_examples_and_is_sure_of_nothing_impossible(
    name: str, request: pytest.FixtureRequest
) -> None:
    loaded = handful.load(request.getfixturevalue(name))
    assert loaded.predict([*PARCEL, *PASSWORD]) == ["parcel"] * len(PARCEL) + ["password"] * len(PASSWORD)
    probabilities = loaded.predict_proba(["where did the parcel go", "", "完全不同的语言", "x" * 100_000])
    assert probabilities.shape == (4, 2)
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert (probabilities >= 0).all()


@FOLDERS
def test_an_answer_does_not_depend_on_the_company_or_the_order(name: str, request: pytest.FixtureRequest) -> None:
    loaded = handful.load(request.getfixturevalue(name))
    texts = [*PARCEL, "a much longer text " * 30, *PASSWORD]
    together = loaded.predict_proba(texts)
    alone = np.concatenate([loaded.predict_proba([text]) for text in texts])
    assert np.abs(together - alone).max() < 1e-5
    assert np.array_equal(loaded.predict_proba(texts[::-1])[::-1].argmax(1), together.argmax(1))


@FOLDERS
def test_predict_and_predict_proba_agree(name: str, request: pytest.FixtureRequest) -> None:
    loaded = handful.load(request.getfixturevalue(name))
    texts = [*PARCEL, *PASSWORD]
    assert loaded.predict(texts) == [loaded.classes_[best] for best in loaded.predict_proba(texts).argmax(axis=1)]


def test_one_text_is_not_taken_for_a_list_of_its_letters(linear_folder: Path) -> None:
    with pytest.raises(TypeError, match=r"\[content\]"):
        handful.load(linear_folder).predict("where is my parcel")


def test_training_twice_gives_the_same_bytes(
    settings: ConvolutionalStudent, backbone: Backbone, examples: Examples, convolutional_folder: Path
) -> None:
    again = student.train(settings, examples, CLASSES, backbone, 0)
    for name, content in again.files.items():
        assert (convolutional_folder / name).read_bytes() == content


def test_the_shallow_transformer_holds_no_path_of_the_machine(shallow_folder: Path) -> None:
    content = (shallow_folder / "model.onnx").read_bytes()
    assert str(ROOT).encode() not in content
    assert b"site-packages" not in content


def test_the_linear_graph_computes_what_was_trained(
    backbone: Backbone, examples: Examples, linear_folder: Path
) -> None:
    texts = list(examples.contents)
    vocabulary = ngrams.vocabulary(texts, LINEAR.ngrams, LINEAR.features)
    tokens = linear.static_table(backbone, LINEAR.static_dimensions)
    counted, static = (
        ngrams.matrix(texts, vocabulary, LINEAR.ngrams),
        linear._static_matrix(texts, tokens, backbone),
    )
    table, mixing, bias = linear.fit(counted, static, examples, LINEAR)
    expected = torch.softmax(torch.from_numpy(counted @ table + static @ mixing + bias), dim=1).numpy()
    assert np.abs(handful.load(linear_folder).predict_proba(texts) - expected).max() < 0.02


def test_tokens_that_mean_the_same_are_near_each_other(backbone: Backbone) -> None:
    table = linear.static_table(backbone, 64)
    assert table.shape == (backbone.tokenizer.get_vocab_size() + 1, 64)
    assert not table[-1].any()
    vectors = table / np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-6)
    of = {word: vectors[backbone.tokenizer.token_to_id(word)] for word in ["ship", "boat", "angry", "furious"]}
    near, far = (of["ship"] @ of["boat"], of["angry"] @ of["furious"]), (of["ship"] @ of["angry"],)
    assert min(near) > max(far) + 0.2


def test_the_rarest_tokens_of_a_large_vocabulary_are_known_by_their_input_alone(
    backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linear, "MOST_EMBEDDED", 5000)
    table = linear.static_table(backbone, 32)
    assert len(table) == backbone.tokenizer.get_vocab_size() + 1
    assert np.linalg.norm(table[:-1], axis=1).min() > 0


def test_long_texts_are_counted_few_at_a_time() -> None:
    texts = ["word " * 400] * 300 + ["x"] * 3000 + ["y" * 10**6]
    parts = list(ngrams.blocks(texts))
    assert [text for part in parts for text in part] == texts
    padded = [len(part) * max(min(len(text), MAX_CHARACTERS) for text in part) for part in parts]
    assert max(padded) <= ngrams.CHARACTERS_PER_BLOCK
    assert max(map(len, parts)) > 1000
    assert list(ngrams.blocks([])) == []


@pytest.mark.parametrize("width", [1, 3, 5])
def test_the_graph_of_windows_computes_what_the_network_does(
    width: int, settings: ConvolutionalStudent, backbone: Backbone
) -> None:
    tokens = linear.static_table(backbone, 32)
    torch.manual_seed(0)
    windows = convolutional.Windows(tokens, settings.model_copy(update={"width": width})).eval()
    torch.nn.init.normal_(windows.bias)
    weights = torch.randn(2 * settings.filters, 3)
    # Rows of five, of one and of no token; what is beyond a row's end must not answer.
    ids = torch.full((3, 5), windows.padding_id)
    ids[0], ids[1, 0] = torch.tensor([2003, 2026, 1045, 102, 7]), 2026
    part = graph.window_part(*windows.responses(), weights.numpy(), np.zeros(3, np.float32), windows.padding_id)
    session = InferenceSession(graph.model(part).SerializeToString())
    (found,) = session.run(["logits"], {"input_ids": ids.numpy()})
    expected = (windows(ids) @ weights).detach().numpy()
    assert np.abs(found - expected).max() < 0.02 * np.abs(expected).max()
    assert np.array_equal(found[2], np.zeros(3))


@pytest.mark.parametrize("family", ["DistilBert", "ModernBert", "XLMRoberta", "MPNet"])
def test_encoders_of_every_family_have_first_layers(family: str, backbone: Backbone) -> None:
    import transformers

    small = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32}
    own = {"DistilBert": {"dim": 16, "n_layers": 3, "n_heads": 2, "hidden_dim": 32}}.get(family, small)
    vocabulary = backbone.tokenizer.get_vocab_size()
    config = getattr(transformers, f"{family}Config")(vocab_size=vocabulary, pad_token_id=0, **own)
    copied = backbone.copy()
    copied.dimensions = 16
    torch.manual_seed(0)
    copied.module.transformer = getattr(transformers, f"{family}Model")(config).eval()
    shallow, whole = student.first_layers(copied, 1), student.first_layers(copied, 3)
    texts = ["where is my parcel"]
    assert not np.allclose(embed(shallow, texts), embed(copied, texts))
    assert np.allclose(embed(whole, texts), embed(copied, texts), atol=1e-6)


def test_the_first_layers_are_a_smaller_backbone_of_its_own(backbone: Backbone) -> None:
    shallow = student.first_layers(backbone, 2)
    assert shallow.adapted
    assert len(shallow.module.transformer.encoder.layer) == 2
    assert len(backbone.module.transformer.encoder.layer) == 6
    assert embed(shallow, ["hello"]).shape == (1, backbone.dimensions)
