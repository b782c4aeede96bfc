"""Relu; Softmax, which is refused with its reason, or dropped at the end where only the order of scores counts."""

from __future__ import annotations

import math
from typing import NoReturn

from dispatcher.errors import UnusableInput
from slicer.readers.onnx.builder import Builder
from slicer.readers.onnx.node import Node
from slicer.readers.onnx.tensor import Tensor

NEGATIVE_AXIS = 13  # the opset from which on a Softmax is over its axis alone, by default the last


def relu(node: Node, builder: Builder) -> Tensor:
    """``x > 0 ? x : 0``."""
    return builder.relu(node.operand(0), node.name)


def softmax(_node: Node, _: Builder) -> NoReturn:
    """Not piecewise linear: no member could be proved equal."""
    raise UnusableInput(
        "Softmax is dropped only at the end of a model, and only in mode 'decision'",
        fix="export the model without it: the order of the scores stays the same",
    )


def scores(node: Node, opset: int) -> Tensor:
    """What a last Softmax or LogSoftmax reads: it grows with its input, so the largest element stands in its place.

    (In float32 it may round different scores to equal probabilities. The decision is about the scores.)
    """
    tensor, axis = node.operand(0), node.integer("axis", -1 if opset >= NEGATIVE_AXIS else 1)
    shape = tensor.shape
    if not -len(shape) <= axis < len(shape):
        raise UnusableInput(f"expected an axis of a tensor of shape {list(shape)}, got {axis}")
    axis %= len(shape)
    over = shape[axis : axis + 1] if opset >= NEGATIVE_AXIS else shape[axis:]  # older ones take all axes from this on
    if math.prod(over) != math.prod(shape):
        raise UnusableInput(f"expected an operator over all scores, got axis {axis} of shape {list(shape)}")
    return tensor
