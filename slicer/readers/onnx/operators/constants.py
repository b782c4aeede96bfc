"""Constant and Shape: tensors that are known when the model is read."""

from __future__ import annotations

import numpy as np

from dispatcher.errors import UnusableInput
from slicer.readers.onnx.builder import Builder
from slicer.readers.onnx.node import Node
from slicer.readers.onnx.tensor import Constant, Tensor
from slicer.readers.onnx.values import finite


def constant(node: Node, _: Builder) -> Tensor:
    """The node's value: a tensor, a number or a list of numbers."""
    reals = (node.real("value_float", None), node.reals("value_floats"))
    integers = (node.integer("value_int", None), node.integers("value_ints"))
    found = [node.array("value")]
    found += [None if value is None else finite(np.array(value, np.float32)) for value in reals]
    found += [None if value is None else np.array(value, np.int64) for value in integers]
    values = [value for value in found if value is not None]
    if len(values) != 1:
        raise UnusableInput(f"expected one value (a tensor or numbers), got {len(values)}")
    return Constant(values[0])


def shape(node: Node, _: Builder) -> Tensor:
    """The tensor's sizes, the batch being 1."""
    start, end = node.integer("start", 0), node.integer("end", None)
    return Constant(np.array(node.tensor(0).shape[start:end], np.int64))
