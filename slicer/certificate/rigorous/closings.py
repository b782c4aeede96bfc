"""Verification of closings: the reference method of CERTIFICATE.md §5 on a batch of nodes, layer by layer.

Nodes are independent of one another, as their facts are written in the certificate. They are ordered by their deepest
closing, so that every layer is bounded for a leading part of the batch only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from slicer.certificate.rigorous.bounds import Backward, Interval, Lines, Rows, input_interval, interval, lines
from slicer.certificate.rigorous.form import Array, Indices
from slicer.certificate.rigorous.parent import Parent, T
from slicer.certificate.rigorous.proof import ACTIVE, INACTIVE, Node

Mask = NDArray[np.bool_]
States = NDArray[np.int8]
Failure = tuple[int, int, int, float]
NUMBERS = 1 << 16  # in one coefficient array: 512 KiB, so that a few of them stay in the cache,
ROWS = 128  # but at least this many rows, so that a part of a wide weight matrix is not copied for a few,
MOST = 1 << 24  # unless they take more than 128 MiB
OVERFLOW = 2 / T
_Arrays = TypeVar("_Arrays", Interval, Lines)


def verify(parent: Parent, nodes: Sequence[Node], margin: float) -> Verification:
    """Bound everything that the nodes' closings assert, which must hold with ``margin`` · N to spare."""
    run = Verification(parent, nodes, margin)
    with np.errstate(all="ignore"):
        for position in range(int(run.deepest[0]) + 1):
            run.descend(position)
    return run


class Verification:
    """Bounds of one batch. Rows of all arrays are its nodes (at least one), those with the deepest closings first."""

    def __init__(self, parent: Parent, nodes: Sequence[Node], margin: float) -> None:
        facts, closings = _table(node.facts for node in nodes), _table(node.closings for node in nodes)
        deepest = np.zeros(len(nodes), np.int64)
        for position in range(len(parent.layers)):
            for _, place in parent.relus(position):
                deepest[closings[:, place].any(axis=1)] = position
        order = np.argsort(-deepest, kind="stable")
        self.parent, self.margin, self.deepest, self.closings = parent, margin, deepest[order], closings[order]
        self.nodes = np.array([node.position for node in nodes])[order]
        self.facts = facts[order]
        lower, upper = (np.array([node.box[side] for node in nodes])[order] for side in (0, 1))
        self.box = input_interval(lower, upper)
        self.bounds = np.full(closings.shape, np.nan)
        self.sound = np.ones(len(nodes), bool)
        self.known: list[Interval] = []
        self.relus: dict[int, Lines] = {}

    def descend(self, position: int) -> None:
        """Bound one layer for the nodes that have closings there or deeper."""
        count = int(np.searchsorted(-self.deepest, -position, side="right"))
        self.known = [_head(entry, count) for entry in self.known]
        self.relus = {layer: _head(entry, count) for layer, entry in self.relus.items()}
        entry = interval(self.parent, position, self.known) if position else self.box
        if position in self.parent.offset:
            self.relus[position] = lines(self.known[self.parent.layers[position].sources[0]])
        places = [place for _, place in self.parent.relus(position)]
        if places:
            entry = self._tighten(position, entry, places)
        self.known.append(entry)
        inside = (entry.lower >= -OVERFLOW) & (entry.lower <= entry.upper) & (entry.upper <= OVERFLOW)
        self.sound[:count] &= inside.all(axis=1)

    def failures(self) -> list[Failure]:
        """The closings that do not hold: (node, relu layer, unit, bound that should be at most zero).

        The bound is that of the unit, or of its negative for an active closing. It is NaN if the node's bounds
        contradict its facts or leave the range of §4: such a node proves nothing.
        """
        bounds = np.where(self.sound[:, None], self.bounds, np.nan)
        found = []
        for row, unit in np.argwhere((self.closings != 0) & ~(bounds <= 0)).tolist():
            layer, start = max(pair for pair in self.parent.offset.items() if pair[1] <= unit)
            found.append((int(self.nodes[row]), layer, unit - start, float(bounds[row, unit])))
        return found

    def worst(self) -> float:
        """The largest of the bounds that should be at most zero."""
        return float(self.bounds[self.closings != 0].max())

    def _tighten(self, position: int, entry: Interval, places: list[slice]) -> Interval:
        """Steps 2 and 3 of §5, and this layer's closings; "sides" are [upper, −lower], ``[nodes, 2·width]``."""
        count, width = entry.lower.shape
        facts, closings = _marked(self.facts[:count], places), _marked(self.closings[:count], places)
        sides, noise = np.hstack([entry.upper, -entry.lower]), np.hstack([entry.noise, entry.noise])
        proved = np.where(facts, np.minimum(sides + self.margin * noise, 0), sides + self.margin * noise)
        sides = np.where(facts, np.minimum(sides, 0), sides)
        needed = (sides[:, :width] > 0) & (sides[:, width:] > 0) & (self.deepest[:count, None] > position)
        kinds = {self.parent.layers[reader].kind for reader in self.parent.readers[position]}
        needless = closings[:, :width] & (kinds == {"relu"})  # nobody reads the lower bound of an inactive unit
        wanted = np.hstack([needed, needed & ~needless]) | (closings & ~(proved <= 0))
        bound, noise = self._backward(position, entry, wanted & (not self.parent.exact[position]))
        sides, proved = np.minimum(sides, bound), np.minimum(proved, bound + self.margin * noise)
        for place in places:
            inactive = self.closings[:count, place] == INACTIVE
            self.bounds[:count, place] = np.where(inactive, proved[:, :width], proved[:, width:])
        return replace(entry, lower=-sides[:, width:], upper=sides[:, :width])

    def _backward(self, position: int, entry: Interval, wanted: Mask) -> tuple[Array, Array]:
        """Backward bounds of the wanted sides and their noise, ``[nodes, 2·width]``; infinity and 0 elsewhere."""
        bound, noise, width = np.full(wanted.shape, np.inf), np.zeros(wanted.shape), wanted.shape[1] // 2
        for boxes, sides in _chunks(wanted, self.parent.longest):
            rows = Rows(position, boxes, sides % width, np.where(sides < width, 1.0, -1.0))
            result = Backward(self.parent, [*self.known, entry], self.relus, rows).bound()
            bound[boxes[:, None], sides], noise[boxes[:, None], sides] = result
        return np.where(wanted, bound, np.inf), np.where(wanted, noise, 0)


