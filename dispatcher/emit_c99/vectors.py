"""Test vectors of a package: inputs that reach cells and borders, and what the reference interpreter says to them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dispatcher.plan import Family, Split
from dispatcher.route import Router
from dispatcher.runtime import Dispatcher
from dispatcher.vectors import covering_points

MOST_BYTES = 1 << 16  # of all vectors, which a self-test keeps in flash
_CELL = 4
_FLOAT = 4


@dataclass(frozen=True, eq=False)
class Vectors:
    """Vectors of one family.

    Attributes
    ----------
    inputs, outputs:
        Float32 ``[n, n_in]`` and ``[n, n_out]``, all finite; the outputs are those of the member's declared evaluation.
    cells:
        Cells ``[n]``.
    sides:
        How many of the sides of borders are reached by a number on the threshold or one ulp above it.
    """

    inputs: NDArray[np.float32]
    outputs: NDArray[np.float32]
    cells: NDArray[np.int64]
    sides: int

    @property
    def nbytes(self) -> int:
        """What they occupy in flash."""
        return int(self.inputs.nbytes + self.outputs.nbytes) + _CELL * len(self.cells)


def package_vectors(family: Family) -> Vectors:
    """Vectors for every cell and both sides of every border, or as many as fit `MOST_BYTES` (one at the least)."""
    width = _FLOAT * (family.parent[0].width + family.parent[-1].width) + _CELL
    inputs = covering_points(family, max(1, MOST_BYTES // width), np.random.default_rng(0))
    outputs = Dispatcher(family).predict(inputs)
    finite = np.isfinite(outputs).all(axis=1)  # a sum may overflow; C has no constants for infinity and NaN
    inputs = inputs[finite]
    return Vectors(inputs, outputs[finite], Router(family.tree)(inputs), _sides_reached(family, inputs))


def _sides_reached(family: Family, inputs: NDArray[np.float32]) -> int:
    """How many sides of borders the inputs reach, among twice as many as there are borders."""
    reached = 0
    pending = [(0, np.arange(len(inputs)))]
    while pending:
        position, rows = pending.pop()
        node = family.tree[position]
        if isinstance(node, Split):
            numbers, threshold = inputs[rows, node.axis], np.float32(node.threshold)
            above = np.nextafter(threshold, np.float32(np.inf))
            reached += int((numbers == threshold).any()) + int((numbers == above).any())
            low = numbers <= threshold
            pending += [(node.low, rows[low]), (node.high, rows[~low])]
    return reached
