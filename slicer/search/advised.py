"""A solver's advice on candidates that the search left open: witnesses refute them, hints say where more search pays.

Nothing that a solver says proves anything. Its witness counts once eval32 has confirmed it; its word that none exists
buys the candidate another search of the same effort, and what that does not prove stays open and is kept.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dispatcher.errors import UnusableInput
from slicer.bounds.linear import Prepared
from slicer.box import Box
from slicer.search.branch import Search
from slicer.search.solvers.advice import Advice, Hint
from slicer.search.solvers.child import Limit
from slicer.search.solvers.encode import encode
from slicer.search.solvers.query import Encoding
from slicer.search.verdict import Refuted

Ask = Callable[[Prepared, Encoding, int, int, Limit], Advice]


@dataclass(frozen=True, slots=True)
class Adviser:
    """Whom to ask about a unit, how many seconds a question may take on the clock, and when the last one must end."""

    ask: Ask
    seconds: float
    end: float = math.inf


def advise(search: Search, box: Box, adviser: Adviser, effort: int, stopped: Callable[[], bool]) -> NDArray[np.bool_]:
    """Ask about every open candidate, drop the refuted ones, and search on for those said to keep their phase.

    Returns
    -------
    Which units the adviser says keep the phase that is hoped for ``[n_relu]``.
    """
    hinted = np.zeros(search.prepared.relu_units, bool)
    try:
        encoding = encode(search.prepared, box, _proved(search))
    except UnusableInput:
        return hinted  # nothing to ask about: what is open stays open
    for unit in np.flatnonzero(search.open_candidates()):
        if stopped():
            break
        if not search.target[unit]:
            continue  # refuted by another's witness a moment ago
        limit = Limit(min(adviser.seconds, adviser.end - time.time()))
        verdict = adviser.ask(search.prepared, encoding, int(unit), int(search.target[unit]), limit).verdict
        if isinstance(verdict, Refuted):
            search.refute(verdict.witness[None].astype(np.float64))
        hinted[unit] = isinstance(verdict, Hint)
    search.run(search.boxes + effort, stopped, hinted)
    return hinted


def _proved(search: Search) -> NDArray[np.int8]:
    """Units proved inactive on the whole cell as facts ``[n_relu]``."""
    return np.where(search.tree.closed_everywhere(search.prepared.relu_units), -1, 0).astype(np.int8)
