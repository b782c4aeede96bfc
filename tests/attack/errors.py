"""Points chosen for the readouts of mode ``epsilon``: where in its cell each output is farthest off, either way.

A pair is a cell and an error, as they are numbered in CERTIFICATE.md §5: error i of n outputs is the parent's output i
less the member's, error n + i the negative; here both as shares of the bound. For each pair: ascent from the best point
of a sample, and again from points near the best so far; and the neighbours of what was found, across the cell's borders
too. Each cell gets points all over it as well. A member is evaluated by itself, from its own units, as one that lacks
what it needs is farther off than its readout. In float64, which only chooses points: the judges decide.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dispatcher.plan import Family
from slicer.bounds.linear import Prepared
from slicer.network import Network
from slicer.search.evaluate import evaluate, gradients
from tests.attack.ascent import ascend
from tests.attack.packed import Packed
from tests.attack.points import Points, clip, on_bounds
from tests.attack.promise import has_readout
from tests.attack.proof import Boxes
from tests.attack.target import Target, tree_boxes
from tests.attack.units import neighbours

_SAMPLE = 256  # points of each cell that ascent may start from
_PAIRS = 4096  # treated together
_NUMBERS = 1 << 22  # float64 values of one layer that are held together
_NEAREST = 14  # a start near the best so far is off by 2^-1 to 2^-14 of the cell's width


class Differences:
    """The differences between a network and the members of a family that end in readouts, in float64.

    Attributes
    ----------
    prepared:
        The network.
    cells:
        Those whose member ends in a readout.
    boxes:
        The points of all cells.
    pairs:
        Rows of `cells` and errors, ``[k, 2]``.
    """

    def __init__(self, network: Network, family: Family) -> None:
        assert family.epsilon is not None
        self.prepared, self.outputs = Prepared(network), network.n_out
        self.boxes, _ = tree_boxes(family.tree, family.lower, family.upper)
        self.cells = np.flatnonzero(has_readout(family))
        self._places = np.array([family.cells[cell] for cell in self.cells], np.int64)
        self._packed = {place: Packed(family.parent, family.members[place]) for place in np.unique(self._places)}
        self._bounds = np.maximum(family.epsilon.astype(np.float64), np.finfo(np.float64).tiny)
        self.pairs = np.stack(np.divmod(np.arange(len(self.cells) * 2 * network.n_out), 2 * network.n_out), axis=1)
        widest = max(layer.width for layer in network.layers)
        self.together = max(1, min(_PAIRS, _NUMBERS // widest))

    def errors(self, rows: np.ndarray, points: Points) -> np.ndarray:
        """All errors ``[m, 2n]`` at points, each of its own cell ``[m]``."""
        last = len(self.prepared.network.layers) - 1
        parent = evaluate(self.prepared, points.astype(np.float64), last)[last]
        member = np.empty_like(parent)
        for own, packed in self._members(rows):
            member[own] = packed.values(points[own])[-1]
        off = (parent - member) / self._bounds
        return np.concatenate([off, -off], axis=1)

    def slopes(self, pairs: np.ndarray, points: Points) -> np.ndarray:
        """The gradient of each pair's error at a point of its own, ``[m, n_in]``; only its direction counts."""
        last, (rows, outputs) = len(self.prepared.network.layers) - 1, (pairs[:, 0], pairs[:, 1] % self.outputs)
        values = evaluate(self.prepared, points.astype(np.float64), last)
        slope = gradients(self.prepared, values, last, outputs)
        for own, packed in self._members(rows):
            slope[own] -= packed.slopes(points[own], outputs[own])
        return np.where(pairs[:, 1:] < self.outputs, slope, -slope)

    def _members(self, rows: np.ndarray) -> Iterator[tuple[np.ndarray, Packed]]:
        """The members that serve some rows of `cells`, with the places of those that each one serves."""
        places = self._places[rows]
        for place in np.unique(places):
            yield np.flatnonzero(places == place), self._packed[place]

    def box(self, rows: np.ndarray) -> Boxes:
        """The boxes of some rows of `cells`."""
        return self.boxes[self.cells[rows]]


