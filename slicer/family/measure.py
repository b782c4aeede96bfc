"""The cell measure: how likely inputs fall into a cell. By volume, or by the share of the user's samples.

Invariant: a sample belongs to the cell that the routing tree sends it to (``x[axis] <= threshold`` goes low), so the
measures of a partition's cells sum to one, and an expectation by samples is the mean over the samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dispatcher.errors import UnusableInput
from dispatcher.inputs import as_points, place
from dispatcher.literal import short_text
from dispatcher.plan import Tree
from dispatcher.points import read_table
from dispatcher.route import Router
from dispatcher.tree import cell_shares
from slicer.box import Box
from slicer.family.cuts import thresholds
from slicer.family.parts import THRESHOLDS

Samples = NDArray[np.float32]
Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class Part:
    """What the measure knows of a cell.

    Attributes
    ----------
    measure:
        The cell's; by samples a cell without any has 0.
    volume:
        Its share of the domain's.
    samples:
        Those in the cell ``[m, n_in]``; None to measure by volume.
    """

    measure: float
    volume: float
    samples: Samples | None

    def shares(self, box: Box) -> Array | None:
        """Shares of the measure at or below the inner thresholds ``[n_in, k]``; None for those of the volume."""
        if self.samples is None or not len(self.samples):
            return None
        grid = thresholds(box)
        below = [np.searchsorted(np.sort(self.samples[:, axis]), grid[axis], "right") for axis in range(len(grid))]
        return np.array(below, np.float64).reshape(-1, THRESHOLDS - 1) / len(self.samples)

    def cut(self, box: Box, axis: int, threshold: float) -> tuple[Part, Part]:
        """What it knows of the cell's low and high part."""
        low = (threshold - float(box.lower[axis])) / (float(box.upper[axis]) - float(box.lower[axis]))
        volumes = low * self.volume, (1 - low) * self.volume
        if self.samples is None:
            return Part(volumes[0], volumes[0], None), Part(volumes[1], volumes[1], None)
        below = self.samples[:, axis] <= threshold
        share = self.measure * float(below.mean()) if len(below) else 0.0
        return (
            Part(share, volumes[0], self.samples[below]),
            Part(self.measure - share, volumes[1], self.samples[~below]),
        )


def read_samples(path: Path, domain: Box) -> Samples:
    """Samples of inputs from a ``.csv`` or ``.npy`` file ``[m, n_in]``, all of them in the domain.

    Raises
    ------
    UnusableInput
        If the file is no table of numbers with a column per input, is empty, or a number is outside the domain.
    """
    table = read_table(path)
    if table.ndim != 2 or not len(table):
        raise UnusableInput(f"expected rows of samples, got an array of shape {list(table.shape)}", where=str(path))
    try:
        samples = as_points(table, domain.dimension)
    except UnusableInput as error:
        raise UnusableInput(f"{error.what} ({error.where})", where=str(path)) from error
    beyond = np.argwhere((samples < domain.lower) | (samples > domain.upper))
    if len(beyond):
        row, axis = beyond[0]
        bounds = f"{short_text(domain.lower[axis])} to {short_text(domain.upper[axis])}"
        raise UnusableInput(
            f"expected samples of the domain, from {bounds}, got {short_text(samples[row, axis])} ({place(row, axis)})",
            where=str(path),
        )
    return samples


def cell_measures(tree: Tree, domain: Box, samples: Samples | None) -> Array:
    """The measure of every cell of a routing tree over a domain ``[n_cells]``."""
    volumes = cell_shares(tree, domain.lower, domain.upper)
    return volumes if samples is None else np.bincount(Router(tree)(samples), minlength=len(volumes)) / len(samples)
