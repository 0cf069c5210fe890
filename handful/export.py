"""From a trained network to ONNX bytes that depend on its weights alone."""

import logging
import warnings
from collections.abc import Mapping, Sequence

import onnx
import torch
from torch import Tensor, nn


def export(network: nn.Module, example: Mapping[str, Tensor], free_axes: Sequence[int]) -> onnx.ModelProto:
    """Export `network(**example)` with the inputs' names and the output `logits`; `free_axes` may be of any length.

    `network.forward` names its inputs. The same weights give the same bytes, with no path of this machine in them.
    """
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it mentions that torchvision, not needed here, is absent
    with warnings.catch_warnings():
        # torch calls what it has itself deprecated, and says that it merges the names of equal axes.
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            network.cpu().eval(),
            (),
            kwargs=dict(example),
            dynamo=True,
            verbose=False,
            input_names=list(example),
            output_names=["logits"],
            dynamic_shapes={name: {axis: torch.export.Dim.DYNAMIC for axis in free_axes} for name in example},
        )
    assert program is not None  # with dynamo=True there always is one
    model: onnx.ModelProto = program.model_proto
    for part in (model, model.graph, *model.graph.node, *model.graph.value_info):
        # Notes on where each node came from hold paths of this machine.
        del part.metadata_props[:]
    return model
