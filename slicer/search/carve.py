"""Parts of a cell in which nothing of the network is left to compute, found by proofs: where to cut, no proof itself.

A cell is halved again and again, the largest part first, and every part is bounded once. A part is *settled* where the
bounds prove a claim after which no network is needed: one output always wins (`slicer.search.contest`), or an affine
function is near enough (`slicer.search.readout`). What is found says where cuts are worth their cost
(`slicer.family.carving`); the parts that become cells are searched and proved like all others.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dispatcher.plan import Decision, Readout
from slicer.bounds.backward import Tasks, backward
from slicer.bounds.linear import Prepared
from slicer.bounds.reference import Bounds, bound_boxes
from slicer.box import Box, middle
from slicer.network import Network
from slicer.search.branch import split_axis
from slicer.search.contest import with_margins
from slicer.search.evaluate import evaluate
from slicer.search.readout import ROOM, all_inputs, distance, fit

Array = NDArray[np.float64]
Labels = NDArray[np.int64]

NONE = -1  # the label of a part that is not settled
ROUND = 64  # parts halved at a time: enough rows for fast matrix products
HOPELESS = 4  # a cell without a settled part after one in so many of the boxes that it may cost is given up
WINNER_POINTS, FIT_POINTS = 16, 96  # inside a part, corners besides: a winner that is none fails in the proof, too
CORNER_DIMENSIONS = 5


@dataclass(frozen=True, eq=False, slots=True)
class Parts:
    """A cell cut into parts: a binary tree, node 0 the whole cell, children after their parents.

    Attributes
    ----------
    axis, threshold:
        Where a node is cut ``[k]``; axis −1 for a leaf.
    low:
        Its low child ``[k]``; the high child is the next node.
    label:
        Which claim settles a leaf, `NONE` if none does ``[k]``. Equal labels mean that one member serves both.
    volume:
        The node's share of the cell's volume ``[k]``.
    """

    axis: NDArray[np.int64]
    threshold: Array
    low: NDArray[np.int64]
    label: Labels
    volume: Array

    def merged(self) -> Parts:
        """Without the cuts below which all leaves have the same label, `NONE` among them."""
        label, stays = self.label.copy(), np.zeros(len(self.axis), bool)
        for node in np.flatnonzero(self.axis >= 0)[::-1]:
            low, high = self.low[node], self.low[node] + 1
            stays[node] = stays[low] or stays[high] or label[low] != label[high]
            label[node] = NONE if stays[node] else label[low]
        kept = np.zeros(len(self.axis), bool)
        kept[0] = True
        for node in np.flatnonzero(self.axis >= 0):
            kept[[self.low[node], self.low[node] + 1]] = kept[node] and stays[node]
        place = np.cumsum(kept) - 1
        low = np.where(stays, place[self.low], -1)
        rows: list[NDArray[Any]] = [np.where(stays, self.axis, -1), np.where(stays, self.threshold, 0.0)]
        return Parts(*(row[kept] for row in [*rows, low, label, self.volume]))


class Claims(Protocol):
    """Claims that may settle parts of one cell, and networks on which they can be proved."""

    prepared: Prepared

    def propose(self, lower: Array, upper: Array, tried: Labels) -> Labels:
        """The label of a claim that holds at points of each part ``[k]``, or `NONE`; ``tried`` are its parent's."""

    def wanted(self, labels: Labels) -> NDArray[np.bool_]:
        """The ReLU units whose phases prove them ``[k, n_relu]``."""

    def hold(self, labels: Labels, bounds: Bounds, lower: Array, upper: Array) -> NDArray[np.bool_]:
        """Whether the bounds prove them ``[k]``."""


