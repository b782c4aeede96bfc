"""Points chosen for the removed units: where in its cell a unit comes closest to being active, and where it is zero.

Pairs (cell, removed unit) are chosen by how close a sample of the cell comes to activating the unit. For each: gradient
ascent from the best of a sample; bisection for a zero on the way to a point of the domain at which the unit is active;
ascent again from the cell's point nearest to that zero; and the neighbours of what was found, inside the cell and one
ulp beyond its borders. All of it in float64, which only chooses points: the judges decide. In mode ``decision``
margins of outputs that are no classes are treated like removed units.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator

import numpy as np

from slicer.bounds.linear import Prepared
from slicer.search.evaluate import evaluate, gradients, pre_activations
from tests.attack.ascent import ascend
from tests.attack.points import Points, clip, on_bounds, ulps
from tests.attack.proof import Boxes
from tests.attack.target import Target

ASCENT, ZEROS, BORDERS = "ascent", "zeros", "borders"

_PAIRS = 4096  # treated together
_NUMBERS = 1 << 22  # float64 values of one layer, or of all units, that are held together
_SAMPLE = 128  # points of each cell that ascent may start from
_ANYWHERE = 4096  # points of the domain among which those are looked for where a unit is active
_BISECTIONS = 40  # of a segment in float64, so that its ends are the same or neighbours in float32
_LEAST_SPREAD = 1e-60  # keeps closeness finite; float32 numbers are larger
AXES = 16  # along which neighbours are taken
_EACH = 64  # points for each pair in a round, about
_CYCLES = 8  # of choosing pairs by a sample of their cells and attacking these
_NARROWING, _FEWEST = 4, 16  # after each round go on with one pair in so many, as long as there are this many


def unit_points(target: Target, count: int, rng: np.random.Generator) -> Iterator[tuple[str, Points]]:
    """Batches of points ``[m, n_in]`` with their kind, ``count`` in all, in as many cycles of rounds as that takes."""
    attack, limit = _Attack(target, rng), max(2, count // (_EACH * _CYCLES))
    while (target.removed | target.lost).any():
        for kind, points in attack.rounds(limit):
            yield kind, points[:count]
            count -= len(points[:count])
            if count <= 0:
                return


class _Attack:
    """Rounds over the pairs (cell, removed unit); the pairs closest to being active get further rounds."""

    def __init__(self, target: Target, rng: np.random.Generator) -> None:
        self.target, self.rng, self.prepared = target, rng, target.prepared
        size = max(1, min(_ANYWHERE, _NUMBERS // max(1, self.prepared.relu_units)))
        self.sample = on_bounds(target.domain[np.zeros(size, np.int64)], rng)
        self.values = all_values(self.prepared, self.sample)
        self.largest = np.full(target.removed.shape, -np.inf)  # value seen in each cell
        self.smallest = np.full(target.removed.shape, np.inf)

    def rounds(self, limit: int) -> Iterator[tuple[str, Points]]:
        """A round over all pairs or ``limit`` of them, then rounds over those closest so far, fewer every time."""
        widest = max(layer.width for layer in self.target.network.layers)
        most = max(1, min(_PAIRS, _NUMBERS // widest))
        pairs = self._chosen(limit)
        while True:
            pairs = pairs[np.argsort(pairs[:, 0], kind="stable")]  # cells together
            for first in range(0, len(pairs), most):
                yield from self._points(pairs[first : first + most])
            pairs = self._closest(pairs, len(pairs) // _NARROWING)
            if len(pairs) < _FEWEST:
                return

    def _chosen(self, limit: int) -> np.ndarray:
        """All pairs, or so many of them: half of these are the closest so far, the others random."""
        pairs = self.rng.permutation(np.argwhere(self.target.removed | self.target.lost))
        for cells, _, values in samples(self.target, np.arange(len(self.target.cells)), self.rng):
            self.largest[cells] = np.maximum(self.largest[cells], values.max(axis=1))
            self.smallest[cells] = np.minimum(self.smallest[cells], values.min(axis=1))
        if len(pairs) <= limit:
            return pairs
        return np.concatenate([self._closest(pairs, limit // 2), pairs[: limit - limit // 2]])

    def _closest(self, pairs: np.ndarray, count: int) -> np.ndarray:
        """The so many pairs whose units came closest to being active, compared with how much they vary in the cell."""
        largest, smallest = self.largest[pairs[:, 0], pairs[:, 1]], self.smallest[pairs[:, 0], pairs[:, 1]]
        closeness = largest / (largest - smallest + _LEAST_SPREAD)
        return pairs[np.argsort(-closeness, kind="stable")[:count]]

    def _points(self, pairs: np.ndarray) -> Iterator[tuple[str, Points]]:
        """All points for some pairs, cells together: ``[m, 2]``."""
        best = yield from self._ascent(pairs, best_of_sample(self.target, pairs, self.rng))
        rows, there = self._active_points(pairs[:, 1])
        if not len(rows):
            return
        zeros = bisect(self.prepared, pairs[rows, 1], best[rows], there)
        for points in neighbours(zeros, self.rng):
            yield ZEROS, clip(points, self.target.domain)
        yield from self._ascent(pairs[rows], clip(zeros, self.target.cells[pairs[rows, 0]]))

    def _ascent(self, pairs: np.ndarray, start: Points) -> Generator[tuple[str, Points], None, Points]:
        """The points of an ascent and the neighbours of its best ones; returns these."""
        cells, units = pairs.T
        way = climb(self.prepared, self.target.cells[cells], units, start)
        value = own_values(self.prepared, units, way[-1])
        self.largest[cells, units] = np.maximum(self.largest[cells, units], value)
        yield from ((ASCENT, points) for points in way)
        yield from ((BORDERS, clip(points, self.target.domain)) for points in neighbours(way[-1], self.rng))
        return way[-1]

    def _active_points(self, units: np.ndarray) -> tuple[np.ndarray, Points]:
        """Rows whose unit is active somewhere in a sample of the domain, and such a point for each of these rows."""
        place = np.full(len(units), -1)
        for unit in np.unique(units):
            choices, rows = np.flatnonzero(self.values[:, unit] > 0), np.flatnonzero(units == unit)
            if len(choices):
                place[rows] = self.rng.choice(choices, len(rows))
        rows = np.flatnonzero(place >= 0)
        return rows, self.sample[place[rows]]


def samples(
    target: Target, cells: np.ndarray, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, Points, np.ndarray]]:
    """Samples of distinct cells, as many cells at a time as fit into memory.

    Yields
    ------
    tuple[np.ndarray, Points, np.ndarray]
        Cells ``[k]``, points ``[k, m, n_in]``, pre-activations of all units ``[k, m, n_relu]``.
    """
    together = max(1, _NUMBERS // (_SAMPLE * max(1, target.prepared.relu_units)))
    for first in range(0, len(cells), together):
        chosen = cells[first : first + together]
        points = on_bounds(target.cells[np.repeat(chosen, _SAMPLE)], rng)
        values = all_values(target.prepared, points)
        yield chosen, points.reshape(len(chosen), _SAMPLE, -1), values.reshape(len(chosen), _SAMPLE, -1)


def best_of_sample(target: Target, pairs: np.ndarray, rng: np.random.Generator) -> Points:
    """For each pair (cell, unit) the point of a sample of the cell at which the unit is largest; ``[m, n_in]``."""
    best = np.empty((len(pairs), target.network.n_in), np.float32)
    for cells, points, values in samples(target, np.unique(pairs[:, 0]), rng):
        rows = np.flatnonzero(np.isin(pairs[:, 0], cells))
        place, units = np.searchsorted(cells, pairs[rows, 0]), pairs[rows, 1]
        best[rows] = points[place, values.argmax(axis=1)[place, units]]
    return best


def climb(
    prepared: Prepared, boxes: Boxes, units: np.ndarray, start: Points, direction: np.ndarray | int = 1
) -> list[Points]:
    """Ascent of one unit in each box with shrinking steps by the signs of its gradient.

    Parameters
    ----------
    direction:
        +1 for ascent, −1 for descent, for all or ``[m]``.

    Returns
    -------
    list[Points]
        The points visited, ``[m, n_in]`` each; the last is the best of all.
    """

    def heights(points: Points) -> np.ndarray:
        return direction * own_values(prepared, units, points)

    def slopes(points: Points) -> np.ndarray:
        return own_gradients(prepared, units, points) * np.reshape(direction, (-1, 1))

    return ascend(heights, slopes, boxes, start)


def bisect(prepared: Prepared, units: np.ndarray, start: Points, there: Points) -> Points:
    """A zero of each unit on the segment from ``start`` to ``there``, where it is active; ``[m, n_in]``."""
    low, high = start.astype(np.float64), there.astype(np.float64)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        active = (own_values(prepared, units, middle) > 0)[:, None]
        low, high = np.where(active, low, middle), np.where(active, middle, high)
    return high.astype(np.float32)


def neighbours(points: Points, rng: np.random.Generator) -> Iterator[Points]:
    """The points; then the points with one number moved by one ulp, up or down, for up to `AXES` of the numbers."""
    yield points
    n_in = points.shape[1]
    for axis in rng.permutation(n_in)[:AXES]:
        for direction in (-1, 1):
            moves = np.zeros(n_in, np.int64)
            moves[axis] = direction
            yield ulps(points, np.broadcast_to(moves, points.shape))


def all_values(prepared: Prepared, points: np.ndarray) -> np.ndarray:
    """Pre-activations of all ReLU units ``[m, n_relu]``."""
    return pre_activations(prepared, evaluate(prepared, points.astype(np.float64)))


def own_values(prepared: Prepared, units: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The pre-activation of one unit at each point, ``[m]``."""
    result = np.empty(len(units))
    for source, rows, own in _by_layer(prepared, units):
        result[rows] = evaluate(prepared, points[rows].astype(np.float64), source)[source][np.arange(len(rows)), own]
    return result


def own_gradients(prepared: Prepared, units: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The gradient of one unit's pre-activation at each point, ``[m, n_in]``."""
    result = np.empty(points.shape)
    for source, rows, own in _by_layer(prepared, units):
        values = evaluate(prepared, points[rows].astype(np.float64), source)
        result[rows] = gradients(prepared, values, source, own)
    return result


def _by_layer(prepared: Prepared, units: np.ndarray) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Flat unit numbers by ReLU layers: (position of the layer's source, rows, units within the layer)."""
    for relu, offset in prepared.offsets.items():
        layer = prepared.network.layers[relu]
        rows = np.flatnonzero((units >= offset) & (units < offset + layer.width))
        if len(rows):
            yield layer.sources[0], rows, units[rows] - offset
