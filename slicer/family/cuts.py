"""The best cut of a cell: what each would gain in expected multiply-accumulates, estimated without a search.

Invariant: the estimate is a pure function of network, cell, seed and shares, a handful of small matrix products and 17
bounded boxes at most; it decides where to cut and nothing else.

A unit is expected to stay in a box unless its linear bound is below zero, or comes below zero by a search as long as
the default one. That is so, by experience, if the largest value seen at some points is below zero by `MARGIN` of the
gap between bound and largest value. Every input is tried at `THRESHOLDS` by the points and by the gaps of the whole
cell; the `FINALISTS` best are compared by the bounds of both their parts.

In modes other than ``bitwise`` work counts as `slicer.family.stakes` says, from the outputs at the points and from
bounds of further units, which follow the network's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from dispatcher.files import read_network
from slicer.bounds.linear import Prepared
from slicer.bounds.reference import Bounds, bound_boxes
from slicer.box import Box
from slicer.family.claim import BITWISE, Claim
from slicer.family.parts import THRESHOLDS, Parts
from slicer.family.stakes import stakes
from slicer.family.work import Work
from slicer.network import Network
from slicer.search.evaluate import evaluate, pre_activations

Array = NDArray[np.float64]
Cell = tuple[Box, Array | None]  # and the shares of its measure at its thresholds (see `Cutter.best`)

FINALISTS = 8
MARGIN = 0.2


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
    known:
        What their `slicer.family.stakes` know of these parts ``[k, 2, s]``.
    """

    axis: NDArray[np.int64]
    threshold: Array
    share: Array
    largest: Array
    known: Array

    def select(self, chosen: NDArray[np.int64]) -> _Candidates:
        """Some of them."""
        return _Candidates(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))


class Cutter:
    """A network prepared for choosing cuts."""

    def __init__(self, network: Network, seed: int, claim: Claim = BITWISE) -> None:
        self._outputs, self._units = len(network.layers) - 1, network.relu_units
        self._work = Work(network)
        self._parts = Parts(network.n_in, seed)
        self._stakes = stakes(claim, network.n_out, self._parts)
        self._prepared = Prepared(self._stakes.extended(network))

    def best(self, box: Box, shares: Array | None = None) -> Cut | None:
        """The cut with the largest gain, the first of equals; None if none is a gain.

        ``shares`` are those of the cell's measure at or below the inner `THRESHOLDS` of each input, ``[n_in, k]``; by
        None it is the volume.
        """
        lower, upper = box.lower.astype(np.float64), box.upper.astype(np.float64)
        values, outputs = self._values(lower, upper)
        bounds = bound_boxes(self._prepared, lower[None], upper[None], np.zeros((1, values.shape[1]), np.int8))
        largest, bound = values.max(axis=0), pre_activations(self._prepared, bounds.upper)[0]
        whole = float(self._mac(largest, bound, np.maximum(bound - largest, 0), self._stakes.whole(outputs)))
        candidates = self._candidates(box, values, outputs, shares)
        if not len(candidates.axis):
            return None
        gap = np.maximum(bound - largest, 0)
        gains = whole - self._expected(candidates, bound, gap)
        candidates = candidates.select(np.argsort(-gains, kind="stable")[:FINALISTS])
        bound = self._bound_of_parts(candidates, bounds)
        gains = whole - self._expected(candidates, bound, np.maximum(bound - candidates.largest, 0))
        best = int(gains.argmax())
        if not gains[best] > 0:
            return None
        return Cut(int(candidates.axis[best]), float(candidates.threshold[best]), float(gains[best]))

    def _values(self, lower: Array, upper: Array) -> tuple[Array, Array]:
        """Pre-activations ``[POINTS, n_relu]`` and outputs ``[POINTS, n_out]`` at the points."""
        values = evaluate(self._prepared, lower + self._parts.points * (upper - lower))
        return pre_activations(self._prepared, values), values[self._outputs]

    def _candidates(self, box: Box, values: Array, outputs: Array, shares: Array | None) -> _Candidates:
        """All cuts that have points and float32 numbers on both sides."""
        grid = thresholds(box)  # [n_in, k]
        inside = (grid > box.lower[:, None]) & (grid < box.upper[:, None])
        inside &= self._parts.split
        axis, part = np.nonzero(inside)
        width = box.upper.astype(np.float64) - box.lower
        threshold = grid[axis, part]
        share = (threshold - box.lower[axis]) / width[axis] if shares is None else shares[axis, part]
        largest = self._parts.gathered(values, np.maximum, -np.inf)[axis, part]
        known = self._stakes.parts(outputs)
        known = np.broadcast_to(known, (*inside.shape, 2, known.shape[-1]))
        return _Candidates(axis, threshold, share, largest, known[axis, part])

    def _bound_of_parts(self, candidates: _Candidates, whole: Bounds) -> Array:
        """Upper bounds of the units in both parts ``[k, 2, n_relu]``; ``whole`` are the cell's."""
        count = len(candidates.axis)
        lowers, uppers = np.tile(whole.lower[0], (count, 2, 1)), np.tile(whole.upper[0], (count, 2, 1))
        rows = np.arange(count)
        uppers[rows, 0, candidates.axis] = lowers[rows, 1, candidates.axis] = candidates.threshold
        corners = lowers.reshape(2 * count, -1), uppers.reshape(2 * count, -1)
        bounds = bound_boxes(self._prepared, *corners, np.repeat(whole.proved, 2 * count, axis=0))
        return pre_activations(self._prepared, bounds.upper).reshape(count, 2, -1)

    def _expected(self, candidates: _Candidates, bound: Array, gap: Array) -> Array:
        """Expected multiply-accumulates of both parts ``[k]``, with upper bounds and their gaps ``[…, n_relu]``."""
        mac = self._mac(candidates.largest, bound, gap, candidates.known)
        return np.asarray(candidates.share * mac[:, 0] + (1 - candidates.share) * mac[:, 1])

    def _mac(self, largest: Array, bound: Array, gap: Array, known: Array) -> Array:
        """Multiply-accumulates ``[…]`` as far as they count.

        From the units' largest values seen, upper bounds and gaps between them ``[…, n_relu]``.
        """
        stay = ((largest > -MARGIN * gap) & (bound > 0))[..., : self._units]
        gap = np.broadcast_to(gap, largest.shape)
        weight = self._stakes.weight(known, largest[..., self._units :], gap[..., self._units :])
        return np.asarray(self._work.mac(stay) * weight)


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
    claim: Claim = BITWISE

    def __call__(self, box: Box, shares: Array | None) -> Cut | None:
        """See `Cutter.best`."""
        return _cutter(self.parent, self.seed, self.claim).best(box, shares)


@lru_cache(maxsize=1)
def _cutter(parent: bytes, seed: int, claim: Claim) -> Cutter:
    """The cutter of this process."""
    return Cutter(Network(read_network(parent)), seed, claim)
