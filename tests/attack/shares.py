"""`Shares`: how much of its bounds each cell was seen to use, in mode ``epsilon``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Shares:
    """The largest difference of any output in each cell, as a share of that output's bound.

    Attributes
    ----------
    values:
        The shares, float64 ``[n_cells]``; 0 where no difference was seen, inf for one in a cell that allows none.
    points:
        The first inputs at which they were seen, ``[n_cells, n_in]``; NaN where there is none.
    """

    values: np.ndarray
    points: np.ndarray

    @property
    def largest(self) -> float:
        """Of all cells."""
        return float(self.values.max())

    def __or__(self, other: Shares) -> Shares:
        more = other.values > self.values
        return Shares(np.where(more, other.values, self.values), np.where(more[:, None], other.points, self.points))


def no_shares(cells: int, n_in: int) -> Shares:
    """Of no points."""
    return Shares(np.zeros(cells), np.full((cells, n_in), np.nan, np.float32))


def largest_shares(cells: int, routed: np.ndarray, values: np.ndarray, points: np.ndarray) -> Shares:
    """The largest of shares ``[m]`` at points ``[m, n_in]`` in each of the cells ``[m]`` to which they are routed."""
    found = no_shares(cells, points.shape[1])
    order = np.lexsort((-np.arange(len(values)), values))  # the first of the largest comes last, and is what stays
    order = order[values[order] > 0]
    found.values[routed[order]], found.points[routed[order]] = values[order], points[order]
    return found
