"""Relu; Softmax, which is refused with its reason."""

from __future__ import annotations

from typing import NoReturn

from dispatcher.errors import UnusableInput
from slicer.readers.onnx.builder import Builder
from slicer.readers.onnx.node import Node
from slicer.readers.onnx.tensor import Tensor


def relu(node: Node, builder: Builder) -> Tensor:
    """``x > 0 ? x : 0``."""
    return builder.relu(node.operand(0), node.name)


def softmax(_node: Node, _: Builder) -> NoReturn:
    """Not piecewise linear: no member could be proved equal."""
    raise UnusableInput(
        "Softmax is dropped only in mode 'decision', which does not exist yet",
        fix="export the model without it: the order of the scores stays the same",
    )
