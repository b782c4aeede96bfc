"""`Constant` and `View`: the two kinds of tensors that exist while a model is read.

A view has no values. It says which unit of which layer stands at each place of the tensor, so moving, selecting and
repeating values costs nothing; a layer that gathers units is made only where an operator needs a vector.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dispatcher.errors import UnusableInput
from dispatcher.files import MAX_WIDTH
from dispatcher.layers import Indices

MAX_RANK = 16  # numpy stops at 32 or 64; products need one dimension more than their factors

Array = NDArray[Any]
Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False, slots=True)
class Constant:
    """Known values: float32, float64, an integer type or bool."""

    values: Array

    @property
    def shape(self) -> Shape:
        """The tensor's shape."""
        return self.values.shape


@dataclass(frozen=True, eq=False, slots=True)
class View:
    """Computed values: place p of the tensor holds unit ``units[p]`` of the layer at position ``layer``."""

    layer: int
    units: Indices

    @property
    def shape(self) -> Shape:
        """The tensor's shape."""
        return self.units.shape


Tensor = Constant | View


def moved(tensor: Tensor, function: Callable[[Array], Array]) -> Tensor:
    """The tensor after a function that only moves, selects or repeats elements."""
    if isinstance(tensor, Constant):
        return Constant(function(tensor.values))
    units = function(tensor.units)
    if not units.size:
        raise UnusableInput(f"expected a result with at least one element, got shape {list(units.shape)}")
    return View(tensor.layer, units)


def common_shape(first: Shape, second: Shape) -> Shape:
    """The shape to which two shapes broadcast (ONNX's multidirectional broadcasting, which is numpy's).

    Raises
    ------
    UnusableInput
        If they do not broadcast, or to more elements than a layer may have.
    """
    try:
        shape = np.broadcast_shapes(first, second)
    except ValueError as error:
        raise UnusableInput(f"expected shapes that broadcast, got {list(first)} and {list(second)}") from error
    check_size(shape)
    return shape


def check_size(shape: Shape) -> None:
    """Refuse tensors with more dimensions or elements than are covered, before memory is asked for them."""
    if len(shape) > MAX_RANK:
        raise UnusableInput(f"expected at most {MAX_RANK} dimensions, got {len(shape)}")
    if math.prod(shape) > MAX_WIDTH:
        raise UnusableInput(f"expected at most {MAX_WIDTH} elements, got shape {list(shape)}")


def single_precision(tensor: Tensor) -> Tensor:
    """The tensor itself; an error if it is a constant of another type than float32."""
    if isinstance(tensor, Constant) and tensor.values.dtype != np.float32:
        raise UnusableInput(f"expected float32 operands, got a constant of type {tensor.values.dtype}")
    return tensor


def known(tensor: Tensor, meaning: str) -> Array:
    """A constant's values."""
    if isinstance(tensor, View):
        raise UnusableInput(f"expected a constant for {meaning}, got a tensor that depends on the input")
    return tensor.values


def known_integers(tensor: Tensor, meaning: str) -> list[int]:
    """The values of a constant vector (or single number) of integers."""
    values = known(tensor, meaning)
    if values.dtype.kind != "i" or values.ndim > 1:
        raise UnusableInput(f"expected a vector of integers for {meaning}, got {values.dtype} {list(values.shape)}")
    return [int(value) for value in values.reshape(-1)]


def axis_of(axis: int, rank: int) -> int:
    """An axis counted from the front; negative ones count from the back."""
    if not -rank <= axis < rank:
        raise UnusableInput(f"expected an axis from {-rank} to {rank - 1}, got {axis}")
    return axis % rank