class Search:
    """Rounds over all pairs; what was farthest off so far is kept.

    Attributes
    ----------
    best, largest:
        The farthest point of each pair, ``[k, n_in]``, and how far off it is there, ``[k]``.
    """

    def __init__(self, differences: Differences, rng: np.random.Generator) -> None:
        self.differences, self.rng = differences, rng
        count = len(differences.pairs)
        self.best = np.zeros((count, differences.prepared.network.n_in), np.float32)
        self.largest = np.full(count, -np.inf)

    def round(self) -> Iterator[Points]:
        """Ascents from the best of a sample of each cell, then from near the best so far; those farthest off first.

        At last points all over each cell, and on its bounds.
        """
        yield from self._ascents(self._sample())
        yield from self._ascents(self._near())
        yield from self.everywhere()

    def everywhere(self) -> Iterator[Points]:
        """As many points of each cell, some of whose numbers are its bounds; a batch for each."""
        for row in range(len(self.differences.cells)):
            yield on_bounds(self.differences.box(np.full(_SAMPLE, row)), self.rng)

    def _sample(self) -> Points:
        """The best for each pair of some points of its cell ``[k, n_in]``."""
        found, errors, best = self.differences, 2 * self.differences.outputs, np.empty_like(self.best)
        for row in range(len(found.cells)):
            points = on_bounds(found.box(np.full(_SAMPLE, row)), self.rng)
            values = found.errors(np.full(_SAMPLE, row), points)
            places = np.arange(row * errors, (row + 1) * errors)
            best[places] = points[values.argmax(axis=0)]
            self._keep(places, best[places], values.max(axis=0))
        return best

    def _keep(self, places: np.ndarray, points: Points, values: np.ndarray) -> None:
        """Note points of some pairs if they are farther off than what is known."""
        better = values > self.largest[places]
        self.best[places[better]], self.largest[places[better]] = points[better], values[better]

    def _ascents(self, starts: Points) -> Iterator[Points]:
        """The points of an ascent for every pair from a start of its own, and the neighbours of its best one."""
        found, order = self.differences, np.argsort(-self.largest, kind="stable")
        for first in range(0, len(order), found.together):
            places = order[first : first + found.together]
            pairs = found.pairs[places]
            chosen = np.arange(len(pairs))

            def heights(points: Points, pairs: np.ndarray = pairs, chosen: np.ndarray = chosen) -> np.ndarray:
                return found.errors(pairs[:, 0], points)[chosen, pairs[:, 1]]

            def slopes(points: Points, pairs: np.ndarray = pairs) -> np.ndarray:
                return found.slopes(pairs, points)

            way = ascend(heights, slopes, found.box(pairs[:, 0]), starts[places])
            self._keep(places, way[-1], heights(way[-1]))
            yield from way[:-1]
            yield from neighbours(way[-1], self.rng)

    def _near(self) -> Points:
        """A point near the best so far of each pair ``[k, n_in]``, half of its numbers moved; near at all scales."""
        boxes = self.differences.box(self.differences.pairs[:, 0])
        width = boxes.upper.astype(np.float64) - boxes.lower
        scale = 2.0 ** -self.rng.integers(1, _NEAREST + 1, (len(width), 1))
        moves = self.rng.normal(size=width.shape) * scale * width * (self.rng.random(width.shape) < 0.5)
        return clip((self.best + moves).astype(np.float32), boxes)


def error_points(target: Target, count: int, rng: np.random.Generator) -> Iterator[Points]:
    """Points aimed at the errors of readouts, ``count`` in all; none if no cell has one."""
    if not has_readout(target.bundle.family).any():
        return
    search = Search(Differences(target.network, target.bundle.family), rng)
    while True:
        for points in search.round():
            yield clip(points[:count], target.domain)
            count -= len(points[:count])
            if count <= 0:
                return
