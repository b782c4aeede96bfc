"""`Builder`: appends layers for computed tensors, the fewest that the declared evaluation allows.

Units that would be equal are computed once: a pointwise operator makes one unit per distinct (source unit, constant),
and a gather stands in front of it only if these are not exactly the source layer's units. Dense layers always read
the tensor's own order, because the order of the sum decides the bits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from dispatcher.errors import UnusableInput
from dispatcher.layers import Add, Concat, Elementwise, Gather, Indices, Input, Layer, Layers, Relu, dense, freeze
from slicer.readers.onnx.tensor import Array, Constant, Shape, Tensor, View, common_shape
from slicer.readers.onnx.tidy import tidied

_OPERATORS: dict[str, np.ufunc] = {"add": np.add, "mul": np.multiply, "div": np.divide}
_NEUTRAL = {"add": 0, "mul": 1, "div": 1}


class Builder:
    """The layers made so far. Methods take and return tensors; the layers that they append get the node's name."""

    def __init__(self, shape: Shape, name: str) -> None:
        self._layers: list[Layer] = [Input(math.prod(shape), name)]
        self._gathers: dict[tuple[int, bytes], int] = {}
        self.input = View(0, np.arange(self._layers[0].width).reshape(shape))

    def elementwise(self, x: Tensor, op: Literal["add", "mul", "div"], constant: Array, name: str) -> Tensor:
        """``x ∘ constant``, broadcast against each other; constants that change no value make no layer."""
        shape = common_shape(x.shape, constant.shape)
        if isinstance(x, Constant):
            return _evaluated(_OPERATORS[op], x.values, constant)
        units = np.broadcast_to(x.units, shape)
        if (constant == _NEUTRAL[op]).all():  # h + 0, h · 1, h / 1 equal h
            return View(x.layer, units)
        values = np.broadcast_to(constant, shape)
        first, place = self._distinct((units << 32) | _bits(values), x.layer, units)
        source = self.vector(View(x.layer, units.reshape(-1)[first]), name)
        return self._append(Elementwise(source, op, freeze(values.reshape(-1)[first], np.float32), name), place)

    def relu(self, x: Tensor, name: str) -> Tensor:
        """``x > 0 ? x : 0``."""
        if isinstance(x, Constant):
            return _evaluated(np.maximum, x.values, np.zeros((), np.float32))
        first, place = self._distinct(x.units, x.layer, x.units)
        source = self.vector(View(x.layer, x.units.reshape(-1)[first]), name)
        return self._append(Relu(source, len(first), name), place)

    def add(self, a: Tensor, b: Tensor, name: str) -> Tensor:
        """``a + b``, broadcast against each other."""
        if isinstance(b, Constant):
            return self.elementwise(a, "add", b.values, name)
        if isinstance(a, Constant):
            return self.elementwise(b, "add", a.values, name)
        shape = common_shape(a.shape, b.shape)
        units, others = np.broadcast_to(a.units, shape), np.broadcast_to(b.units, shape)
        first, place = self._distinct((units << 32) | others, a.layer, units)
        sources = (
            self.vector(View(a.layer, units.reshape(-1)[first]), name),
            self.vector(View(b.layer, others.reshape(-1)[first]), name),
        )
        return self._append(Add(sources, len(first), name), place)

    def dense(self, x: View, weight: Array, shape: Shape, name: str) -> View:
        """``weight [n_out, n_in] · x`` as a tensor of the shape, summed in the order of x's elements."""
        source = self.vector(x, name)
        return self._append(dense(source, weight, name=name), np.arange(len(weight)).reshape(shape))

    def concat(self, tensors: Sequence[Tensor], axis: int, name: str) -> View:
        """The tensors one after the other along an axis; constants become computed values."""
        views = [self._computed(tensor, name) for tensor in tensors]
        if len({view.layer for view in views}) > 1:
            views = self._in_one_layer(views, name)
        return View(views[0].layer, np.concatenate([view.units for view in views], axis))

    def _computed(self, tensor: Tensor, name: str) -> View:
        """The tensor as a view: a constant becomes the biases of a dense layer with zero weights."""
        if isinstance(tensor, View):
            return tensor
        if not tensor.values.size:
            raise UnusableInput(f"expected a constant with at least one element, got shape {list(tensor.shape)}")
        _, first, place = np.unique(_bits(tensor.values), return_index=True, return_inverse=True)
        source = self.vector(View(0, np.zeros(1, np.int64)), name)
        constants = tensor.values.reshape(-1)[first]
        return self._append(dense(source, np.zeros((len(first), 1)), constants, name=name), place.reshape(tensor.shape))

    def vector(self, view: View, name: str) -> int:
        """Position of a layer whose units are the view's elements in C order; a gather if there is none yet."""
        units = view.units.reshape(-1)
        if np.array_equal(units, np.arange(self._layers[view.layer].width)):
            return view.layer
        key = (view.layer, units.tobytes())
        if key not in self._gathers:
            self._gathers[key] = len(self._layers)
            self._layers.append(Gather(view.layer, freeze(units, np.int64), f"{name}/gather"))
        return self._gathers[key]

    def finish(self, output: View, name: str) -> Layers:
        """The layers that the output needs, the output's elements in C order last."""
        return tidied(self._layers, self.vector(output, name))

    def _append(self, layer: Layer, place: Indices) -> View:
        """The view of a new layer; ``place`` says which of its units stands where in the tensor."""
        self._layers.append(layer)
        return View(len(self._layers) - 1, place)

    def _distinct(self, keys: Indices, layer: int, units: Indices) -> tuple[Indices, Indices]:
        """One place of each distinct key ``[n]``, and for each place its key's number, shaped as the tensor.

        Keys grow with the units. They are numbered in the layer's own order if each of its units belongs to exactly
        one key (no gather is needed then), else in the order of first appearance.
        """
        _, first, number = np.unique(keys, return_index=True, return_inverse=True)
        number = number.reshape(keys.shape)
        if np.array_equal(units.reshape(-1)[first], np.arange(self._layers[layer].width)):
            return first, number
        order = np.argsort(first)
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        return first[order], rank[number]

    def _in_one_layer(self, views: list[View], name: str) -> list[View]:
        """The views moved to a new `Concat` of their layers, each of which holds only units that its views use."""
        offsets: dict[int, int] = {}
        places, width = [], 0
        for view in views:
            first, place = self._distinct(view.units, view.layer, view.units)
            source = self.vector(View(view.layer, view.units.reshape(-1)[first]), name)
            if source not in offsets:
                offsets[source] = width
                width += len(first)
            places.append(place + offsets[source])
        self._layers.append(Concat(tuple(offsets), width, name))
        return [View(len(self._layers) - 1, place) for place in places]


def _evaluated(function: np.ufunc, a: Array, b: Array) -> Constant:
    """A function of two constants; what overflows here is refused when a layer uses it."""
    with np.errstate(all="ignore"):
        return Constant(np.asarray(function(a, b), np.float32))


def _bits(values: Array) -> Indices:
    """The IEEE-754 bits of float32 values as integers from 0 to 2^32 − 1."""
    return np.array(values, np.float32, order="C").view(np.uint32).astype(np.int64)
