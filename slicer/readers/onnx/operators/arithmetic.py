"""Add, Sub, Mul, Div, Neg: each rounds once, as an `Elementwise` or `Add` layer.

``x − c`` is ``x + (−c)``, ``c − x`` is ``(−1)·x + c``, ``a − b`` is ``a + (−1)·b``: negation is exact, so no bit
differs.
"""

from __future__ import annotations

import numpy as np

from slicer.readers.onnx.builder import Builder
from slicer.readers.onnx.node import Node
from slicer.readers.onnx.tensor import Constant, Tensor, known

_MINUS_ONE = np.full((), -1, np.float32)


def add(node: Node, builder: Builder) -> Tensor:
    """``a + b``."""
    return builder.add(node.operand(0), node.operand(1), node.name)


def sub(node: Node, builder: Builder) -> Tensor:
    """``a − b``."""
    a, b = node.operand(0), node.operand(1)
    return builder.add(a, builder.elementwise(b, "mul", _MINUS_ONE, f"{node.name}/minus"), node.name)


def mul(node: Node, builder: Builder) -> Tensor:
    """``a · b``, one of them constant."""
    a, b = node.operand(0), node.operand(1)
    if isinstance(a, Constant):
        a, b = b, a
    return builder.elementwise(a, "mul", known(b, "one factor"), node.name)


def div(node: Node, builder: Builder) -> Tensor:
    """``a / b``, b constant."""
    a, b = node.operand(0), node.operand(1)
    return builder.elementwise(a, "div", known(b, "the divisor"), node.name)


def neg(node: Node, builder: Builder) -> Tensor:
    """``−x``."""
    return builder.elementwise(node.operand(0), "mul", _MINUS_ONE, node.name)
