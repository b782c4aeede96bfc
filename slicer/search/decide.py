"""Search of one cell in mode ``decision``: first whether one output wins everywhere, else as in mode ``bitwise``.

Where one output wins there is nothing left to compute.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from slicer.bounds.linear import Prepared
from slicer.box import Box
from slicer.search.advised import Adviser
from slicer.search.attempt import SOLE, attempt
from slicer.search.cell import CellSearch, search_cell
from slicer.search.contest import Contest
from slicer.search.falsify import sample_extremes


def decide_cell(
    prepared: Prepared,
    contest: Contest,
    box: Box,
    effort: int,
    rng: np.random.Generator,
    stopped: Callable[[], bool] = lambda: False,
    *,
    adviser: Adviser | None = None,
    attempts: bool = True,
) -> CellSearch:
    """Look for one output that wins on the whole box; if there is none, for outputs that lose and inactive units.

    ``prepared`` is the network with its margins. For the second question at most ``effort`` boxes are bounded, for the
    first a few times more (`slicer.search.attempt`), and none without ``attempts``.
    """
    extremes = sample_extremes(prepared, box, rng)
    wanted, only = contest.wanted(extremes.largest)
    spent = 0
    if attempts and only is not None:
        won, spent = attempt(prepared, box, SOLE * effort, rng, stopped, known=(extremes, wanted))
        if won is not None:
            return won
        wanted, _ = contest.wanted(extremes.largest)  # climbing may have shown that another one wins somewhere
    wanted[: contest.own] = True
    rest = search_cell(prepared, box, effort, rng, stopped, adviser=adviser, known=(extremes, wanted))
    return replace(rest, boxes=rest.boxes + spent)
