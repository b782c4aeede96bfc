"""What work in a part of a cell is expected to count: nothing where a claim leaves nothing to compute.

In mode ``decision`` that is where one output always wins, in mode ``epsilon`` where an affine function is near enough.
Elsewhere it counts in part, if few more cuts may leave most of the part without work. In mode ``bitwise`` all counts.
"""

from __future__ import annotations

import itertools
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dispatcher.layers import Relu
from dispatcher.plan import Decision
from slicer.family.claim import Claim
from slicer.family.parts import POINTS, THRESHOLDS, Parts
from slicer.network import Network
from slicer.search.contest import with_margins
from slicer.search.readout import ROOM

Array = NDArray[np.float64]

# An output's bound is expected to be brought below zero if that takes no more than this share of the gap between bound
# and value. By experience proofs reach much farther in some networks (on ACAS Xu 85 of 88 cells were decided with 500
# boxes where the margin is 2^-13 of the gap), not in all. Multiply-accumulates of 256 cells at effort 200, by 2^-2 and
# by 2^-12: deciding, ACAS Xu 1_1 6,364 and 6,125, collision avoidance 2,072 and 3,316; at 1 % ACAS Xu 6,224 and 6,311.
PROVABLE = 2.0**-2


class Stakes(Protocol):
    """How outputs at points become what work counts."""

    def extended(self, network: Network) -> Network:
        """The network, with further units whose bounds matter."""

    def parts(self, outputs: Array) -> Array:
        """What is known below and above each threshold ``[n_in, k, 2, s]``, from outputs ``[POINTS, n_out]``."""

    def whole(self, outputs: Array) -> Array:
        """The same of all points ``[s]``."""

    def weight(self, known: Array, largest: Array, gap: Array) -> Array:
        """What work counts ``[…]``.

        From what is known ``[…, s]``, and the further units' largest values and their gaps to the bounds ``[…, m]``.
        """


def stakes(claim: Claim, outputs: int, parts: Parts) -> Stakes:
    """What is at stake for a claim."""
    if claim.decision is not None:
        return Winners(claim.decision, outputs, parts)
    return Everything() if claim.epsilon is None else Nearness(np.array(claim.epsilon), parts)


class Everything:
    """All work counts."""

    def extended(self, network: Network) -> Network:
        """The network."""
        return network

    def parts(self, outputs: Array) -> Array:
        """Nothing has to be known."""
        return np.zeros((1, 1, 1, 0), outputs.dtype)

    def whole(self, outputs: Array) -> Array:
        """Nothing has to be known."""
        return np.zeros(0, outputs.dtype)

    def weight(self, known: Array, largest: Array, gap: Array) -> Array:
        """One."""
        assert largest.shape == gap.shape
        return np.ones(largest.shape[:-1], known.dtype)


class Winners:
    """How often each output wins. A part counts nothing if one does at all points, and its margins will be proved."""

    def __init__(self, decision: Decision, outputs: int, parts: Parts) -> None:
        self._decision, self._outputs, self._parts = decision, outputs, parts

    def extended(self, network: Network) -> Network:
        """With margins."""
        return with_margins(network, self._decision)

    def parts(self, outputs: Array) -> Array:
        """Counts ``[n_in, k, 2, n_out]``."""
        return self._parts.gathered(self._wins(outputs), np.add, 0)

    def whole(self, outputs: Array) -> Array:
        """Counts ``[n_out]``."""
        return np.asarray(self._wins(outputs).sum(axis=0))

    def weight(self, known: Array, largest: Array, gap: Array) -> Array:
        """The more often another output than the most frequent one wins, the more counts, half at least.

        (If all counts: 6,371 instead of 6,125 multiply-accumulates with 256 cells of ACAS Xu 1_1, by 2^-12.)
        """
        n, open_units = self._outputs, (largest > -PROVABLE * gap) & (largest + gap > 0)
        others = 1 - known.max(axis=-1) / known.sum(axis=-1)
        against = known.argmax(axis=-1)[..., None]
        margins = open_units.reshape(*open_units.shape[:-1], n, n)
        unproved = np.take_along_axis(margins, against[..., None], axis=-1)[..., 0] & (np.arange(n) != against)
        return np.where((others > 0) | unproved.any(axis=-1), (1 + np.sqrt(others)) / 2, 0.0)

    def _wins(self, outputs: Array) -> Array:
        """1 where an output wins, else 0 ``[POINTS, n_out]``."""
        best = outputs.argmax(axis=1) if self._decision == "argmax" else outputs.argmin(axis=1)
        result = np.zeros(outputs.shape)
        result[np.arange(len(outputs)), best] = 1
        return result


class Nearness:
    """How many times its bound an affine least-squares fit misses, at most over points and outputs."""

    def __init__(self, epsilon: Array, parts: Parts) -> None:
        self._epsilon, self._split = np.maximum(epsilon, np.finfo(np.float64).tiny), parts.split
        columns = np.concatenate([parts.points, np.ones((POINTS, 1))], axis=1)
        places = itertools.product(range(len(parts.split)), range(THRESHOLDS - 1))
        # Of each part: its points, and an orthonormal basis of the affine functions on them.
        self._bases = {
            (*place, side): (rows, np.linalg.qr(columns[rows])[0])
            for place in places
            if parts.split[place]
            for side, rows in enumerate(parts.sides(*place))
        }
        self._whole = np.arange(POINTS), np.linalg.qr(columns)[0]

    def extended(self, network: Network) -> Network:
        """With bounds of the outputs."""
        return Network((*network.layers, Relu(len(network.layers) - 1, network.n_out, "outputs")))

    def parts(self, outputs: Array) -> Array:
        """The multiples ``[n_in, k, 2, 1]``; infinite where there are no points."""
        result = np.full((*self._split.shape, 2, 1), np.inf)
        for place, basis in self._bases.items():
            result[place] = self._multiple(outputs, *basis)
        return result

    def whole(self, outputs: Array) -> Array:
        """The multiple ``[1]``."""
        return np.array([self._multiple(outputs, *self._whole)])

    def weight(self, known: Array, largest: Array, gap: Array) -> Array:
        """Nothing if the fit is within `ROOM` of the bound and that can be proved; else all.

        (Counting work less where a fit is near leads to more work: 6,409 instead of 6,311 multiply-accumulates for an
        eighth less, 7,287 for half, with 256 cells of ACAS Xu 1_1 at 1 % of the outputs' ranges, by 2^-12.)
        """
        assert largest.shape == gap.shape
        unproved = ((1 - ROOM) * self._epsilon < PROVABLE * gap).any(axis=-1)
        return np.where((known[..., 0] > ROOM) | unproved, 1.0, 0.0)

    def _multiple(self, outputs: Array, rows: NDArray[np.int64], basis: Array) -> float:
        """Half of the residual's range, in bounds. Few points say little: they are as far off as the whole."""
        if len(rows) <= 2 * basis.shape[1]:
            return float("inf")
        own = outputs[rows]
        left = own - basis @ (basis.T @ own)
        return float(((left.max(axis=0) - left.min(axis=0)) / 2 / self._epsilon).max())