def _head(entry: _Arrays, count: int) -> _Arrays:
    """The first rows of all arrays."""
    return replace(entry, **{name: array[:count] for name, array in vars(entry).items()})


def _table(rows: Iterable[bytes]) -> States:
    """One row for each node, ``[nodes, relu_units]``."""
    table = [np.frombuffer(row, np.int8) for row in rows]
    return np.array(table)


def _marked(marks: States, places: list[slice]) -> Mask:
    """Which units of a layer some relu over it has marked inactive, and which active: ``[nodes, 2·width]``."""
    return np.hstack([np.any([marks[:, place] == state for place in places], axis=0) for state in (INACTIVE, ACTIVE)])


def _chunks(wanted: Mask, width: int) -> Iterator[tuple[Indices, Indices]]:
    """Nodes ``[b]`` and sides ``[b, r]`` that cover the wanted ones, some rows of coefficients at a time.

    Nodes with similarly many wanted sides come together; the shorter rows are filled up with sides nobody asked for.
    """
    limit = max(NUMBERS // width, min(ROWS, MOST // width), 1)
    number, rows = wanted.sum(axis=1), np.argsort(~wanted, axis=1, kind="stable")
    order, start, end = np.argsort(-number, kind="stable"), 0, int(np.count_nonzero(number))
    while start < end:
        most = int(number[order[start]])
        boxes = order[start : min(end, start + max(1, limit // most))]
        step = max(1, limit // len(boxes))
        for first in range(0, most, step):
            yield boxes, rows[boxes, first : min(most, first + step)]
        start += len(boxes)
