"""The affine part of every layer kind, forwards and backwards, on float64 arrays.

`Prepared` holds a network's numbers in float64 with the derived matrices that bounds need again and again; `pull_back`
moves coefficients on a layer's units to its sources (the transposed layer), `push_interval` moves intervals forward.
ReLU layers are not affine and are handled by their callers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dispatcher.layers import Add, Concat, Dense, Elementwise, Gather, Input, Layer, Relu
from slicer.network import Network

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class Affine:
    """A Dense layer in float64: weight ``[n_out, n_in]``, its absolute values and positive part, bias ``[n_out]``."""

    weight: Array
    absolute: Array
    positive: Array
    bias: Array


class Prepared:
    """A network ready for bounding.

    Attributes
    ----------
    network:
        The network.
    affine:
        The float64 matrices of each Dense layer, by position.
    offsets:
        First index of each ReLU layer's units in the flat numbering of all ReLU units, by position.
    relu_sources:
        Positions of the layers that some ReLU layer reads, ascending, with those ReLU layers.
    straight:
        Positions whose units are affine functions of the input through at most one Dense layer: the interval rule is
        already exact there (up to noise), a backward bound cannot improve it.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self.affine = {p: _affine(layer) for p, layer in enumerate(network.layers) if isinstance(layer, Dense)}
        self.offsets: dict[int, int] = {}
        self.relu_sources: dict[int, list[int]] = {}
        units = 0
        for position in network.relu_layers:
            self.offsets[position] = units
            units += network.layers[position].width
            self.relu_sources.setdefault(network.layers[position].sources[0], []).append(position)
        self.relu_units = units
        self.straight = _straight(network)


def _affine(layer: Dense) -> Affine:
    """Float64 matrices of a Dense layer."""
    weight = layer.weight.astype(np.float64)
    return Affine(weight, np.abs(weight), np.maximum(weight, 0), layer.bias.astype(np.float64))


def _straight(network: Network) -> frozenset[int]:
    """Positions reached from the input through element-wise layers, gathers and at most one final Dense layer."""
    plain = {0}
    dense = set()
    for position, layer in enumerate(network.layers):
        from_plain = all(source in plain for source in layer.sources)
        if from_plain and isinstance(layer, Elementwise | Gather | Concat):
            plain.add(position)
        if from_plain and isinstance(layer, Dense):
            dense.add(position)
    return frozenset(plain | dense)


def pull_back(prepared: Prepared, position: int, coefficients: Array) -> list[tuple[int, Array]]:
    """Move coefficients on a non-ReLU layer's units ``[m, n]`` to its sources: (source, ``[m, n_source]``) pairs."""
    layer = prepared.network.layers[position]
    match layer:
        case Dense():
            return [(layer.source, coefficients @ prepared.affine[position].weight)]
        case Elementwise(op="add"):
            return [(layer.source, coefficients)]
        case Elementwise(op="mul"):
            return [(layer.source, coefficients * layer.constant.astype(np.float64))]
        case Elementwise():
            return [(layer.source, coefficients / layer.constant.astype(np.float64))]
        case Gather():
            moved = np.zeros((len(coefficients), prepared.network.layers[layer.source].width))
            np.add.at(moved.T, layer.indices, coefficients.T)
            return [(layer.source, moved)]
        case Concat():
            widths = [prepared.network.layers[source].width for source in layer.sources]
            parts = np.split(coefficients, np.cumsum(widths)[:-1], axis=1)
            return list(zip(layer.sources, parts, strict=True))
        case Add():
            return [(source, coefficients) for source in layer.sources]
        case Input() | Relu():
            raise AssertionError("input and relu layers are not pulled back")


def constant_term(prepared: Prepared, position: int, coefficients: Array) -> Array | float:
    """What the layer's constants add to ``coefficients · units``: ``[m]``."""
    layer = prepared.network.layers[position]
    if isinstance(layer, Dense):
        return coefficients @ prepared.affine[position].bias
    if isinstance(layer, Elementwise) and layer.op == "add":
        return coefficients @ layer.constant.astype(np.float64)
    return 0.0


def push_interval(
    prepared: Prepared, position: int, lowers: Sequence[Array], uppers: Sequence[Array]
) -> tuple[Array, Array]:
    """Interval rule of a non-ReLU layer without noise: ``[n_boxes, n]`` from the intervals of all earlier layers."""
    layer = prepared.network.layers[position]
    match layer:
        case Dense():
            return _push_dense(prepared.affine[position], lowers[layer.source], uppers[layer.source])
        case Elementwise():
            return _push_elementwise(layer, lowers[layer.source], uppers[layer.source])
        case Gather():
            return lowers[layer.source][:, layer.indices], uppers[layer.source][:, layer.indices]
        case Concat():
            low = [lowers[source] for source in layer.sources]
            return np.concatenate(low, axis=1), np.concatenate([uppers[source] for source in layer.sources], axis=1)
        case Add():
            first, second = layer.sources
            return lowers[first] + lowers[second], uppers[first] + uppers[second]
        case Input() | Relu():
            raise AssertionError("input and relu layers have rules of their own")


def _push_dense(affine: Affine, lower: Array, upper: Array) -> tuple[Array, Array]:
    """W·h + b over a box of h, by positive and negative parts of W."""
    negative = affine.weight - affine.positive
    return (
        lower @ affine.positive.T + upper @ negative.T + affine.bias,
        upper @ affine.positive.T + lower @ negative.T + affine.bias,
    )


def _push_elementwise(layer: Elementwise, lower: Array, upper: Array) -> tuple[Array, Array]:
    """``h ∘ c`` over a box of h."""
    constant = layer.constant.astype(np.float64)
    if layer.op == "add":
        return lower + constant, upper + constant
    ends = (lower * constant, upper * constant) if layer.op == "mul" else (lower / constant, upper / constant)
    return np.minimum(*ends), np.maximum(*ends)


def is_affine(layer: Layer) -> bool:
    """Whether the layer has an affine rule (everything but the input and ReLU layers)."""
    return not isinstance(layer, Input | Relu)
