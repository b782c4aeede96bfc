"""In which quads the C computes the units of a dense layer, and which it leaves out: ``netslicer_append_units``."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

QUAD = 4  # units
MOST_QUADS = 7  # in one pass over the source: their sums stay in registers


def padded(width: int) -> int:
    """Units in whole quads."""
    return -(-width // QUAD) * QUAD


def computed_units(live: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Units ``[n_sets]`` that are computed for sets of live units ``[n_sets, width]``, those that fill up included.

    A pass begins with a quad that has a live unit, and ends with the last such of at most `MOST_QUADS`.
    """
    width = padded(live.shape[1])
    units = np.pad(live, ((0, 0), (0, width - live.shape[1]))).reshape(len(live), -1, QUAD)
    quads = np.asarray(units.any(axis=2))
    ends, total = np.zeros(len(live), np.int64), np.zeros(len(live), np.int64)
    for first in range(quads.shape[1]):
        begins = quads[:, first] & (first >= ends)
        window = quads[:, first : first + MOST_QUADS]
        lengths = window.shape[1] - window[:, ::-1].argmax(axis=1)
        ends[begins] = first + lengths[begins]
        total[begins] += QUAD * lengths[begins]
    return total
