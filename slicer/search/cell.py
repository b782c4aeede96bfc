"""Search of one cell: candidates by falsification, proofs and refutations by branch and bound, a verdict for each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dispatcher.interpret import evaluate_all
from slicer.bounds.linear import Prepared
from slicer.box import Box
from slicer.search.advised import Adviser, advise
from slicer.search.branch import Search
from slicer.search.falsify import Extremes, sample_extremes
from slicer.search.tree import ProofTree
from slicer.search.verdict import EFFORT, TIME, UNCONFIRMED, Open, Proved, Refuted, Verdict


@dataclass(frozen=True, eq=False)
class CellSearch:
    """Result of a search.

    Attributes
    ----------
    tree:
        The proof tree; it proves every unit of ``inactive``.
    inactive:
        Flat numbers of the units closed inactive on the whole cell.
    verdicts:
        One per candidate: a unit whose phase never changed over the falsifier's points.
    boxes:
        Work units spent.
    phases:
        Phase hoped for at first, by ReLU unit ``[n_relu]``: −1, +1, or 0 for no candidate.
    hinted:
        Flat numbers of open candidates that the adviser, if there is one, calls inactive: a solver's word, no proof.
    """

    tree: ProofTree
    inactive: NDArray[np.int64]
    verdicts: dict[int, Verdict]
    boxes: int
    phases: NDArray[np.int8]
    hinted: NDArray[np.int64]


def search_cell(
    prepared: Prepared,
    box: Box,
    effort: int,
    rng: np.random.Generator,
    stopped: Callable[[], bool] = lambda: False,
    *,
    adviser: Adviser | None = None,
    strategy: type[Search] = Search,
    known: tuple[Extremes, NDArray[np.bool_]] | None = None,
) -> CellSearch:
    """Look for units that are inactive on the box, spending at most ``effort`` bounded boxes (at least one).

    With an adviser it is asked about what stays open, and up to ``effort`` boxes more are spent on its hints. ``known``
    are what points showed already, and which units may be candidates ``[n_relu]`` (None: no points yet, and all).
    """
    extremes, wanted = known or (sample_extremes(prepared, box, rng), None)
    search = strategy(prepared, box, extremes, wanted)
    search.climb(box, rng)
    candidates = search.target.copy()
    search.run(effort, stopped)
    hinted = np.zeros(prepared.relu_units, bool)
    if adviser is not None:
        hinted = advise(search, box, adviser, effort, stopped)
    hinted &= search.open_candidates() & (search.target < 0)
    return conclude(search, candidates, TIME if stopped() else EFFORT, hinted)


def conclude(
    search: Search, candidates: NDArray[np.int8], reason: str, hinted: NDArray[np.bool_] | None = None
) -> CellSearch:
    """What a search found about its first ``candidates``; ``reason`` is why those stay open that do."""
    prepared, word = search.prepared, np.zeros(0, np.int64)
    inactive = np.flatnonzero(search.tree.closed_everywhere(prepared.relu_units))
    if hinted is not None:
        word = np.setdiff1d(np.flatnonzero(hinted), inactive)
    verdicts = _verdicts(prepared, search, candidates, reason)
    return CellSearch(search.tree, inactive, verdicts, search.boxes, candidates, word)


def _verdicts(prepared: Prepared, search: Search, candidates: NDArray[np.int8], reason: str) -> dict[int, Verdict]:
    """Proved, refuted or open, per candidate."""
    unproved = search.open_candidates()
    refuted = np.flatnonzero((candidates != 0) & (search.target != candidates))
    verdicts: dict[int, Verdict] = {}
    for unit in np.flatnonzero((candidates != 0) & (search.target == candidates)):
        verdicts[int(unit)] = Open(reason) if unproved[unit] else Proved(int(candidates[unit]))
    return verdicts | _confirmed(prepared, search, candidates, refuted)


def _confirmed(
    prepared: Prepared, search: Search, candidates: NDArray[np.int8], refuted: NDArray[np.int64]
) -> dict[int, Verdict]:
    """Refutations whose witness eval32 confirms."""
    if not len(refuted):
        return {}
    extremes = search.extremes
    hoped_inactive = candidates[refuted] < 0
    points = np.where(hoped_inactive[:, None], extremes.largest_at[refuted], extremes.smallest_at[refuted])
    witnesses = points.astype(np.float32)
    values = evaluate_all(prepared.network.layers, witnesses)
    sources = [prepared.network.layers[relu].sources[0] for relu in prepared.offsets]
    own = np.concatenate([values[source] for source in sources], axis=1)[np.arange(len(refuted)), refuted]
    contradicts = np.where(hoped_inactive, own > 0, own < 0)
    return {
        int(unit): Refuted(witness) if good else Open(UNCONFIRMED)
        for unit, witness, good in zip(refuted, witnesses, contradicts, strict=True)
    }
