"""Noise radii: how far one float32 execution of a layer can be from its exact affine value (CERTIFICATE.md §4).

The radius covers every order of summation, FMA or not, and flushed subnormals: bounds over the noisy network hold
for real arithmetic, for eval32 and for any other float32 execution at once. γ_m after Higham, *Accuracy and Stability
of Numerical Algorithms*, 2nd ed., Lemma 3.1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dispatcher.layers import Add, Dense, Elementwise
from slicer.bounds.linear import Prepared

Array = NDArray[np.float64]

UNIT_ROUNDOFF = 2.0**-24
SMALLEST_NORMAL = 2.0**-126
# Relative room for the float64 rounding of this computation itself; 2^-30 is far above what it needs.
_PAD = 1 + 2.0**-30


def gamma(count: int) -> float:
    """γ_m = m·u/(1 − m·u): relative error bound of m float32 roundings in a row."""
    return count * UNIT_ROUNDOFF / (1 - count * UNIT_ROUNDOFF)


def radius(prepared: Prepared, position: int, magnitudes: Sequence[Array]) -> Array | None:
    """Noise radius ``[n_boxes, n]`` of a layer, from its sources' magnitudes; None for exact layers."""
    layer = prepared.network.layers[position]
    match layer:
        case Dense():
            return _dense_radius(prepared, position, magnitudes[0]) * _PAD
        case Elementwise():
            return _elementwise_radius(layer, magnitudes[0]) * _PAD
        case Add():
            return (UNIT_ROUNDOFF * (magnitudes[0] + magnitudes[1]) + 3 * SMALLEST_NORMAL) * _PAD
        case _:
            return None


def _dense_radius(prepared: Prepared, position: int, magnitude: Array) -> Array:
    """γ_{n+1}·(|b| + |W|·H) + Σ(3 + |w| + H)·t + 3t."""
    affine = prepared.affine[position]
    n_in = affine.weight.shape[1]
    total: Array = magnitude @ affine.absolute.T + np.abs(affine.bias)
    flushed: Array = 3 * n_in + 3 + affine.absolute.sum(axis=1) + magnitude.sum(axis=1, keepdims=True)
    return gamma(n_in + 1) * total + flushed * SMALLEST_NORMAL


def _elementwise_radius(layer: Elementwise, magnitude: Array) -> Array:
    """One rounding, and what flushing an operand or the result can do."""
    size = np.abs(layer.constant.astype(np.float64))
    match layer.op:
        case "add":
            return UNIT_ROUNDOFF * (magnitude + size) + 3 * SMALLEST_NORMAL
        case "mul":
            return UNIT_ROUNDOFF * size * magnitude + (1 + size + magnitude) * SMALLEST_NORMAL
        case "div":
            return UNIT_ROUNDOFF * magnitude / size + (1 + 1 / size) * SMALLEST_NORMAL
