"""Constant units.

Requires: the removed units are inactive on the cell (their certificate is checked elsewhere).
Does: finds every unit whose float32 value is the same on the whole cell, by layers in order.
Ensures: the value equals eval32 of the parent's unit at every input of the cell.
Proof: CERTIFICATE.md §3. A removed unit is +0; any other unit is constant only if everything it reads with a non-zero
weight is, and then its declared evaluation is carried out once, here.
Reference: constant propagation, as compilers do it, over `dispatcher.layers`' declared evaluation.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dispatcher.layers import Add, Concat, Dense, Elementwise, Gather, Input, Relu
from slicer.network import Network


@dataclass(frozen=True, eq=False, slots=True)
class Constants:
    """Which units of a layer are constant ``[n]``, and their float32 values (0 where they are not)."""

    known: NDArray[np.bool_]
    value: NDArray[np.float32]


def constant_units(network: Network, removed: Mapping[int, Set[int]]) -> list[Constants]:
    """Constants of every layer, given the removed units of each ReLU layer."""
    found: list[Constants] = []
    for position in range(len(network.layers)):
        found.append(_layer_constants(network, position, removed.get(position, frozenset()), found))
    return found


def _layer_constants(network: Network, position: int, removed: Set[int], found: list[Constants]) -> Constants:
    """Constants of one layer from those of the layers before it."""
    layer = network.layers[position]
    match layer:
        case Input():
            return Constants(np.zeros(layer.width, bool), np.zeros(layer.width, np.float32))
        case Dense():
            return _dense(layer, found[layer.source])
        case Relu():
            return _relu(found[layer.source], removed)
        case Elementwise():
            return _elementwise(layer, found[layer.source])
        case Gather():
            source = found[layer.source]
            return Constants(source.known[layer.indices], source.value[layer.indices])
        case Concat():
            sources = [found[source] for source in layer.sources]
            return Constants(np.concatenate([s.known for s in sources]), np.concatenate([s.value for s in sources]))
        case Add():
            first, second = (found[source] for source in layer.sources)
            known = first.known & second.known
            return Constants(known, np.where(known, first.value + second.value, np.float32(0)))


def _dense(layer: Dense, source: Constants) -> Constants:
    """A unit all of whose non-zero weights read constants: its declared evaluation."""
    known = ~((layer.weight != 0) & ~source.known).any(axis=1)
    value = np.zeros(layer.width, np.float32)
    for unit in np.flatnonzero(known):
        value[unit] = accumulate(layer, int(unit), source.value, layer.weight.shape[1]) + layer.bias[unit]
    return Constants(known, value)


def accumulate(layer: Dense, unit: int, value: NDArray[np.float32], stop: int) -> np.float32:
    """The accumulator of a dense unit after the terms j < stop with non-zero weight, in the declared order."""
    row, total = layer.weight[unit], np.float32(0)
    for j in np.flatnonzero(row[:stop]):
        total = np.float32(total + np.float32(row[j] * value[j]))
    return total


def _relu(source: Constants, removed: Set[int]) -> Constants:
    """Removed units are +0, constants go through the ReLU."""
    known = source.known.copy()
    value = np.where(source.value > 0, source.value, np.float32(0))
    for unit in removed:
        known[unit], value[unit] = True, 0
    return Constants(known, np.where(known, value, np.float32(0)))


def _elementwise(layer: Elementwise, source: Constants) -> Constants:
    """``fl(h ∘ c)`` of constants."""
    match layer.op:
        case "add":
            value = source.value + layer.constant
        case "mul":
            value = source.value * layer.constant
        case "div":
            value = source.value / layer.constant
    return Constants(source.known, np.where(source.known, value, np.float32(0)))
