"""How much of every stored weight an input makes visible in the outputs.

A weight w with activation h moves its unit by ``w·h``, and the unit moves an output by its derivative. Flipping the
k-th bit of w from above changes w by about ``2^-k·w``; the flip shows if the output moves by its last place. This is a
first-order estimate in float64 that serves to choose inputs, and proves nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dispatcher.interpret import evaluate_all
from dispatcher.layers import Add, Concat, Dense, Elementwise, Gather, Layer, Layers, Relu

LARGEST = np.finfo(np.float32).max  # of a class that cannot win: no place in front of it moves
BITS = 24  # of a float32's significand

Floats = NDArray[np.float64]


def visible_bits(layers: Layers, points: NDArray[np.float32]) -> list[Floats]:
    """Visible bits 0 to 24 of every weight of every Dense layer, in order: ``[n_points, n_out, n_in]`` each."""
    values = evaluate_all(layers, points)
    moves = _moves(layers, values)
    return [
        _bits(moves[position], np.abs(values[layer.source].astype(np.float64)), np.abs(layer.weight))
        for position, layer in enumerate(layers)
        if isinstance(layer, Dense)
    ]


def _bits(moves: Floats, source: Floats, weight: NDArray[np.float32]) -> Floats:
    """Visible bits from the moves ``[n, k, n_out]`` of the outputs and the source's activations ``[n, n_in]``."""
    places = moves.max(axis=1, initial=0.0)[:, :, None] * source[:, None, :] * weight
    with np.errstate(divide="ignore"):
        bits: Floats = np.clip(1 + np.log2(places), 0, BITS)
    return bits


def _moves(layers: Layers, values: Sequence[NDArray[np.float32]]) -> list[Floats]:
    """How many last places every output moves when a unit moves by one: ``[n, outputs, width]`` for every layer."""
    out = values[-1]
    gradients: list[Floats] = [np.zeros((len(out), out.shape[1], layer.width)) for layer in layers]
    spacing = np.spacing(np.where(np.abs(out) < LARGEST, np.abs(out), np.float32(1)))
    last_places = spacing.astype(np.float64)
    gradients[-1][:] = np.eye(out.shape[1]) / last_places[:, :, None]
    for position in range(len(layers) - 1, 0, -1):
        _backward(layers[position], gradients[position], gradients, values)
    return [np.abs(gradient) for gradient in gradients]


def _backward(layer: Layer, gradient: Floats, gradients: list[Floats], values: Sequence[NDArray[np.float32]]) -> None:
    """Add a layer's part to the gradients of its sources."""
    match layer:
        case Dense():
            gradients[layer.source] += gradient @ layer.weight.astype(np.float64)
        case Relu():
            gradients[layer.source] += gradient * (values[layer.source] > 0)[:, None, :]
        case Elementwise():
            gradients[layer.source] += gradient * _factor(layer)
        case Gather():
            for unit, index in enumerate(layer.indices):
                gradients[layer.source][:, :, index] += gradient[:, :, unit]
        case Add():
            for source in layer.sources:
                gradients[source] += gradient
        case Concat():
            first = 0
            for source in layer.sources:
                width = gradients[source].shape[2]
                gradients[source] += gradient[:, :, first : first + width]
                first += width


def _factor(layer: Elementwise) -> Floats:
    """The derivative ``[n]`` of an element-wise layer."""
    constant = layer.constant.astype(np.float64)
    match layer.op:
        case "add":
            return np.ones_like(constant)
        case "mul":
            return constant
        case "div":
            with np.errstate(divide="ignore"):
                inverse: Floats = 1 / constant
            return inverse
