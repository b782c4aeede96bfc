"""Adaptive partition: best-first growth of the routing tree, the cut with the largest expected gain next.

Invariant: the partition is a pure function of network, domain, number of cells, seed and samples: a cell's best cut
does not depend on who looks for it, cells are cut in an order fixed by gain, measure and age, and the number of cells
cut per round depends on the number of cells alone. What a cut is expected to gain: `slicer.family.cuts`.

Best-first growth of trees goes back to Friedman, Hastie & Tibshirani (*Additive logistic regression*, Annals of
Statistics 28, 2000) and Shi (*Best-first decision tree learning*, 2007).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from contextlib import closing

from slicer.box import Box
from slicer.family.claim import BITWISE, Claim
from slicer.family.cuts import BestCuts, Cell, Cut
from slicer.family.interruption import Interruption
from slicer.family.measure import Part, Samples
from slicer.family.survive import Lost, survive
from slicer.family.workers import Job, Raised, Workers
from slicer.network import Network
from slicer.partition import Growth, Partition, too_narrow, widest_half

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
    progress: Callable[[int, int], None] | None = None,
    stopped: Callable[[], bool] = lambda: False,
    interruption: Interruption | None = None,
) -> Partition:
    """Cut the domain into exactly ``cells`` cells where it pays; ``progress`` is told (cells, cells in all).

    Cells whose cuts promise nothing are halved, the largest first, once no cut promises anything; likewise all that are
    left once ``stopped`` says so.

    Raises
    ------
    UnusableInput
        If the domain has too few float32 numbers for so many cells.
    """
    tree = _Tree(domain, samples)
    look = _Look(BestCuts(network.content, seed, claim), workers, stopped, interruption or Interruption())
    new = [0]
    while tree.cells < cells:
        tree.offer(new, look([tree.cell(number) for number in new]))
        new = tree.cut(min(max(1, tree.cells // ROUND), cells - tree.cells))
        if progress:
            progress(tree.cells, cells)
    return tree.growth.partition()


class _Tree:
    """The tree in the making, with a queue of its cells: most promising first."""

    def __init__(self, domain: Box, samples: Samples | None) -> None:
        self.growth = Growth(domain)
        self.cells = 1
        self._domain = domain
        self._parts = {0: Part(1.0, 1.0, samples)}
        self._queue: list[tuple[float, float, float, int]] = []
        self._cuts: dict[int, tuple[int, float]] = {}

    def cell(self, number: int) -> Cell:
        """A cell as `BestCuts` wants to see it."""
        box = self.growth.boxes[number]
        return box, self._parts[number].shares(box)

    def offer(self, numbers: Sequence[int], cuts: Sequence[Cut | None]) -> None:
        """Take in cells with their best cuts; without one they are halved, last of all."""
        for number, cut in zip(numbers, cuts, strict=True):
            place = (cut.axis, cut.threshold) if cut else widest_half(self.growth.boxes[number], self._domain)
            if place is None:
                continue
            part, gain = self._parts[number], cut.gain if cut else 0.0
            self._cuts[number] = place
            heapq.heappush(self._queue, (-gain * part.measure, -gain * part.volume, -part.volume, number))

    def cut(self, count: int) -> list[int]:
        """Cut up to ``count`` cells, at least one; returns the new cells."""
        if not self._queue:
            raise too_narrow()
        new: list[int] = []
        for _ in range(min(count, len(self._queue))):
            number = heapq.heappop(self._queue)[-1]
            place = self._cuts.pop(number)
            parts = self._parts.pop(number).cut(self.growth.boxes[number], *place)
            children = self.growth.cut(number, *place)
            self._parts.update(zip(children, parts, strict=True))
            new += children
            self.cells += 1
        return new


class _Look:
    """Looks for the best cuts of cells on worker processes; finds none once it is stopped."""

    def __init__(
        self, task: BestCuts, workers: Workers, stopped: Callable[[], bool], interruption: Interruption
    ) -> None:
        self._task, self._workers, self._stopped, self._interruption = task, workers, stopped, interruption

    def __call__(self, cells: Sequence[Cell]) -> list[Cut | None]:
        """The best cut of each cell."""
        cuts: list[Cut | None] = [None] * len(cells)
        if self._stopped():
            return cuts
        job = Job(self._task, cells.__getitem__, self._stopped, self._interruption)
        with closing(survive(self._workers, job, len(cells))) as outcomes:
            for place, outcome in outcomes:
                if isinstance(outcome, Raised):
                    raise outcome.error
                if not isinstance(outcome, Lost):  # cells whose worker died twice are halved
                    cuts[place] = outcome
        return cuts
