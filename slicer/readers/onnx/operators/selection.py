"""Slice, Gather, Concat: values are selected, repeated and put side by side, exactly."""

from __future__ import annotations

import numpy as np

from dispatcher.errors import UnusableInput
from slicer.readers.onnx.builder import Builder
from slicer.readers.onnx.node import Node
from slicer.readers.onnx.tensor import (
    Array,
    Constant,
    Tensor,
    View,
    axis_of,
    check_size,
    known,
    moved,
    single_precision,
)


def slice_(node: Node, _: Builder) -> Tensor:
    """Ranges along axes, as attributes (opset < 10) or as inputs."""
    x = node.tensor(0)
    starts, ends, axes, steps = (
        node.integers_from(name, node.optional(index))
        for index, name in enumerate(("starts", "ends", "axes", "steps"), start=1)
    )
    if starts is None or ends is None:
        raise UnusableInput("expected starts and ends, got none")
    axes = list(range(len(starts))) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    axes = [axis_of(axis, len(x.shape)) for axis in axes]
    if not len(starts) == len(ends) == len(axes) == len(steps) == len(set(axes)):
        raise UnusableInput(f"expected one start, end and step for each of the axes {axes}")
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        places = _range(x.shape[axis], start, end, step)
        x = _taken(x, np.arange(places.start, places.stop, places.step), axis)
    return x


def _range(size: int, start: int, end: int, step: int) -> range:
    """Indices along an axis, with ONNX's rules for negative and too large numbers."""
    if step == 0:
        raise UnusableInput("expected a step other than 0")
    low, high = (0, size) if step > 0 else (-1, size - 1)
    start, end = (value + size if value < 0 else value for value in (start, end))
    return range(min(max(start, low if step > 0 else 0), high), min(max(end, low), high), step)


def gather(node: Node, _: Builder) -> Tensor:
    """Elements along an axis at constant indices."""
    x, indices = node.tensor(0), known(node.tensor(1), "the indices")
    axis = axis_of(node.integer("axis", 0), len(x.shape))
    size = x.shape[axis]
    if indices.dtype.kind != "i" or (indices < -size).any() or (indices >= size).any():
        raise UnusableInput(f"expected integer indices from {-size} to {size - 1}")
    check_size((*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]))
    return _taken(x, indices, axis)


def _taken(x: Tensor, indices: Array, axis: int) -> Tensor:
    """Elements along an axis at the given indices."""
    return moved(x, lambda array: np.take(array, indices, axis))


def concat(node: Node, builder: Builder) -> Tensor:
    """Tensors of equal shape but for one axis, along that axis."""
    tensors, axis = node.tensors(), node.integer("axis", None)
    if axis is None or not tensors:
        raise UnusableInput("expected an axis and at least one input")
    axis = axis_of(axis, len(tensors[0].shape))
    others = {(*tensor.shape[:axis], *tensor.shape[axis + 1 :]) for tensor in tensors}
    if len({len(tensor.shape) for tensor in tensors}) > 1 or len(others) > 1:
        shapes = ", ".join(str(list(tensor.shape)) for tensor in tensors)
        raise UnusableInput(f"expected equal shapes but for axis {axis}, got {shapes}")
    along = sum(tensor.shape[axis] for tensor in tensors)
    check_size((*tensors[0].shape[:axis], along, *tensors[0].shape[axis + 1 :]))
    if any(isinstance(tensor, View) for tensor in tensors):
        return builder.concat([single_precision(tensor) for tensor in tensors], axis, node.name)
    constants = [tensor.values for tensor in tensors if isinstance(tensor, Constant)]
    if len({values.dtype for values in constants}) > 1:
        raise UnusableInput("expected constants of one type")
    return Constant(np.concatenate(constants, axis))
