"""Fast evaluation and gradients at many points, for search only: BLAS order, float64, no claim about bits.

A witness found with these functions counts only after `dispatcher.interpret.eval32` has confirmed it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dispatcher.layers import Add, Concat, Dense, Elementwise, Gather, Input, Relu
from slicer.bounds.linear import Prepared, pull_back

Array = NDArray[np.float64]


def evaluate(prepared: Prepared, points: Array, until: int | None = None) -> list[Array]:
    """Values of the layers ``0 … until`` (all if None) at points ``[m, n_in]``: one ``[m, n]`` array per layer."""
    values: list[Array] = []
    last = len(prepared.network.layers) - 1 if until is None else until
    for position in range(last + 1):
        values.append(_layer_value(prepared, position, points, values))
    return values


def _layer_value(prepared: Prepared, position: int, points: Array, values: list[Array]) -> Array:
    """One layer's values from those of the layers before it."""
    layer = prepared.network.layers[position]
    match layer:
        case Input():
            return points
        case Dense():
            affine = prepared.affine[position]
            return values[layer.source] @ affine.weight.T + affine.bias
        case Elementwise():
            return _elementwise(layer, values[layer.source])
        case Relu():
            return np.maximum(values[layer.source], 0)
        case Gather():
            return values[layer.source][:, layer.indices]
        case Concat():
            return np.concatenate([values[source] for source in layer.sources], axis=1)
        case Add():
            return values[layer.sources[0]] + values[layer.sources[1]]


def _elementwise(layer: Elementwise, value: Array) -> Array:
    """``h ∘ c``."""
    constant = layer.constant.astype(np.float64)
    match layer.op:
        case "add":
            return value + constant
        case "mul":
            return value * constant
        case "div":
            return value / constant


def pre_activations(prepared: Prepared, values: list[Array]) -> Array:
    """Inputs of all ReLU units ``[m, n_relu]`` in the flat numbering."""
    sources = [prepared.network.layers[relu].sources[0] for relu in prepared.offsets]
    if not sources:
        return np.zeros((len(values[0]), 0))
    return np.concatenate([values[source] for source in sources], axis=1)


def gradients(prepared: Prepared, values: list[Array], layer: int, units: NDArray[np.int64]) -> Array:
    """Gradient of one unit of a layer per point, with respect to the input: ``[m, n_in]`` (ReLU' (0) = 0)."""
    pending = {layer: np.zeros((len(units), prepared.network.layers[layer].width))}
    pending[layer][np.arange(len(units)), units] = 1.0
    for position in range(layer, 0, -1):
        coefficients = pending.pop(position, None)
        if coefficients is None:
            continue
        current = prepared.network.layers[position]
        if isinstance(current, Relu):
            parts = [(current.source, coefficients * (values[current.source] > 0))]
        else:
            parts = pull_back(prepared, position, coefficients)
        for source, pulled in parts:
            pending[source] = pending[source] + pulled if source in pending else pulled
    return pending.get(0, np.zeros((len(units), prepared.network.n_in)))