class Winners:
    """One output always wins; labels are outputs."""

    def __init__(self, network: Network, decision: Decision) -> None:
        self.prepared = Prepared(with_margins(network, decision))
        self._n, self._last = network.n_out, len(network.layers) - 1
        self._own, self._sign = network.relu_units, 1 if decision == "argmax" else -1
        self._unit = _unit_points(network.n_in, WINNER_POINTS)

    def propose(self, lower: Array, upper: Array, tried: Labels) -> Labels:
        """The output that wins at all points."""
        assert len(tried) == len(lower)
        points = _scaled(self._unit, lower, upper).reshape(-1, lower.shape[1])
        outputs = self._sign * evaluate(self.prepared, points, self._last)[self._last]
        winner = outputs.argmax(axis=1).reshape(len(lower), -1)
        return np.where((winner == winner[:, :1]).all(axis=1), winner[:, 0], NONE)

    def wanted(self, labels: Labels) -> NDArray[np.bool_]:
        """All own units, and the margins of all other outputs against the winner."""
        result = np.ones((len(labels), self.prepared.relu_units), bool)
        result[:, self._own :] = self._margins(labels)
        return result

    def hold(self, labels: Labels, bounds: Bounds, lower: Array, upper: Array) -> NDArray[np.bool_]:
        """All these margins are inactive."""
        assert len(lower) == len(upper) == len(labels)
        lost = bounds.proved[:, self._own :] < 0
        return np.asarray((labels != NONE) & (lost | ~self._margins(labels)).all(axis=1))

    def _margins(self, labels: Labels) -> NDArray[np.bool_]:
        """Margins k·n + i of outputs k other than i, where i is the winner ``[k, n²]``."""
        against = np.arange(self._n) == labels[:, None]
        return np.asarray((against[:, None, :] & ~against[:, :, None]).reshape(len(labels), -1))


class Functions:
    """An affine function is within its bounds ``epsilon`` ``[n_out]``; labels are numbers of functions.

    A part whose points are near enough to its parent's function takes that, so that neighbours can share it.
    """

    def __init__(self, network: Network, epsilon: Array) -> None:
        self.prepared, self._epsilon, self._reads = Prepared(network), epsilon, all_inputs(network)
        self._last = len(network.layers) - 1
        self._unit = _unit_points(network.n_in, FIT_POINTS)
        self.functions: list[Readout] = []

    def propose(self, lower: Array, upper: Array, tried: Labels) -> Labels:
        """The parent's function, else a fit to the part's points, if it is near enough."""
        points = _scaled(self._unit, lower, upper)
        outputs = evaluate(self.prepared, points.reshape(-1, points.shape[2]), self._last)[self._last]
        near = [self._near(*own) for own in zip(points, outputs.reshape(*points.shape[:2], -1), tried, strict=True)]
        return np.array(near, np.int64)

    def wanted(self, labels: Labels) -> NDArray[np.bool_]:
        """All units."""
        return np.ones((len(labels), self.prepared.relu_units), bool)

    def hold(self, labels: Labels, bounds: Bounds, lower: Array, upper: Array) -> NDArray[np.bool_]:
        """Both sides of every output's error, by its linear bound less the function, stay below the output's bound."""
        boxes, n = np.flatnonzero(labels != NONE), len(self._epsilon)
        result = np.zeros(len(labels), bool)
        if not len(boxes):
            return result
        sign = np.tile(np.repeat([1.0, -1.0], n), len(boxes))
        box, unit = np.repeat(boxes, 2 * n), np.tile(np.arange(n), 2 * len(boxes))
        tasks = Tasks(self._last, box, unit, sign)
        bound = backward(self.prepared, tasks, bounds.relaxations, bounds.radii, lower, upper)
        functions = [self.functions[label] for label in labels[boxes]]
        weight = np.repeat([one.weight for one in functions], 2, axis=0).reshape(len(box), -1).astype(np.float64)
        bias = np.repeat([one.bias for one in functions], 2, axis=0).reshape(-1).astype(np.float64)
        constant = bound.upper - _largest(bound.slope, lower[box], upper[box])
        error = _largest(bound.slope - sign[:, None] * weight, lower[box], upper[box]) + constant - sign * bias
        result[boxes] = (error < self._epsilon[unit]).reshape(len(boxes), -1).all(axis=1)
        return result

    def _near(self, points: Array, outputs: Array, tried: int) -> int:
        """The label for one part's points ``[m, n_in]`` and outputs ``[m, n_out]``."""
        if tried != NONE and (distance(self.functions[tried], points, outputs) <= ROOM * self._epsilon).all():
            return tried
        found = fit(self._reads, points, outputs)
        if not (found.distance <= ROOM * self._epsilon).all():  # NaN is no fit
            return NONE
        self.functions.append(found.readout)
        return len(self.functions) - 1


