"""Text students as ONNX graphs: what n-grams and tokens add to the logits, looked up in int8 tables."""

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from handful.text.ngrams import Vocabulary

OPSET = 20
IR_VERSION = 10
TINY = 1e-6  # least length that is divided by, in training as in the graph
AXIS = {"second": np.array([1], np.int64), "third": np.array([2], np.int64)}


@dataclass(frozen=True)
class Part:
    """Nodes whose `output` is float32 [n, classes], the constants that they use, and the input that they start from."""

    source: str
    nodes: list[NodeProto]
    constants: dict[str, np.ndarray]
    output: str


def model(*parts: Part) -> onnx.ModelProto:
    """The graph whose output `logits` is the sum of the parts; its inputs are int64 [n, a]."""
    nodes = [node for part in parts for node in part.nodes]
    nodes.append(helper.make_node("Sum", [part.output for part in parts], ["logits"]))
    constants = {**AXIS, "tiny": np.array(TINY, np.float32)}
    for part in parts:
        constants |= part.constants
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "student",
        [
            helper.make_tensor_value_info(name, TensorProto.INT64, ["rows", f"{name}_per_row"])
            for name in dict.fromkeys(part.source for part in parts)
        ],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["rows", "classes"])],
        [
            numpy_helper.from_array(np.ascontiguousarray(value), name)
            for name, value in constants.items()
            if name in used
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)


def ngram_part(known: Vocabulary, weights: np.ndarray) -> Part:
    """A linear layer, `weights` [rows, classes], on the unit-length TF-IDF weights of the input `ngrams`."""
    table, scale = _int8_rows(weights)
    nodes = [
        helper.make_node("Gather", ["slot_of", "ngrams"], ["slots"]),
        helper.make_node("Gather", ["idf", "slots"], ["weights"]),
        helper.make_node("ReduceL2", ["weights", "second"], ["norm"]),
        helper.make_node("Gather", ["table_scale", "slots"], ["scales"]),
        helper.make_node("Mul", ["weights", "scales"], ["scaled"]),
        *_weighted_sum("scaled", "table", "slots", "ngram_sum"),
        helper.make_node("Max", ["norm", "tiny"], ["norm_positive"]),
        helper.make_node("Div", ["ngram_sum", "norm_positive"], ["ngram_logits"]),
    ]
    constants = {"slot_of": known.slot_of, "idf": known.idf, "table": table, "table_scale": scale}
    return Part("ngrams", nodes, constants, "ngram_logits")


def mean_part(tokens: np.ndarray, weights: np.ndarray, bias: np.ndarray) -> Part:
    """A linear layer, `weights` [dimensions, classes], on the unit-length mean of the `tokens` of `input_ids`."""
    table, scale = _int8_rows(tokens)
    nodes = [
        helper.make_node("Gather", ["static_scale", "input_ids"], ["token_scales"]),
        *_weighted_sum("token_scales", "static", "input_ids", "token_sum"),
        helper.make_node("ReduceL2", ["token_sum", "second"], ["token_norm"]),
        helper.make_node("Max", ["token_norm", "tiny"], ["token_norm_positive"]),
        helper.make_node("Div", ["token_sum", "token_norm_positive"], ["sentence"]),
        helper.make_node("Gemm", ["sentence", "static_weights", "bias"], ["static_logits"]),
    ]
    constants = {"static": table, "static_scale": scale, "static_weights": weights, "bias": bias}
    return Part("input_ids", nodes, constants, "static_logits")


def window_part(
    responses: np.ndarray, filter_bias: np.ndarray, weights: np.ndarray, bias: np.ndarray, padding_id: int
) -> Part:
    """A linear layer on the strongest and on the mean answer of each filter to the windows of `input_ids`.

    Args:
        responses: float32 [width, vocabulary, filters]: what a token adds to a window's answer at each of its places.
        filter_bias: [filters]; weights: [2 · filters, classes]; bias: [classes].
    """
    nodes, constants = _answers(responses, filter_bias, padding_id)
    nodes += [
        helper.make_node("Equal", ["input_ids", "padding_id"], ["outside"]),
        helper.make_node("Not", ["outside"], ["inside"]),
        helper.make_node("Cast", ["inside"], ["inside_number"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["inside_number", "third"], ["inside_column"]),
        helper.make_node("Mul", ["answers", "inside_column"], ["answers_inside"]),
        helper.make_node("ReduceMax", ["answers_inside", "second"], ["strongest"], keepdims=0),
        helper.make_node("ReduceSum", ["answers_inside", "second"], ["sum"], keepdims=0),
        helper.make_node("ReduceSum", ["inside_number", "second"], ["count"], keepdims=1),
        helper.make_node("Max", ["count", "one"], ["count_positive"]),
        helper.make_node("Div", ["sum", "count_positive"], ["mean"]),
        helper.make_node("Concat", ["strongest", "mean"], ["pooled"], axis=1),
        helper.make_node("Gemm", ["pooled", "window_weights", "window_bias"], ["window_logits"]),
    ]
    constants |= {"one": np.array(1.0, np.float32), "window_weights": weights, "window_bias": bias}
    return Part("input_ids", nodes, constants, "window_logits")


def _answers(
    responses: np.ndarray, filter_bias: np.ndarray, padding_id: int
) -> tuple[list[NodeProto], dict[str, np.ndarray]]:
    """Nodes for `answers` [n, b, filters]: the sum of the bias and of what each token of a window adds, if positive."""
    reach = len(responses) // 2
    beyond = np.iinfo(np.int64).max
    constants = {"filter_bias": filter_bias, "padding_id": np.array(padding_id, np.int64)}
    constants["around"] = np.array([0, reach, 0, reach], np.int64)
    nodes = [helper.make_node("Pad", ["input_ids", "around", "padding_id"], ["padded_ids"])]
    terms = ["filter_bias"]
    for place, added in enumerate(responses):
        table, scale = _int8_rows(added)
        stop = place - 2 * reach if place < 2 * reach else beyond
        name = f"place_{place}"
        constants |= {f"{name}_table": table, f"{name}_scale": scale}
        constants |= {f"{name}_start": np.array([place], np.int64), f"{name}_stop": np.array([stop], np.int64)}
        nodes += [
            helper.make_node("Slice", ["padded_ids", f"{name}_start", f"{name}_stop", "second"], [f"{name}_ids"]),
            helper.make_node("Gather", [f"{name}_table", f"{name}_ids"], [f"{name}_int8"]),
            helper.make_node("Cast", [f"{name}_int8"], [f"{name}_float"], to=TensorProto.FLOAT),
            helper.make_node("Gather", [f"{name}_scale", f"{name}_ids"], [f"{name}_scales"]),
            helper.make_node("Unsqueeze", [f"{name}_scales", "third"], [f"{name}_column"]),
            helper.make_node("Mul", [f"{name}_float", f"{name}_column"], [f"{name}_added"]),
        ]
        terms.append(f"{name}_added")
    nodes += [helper.make_node("Sum", terms, ["window_sum"]), helper.make_node("Relu", ["window_sum"], ["answers"])]
    return nodes, constants


def _weighted_sum(weights: str, table: str, rows: str, result: str) -> list[NodeProto]:
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
