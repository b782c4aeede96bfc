"""Search of one cell in mode ``decision``: first whether one output wins everywhere, else as in mode ``bitwise``.

Where one output wins there is nothing left to compute, so that this is worth `SOLE` times the effort of all else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from slicer.bounds.linear import Prepared
from slicer.box import Box
from slicer.search.advised import Adviser
from slicer.search.branch import Search
from slicer.search.cell import CellSearch, conclude, search_cell
from slicer.search.contest import Contest
from slicer.search.falsify import sample_extremes
from slicer.search.verdict import EFFORT

SOLE = 4


def decide_cell(
    prepared: Prepared,
    contest: Contest,
    box: Box,
    effort: int,
    rng: np.random.Generator,
    stopped: Callable[[], bool] = lambda: False,
    *,
    adviser: Adviser | None = None,
) -> CellSearch:
    """Look for one output that wins on the whole box; if there is none, for outputs that lose and inactive units.

    ``prepared`` is the network with its margins. At most `SOLE` times ``effort`` boxes are bounded for the first
    question, ``effort`` for the second.
    """
    extremes = sample_extremes(prepared, box, rng)
    wanted, only = contest.wanted(extremes.largest)
    spent = 0
    if only is not None:
        search = Search(prepared, box, extremes, wanted)
        search.climb(box, rng)
        candidates = search.target.copy()
        search.run(SOLE * effort, lambda: stopped() or not search.target[wanted].all())
        if search.target[wanted].all() and not search.open_candidates().any():
            return conclude(search, candidates, EFFORT)
        spent = search.boxes
        wanted, _ = contest.wanted(extremes.largest)  # climbing may have shown that another one wins somewhere
    wanted[: contest.own] = True
    rest = search_cell(prepared, box, effort, rng, stopped, adviser=adviser, known=(extremes, wanted))
    return replace(rest, boxes=rest.boxes + spent)
