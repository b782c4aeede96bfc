"""One attempt to prove that some units are inactive on a whole box, given up as soon as one of them is not.

For claims after which nothing of the network is left to compute in a cell: they are worth `SOLE` times the effort that
is spent on all of its units. And for readouts, that leave less of it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from slicer.bounds.linear import Prepared
from slicer.box import Box
from slicer.search.branch import Search
from slicer.search.cell import CellSearch, conclude
from slicer.search.falsify import Extremes
from slicer.search.verdict import EFFORT

SOLE = 8


def attempt(
    prepared: Prepared,
    box: Box,
    boxes: int,
    rng: np.random.Generator,
    stopped: Callable[[], bool],
    *,
    known: tuple[Extremes, NDArray[np.bool_]],
    also: NDArray[np.bool_] | None = None,
) -> tuple[CellSearch | None, int]:
    """The proof that all wanted units are inactive, or None; and the boxes spent, at most ``boxes``.

    ``known`` are what points showed already, and which units are wanted ``[n_relu]``. Once those are proved, up to as
    many boxes again are spent on the units that the proof should cover ``also``, as far as it can.
    """
    extremes, wanted = known
    search = Search(prepared, box, extremes, wanted if also is None else wanted | also)
    search.climb(box, rng)
    candidates = search.target.copy()
    search.run(boxes, lambda: stopped() or not (search.target[wanted] < 0).all(), wanted)
    if not (search.target[wanted] < 0).all() or search.open_candidates()[wanted].any():
        return None, search.boxes
    search.run(search.boxes + boxes, stopped)
    return conclude(search, candidates, EFFORT), search.boxes
