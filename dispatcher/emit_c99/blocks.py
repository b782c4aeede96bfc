"""In which blocks the C computes the units of a dense layer, and which it leaves out: ``netslicer_append_units``."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

WIDEST = 16


def blocks(width: int) -> Iterator[tuple[int, int]]:
    """First unit and number of units of each block: sixteens, then at most one of eight, four, two and one."""
    first = 0
    while first < width:
        size = min(WIDEST, 1 << ((width - first).bit_length() - 1))
        yield first, size
        first += size


def computed_units(live: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Units ``[n_sets]`` in blocks with a live unit, for sets of live units ``[n_sets, width]``.

    A block of sixteen counts as two of eight if one of them has no live unit.
    """
    total = np.zeros(len(live), np.int64)
    for first, size in blocks(live.shape[1]):
        part = min(size, WIDEST // 2)
        for start in range(first, first + size, part):
            total += part * live[:, start : start + part].any(axis=1)
    return total
