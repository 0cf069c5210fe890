"""The linear text student: hashed n-grams beside static token embeddings, one ONNX graph with int8 tables."""

from collections.abc import Sequence

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from scipy.sparse import csr_matrix
from scipy.special import log_softmax, softmax

from handful import progress
from handful.distillation import Trained
from handful.text import ngrams
from handful.text.backbone import Backbone
from handful.text.parameters import LinearStudent
from handful.text.prediction import token_ids
from handful.training import Examples

OPSET = 20
IR_VERSION = 10
TINY = 1e-6


def train(
    parameters: LinearStudent, examples: Examples, classes: Sequence[str], backbone: Backbone, seed: int
) -> Trained:
    """Fit a convex soft-target logistic regression by L-BFGS and compress it; nothing in it is random.

    A text's inputs are its TF-IDF weighted n-grams (unit length) and the unit-length mean of its tokens' static
    vectors: the encoder's input embeddings, reduced by PCA and weighted by rank (after Tulkens & van Dongen 2024,
    model2vec).
    """
    texts = list(examples.contents)
    known = ngrams.vocabulary(texts, parameters.ngrams, parameters.features)
    tokens = _static_table(backbone.token_vectors(), parameters.static_dimensions)
    counted = ngrams.matrix(texts, known, parameters.ngrams)
    static = _static_matrix(texts, tokens, backbone)
    weights, static_weights, bias = _fit(counted, static, examples, parameters)
    graph = _graph(known, weights, tokens, static_weights, bias)
    features = {
        "ngrams": parameters.ngrams,
        "tokens": backbone.max_tokens,
        "padding_id": len(tokens) - 1,
        "special_tokens": False,
        "mask": False,
    }
    tokenizer = backbone.tokenizer.to_str().encode("utf-8")
    return Trained({"model.onnx": graph.SerializeToString(), "tokenizer.json": tokenizer}, features)


def _static_table(vectors: np.ndarray, dimensions: int) -> np.ndarray:
    """Reduce token vectors by PCA and weight them by rarity.

    Returns:
        float32 [vocabulary + 1, dimensions]; the last row, of zeros, is for padding.
    """
    centred = vectors - vectors.mean(0)
    _, _, axes = np.linalg.svd(centred.T @ centred)
    reduced = centred @ axes[:dimensions].T
    # Tokenizers number their tokens by frequency: the logarithm of the rank stands for rarity (Zipf's law).
    reduced *= np.log(2 + np.arange(len(reduced)))[:, None]
    return np.concatenate([reduced, np.zeros((1, reduced.shape[1]))]).astype(np.float32)


def _static_matrix(texts: Sequence[str], table: np.ndarray, backbone: Backbone) -> np.ndarray:
    """float32 [n, dimensions], the unit-length mean of the tokens' vectors."""
    means = []
    for block in ngrams.blocks(texts):
        input_ids = token_ids(backbone.tokenizer, block, len(table) - 1, special=False, mask=False)["input_ids"]
        sums = table[input_ids].sum(axis=1)
        means.append(sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), TINY))
    return np.concatenate(means)


