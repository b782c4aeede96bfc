"""The cells of a routing tree in the making: which there are, and which of them is to be cut next."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence

from slicer.box import Box
from slicer.family.carving import MIXED, Forest
from slicer.family.cuts import Cell, Cut
from slicer.family.measure import Part, Samples
from slicer.partition import Growth, too_narrow, widest_half
from slicer.search.carve import NONE, Parts


class Frontier:
    """A growing tree with a queue of its cells, most promising first.

    Attributes
    ----------
    growth:
        The tree.
    cells:
        Number of cells.
    """

    def __init__(self, domain: Box, samples: Samples | None) -> None:
        self.growth = Growth(domain)
        self.cells = 1
        self._domain = domain
        self._parts = {0: Part(1.0, 1.0, samples)}  # of all cells
        self._queue: list[tuple[float, float, float, int]] = []
        self._cuts: dict[int, tuple[int, float]] = {}  # of the cells in the queue

    def cell(self, number: int) -> Cell:
        """A cell as `slicer.family.cuts.BestCuts` wants to see it."""
        box = self.growth.boxes[number]
        return box, self._parts[number].shares(box)

    def numbers(self) -> list[int]:
        """All cells, in the order in which they came into being."""
        return sorted(self._parts)

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
        """Cut up to ``count`` cells, at least one; returns the new cells.

        Raises
        ------
        UnusableInput
            If there is no cell that can be cut.
        """
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

    def carve(self, parts: Mapping[int, Parts], cells: int) -> None:
        """Cut cells into their parts, as far as that leaves ``cells`` cells at most; nothing is cut afterwards."""
        if not parts:
            return
        roots = list(parts)
        forest = Forest(list(parts.values()), [self._parts[number].measure for number in roots])
        labels = forest.pruned(cells - (self.cells - len(roots)))
        stack = list(zip(roots, map(int, forest.roots), strict=True))
        while stack:
            number, node = stack.pop()
            if labels[node] == MIXED:
                axis, threshold, low = forest.cut(node)
                stack += zip(self.growth.divide(number, axis, threshold), (low, low + 1), strict=True)
            else:
                self.growth.settle(number, bool(labels[node] != NONE))
