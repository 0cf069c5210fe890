"""Text students by kind; and one of them, the first layers of the backbone."""

import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
from torch import Tensor, nn

from handful import probe
from handful.distillation import Trained
from handful.embedding import embed
from handful.export import export
from handful.text import convolutional, linear
from handful.text.backbone import Backbone
from handful.text.parameters import ConvolutionalStudent, LinearStudent, ShallowTransformerStudent, TextStudent
from handful.training import Classifier, Examples, Schedule, fit

BLOCK_SIZE = 32  # so many weights share a scale


def train(
    parameters: TextStudent,
    examples: Examples,
    classes: Sequence[str],
    backbone: Backbone,
    seed: int,
) -> Trained:
    """Train one student on the examples; `backbone` is the teacher's encoder."""
    match parameters:
        case LinearStudent():
            return linear.train(parameters, examples, classes, backbone, seed)
        case ConvolutionalStudent():
            return convolutional.train(parameters, examples, classes, backbone, seed)
        case ShallowTransformerStudent():
            return _shallow_transformer(parameters, examples, classes, backbone, seed)


def _shallow_transformer(
    parameters: ShallowTransformerStudent, examples: Examples, classes: Sequence[str], backbone: Backbone, seed: int
) -> Trained:
    shallow = first_layers(backbone, parameters.layers)
    network = Classifier(shallow.module, _first_head(shallow, examples, classes))
    schedule = Schedule(
        learning_rate=parameters.learning_rate,
        head_learning_rate=parameters.head_learning_rate,
        weight_decay=parameters.weight_decay,
        epochs=parameters.epochs,
        batch_size=parameters.batch_size,
        patience=parameters.epochs,
    )
    fit(network, shallow.collate, examples, schedule, seed, what="training the shallow transformer")
    tokenizer = backbone.tokenizer.to_str().encode("utf-8")
    features = {"tokens": backbone.max_tokens, "padding_id": backbone.padding_id}
    return Trained({"model.onnx": _export(network), "tokenizer.json": tokenizer}, features)


def first_layers(backbone: Backbone, layers: int) -> Backbone:
    """A copy of the backbone that ends after its first `layers` layers."""
    shallow = backbone.copy()
    # Each family of encoders has its own name for the list of its layers, but no other list before it.
    blocks = next(part for part in shallow.module.modules() if isinstance(part, nn.ModuleList))
    del blocks[layers:]
    return shallow


def _first_head(shallow: Backbone, examples: Examples, classes: Sequence[str]) -> probe.Head:
    """A probe of the teacher's likeliest classes, so that training starts from a sensible head."""
    likeliest = np.array(classes)[examples.targets.argmax(axis=1)]
    found = probe.fit(embed(shallow, examples.contents), likeliest, 1.0)
    head = probe.Head(
        tuple(classes), np.zeros((len(classes), shallow.dimensions), np.float32), np.zeros(len(classes), np.float32)
    )
    rows = [list(classes).index(name) for name in found.classes]
    head.coefficients[rows], head.intercept[rows] = found.coefficients, found.intercept
    return head


def _export(network: Classifier) -> bytes:
    """ONNX with int8 weights; inputs input_ids and attention_mask int64 [n, length], output logits.

    Activations stay as they are: int8 ones have one scale for a batch, so that a text's answer would depend on its
    neighbours.
    """
    example = {name: torch.ones((2, 16), dtype=torch.int64) for name in ("input_ids", "attention_mask")}
    model = export(Named(network), example, free_axes=[0, 1])
    with tempfile.TemporaryDirectory() as folder:
        full, gathered = Path(folder) / "full.onnx", Path(folder) / "gathered.onnx"
        onnx.save(model, full)
        # It tells at length, and at the root logger, which nodes it leaves as they are.
        logging.disable(logging.WARNING)
        try:
            quantize_dynamic(full, gathered, op_types_to_quantize=["Gather"], weight_type=QuantType.QInt8)
            multiplied = MatMulNBitsQuantizer(onnx.load(gathered), bits=8, block_size=BLOCK_SIZE)
            multiplied.process()
        finally:
            logging.disable(logging.NOTSET)
        serialised: bytes = multiplied.model.model.SerializeToString(deterministic=True)
        return serialised


class Named(nn.Module):
    """A classifier whose inputs have names, which the export needs."""

    def __init__(self, network: Classifier) -> None:
        super().__init__()
        self.network = network

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Token ids and mask int64 [n, length] in, logits [n, classes] out."""
        logits: Tensor = self.network(input_ids=input_ids, attention_mask=attention_mask)
        return logits
