"""Adaptive partition: best-first growth of the routing tree, the cut with the largest expected gain next.

Invariant: the partition is a pure function of network, domain, number of cells, seed, samples and, where cells are
carved (`slicer.family.carving`), effort: a cell's best cut and its parts do not depend on who looks for them, cells are
cut in an order fixed by gain, measure and age, and the number of cells cut per round depends on the number of cells
alone. What a cut is expected to gain: `slicer.family.cuts`.

Best-first growth of trees goes back to Friedman, Hastie & Tibshirani (*Additive logistic regression*, Annals of
Statistics 28, 2000) and Shi (*Best-first decision tree learning*, 2007).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from slicer.box import Box
from slicer.family.carving import Carving
from slicer.family.claim import BITWISE, Claim
from slicer.family.cuts import BestCuts, Cut
from slicer.family.frontier import Frontier
from slicer.family.interruption import Interruption
from slicer.family.measure import Samples
from slicer.family.survive import Lost, survive
from slicer.family.workers import Job, Raised, Workers
from slicer.network import Network
from slicer.partition import Partition
from slicer.search.carve import Parts

ROUND = 16  # one in so many cells is cut per round


def grow(
    network: Network,
    domain: Box,
    cells: int,
    *,
    seed: int,
    claim: Claim = BITWISE,
    samples: Samples | None,
    workers: Workers,
    carving: Carving | None = None,
    progress: Callable[[int, int], None] | None = None,
    stopped: Callable[[], bool] = lambda: False,
    interruption: Interruption | None = None,
) -> Partition:
    """Cut the domain into exactly ``cells`` cells where it pays, and with ``carving`` these into their parts.

    Cells whose cuts promise nothing are halved, the largest first, once no cut promises anything; likewise all that are
    left once ``stopped`` says so. ``progress`` is told (steps done, steps in all).

    Raises
    ------
    UnusableInput
        If the domain has too few float32 numbers for so many cells.
    """
    look = _Looking(workers, stopped, interruption or Interruption())
    tree, best = Frontier(domain, samples), BestCuts(network.content, seed, claim)
    steps = cells if carving is None else 2 * cells

    def report(done: int) -> None:
        if progress:
            progress(done, steps)

    new = [0]
    while tree.cells < cells:
        tree.offer(new, _cuts(look(best, [tree.cell(number) for number in new])))
        new = tree.cut(min(max(1, tree.cells // ROUND), cells - tree.cells))
        report(tree.cells)
    if carving is not None:
        tree.carve(_carved(tree, carving, look, lambda carved: report(cells + carved)), carving.parts * cells)
    return tree.growth.partition()


def _carved(tree: Frontier, carving: Carving, look: _Looking, report: Callable[[int], None]) -> dict[int, Parts]:
    """The parts of all cells; ``report`` is told for how many they are known.

    Cells whose worker died, or raised an exception, are missing: their own search meets that again, and names it.
    """
    boxes = {number: tree.growth.boxes[number] for number in tree.numbers()}
    parts = {number: found for number, box in boxes.items() if (found := carving.found(box)) is not None}
    left = [number for number in boxes if number not in parts]
    known = len(parts)

    def keep(place: int, outcome: object) -> None:
        nonlocal known
        known += 1
        if isinstance(outcome, Parts):
            carving.keep(boxes[left[place]], outcome)
        report(known)

    outcomes = look(carving.carve, [(boxes[number],) for number in left], keep)
    return parts | {number: own for number, own in zip(left, outcomes, strict=True) if isinstance(own, Parts)}


def _cuts(outcomes: Sequence[Any]) -> list[Cut | None]:
    """The best cuts; cells whose worker died twice have none, and are halved. An exception is raised here."""
    for outcome in outcomes:
        if isinstance(outcome, Raised):
            raise outcome.error
    return [None if isinstance(outcome, Lost) else outcome for outcome in outcomes]


@dataclass(frozen=True, slots=True)
class _Looking:
    """The processes that look at cells; at none once ``stopped`` says so."""

    workers: Workers
    stopped: Callable[[], bool]
    interruption: Interruption

    def __call__(
        self,
        task: Callable[..., Any],
        entries: Sequence[tuple[Any, ...]],
        done: Callable[[int, Any], None] = lambda _place, _result: None,
    ) -> list[Any]:
        """The outcome of `survive` for every entry; None if time is up.

        ``done`` is told every outcome, with its place, as it comes in.
        """
        results: list[Any] = [None] * len(entries)
        if self.stopped():
            return results
        job = Job(task, entries.__getitem__, self.stopped, self.interruption)
        with closing(survive(self.workers, job, len(entries))) as outcomes:
            for place, outcome in outcomes:
                results[place] = outcome
                done(place, outcome)
        return results
