"""Verification of closings: the reference method of CERTIFICATE.md §5 on a batch of nodes, layer by layer.

Nodes are independent of one another, as their facts are written in the certificate. They are ordered by their deepest
closing, so that every layer is bounded for a leading part of the batch only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from slicer.certificate.rigorous.bounds import Backward, Bounds
from slicer.certificate.rigorous.form import Array, Indices, Mask
from slicer.certificate.rigorous.parent import Parent, T
from slicer.certificate.rigorous.proof import ACTIVE, INACTIVE, Node

Failure = tuple[int, int, int, float]
NUMBERS = 1 << 17  # in one coefficient array: 1 MiB, so that a few of them stay in the cache,
ROWS = 128  # but at least this many rows, so that a part of a wide weight matrix is not copied for a few,
MOST = 1 << 24  # unless they take more than 128 MiB
SIMILAR = 4  # nodes whose numbers of bounds differ by less are bounded together
OVERFLOW = 2 / T


def verify(parent: Parent, nodes: Sequence[Node], margin: float) -> Verification:
    """Bound everything that the nodes' closings assert, which must hold with ``margin`` · N to spare."""
    run = Verification(parent, nodes, margin)
    with np.errstate(all="ignore"):
        for position in range(int(run.deepest[0]) + 1):
            run.descend(position)
    return run


class Verification:
    """Bounds of a batch of nodes, the last axis of all arrays: at least one, those with the deepest closings first.

    ``spent`` ``[2, 2 n_out]`` are the largest bounds of errors without rounding, and the most that rounding adds to one
    (N of CERTIFICATE.md §5), over the nodes that close them; −∞ where none does.
    """

    def __init__(self, parent: Parent, nodes: Sequence[Node], margin: float) -> None:
        closings, deepest = _table(node.closings for node in nodes), np.zeros(len(nodes), np.int64)
        for position in range(len(parent.layers)):
            for place in parent.places(position):
                deepest[closings[place].any(axis=0)] = position
        order = np.argsort(-deepest, kind="stable")
        self.parent, self.margin, self.deepest, self.closings = parent, margin, deepest[order], closings[:, order]
        self.nodes = np.array([node.position for node in nodes])[order]
        self.facts = _table(node.facts for node in nodes)[:, order]
        self.bounds = Bounds(parent, *(np.array([node.box[side] for node in nodes])[order] for side in (0, 1)))
        self.proved = np.full(closings.shape, np.nan)
        self.spent = np.full((2, 2 * parent.outputs), -np.inf)
        self.sound = np.ones(len(nodes), bool)

    def descend(self, position: int) -> None:
        """Bound one layer for the nodes that have closings there or deeper."""
        count = int(np.searchsorted(-self.deepest, -position, side="right"))
        self.bounds.extend(position, count)
        if self.parent.places(position):
            self._tighten(position, count)
        own = self.parent.spans[position]
        lower, upper = self.bounds.lower[own, :count], self.bounds.upper[own, :count]
        further = position >= self.parent.depth  # differences of two outputs, or of two and less a bound of up to 2^128
        limit = 4 * OVERFLOW if further else OVERFLOW
        self.sound[:count] &= ((lower >= -limit) & (lower <= upper) & (upper <= limit)).all(axis=0)

    def outcome(self) -> tuple[Array, list[Failure]]:
        """The bounds of all closings and the failures: (node, relu layer, unit, bound).

        A bound is that of the unit, or of its negative for an active closing. It is NaN if the node's bounds
        contradict its facts or leave the range of §4: such a node proves nothing.
        """
        units, columns = np.nonzero(self.closings)
        bounds, failures = np.where(self.sound[columns], self.proved[units, columns], np.nan), []
        for index in np.flatnonzero(~(bounds <= 0)):
            layer, start = max(pair for pair in self.parent.relus.items() if pair[1] <= units[index])
            failures.append((int(self.nodes[columns[index]]), layer, int(units[index]) - start, float(bounds[index])))
        return bounds, failures

    def _tighten(self, position: int, count: int) -> None:
        """Steps 2 and 3 of §5, and this layer's closings; "sides" are upper and −lower, ``[2, width, nodes]``."""
        layer, own, places = self.parent.layers[position], self.parent.spans[position], self.parent.places(position)
        lower, upper = self.bounds.lower[own, :count], self.bounds.upper[own, :count]
        facts, closings = (_marked(marks[:, :count], places) for marks in (self.facts, self.closings))
        sides, room = np.array([upper, -lower]), self.margin * self.bounds.noise[own, :count] * (layer.rounding > 0)
        sides, proved = (np.where(facts, np.minimum(side, 0), side) for side in (sides, sides + room))
        needed = (sides > 0).all(axis=0) & (self.deepest[:count] > position)
        errors = position == self.parent.errors
        wanted = (needed | (closings & (errors | ~(proved <= 0)))) & (not self.parent.exact[position])
        for side, sign in enumerate((1.0, -1.0)):
            if side and len(places) == len(self.parent.readers[position]):
                wanted[1] &= closings[1] | (sides[0] > 0)  # no relu reads the lower bound of an inactive unit
            for boxes, units in _chunks(wanted[side].T, self.parent.longest):
                bound, noise = Backward(self.bounds, position, boxes).bound(units, sign)
                chosen = side, units, boxes[:, None]
                if errors and not side:
                    self._spend(units, np.minimum(bound - noise, sides[chosen]), noise, closings[0][chosen[1:]])
                sides[chosen] = np.minimum(sides[chosen], bound)
                proved[chosen] = np.minimum(proved[chosen], bound + self.margin * noise)
        upper[:], lower[:] = sides[0], -sides[1]
        for place in places:
            self.proved[place, :count] = np.where(self.closings[place, :count] == INACTIVE, *proved)

    def _spend(self, units: Indices, reduction: Array, rounding: Array, closed: Mask) -> None:
        """Take bounds of errors ``[boxes, rows]`` without and of rounding into account, where they are closed."""
        for spent, part in zip(self.spent, (reduction, rounding), strict=True):
            np.maximum.at(spent, units[closed], part[closed])


def _table(rows: Iterable[bytes]) -> NDArray[np.int8]:
    """One column for each node, ``[units, nodes]``."""
    return np.array([np.frombuffer(row, np.int8) for row in rows]).T


def _marked(marks: NDArray[np.int8], places: list[slice]) -> Mask:
    """Which units of a layer some relu over it has marked inactive, and which active: ``[2, width, nodes]``."""
    return np.array([np.any([marks[place] == mark for place in places], axis=0) for mark in (INACTIVE, ACTIVE)])


def _chunks(wanted: Mask, width: int) -> Iterator[tuple[Indices, Indices]]:
    """Nodes ``[b]`` and units ``[b, r]`` that cover the wanted ones, some rows of coefficients at a time.

    Nodes with similarly many wanted units come together; the shorter rows are filled up with their last unit.
    """
    limit = max(NUMBERS // width, min(ROWS, MOST // width), 1)
    number, units = np.count_nonzero(wanted, axis=1), np.nonzero(wanted)[1]
    first = np.cumsum(number) - number
    order = np.argsort(-number // SIMILAR, kind="stable")[: np.count_nonzero(number)]
    while len(order):
        most = int(number[order[:limit]].max())
        boxes, order = np.split(order, [max(1, limit // most)])
        step = max(1, limit // len(boxes))
        for start in range(0, most, step):
            row = np.minimum(np.arange(start, min(start + step, most)), number[boxes, None] - 1)
            yield boxes, units[first[boxes, None] + row]