def _fit(
    counted: csr_matrix, static: np.ndarray, examples: Examples, parameters: LinearStudent
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Minimise the weighted mean soft cross-entropy + weight_decay/2 · |weights|²; convex, with one minimum."""
    inputs, transposed = counted, counted.T.tocsr()
    targets, weights = examples.targets, examples.weights / examples.weights.sum()
    classes = targets.shape[1]
    table = torch.zeros((inputs.shape[1], classes), requires_grad=True)
    mixing = torch.zeros((static.shape[1], classes), requires_grad=True)
    bias = torch.zeros(classes, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [table, mixing, bias], max_iter=parameters.iterations, history_size=5, line_search_fn="strong_wolfe"
    )
    # A line search now and then takes a step more than an iteration, and convergence may save some.
    pace = progress.Pace(parameters.iterations * 5 // 4, f"training the linear student on {len(static):,} rows")

    def closure() -> torch.Tensor:
        logits = inputs @ table.detach().numpy() + static @ mixing.detach().numpy() + bias.detach().numpy()
        penalty = sum(float((block.detach() ** 2).sum()) for block in (table, mixing)) * parameters.weight_decay / 2
        value = -float((weights[:, None] * targets * log_softmax(logits, axis=1)).sum()) + penalty
        residual = (weights[:, None] * (softmax(logits, axis=1) - targets)).astype(np.float32)
        table.grad = torch.from_numpy(transposed @ residual) + parameters.weight_decay * table.detach()
        mixing.grad = torch.from_numpy(static.T @ residual) + parameters.weight_decay * mixing.detach()
        bias.grad = torch.from_numpy(residual.sum(0))
        pace.advance(1)
        return torch.tensor(value)

    optimizer.step(closure)
    return table.detach().numpy(), mixing.detach().numpy(), bias.detach().numpy()


def _graph(
    known: ngrams.Vocabulary, weights: np.ndarray, tokens: np.ndarray, static_weights: np.ndarray, bias: np.ndarray
) -> onnx.ModelProto:
    """Inputs `ngrams` int64 [n, a] and `input_ids` int64 [n, b]; output `logits` float32 [n, classes]."""
    table, table_scale = _int8_rows(weights)
    static, static_scale = _int8_rows(tokens)
    constants = {
        "slot_of": known.slot_of,
        "idf": known.idf,
        "table": table,
        "table_scale": table_scale,
        "static": static,
        "static_scale": static_scale,
        "static_weights": static_weights,
        "bias": bias,
        "tiny": np.array(TINY, np.float32),
        "second": np.array([1], np.int64),
    }
    nodes = [
        helper.make_node("Gather", ["slot_of", "ngrams"], ["slots"]),
        helper.make_node("Gather", ["idf", "slots"], ["weights"]),
        helper.make_node("ReduceL2", ["weights", "second"], ["norm"]),
        helper.make_node("Gather", ["table_scale", "slots"], ["scales"]),
        helper.make_node("Mul", ["weights", "scales"], ["scaled"]),
        *_weighted_sum("scaled", "table", "slots", "ngram_sum"),
        helper.make_node("Max", ["norm", "tiny"], ["norm_positive"]),
        helper.make_node("Div", ["ngram_sum", "norm_positive"], ["ngram_logits"]),
        helper.make_node("Gather", ["static_scale", "input_ids"], ["token_scales"]),
        *_weighted_sum("token_scales", "static", "input_ids", "token_sum"),
        helper.make_node("ReduceL2", ["token_sum", "second"], ["token_norm"]),
        helper.make_node("Max", ["token_norm", "tiny"], ["token_norm_positive"]),
        helper.make_node("Div", ["token_sum", "token_norm_positive"], ["sentence"]),
        helper.make_node("Gemm", ["sentence", "static_weights", "bias"], ["static_logits"]),
        helper.make_node("Add", ["ngram_logits", "static_logits"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "linear_student",
        [
            helper.make_tensor_value_info(name, TensorProto.INT64, ["rows", f"{name}_per_row"])
            for name in ("ngrams", "input_ids")
        ],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["rows", len(bias)])],
        [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)


def _weighted_sum(weights: str, table: str, rows: str, result: str) -> list[onnx.NodeProto]:
    """Nodes for result[n, d] = sum over k of weights[n, k] · table[rows[n, k], d], as one batched matrix product."""
    return [
        helper.make_node("Gather", [table, rows], [f"{result}_int8"]),
        helper.make_node("Cast", [f"{result}_int8"], [f"{result}_rows"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", [weights, "second"], [f"{result}_weights"]),
        helper.make_node("MatMul", [f"{result}_weights", f"{result}_rows"], [f"{result}_product"]),
        helper.make_node("Squeeze", [f"{result}_product", "second"], [result]),
    ]


def _int8_rows(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Quantise each row to int8 with a scale of its own: int8 [rows, columns], float32 [rows]."""
    scale = np.abs(values).max(axis=1) / 127
    rounded = np.rint(values / np.maximum(scale, TINY)[:, None])
    return rounded.astype(np.int8), scale.astype(np.float32)
