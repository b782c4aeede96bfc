"""Branch and bound by input splits: one tree for all candidates of a cell.

Every node is bounded once (one *work unit*), layer by layer, so that a phase proved in an early layer tightens the
later ones; phases proved at a node are facts for its whole subtree. Each round looks at all open leaves, estimates what
every candidate still costs, picks the candidates that the remaining effort can pay for (the *focus*), and splits leaves
in which one of them is open. Candidates outside the focus are not given up: they return when the estimate does.

Bunel et al., *Branch and Bound for Piecewise Linear Neural Network Verification*, JMLR 21 (2020), is the frame; sharing
one tree between many properties and choosing by estimated cost is our own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slicer.bounds.linear import Prepared
from slicer.bounds.reference import Bounds, bound_boxes
from slicer.box import Box, middle
from slicer.search.evaluate import evaluate, pre_activations
from slicer.search.falsify import Extremes, climb
from slicer.search.tree import ProofTree

Array = NDArray[np.float64]
Phases = NDArray[np.int8]

# Leaves split per round, a share of the open ones: enough rows for fast matrix products, few enough that choices stay
# fresh, and more when looking at all open leaves begins to cost as much as bounding some.
ROUND, LARGEST_ROUND, SHARE = 16, 128, 16
# Numbers kept for the open leaves (gaps: leaves × ReLU units) above which work goes on depth first, in the newest
# leaves: then their number grows no more than the tree's depth times a round.
MEMORY = 2**23
# A candidate whose bound exceeds zero by g on a leaf, and whose largest value seen is −m, is estimated to need
# (1 + g/m)^COST boxes there: halving all of five inputs quarters the relaxation's excess.
COST = 2.0


@dataclass(eq=False)
class _Leaves:
    """Open leaves as parallel arrays.

    Attributes
    ----------
    node:
        Tree index ``[k]``.
    lower, upper:
        Corners ``[k, n_in]``.
    phases:
        Facts including the leaf's own closings ``[k, n_relu]``.
    gap:
        Upper bound of the target-signed pre-activation ``[k, n_relu]``: a candidate is closed where it is below zero.
    axis:
        Input to split next ``[k]``.
    """

    node: NDArray[np.int64]
    lower: Array
    upper: Array
    phases: Phases
    gap: Array
    axis: NDArray[np.int64]

    def select(self, chosen: NDArray[np.bool_]) -> _Leaves:
        """The leaves where ``chosen`` holds."""
        return _Leaves(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))

    def join(self, other: _Leaves) -> _Leaves:
        """These leaves followed by others."""
        names = self.__dataclass_fields__
        return _Leaves(*(np.concatenate([getattr(self, name), getattr(other, name)]) for name in names))


class Search:
    """Branch and bound on one cell; only ``wanted`` units are candidates ``[n_relu]``, all if None.

    Attributes
    ----------
    tree:
        The proof tree so far.
    target:
        Phase hoped for per candidate ``[n_relu]``: −1 inactive, +1 active, 0 not (or no longer) a candidate.
    boxes:
        Work units spent.
    """

    def __init__(
        self, prepared: Prepared, box: Box, extremes: Extremes, wanted: NDArray[np.bool_] | None = None
    ) -> None:
        self.prepared = prepared
        self.extremes = extremes
        self.tree = ProofTree()
        self.boxes = 0
        self.target = extremes.phase if wanted is None else np.where(wanted, extremes.phase, 0).astype(np.int8)
        corners = box.lower[None].astype(np.float64), box.upper[None].astype(np.float64)
        self.leaves = self._bound(*corners, np.zeros((1, prepared.relu_units), np.int8))

    def climb(self, box: Box, rng: np.random.Generator) -> None:
        """Gradient search against the candidates that the root's bounds leave open."""
        climb(self.prepared, box, self.extremes, np.where(self.leaves.phases[0] == 0, self.target, 0), rng)
        self._drop_refuted()

    def run(self, effort: int, stopped: Callable[[], bool], only: NDArray[np.bool_] | None = None) -> None:
        """Split until every candidate is decided, ``effort`` boxes are spent in all or ``stopped`` says so.

        ``only`` are the candidates to work for ``[n_relu]``, all if None.
        """
        while self.boxes + 2 <= effort and not stopped():
            open_units = self._open() if only is None else self._open() & only
            focus = self._focus(open_units, effort - self.boxes)
            chosen = (open_units & focus).any(axis=1) & (self.leaves.axis >= 0)
            if not chosen.any():
                return
            self._split(self._next(np.flatnonzero(chosen), (effort - self.boxes) // 2))

    def _next(self, chosen: NDArray[np.int64], affordable: int) -> NDArray[np.int64]:
        """The leaves of the next round among the chosen ones: the oldest, or the newest when memory is short."""
        count = min(max(ROUND, len(self.leaves.node) // SHARE), LARGEST_ROUND, affordable)
        return chosen[-count:] if self.leaves.gap.size > MEMORY else chosen[:count]

    def refute(self, points: Array) -> None:
        """Take in inputs ``[m, n_in]`` found elsewhere: candidates that they contradict are none any more."""
        self.extremes.update(points, pre_activations(self.prepared, evaluate(self.prepared, points)))
        self._drop_refuted()

    def open_candidates(self) -> NDArray[np.bool_]:
        """Candidates that are open on some leaf ``[n_relu]``."""
        return np.asarray(self._open().any(axis=0))

    def _open(self) -> NDArray[np.bool_]:
        """Candidates that are open, per leaf ``[k, n_relu]``."""
        return np.asarray((self.target != 0) & (self.leaves.phases == 0))

    def _focus(self, open_units: NDArray[np.bool_], budget: int) -> NDArray[np.bool_]:
        """The candidates to work for: cheapest first, as long as their joint estimate fits the budget; ``[n_relu]``."""
        focus = np.zeros(open_units.shape[1], bool)
        units = np.flatnonzero(open_units.any(axis=0))
        best = np.where(self.target < 0, -self.extremes.largest, self.extremes.smallest)[units]
        units, best = units[best > 0], best[best > 0]  # a margin of zero is never proved by splitting
        with np.errstate(over="ignore"):
            cost = (1 + np.maximum(self.leaves.gap[:, units], 0) / best) ** COST
        cost[~open_units[:, units]] = 0
        order = np.argsort(cost.sum(axis=0), kind="stable")
        joint = np.maximum.accumulate(cost[:, order], axis=1).sum(axis=0)
        focus[units[order[: max(1, int((joint <= budget).sum()))]]] = True
        return focus

    def _split(self, chosen: NDArray[np.int64]) -> None:
        """Split some leaves in two and bound the halves."""
        leaves = self.leaves
        lower, upper = np.repeat(leaves.lower[chosen], 2, axis=0), np.repeat(leaves.upper[chosen], 2, axis=0)
        thresholds = []
        for row, index in enumerate(chosen):
            axis = leaves.axis[index]
            threshold = middle(leaves.lower[index, axis], leaves.upper[index, axis])
            assert threshold is not None  # leaves with axis >= 0 can be split
            upper[2 * row, axis] = lower[2 * row + 1, axis] = threshold
            thresholds.append(threshold)
        children = self._bound(lower, upper, np.repeat(leaves.phases[chosen], 2, axis=0))
        for row, index in enumerate(chosen):
            pair = (int(children.node[2 * row]), int(children.node[2 * row + 1]))
            self.tree.split(int(leaves.node[index]), int(leaves.axis[index]), thresholds[row], pair)
        rest = np.ones(len(leaves.node), bool)
        rest[chosen] = False
        joined = leaves.select(rest).join(children)
        self.leaves = joined
        self.leaves = joined.select(np.any(self._open(), axis=1))

    def _bound(self, lower: Array, upper: Array, facts: Phases) -> _Leaves:
        """Bound boxes, record their nodes, look for witnesses at the corners that the bounds point to."""
        wanted = (facts == 0) & (self.target != 0)
        bounds = bound_boxes(self.prepared, lower, upper, facts, wanted)
        self.boxes += len(lower)
        self._try_corners(bounds, lower, upper)
        nodes = []
        for row in range(len(lower)):
            new = bounds.proved[row] != facts[row]
            inactive = np.flatnonzero(new & (bounds.proved[row] < 0))
            nodes.append(self.tree.add(inactive, np.flatnonzero(new & (bounds.proved[row] > 0))))
        above = pre_activations(self.prepared, bounds.upper)
        below = pre_activations(self.prepared, bounds.lower)
        gap = np.where(self.target < 0, above, -below)
        axis = np.where(wanted.any(axis=1), self._axis(bounds, lower, upper), -1)
        return _Leaves(np.array(nodes), lower, upper, bounds.proved, gap, axis)

    def _try_corners(self, bounds: Bounds, lower: Array, upper: Array) -> None:
        """Evaluate the corner at which each backward bound is attained; drop candidates that it refutes."""
        points = []
        for tasks, bound in bounds.last[-1:]:
            points.append(np.where(bound.slope > 0, upper[tasks.box], lower[tasks.box]))
        if points:
            self.refute(np.concatenate(points))

    def _drop_refuted(self) -> None:
        """Candidates whose extremes contradict their phase are none any more."""
        self.target = np.where(self.extremes.phase == self.target, self.target, 0).astype(np.int8)

    def _axis(self, bounds: Bounds, lower: Array, upper: Array) -> NDArray[np.int64]:
        """Input to split next on each box ``[k]``; −1 for none."""
        return split_axis(bounds, lower, upper)


def split_axis(bounds: Bounds, lower: Array, upper: Array) -> NDArray[np.int64]:
    """Input whose halving takes most from the linear bounds: Σ|slope|·width over a box's tasks; −1 for none ``[k]``."""
    score = (upper - lower) * 1e-9
    for tasks, bound in bounds.last:
        np.add.at(score, tasks.box, np.abs(bound.slope) * (upper - lower)[tasks.box])
    return best_axis(score, lower, upper)


def best_axis(score: Array, lower: Array, upper: Array) -> NDArray[np.int64]:
    """Input with the largest score ``[k, n_in]`` among those that a float32 threshold can split; −1 for none."""
    splittable = np.nextafter(lower.astype(np.float32), np.float32(np.inf)) < upper
    axis = np.where(splittable, score, -1.0).argmax(axis=1)
    return np.where(splittable.any(axis=1), axis, -1)
