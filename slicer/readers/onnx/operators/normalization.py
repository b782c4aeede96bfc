"""BatchNormalization at inference: four element-wise layers.

The declared order is the formula's own, ``(x − mean) / d · scale + bias``, each step rounded once, with the constant
divisor ``d = sqrt(var + epsilon)`` computed in float64 and rounded once to float32. Runtimes fold the constants in
other ways: their results differ from this one by roundings, as with any other order of evaluation.
"""

from __future__ import annotations

import numpy as np

from dispatcher.errors import UnusableInput
from slicer.readers.onnx.builder import Builder
from slicer.readers.onnx.node import Node
from slicer.readers.onnx.tensor import Array, Tensor, known

_EPSILON = float(np.float32(1e-5))  # the standard's default, a float32 attribute


def batch_normalization(node: Node, builder: Builder) -> Tensor:
    """``(x − mean) / sqrt(var + epsilon) · scale + bias`` along axis 1."""
    x = node.operand(0)
    if len(x.shape) < 2:
        raise UnusableInput(f"expected an input [batch, channels, …], got shape {list(x.shape)}")
    _check_inference(node)
    names = ("scale", "bias", "mean", "variance")
    scale, bias, mean, variance = (_channels(node.operand(i), name, x) for i, name in enumerate(names, start=1))
    layer = builder.elementwise(x, "add", -mean, f"{node.name}/mean")
    layer = builder.elementwise(layer, "div", _divisor(variance, node), f"{node.name}/deviation")
    layer = builder.elementwise(layer, "mul", scale, f"{node.name}/scale")
    return builder.elementwise(layer, "add", bias, f"{node.name}/bias")


def _check_inference(node: Node) -> None:
    """Refuse training and the statistics per element that opset 8 still knew."""
    if node.integer("training_mode", 0) or not node.integer("spatial", 1):
        raise UnusableInput(
            "expected inference with statistics per channel, got training_mode = 1 or spatial = 0",
            fix="export the model in evaluation mode",
        )
    node.ignore("momentum")


def _channels(tensor: Tensor, name: str, x: Tensor) -> Array:
    """A parameter, one number per channel, shaped to broadcast along axis 1."""
    values = known(tensor, name)
    if values.shape != x.shape[1:2]:
        raise UnusableInput(f"expected {x.shape[1]} numbers of {name}, got shape {list(values.shape)}")
    return values.reshape(-1, *[1] * (len(x.shape) - 2))


def _divisor(variance: Array, node: Node) -> Array:
    """``sqrt(var + epsilon)``, rounded to float32 from float64."""
    total = variance.astype(np.float64) + node.real("epsilon", _EPSILON)
    if not (total > 0).all():
        raise UnusableInput("expected variance + epsilon above 0")
    return np.sqrt(total).astype(np.float32)
