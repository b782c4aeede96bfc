"""Flatten, Reshape, Squeeze, Unsqueeze, Transpose: values stay what they are, so no layer is made."""

from __future__ import annotations

import math

import numpy as np

from dispatcher.errors import UnusableInput
from slicer.readers.onnx.builder import Builder
from slicer.readers.onnx.node import Node
from slicer.readers.onnx.tensor import Shape, Tensor, axis_of, check_size, known_integers, moved


def flatten(node: Node, _: Builder) -> Tensor:
    """A matrix: dimensions before the axis, dimensions from the axis on."""
    x, axis = node.tensor(0), node.integer("axis", 1)
    rank = len(x.shape)
    if axis != rank:
        axis = axis_of(axis, rank)
    return _reshaped(x, (math.prod(x.shape[:axis]), math.prod(x.shape[axis:])))


def reshape(node: Node, _: Builder) -> Tensor:
    """The same elements in C order; 0 copies a size (unless allowzero), one −1 takes what remains."""
    x, sizes = node.tensor(0), known_integers(node.tensor(1), "the shape")
    if not node.integer("allowzero", 0):
        sizes = [x.shape[axis] if size == 0 and axis < len(x.shape) else size for axis, size in enumerate(sizes)]
    known = math.prod(size for size in sizes if size != -1)
    if sizes.count(-1) == 1 and known > 0:
        sizes[sizes.index(-1)] = math.prod(x.shape) // known
    return _reshaped(x, tuple(sizes))


def squeeze(node: Node, _: Builder) -> Tensor:
    """Drops the given dimensions of size 1; all of them if none are given."""
    x, axes = node.tensor(0), node.integers_from("axes", node.optional(1))
    if axes is None:
        axes = [axis for axis, size in enumerate(x.shape) if size == 1]
    dropped = {axis_of(axis, len(x.shape)) for axis in axes}
    if any(x.shape[axis] != 1 for axis in dropped):
        raise UnusableInput(f"expected size 1 along axes {sorted(dropped)}, got shape {list(x.shape)}")
    return _reshaped(x, tuple(size for axis, size in enumerate(x.shape) if axis not in dropped))


def unsqueeze(node: Node, _: Builder) -> Tensor:
    """Inserts dimensions of size 1 at the given axes of the result."""
    x, axes = node.tensor(0), node.integers_from("axes", node.optional(1))
    if axes is None:
        raise UnusableInput("expected axes, got none")
    rank = len(x.shape) + len(axes)
    inserted = {axis_of(axis, rank) for axis in axes}
    if len(inserted) != len(axes):
        raise UnusableInput(f"expected every axis once, got {axes}")
    sizes = iter(x.shape)
    return _reshaped(x, tuple(1 if axis in inserted else next(sizes) for axis in range(rank)))


def transpose(node: Node, _: Builder) -> Tensor:
    """Dimensions in another order; reversed if none is given."""
    x, order = node.tensor(0), node.integers("perm")
    rank = len(x.shape)
    if order is None:
        order = list(range(rank))[::-1]
    if sorted(order) != list(range(rank)):
        raise UnusableInput(f"expected a permutation of {rank} axes, got {order}")
    return moved(x, lambda array: np.transpose(array, order))


def _reshaped(x: Tensor, shape: Shape) -> Tensor:
    """The tensor with another shape of as many elements."""
    if any(size < 0 for size in shape) or math.prod(shape) != math.prod(x.shape):
        raise UnusableInput(f"expected a shape for the elements of {list(x.shape)}, got {list(shape)}")
    check_size(shape)
    return moved(x, lambda array: array.reshape(shape))
