"""The layer vocabulary: what a network is made of, and in which order and precision each layer is evaluated.

A network is a tuple of layers in topological order. Layer 0 is the `Input`, the last layer is the output, and every
layer names its sources by their positions in the tuple. Values are flat float32 vectors; batches and tensor shapes
end at the reader. Seven kinds suffice; readers express the operators of their formats in them without changing a bit.

The *declared evaluation* (``eval32``), IEEE-754 binary32, round to nearest even, no contraction:

============= =====================================================================================
Dense         ``acc = start; acc = fl(acc + fl(w_ij · h_j))`` for j ascending; ``z_i = fl(acc + b_i)``
Elementwise   ``fl(h ∘ c)`` with ∘ one of add, mul, div: rounds once
Add           ``fl(a + b)``: rounds once
Relu          ``h > 0 ? h : 0``: exact
Gather        ``h[indices]``: exact
Concat        sources one after the other: exact
============= =====================================================================================

A Dense term whose weight is zero, or whose input is exactly zero, may be left out: it changes no bit of a finite sum
(the accumulator is never −0, as it starts from +0 or from a prefix that did).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dispatcher.errors import UnusableInput

Vector = NDArray[np.float32]
Matrix = NDArray[np.float32]
Indices = NDArray[np.int64]

SMALLEST_NORMAL = float(np.finfo(np.float32).smallest_normal)  # 2^-126


@dataclass(frozen=True, eq=False, slots=True)
class Input:
    """The network's input vector ``[width]``."""

    width: int
    name: str = "input"

    @property
    def sources(self) -> tuple[int, ...]:
        """No sources."""
        return ()


@dataclass(frozen=True, eq=False, slots=True)
class Dense:
    """Affine layer: weight ``[n_out, n_in]``, bias ``[n_out]``, ``start`` ``[n_out]``: the accumulator's first value.

    In a parent network ``start`` is zero. In a member it holds the sum of a unit's constant prefix, computed once at
    build time in the declared order.
    """

    source: int
    weight: Matrix
    bias: Vector
    start: Vector
    name: str = ""

    @property
    def sources(self) -> tuple[int, ...]:
        """The one source."""
        return (self.source,)

    @property
    def width(self) -> int:
        """Number of units."""
        return int(self.weight.shape[0])


@dataclass(frozen=True, eq=False, slots=True)
class Elementwise:
    """``h ∘ constant`` with one constant per unit, ``[n]``; subtraction is addition of the negated constant."""

    source: int
    op: Literal["add", "mul", "div"]
    constant: Vector
    name: str = ""

    @property
    def sources(self) -> tuple[int, ...]:
        """The one source."""
        return (self.source,)

    @property
    def width(self) -> int:
        """Number of units."""
        return int(self.constant.shape[0])


@dataclass(frozen=True, eq=False, slots=True)
class Relu:
    """``h > 0 ? h : 0`` of every unit."""

    source: int
    width: int
    name: str = ""

    @property
    def sources(self) -> tuple[int, ...]:
        """The one source."""
        return (self.source,)


@dataclass(frozen=True, eq=False, slots=True)
class Gather:
    """Selection, permutation or repetition of units: ``h[indices]``, indices ``[n]``."""

    source: int
    indices: Indices
    name: str = ""

    @property
    def sources(self) -> tuple[int, ...]:
        """The one source."""
        return (self.source,)

    @property
    def width(self) -> int:
        """Number of units."""
        return int(self.indices.shape[0])


@dataclass(frozen=True, eq=False, slots=True)
class Concat:
    """The sources' vectors one after the other."""

    sources: tuple[int, ...]
    width: int
    name: str = ""


@dataclass(frozen=True, eq=False, slots=True)
class Add:
    """Sum of two vectors of equal width (a residual connection)."""

    sources: tuple[int, int]
    width: int
    name: str = ""


Layer = Input | Dense | Elementwise | Relu | Gather | Concat | Add
Layers = tuple[Layer, ...]


def freeze(array: NDArray[Any], dtype: type[np.generic]) -> NDArray[Any]:
    """A read-only C-contiguous copy of the array in the given type."""
    copy = np.array(array, dtype=dtype, order="C", copy=True)
    copy.setflags(write=False)
    return copy


def dense(
    source: int,
    weight: NDArray[Any],
    bias: NDArray[Any] | None = None,
    start: NDArray[Any] | None = None,
    name: str = "",
) -> Dense:
    """A `Dense` layer from any arrays ``[n_out, n_in]``, ``[n_out]``, ``[n_out]``; missing vectors are zero."""
    weight = freeze(weight, np.float32)
    zero = np.zeros(weight.shape[0], np.float32)
    return Dense(
        source,
        weight,
        freeze(zero if bias is None else bias, np.float32),
        freeze(zero if start is None else start, np.float32),
        name,
    )


def check_layers(layers: Sequence[Layer]) -> None:
    """Validate a layer list once: order, widths, finite numbers.

    Raises
    ------
    UnusableInput
        Naming the layer and what is wrong with it.
    """
    if not layers or not isinstance(layers[0], Input):
        raise UnusableInput("expected a network whose layer 0 is its input")
    for position, layer in enumerate(layers):
        problem = _problem(layers, position, layer)
        if problem:
            kind = type(layer).__name__
            raise UnusableInput(problem, where=f"layer {position} ({kind} {layer.name!r})")


def _problem(layers: Sequence[Layer], position: int, layer: Layer) -> str:
    """What is wrong with one layer, in words; empty if nothing is."""
    if isinstance(layer, Input):
        if position or layer.width < 1:
            return "expected exactly one input layer, at position 0, with at least one unit"
        return ""
    if any(not 0 <= source < position for source in layer.sources):
        return f"expected sources before position {position}, got {layer.sources}"
    widths = [layers[source].width for source in layer.sources]
    return _width_problem(layer, widths) or _number_problem(layer)


def _width_problem(layer: Layer, widths: list[int]) -> str:
    """Mismatch between a layer and the widths of its sources."""
    match layer:
        case Dense():
            good = layer.weight.ndim == 2 and layer.weight.shape[1] == widths[0]
            good = good and layer.bias.shape == layer.start.shape == (layer.weight.shape[0],)
            got = f"weight {list(layer.weight.shape)}, bias {list(layer.bias.shape)}, source width {widths[0]}"
        case Gather():
            indices = layer.indices
            good = indices.ndim == 1 and (indices.size == 0 or 0 <= indices.min() <= indices.max() < widths[0])
            got = f"indices outside a source of width {widths[0]}"
        case Concat():
            good, got = layer.width == sum(widths), f"width {layer.width} from sources of widths {widths}"
        case _:
            good = all(width == layer.width for width in widths)
            got = f"width {layer.width} from sources of widths {widths}"
    return "" if good else f"shape mismatch: {got}"


def _number_problem(layer: Layer) -> str:
    """Numbers that no statement about finite float32 arithmetic could cover."""
    match layer:
        case Dense():
            arrays: tuple[NDArray[np.float32], ...] = (layer.weight, layer.bias, layer.start)
        case Elementwise():
            arrays = (layer.constant,)
        case _:
            return ""
    if not all(np.isfinite(array).all() for array in arrays):
        return "expected finite numbers, got NaN or infinity"
    if isinstance(layer, Elementwise) and layer.op == "div" and (np.abs(layer.constant) < SMALLEST_NORMAL).any():
        return "expected divisors of at least 2^-126 in magnitude, got zero or a subnormal number"
    return ""
