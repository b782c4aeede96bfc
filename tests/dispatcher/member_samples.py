"""The member of CERTIFICATE.md §3, unit by unit: a plain reading of the rules, without any code of `slicer`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dispatcher.layers import Add, Concat, Dense, Elementwise, Gather, Input, Layer, Layers, Relu
from dispatcher.plan import Constant, Member, MemberLayer, Prefix, Readout


@dataclass
class _Rows:
    constant: dict[int, np.float32]
    prefix: dict[int, Prefix]


def member_of(parent: Layers, removed: set[tuple[int, int]], readout: Readout | None = None) -> Member:
    """The member after removing the (relu layer, unit) pairs, which must be inactive: a plain reading of the rules.

    With a readout, it ends in that.
    """
    facts: list[_Rows] = []
    for position, layer in enumerate(parent):
        rows = _Rows({}, {})
        for unit in range(layer.width):
            _constants(parent, facts, position, unit, removed, rows)
        facts.append(rows)
    needed = _needed(parent, facts, readout)
    layers = []
    for position, layer in enumerate(parent):
        units = tuple(sorted(needed[position]))
        recorded = facts[position] if isinstance(layer, Dense) else _Rows({}, {})
        prefixes = tuple(recorded.prefix[unit] for unit in units if unit in recorded.prefix)
        constants = tuple(Constant(unit, recorded.constant[unit]) for unit in units if unit in recorded.constant)
        layers.append(MemberLayer(units, prefixes, constants))
    return Member(tuple(layers), readout)


def _sources_of(parent: Layers, layer: Layer, unit: int) -> list[tuple[int, int]]:
    """(layer, unit) pairs that a unit of a layer other than Dense reads."""
    match layer:
        case Gather():
            return [(layer.source, int(layer.indices[unit]))]
        case Concat():
            pairs = [(source, index) for source in layer.sources for index in range(parent[source].width)]
            return [pairs[unit]]
        case _:
            return [(source, unit) for source in layer.sources]


def _constants(parent, facts, position, unit, removed, rows) -> None:
    layer, zero = parent[position], np.float32(0)
    if isinstance(layer, Input):
        return
    if isinstance(layer, Relu) and (position, unit) in removed:
        rows.constant[unit] = zero
        return
    if isinstance(layer, Dense):
        _dense_constants(layer, facts[layer.source].constant, unit, rows)
        return
    values = [facts[source].constant.get(index) for source, index in _sources_of(parent, layer, unit)]
    if any(value is None for value in values):
        return
    match layer:
        case Relu():
            rows.constant[unit] = values[0] if values[0] > 0 else zero
        case Elementwise(op=op):
            operation = {"add": np.add, "mul": np.multiply, "div": np.divide}[op]
            rows.constant[unit] = operation(values[0], layer.constant[unit])
        case Add():
            rows.constant[unit] = np.float32(values[0] + values[1])
        case _:
            rows.constant[unit] = values[0]


def _dense_constants(layer: Dense, known: dict[int, np.float32], unit: int, rows: _Rows) -> None:
    accumulator, telling = np.float32(0), False
    for j, weight in enumerate(layer.weight[unit]):
        if weight == 0:
            continue
        if j not in known:
            if telling:
                rows.prefix[unit] = Prefix(unit, j, accumulator)
            return
        accumulator = np.float32(accumulator + np.float32(weight * known[j]))
        telling = telling or known[j] != 0
    rows.constant[unit] = np.float32(accumulator + layer.bias[unit])


def _needed(parent: Layers, facts: list[_Rows], readout: Readout | None) -> list[set[int]]:
    needed: list[set[int]] = [set() for _ in parent]
    for position, units in readout.reads if readout else [(len(parent) - 1, range(parent[-1].width))]:
        needed[position] = set(units)
    needed[0] = set(range(parent[0].width))
    for position in reversed(range(len(parent))):
        layer = parent[position]
        for unit in needed[position]:
            if not isinstance(layer, Dense):
                for source, index in _sources_of(parent, layer, unit):
                    needed[source].add(index)
            elif unit not in facts[position].constant:
                first = facts[position].prefix[unit].first if unit in facts[position].prefix else 0
                known = facts[layer.source].constant
                for j in np.flatnonzero(layer.weight[unit]):
                    if j >= first and known.get(int(j)) != 0:
                        needed[layer.source].add(int(j))
    return needed


def inactive_units(parent: Layers, values: list[np.ndarray]) -> set[tuple[int, int]]:
    """The (relu layer, unit) pairs that are inactive on all the points whose values are given."""
    return {
        (position, int(unit))
        for position, layer in enumerate(parent)
        if isinstance(layer, Relu)
        for unit in np.flatnonzero((values[position] <= 0).all(axis=0))
    }
