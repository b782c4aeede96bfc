"""Identity, Dropout at inference, Cast to the same type: the tensor itself."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from dispatcher.errors import UnusableInput
from slicer.readers.onnx.builder import Builder
from slicer.readers.onnx.node import Node
from slicer.readers.onnx.tensor import Constant, Tensor, View, known
from slicer.readers.onnx.values import finite, type_name

_TYPES = {
    TensorProto.FLOAT: np.float32,
    TensorProto.DOUBLE: np.float64,
    TensorProto.INT32: np.int32,
    TensorProto.INT64: np.int64,
    TensorProto.BOOL: np.bool_,
}


def identity(node: Node, _: Builder) -> Tensor:
    """``x``."""
    return node.tensor(0)


def dropout(node: Node, _: Builder) -> Tensor:
    """``x``: nothing is dropped at inference."""
    x, _ratio, training = node.tensor(0), node.optional(1), node.optional(2)
    if training is not None and known(training, "training_mode").any():
        raise UnusableInput(
            "expected a model for inference, got training_mode", fix="export the model in evaluation mode"
        )
    node.ignore("ratio", "seed")
    return x


def cast(node: Node, _: Builder) -> Tensor:
    """Float32 to float32 for computed tensors; any of the covered types for constants."""
    x, to = node.tensor(0), node.integer("to", TensorProto.UNDEFINED)
    node.ignore("saturate")  # float8 only
    if isinstance(x, View):
        if to != TensorProto.FLOAT:
            raise UnusableInput(
                f"expected a cast to FLOAT (float32), got {type_name(to)}", fix="export the model in float32"
            )
        return x
    if to not in _TYPES:
        raise UnusableInput(f"expected a cast to {', '.join(map(type_name, _TYPES))}, got {type_name(to)}")
    with np.errstate(all="ignore"):
        return Constant(finite(x.values.astype(_TYPES[to])))
