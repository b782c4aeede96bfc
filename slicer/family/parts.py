"""Points of a cell, in shares of its sides, and the parts below and above each threshold to which they belong."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

POINTS = 512
THRESHOLDS = 8  # equal parts of a side between which thresholds may lie


class Parts:
    """The same points in all cells.

    Attributes
    ----------
    points:
        In shares of the sides ``[POINTS, n_in]``.
    split:
        Which thresholds have points on both sides ``[n_in, k]``.
    """

    def __init__(self, inputs: int, seed: int) -> None:
        self.points = np.random.default_rng(seed).random((POINTS, inputs))
        parts = np.floor(THRESHOLDS * self.points).astype(np.int64)
        self._order = np.argsort(parts, axis=0, kind="stable")
        # Of each input: the first point of every part, in that order.
        self._first = np.array([np.searchsorted(np.sort(part), np.arange(THRESHOLDS)) for part in parts.T])
        self.split = (self._first[:, 1:] > 0) & (self._first[:, 1:] < POINTS)

    def sides(self, axis: int, threshold: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The points below and above a threshold."""
        below, above = np.split(self._order[:, axis], [self._first[axis, threshold + 1]])
        return below, above

    def gathered(self, values: Array, gather: np.ufunc, nothing: float) -> Array:
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
