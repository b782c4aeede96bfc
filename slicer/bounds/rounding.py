"""How far two float32 executions of a network on the same input can be from each other, over boxes.

Two executions of the noisy network differ by Δz = W·Δh + e − e′ with |e − e′| ≤ 2r. A ReLU unit passes Δh = d·Δz with
a factor d: 0 where it is inactive on the box, 1 where it is active, and anything in [0, 1] elsewhere; there
Δh = Δz/2 + η with |η| ≤ δ/2, where δ bounds |Δz|. With the factors fixed the difference is a linear function of all
e − e′ and η, so the bound is a sum of |coefficients|; layer by layer, backwards from each unit, as in Paulsen et al.,
*NeuroDiff: Scalable Differential Verification of Neural Networks using Fine-Grained Approximation*, ASE 2020.

Float64 without directed rounding: the result is enlarged by a relative 1e-6, far above the float64 error of these sums.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dispatcher.layers import Relu
from slicer.bounds.linear import Prepared, pull_back
from slicer.bounds.reference import Bounds, bound_boxes

Array = NDArray[np.float64]
_ENLARGE = 1 + 1e-6


def rounding_distance(prepared: Prepared, lower: Array, upper: Array) -> Array:
    """Bound of the distance between any two float32 executions, per box and output: ``[n_boxes, n_out]``.

    Parameters
    ----------
    lower, upper:
        Corners of the boxes ``[n_boxes, n_in]``.
    """
    phases = np.zeros((len(lower), prepared.relu_units), np.int8)
    bounds = bound_boxes(prepared, lower, upper, phases)
    return np.stack([_distance(prepared, bounds, box) for box in range(len(lower))])


def _distance(prepared: Prepared, bounds: Bounds, box: int) -> Array:
    """One box: δ of every layer that a ReLU reads, in order, then of the outputs ``[n_out]``."""
    factors: dict[int, Array] = {}
    residuals: dict[int, Array] = {}
    for source, relus in prepared.relu_sources.items():
        lower, upper = bounds.lower[source][box], bounds.upper[source][box]
        unstable = (lower < 0) & (upper > 0)
        delta = _deviation(prepared, bounds, box, source, factors, residuals)
        for relu in relus:
            factors[relu] = np.where(unstable, 0.5, lower >= 0)
            residuals[relu] = np.where(unstable, delta / 2, 0.0)
    return _deviation(prepared, bounds, box, len(prepared.network.layers) - 1, factors, residuals) * _ENLARGE


def _deviation(
    prepared: Prepared, bounds: Bounds, box: int, layer: int, factors: dict[int, Array], residuals: dict[int, Array]
) -> Array:
    """Bound of |Δz| of every unit of a layer ``[n]``, given factors and residuals of all ReLU layers before it."""
    layers = prepared.network.layers
    pending = {layer: np.eye(layers[layer].width)}
    total = np.zeros(layers[layer].width)
    for position in range(layer, 0, -1):
        coefficients = pending.pop(position, None)
        if coefficients is None:
            continue
        current = layers[position]
        if isinstance(current, Relu):
            total += np.abs(coefficients) @ residuals[position]
            parts = [(current.source, coefficients * factors[position])]
        else:
            if position in bounds.radii:
                total += np.abs(coefficients) @ (2 * bounds.radii[position][box])
            parts = pull_back(prepared, position, coefficients)
        for source, pulled in parts:
            pending[source] = pending[source] + pulled if source in pending else pulled
    return total
