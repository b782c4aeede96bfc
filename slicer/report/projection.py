"""Cells seen along all inputs but one or two: the mean work at every place, over everything that cannot be seen.

A cell covers a rectangle of the picture; at each place several cells lie behind one another, which share the hidden
inputs among them. The mean weighs them by these shares, so it is the expected work of an input drawn uniformly there.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slicer.report.record import CellRecord, Contents, InputRecord

MAX_BINS = 64  # per axis; above that, bins no longer end where cells do
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Projection:
    """Borders of the bins of each axis, and the mean work of each bin in parts of the parent's.

    ``work`` is ``[n_0][n_1]``; over a single axis ``[n_0][1]``. ``exact`` tells whether bins end where cells do.
    """

    axes: tuple[int, ...]
    borders: tuple[list[float], ...]
    work: list[list[float]]
    exact: bool

    @property
    def extremes(self) -> tuple[float, float]:
        """Least and largest work."""
        flat = [value for row in self.work for value in row]
        return min(flat), max(flat)


def views(contents: Contents) -> list[tuple[int, ...]]:
    """What to draw: every pair of the three most-cut inputs, or the only one that is cut; nothing for a single cell."""
    inputs = contents.inputs
    cut = [axis for axis, entry in enumerate(inputs) if entry.cuts]
    axes = sorted(sorted(cut, key=lambda axis: (-round(inputs[axis].cuts_mean, 9), axis))[:3])
    return list(itertools.combinations(axes, 2)) if len(axes) > 1 else [tuple(axes)] if axes else []


def project(contents: Contents, axes: Sequence[int]) -> Projection:
    """Mean multiply-accumulates over one or two inputs that are cut."""
    ranges = [_ranges(contents.cells, axis, contents.inputs[axis]) for axis in axes]
    borders = [_borders(bounds) for bounds in ranges]
    covered = [_covered(bounds, border) for bounds, border in zip(ranges, borders, strict=True)]
    second = covered[1] if len(axes) > 1 else np.ones((len(contents.cells), 1))
    hidden = np.array([cell.share for cell in contents.cells])
    for axis, bounds in zip(axes, ranges, strict=True):
        part = (bounds[:, 1] - bounds[:, 0]) / (contents.inputs[axis].upper - contents.inputs[axis].lower)
        hidden = np.divide(hidden, part, out=np.zeros_like(hidden), where=part > 0)
    mac = np.array([contents.members[cell.member].cost.mac for cell in contents.cells]) / max(contents.parent.mac, 1)
    volume, work = (covered[0] * weight[:, None] for weight in (hidden, hidden * mac))
    exact = all(np.isin(bounds, border).all() for bounds, border in zip(ranges, borders, strict=True))
    mean = (work.T @ second) / (volume.T @ second)
    return Projection(tuple(axes), tuple(border.tolist() for border in borders), mean.tolist(), exact)


def _ranges(cells: Sequence[CellRecord], axis: int, whole: InputRecord) -> Array:
    """Every cell's lower and upper bound of one input, ``[n_cells, 2]``."""
    return np.array(
        [
            next(((lower, upper) for cut, lower, upper in cell.box if cut == axis), (whole.lower, whole.upper))
            for cell in cells
        ]
    )


def _borders(bounds: Array) -> Array:
    """Where cells begin and end; evenly spaced if that is too often."""
    borders = np.unique(bounds)
    return borders if len(borders) <= MAX_BINS + 1 else np.linspace(borders[0], borders[-1], MAX_BINS + 1)


def _covered(bounds: Array, borders: Array) -> Array:
    """Which part of each bin each cell covers, ``[n_cells, n_bins]``."""
    common = np.minimum(bounds[:, 1:], borders[1:]) - np.maximum(bounds[:, :1], borders[:-1])
    return np.asarray(np.clip(common, 0, None) / np.diff(borders))