def carve(claims: Claims, box: Box, effort: int, stopped: Callable[[], bool] = lambda: False) -> Parts:
    """Cut a cell until all parts are settled or ``effort`` boxes are bounded (at least one), or it looks hopeless."""
    cutting = _Cutting(claims)
    corners = box.lower.astype(np.float64)[None], box.upper.astype(np.float64)[None]
    facts = np.zeros((1, claims.prepared.relu_units), np.int8)
    cutting.add(*corners, facts, np.full(1, NONE), [1.0])
    while cutting.open and cutting.boxes + 2 <= effort and not stopped():
        if HOPELESS * cutting.boxes > effort and not cutting.settled:
            break
        cutting.halve(min(ROUND, (effort - cutting.boxes) // 2))
    return cutting.parts()


@dataclass(frozen=True, eq=False, slots=True)
class _Open:
    """A part that is not settled and can be halved: corners ``[n_in]``, facts ``[n_relu]``, and what was tried."""

    node: int
    volume: float
    lower: Array
    upper: Array
    facts: NDArray[np.int8]
    axis: int
    threshold: float
    tried: int


class _Cutting:
    """Parts in the making: boxes bounded, parts settled, and the open ones, the largest first, then the oldest."""

    def __init__(self, claims: Claims) -> None:
        self.boxes, self.settled = 0, 0
        self.open: list[tuple[float, int, _Open]] = []
        self._claims = claims
        self._labels: list[int] = []
        self._volumes: list[float] = []
        self._cuts: dict[int, tuple[int, float, int]] = {}

    def add(self, lower: Array, upper: Array, facts: NDArray[np.int8], tried: Labels, volumes: Sequence[float]) -> None:
        """Bound parts, and append them as nodes; ``volumes`` are shares of the cell's."""
        claims = self._claims
        labels = claims.propose(lower, upper, tried)
        bounds = bound_boxes(claims.prepared, lower, upper, facts, (facts == 0) & claims.wanted(labels))
        self.boxes += len(lower)
        self._volumes += volumes
        settled = claims.hold(labels, bounds, lower, upper)
        self.settled += int(settled.sum())
        axes = split_axis(bounds, lower, upper)
        for row, axis in enumerate(axes):
            node = len(self._labels)
            self._labels.append(int(labels[row]) if settled[row] else NONE)
            threshold = middle(float(lower[row, axis]), float(upper[row, axis])) if axis >= 0 else None
            if settled[row] or threshold is None:
                continue
            part = _Open(
                node, volumes[row], lower[row], upper[row], bounds.proved[row], int(axis), threshold, int(labels[row])
            )
            heapq.heappush(self.open, (-part.volume, node, part))

    def halve(self, count: int) -> None:
        """Halve up to ``count`` parts."""
        chosen = [heapq.heappop(self.open)[-1] for _ in range(min(count, len(self.open)))]
        lower, upper = (
            np.repeat([part.lower for part in chosen], 2, axis=0),
            np.repeat([part.upper for part in chosen], 2, axis=0),
        )
        volumes: list[float] = []
        for row, part in enumerate(chosen):
            upper[2 * row, part.axis] = lower[2 * row + 1, part.axis] = part.threshold
            self._cuts[part.node] = part.axis, part.threshold, len(self._labels) + 2 * row
            share = (part.threshold - part.lower[part.axis]) / (part.upper[part.axis] - part.lower[part.axis])
            volumes += [share * part.volume, (1 - share) * part.volume]
        facts, tried = [np.repeat([getattr(part, name) for part in chosen], 2, axis=0) for name in ("facts", "tried")]
        self.add(lower, upper, facts, tried, volumes)

    def parts(self) -> Parts:
        """What was found, without the cuts that divide nothing."""
        cuts = [self._cuts.get(node, (-1, 0.0, -1)) for node in range(len(self._labels))]
        axis, threshold, low = zip(*cuts, strict=True)
        return Parts(*map(np.array, (axis, threshold, low, self._labels, self._volumes))).merged()


def _unit_points(inputs: int, inside: int) -> Array:
    """Points of the unit cube ``[m, n_in]``, the same for all parts: seeded ones, and the corners if there are few."""
    points = np.random.default_rng(0).random((inside, inputs))
    if inputs > CORNER_DIMENSIONS:
        return points
    return np.concatenate([points, np.indices((2,) * inputs).reshape(inputs, -1).T])


def _scaled(unit: Array, lower: Array, upper: Array) -> Array:
    """The points in each box ``[k, m, n_in]``."""
    return np.asarray(lower[:, None] + unit * (upper - lower)[:, None])


def _largest(slope: Array, lower: Array, upper: Array) -> Array:
    """The largest value of each linear function ``[m, n_in]`` on its box."""
    return np.asarray((slope * np.where(slope > 0, upper, lower)).sum(axis=1))
