"""The best cut of a cell: what each would gain in expected multiply-accumulates, estimated without a search.

Invariant: the estimate is a pure function of network, cell, seed and shares, a handful of small matrix products and 17
bounded boxes at most; it decides where to cut and nothing else.

A unit is expected to stay in a box unless its linear bound is below zero, or comes below zero by a search as long as
the default one. That is so, by experience, if the largest value seen at some points is below zero by `MARGIN` of the
gap between bound and largest value. Every input is tried at `THRESHOLDS` by the points and by the gaps of the whole
cell; the `FINALISTS` best are compared by the bounds of both their parts.

In mode ``decision`` the units are followed by the margins, and work counts as `slicer.family.stakes` says.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from dispatcher.files import read_network
from dispatcher.plan import Decision
from slicer.bounds.linear import Prepared
from slicer.bounds.reference import Bounds, bound_boxes
from slicer.box import Box
from slicer.family.stakes import Stakes
from slicer.family.work import Work
from slicer.network import Network
from slicer.search.contest import with_margins
from slicer.search.evaluate import evaluate, pre_activations

Array = NDArray[np.float64]
Cell = tuple[Box, Array | None]  # and the shares of its measure at its thresholds (see `Cutter.best`)

POINTS = 512
THRESHOLDS = 8  # equal parts of a side between which thresholds may lie
FINALISTS = 8
MARGIN = 0.2
# Outputs' margins lie behind all layers: their gap shrinks much faster than other units' when a box is split. On ACAS
# Xu 85 of 88 cells were proved with 500 boxes where the share is 2^-13, 47 of 90 down to 2^-14, 10 of 204 below that.
# Between 2^-10 and 2^-14 families of 256 cells differ little; with 2^-16 little more than half as much is decided.
MARGIN_OF_OUTPUTS = 2.0**-12


@dataclass(frozen=True, slots=True)
class Cut:
    """Axis, float32 threshold, and expected multiply-accumulates of the whole cell less those of its parts."""

    axis: int
    threshold: float
    gain: float


@dataclass(frozen=True, eq=False, slots=True)
class _Candidates:
    """Cuts of one cell as parallel arrays.

    Attributes
    ----------
    axis, threshold:
        Where ``[k]``; thresholds are float32 numbers strictly inside the cell.
    share:
        Of the cell's measure that lies in the low part ``[k]``.
    largest:
        Largest pre-activations seen in the low and in the high part ``[k, 2, n_relu]``.
    wins:
        How often each output wins at the points of these parts ``[k, 2, n_out]``.
    """

    axis: NDArray[np.int64]
    threshold: Array
    share: Array
    largest: Array
    wins: Array

    def select(self, chosen: NDArray[np.int64]) -> _Candidates:
        """Some of them."""
        return _Candidates(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))


class Cutter:
    """A network prepared for choosing cuts; ``points`` are the same in all cells, in shares of their sides."""

    def __init__(self, network: Network, seed: int, decision: Decision | None = None) -> None:
        self._prepared = Prepared(network if decision is None else with_margins(network, decision))
        self._outputs, self._units = len(network.layers) - 1, network.relu_units
        self._margin = np.where(np.arange(self._prepared.relu_units) < self._units, MARGIN, MARGIN_OF_OUTPUTS)
        self._stakes = None if decision is None else Stakes(decision, network.n_out)
        self._work = Work(network)
        self._points = np.random.default_rng(seed).random((POINTS, network.n_in))
        parts = np.floor(THRESHOLDS * self._points).astype(np.int64)
        self._order = np.argsort(parts, axis=0, kind="stable")
        # Of each input: the first point of every part, in that order.
        self._first = np.array([np.searchsorted(np.sort(part), np.arange(THRESHOLDS)) for part in parts.T])

    def best(self, box: Box, shares: Array | None = None) -> Cut | None:
        """The cut with the largest gain, the first of equals; None if none is a gain.

        ``shares`` are those of the cell's measure at or below the inner `THRESHOLDS` of each input, ``[n_in, k]``; by
        None it is the volume.
        """
        lower, upper = box.lower.astype(np.float64), box.upper.astype(np.float64)
        values, wins = self._values(lower, upper)
        bounds = bound_boxes(self._prepared, lower[None], upper[None], np.zeros((1, values.shape[1]), np.int8))
        largest, bound = values.max(axis=0), pre_activations(self._prepared, bounds.upper)[0]
        whole = float(self._mac(self._stay(largest, bound), wins.sum(axis=0)))
        candidates = self._candidates(box, values, wins, shares)
        if not len(candidates.axis):
            return None
        gap = np.maximum(bound - largest, 0)
        gains = whole - self._expected(candidates, (candidates.largest > -self._margin * gap) & (bound > 0))
        candidates = candidates.select(np.argsort(-gains, kind="stable")[:FINALISTS])
        gains = whole - self._expected(candidates, self._stay_in_parts(candidates, bounds))
        best = int(gains.argmax())
        if not gains[best] > 0:
            return None
        return Cut(int(candidates.axis[best]), float(candidates.threshold[best]), float(gains[best]))

    def _values(self, lower: Array, upper: Array) -> tuple[Array, Array]:
        """Pre-activations at the points ``[POINTS, n_relu]``, and 1 where an output wins ``[POINTS, n_out]``.

        In mode ``bitwise`` nobody asks who wins: ``[POINTS, 0]``.
        """
        values = evaluate(self._prepared, lower + self._points * (upper - lower))
        wins = np.zeros((POINTS, 0)) if self._stakes is None else self._stakes.wins(values[self._outputs])
        return pre_activations(self._prepared, values), wins

    def _candidates(self, box: Box, values: Array, wins: Array, shares: Array | None) -> _Candidates:
        """All cuts that have points and float32 numbers on both sides."""
        grid = thresholds(box)  # [n_in, k]
        inside = (grid > box.lower[:, None]) & (grid < box.upper[:, None])
        inside &= (self._first[:, 1:] > 0) & (self._first[:, 1:] < POINTS)
        axis, part = np.nonzero(inside)
        width = box.upper.astype(np.float64) - box.lower
        threshold = grid[axis, part]
        share = (threshold - box.lower[axis]) / width[axis] if shares is None else shares[axis, part]
        largest = self._gathered(values, np.maximum, -np.inf)[axis, part]
        return _Candidates(axis, threshold, share, largest, self._gathered(wins, np.add, 0)[axis, part])

    def _gathered(self, values: Array, gather: np.ufunc, nothing: float) -> Array:
        """Points' values ``[POINTS, m]`` gathered below and above each threshold ``[n_in, k, 2, m]``.

        The result is ``nothing`` where there is no point.
        """
        result = np.empty((len(self._first), THRESHOLDS - 1, 2, values.shape[1]))
        for axis, first in enumerate(self._first):
            ordered = values[self._order[:, axis]]
            parts = np.full((THRESHOLDS, values.shape[1]), nothing)
            filled = np.flatnonzero(np.diff(first, append=POINTS))
            parts[filled] = gather.reduceat(ordered, first[filled], axis=0)
            result[axis, :, 0] = gather.accumulate(parts)[:-1]
            result[axis, :, 1] = gather.accumulate(parts[::-1])[::-1][1:]
        return result

    def _stay_in_parts(self, candidates: _Candidates, whole: Bounds) -> NDArray[np.bool_]:
        """Which units stay in both parts, by the parts' own bounds ``[k, 2, n_relu]``; ``whole`` are the cell's."""
        count = len(candidates.axis)
        lowers, uppers = np.tile(whole.lower[0], (count, 2, 1)), np.tile(whole.upper[0], (count, 2, 1))
        rows = np.arange(count)
        uppers[rows, 0, candidates.axis] = lowers[rows, 1, candidates.axis] = candidates.threshold
        corners = lowers.reshape(2 * count, -1), uppers.reshape(2 * count, -1)
        bounds = bound_boxes(self._prepared, *corners, np.repeat(whole.proved, 2 * count, axis=0))
        bound = pre_activations(self._prepared, bounds.upper)
        return self._stay(candidates.largest, bound.reshape(count, 2, -1))

    def _expected(self, candidates: _Candidates, stay: NDArray[np.bool_]) -> Array:
        """Expected multiply-accumulates of both parts ``[k]``."""
        mac = self._mac(stay, candidates.wins)
        return np.asarray(candidates.share * mac[:, 0] + (1 - candidates.share) * mac[:, 1])

    def _stay(self, largest: Array, bound: Array) -> NDArray[np.bool_]:
        """Units that are expected to stay, from largest value seen and upper bound ``[…, n_relu]``."""
        return np.asarray((largest > -self._margin * np.maximum(bound - largest, 0)) & (bound > 0))

    def _mac(self, stay: NDArray[np.bool_], wins: Array) -> Array:
        """Multiply-accumulates ``[…]`` where some units stay ``[…, n_relu]``, as far as they count."""
        mac = self._work.mac(stay[..., : self._units]).astype(np.float64)
        return mac if self._stakes is None else mac * self._stakes.weight(wins, stay)


def thresholds(box: Box) -> Array:
    """The float32 numbers at the inner `THRESHOLDS` of each side ``[n_in, THRESHOLDS − 1]``."""
    width = box.upper.astype(np.float64) - box.lower
    grid = box.lower[:, None] + np.arange(1, THRESHOLDS) / THRESHOLDS * width[:, None]
    return grid.astype(np.float32).astype(np.float64)


@dataclass(frozen=True, slots=True)
class BestCuts:
    """The best cut of a cell, for worker processes: what is the same for all cells."""

    parent: bytes
    seed: int
    decision: Decision | None = None

    def __call__(self, box: Box, shares: Array | None) -> Cut | None:
        """See `Cutter.best`."""
        return _cutter(self.parent, self.seed, self.decision).best(box, shares)


@lru_cache(maxsize=1)
def _cutter(parent: bytes, seed: int, decision: Decision | None) -> Cutter:
    """The cutter of this process."""
    return Cutter(Network(read_network(parent)), seed, decision)
