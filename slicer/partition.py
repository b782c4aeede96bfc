"""`Partition`: how a domain is cut into cells, as the routing tree sees it (``x[axis] <= threshold`` goes low)."""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass

import numpy as np

from dispatcher import plan
from dispatcher.errors import UnusableInput
from slicer.box import Box, middle


@dataclass(frozen=True, eq=False, slots=True)
class Leaf:
    """A cell.

    Attributes
    ----------
    block:
        Cells with the same number are searched as one (see `Block`). They lie below one node, and no others do.
    settled:
        Whether search found that nothing of the network is left to compute here; None if it was not asked.
    """

    box: Box
    block: int
    settled: bool | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Split:
    """A cut of a box into ``x[axis] <= threshold`` and the rest."""

    axis: int
    threshold: float
    low: Partition
    high: Partition


Partition = Split | Leaf


@dataclass(frozen=True, eq=False, slots=True)
class Block:
    """Cells that are searched as one: consecutive ones in preorder, from ``first`` on.

    Those that are not settled share a member.
    """

    first: int
    boxes: tuple[Box, ...]
    settled: tuple[bool | None, ...]

    @property
    def cells(self) -> range:
        """Their numbers."""
        return range(self.first, self.first + len(self.boxes))

    @property
    def places(self) -> dict[int, Box]:
        """Their boxes, by their numbers."""
        return dict(zip(self.cells, self.boxes, strict=True))


class Growth:
    """A partition in the making: cells are cut one by one, and numbered in the order in which they come into being.

    Attributes
    ----------
    boxes:
        Of all cells, those that were cut since among them.
    """

    def __init__(self, domain: Box) -> None:
        self.boxes = [domain]
        self._cuts: dict[int, tuple[int, float]] = {}
        self._children: dict[int, tuple[int, int]] = {}
        self._blocks: dict[int, int] = {}  # of cells that are parts of another one
        self._settled: dict[int, bool] = {}

    def cut(self, cell: int, axis: int, threshold: float) -> tuple[int, int]:
        """Cut a cell; returns the numbers of its low and its high part."""
        assert cell not in self._cuts, cell
        box, first = self.boxes[cell], len(self.boxes)
        self._cuts[cell], self._children[cell] = (axis, threshold), (first, first + 1)
        self.boxes += [box.below(axis, threshold), box.above(axis, threshold)]
        return first, first + 1

    def divide(self, cell: int, axis: int, threshold: float) -> tuple[int, int]:
        """Cut a cell in two that stay one block; returns their numbers."""
        children = self.cut(cell, axis, threshold)
        self._blocks |= dict.fromkeys(children, self._blocks.get(cell, cell))
        return children

    def settle(self, cell: int, settled: bool) -> None:
        """Note whether nothing is left to compute in a cell."""
        self._settled[cell] = settled

    def partition(self) -> Partition:
        """The partition as it is now."""
        parts: dict[int, Partition] = {}
        for number in range(len(self.boxes) - 1, -1, -1):  # children have larger numbers than their parent
            if number in self._cuts:
                low, high = self._children[number]
                parts[number] = Split(*self._cuts[number], parts.pop(low), parts.pop(high))
            else:
                block = self._blocks.get(number, number)
                parts[number] = Leaf(self.boxes[number], block, self._settled.get(number))
        return parts[0]


def halve(domain: Box, cells: int) -> Partition:
    """Cut the domain into exactly ``cells`` cells by halving the largest one again and again.

    All halvings at one depth take the same input: the one with the largest share of its domain width left, the first
    of equals. For a power of two all cells have the same size.

    Raises
    ------
    UnusableInput
        If the domain has too few float32 numbers for so many cells.
    """
    if cells < 1:
        raise UnusableInput(f"expected at least one cell, got {cells}", where="--cells")
    growth = Growth(domain)
    queue = [(0, 0)]  # (depth, number): the largest cell first, then the oldest
    for _ in range(cells - 1):
        while queue and widest_half(growth.boxes[queue[0][1]], domain) is None:
            heapq.heappop(queue)
        if not queue:
            raise too_narrow()
        depth, number = heapq.heappop(queue)
        half = widest_half(growth.boxes[number], domain)
        assert half is not None  # others were dropped
        for child in growth.cut(number, *half):
            heapq.heappush(queue, (depth + 1, child))
    return growth.partition()


def too_narrow() -> UnusableInput:
    """What to say if no cell can be cut any more."""
    return UnusableInput(
        "expected a domain with enough float32 numbers to cut", where="--cells", fix="ask for fewer cells"
    )


def widest_half(box: Box, domain: Box) -> tuple[int, float] | None:
    """Axis and threshold that halve the input with the largest width relative to the domain's, the first of equals.

    None if no input has a float32 number strictly between its bounds.
    """
    splittable = np.nextafter(box.lower, box.upper) < box.upper
    if not splittable.any():
        return None
    whole = domain.upper.astype(float) - domain.lower
    width = box.upper.astype(float) - box.lower
    # Thresholds are rounded to float32: compare shares to a relative 1e-3, so that halves count as equal.
    shares = [w / d if cut else 0.0 for w, d, cut in zip(width, whole, splittable, strict=True)]
    best = max(shares)
    axis = next(axis for axis, share in enumerate(shares) if share >= best * (1 - 1e-3) and share > 0)
    threshold = middle(float(box.lower[axis]), float(box.upper[axis]))
    assert threshold is not None  # the input is splittable
    return axis, threshold


def leaves(partition: Partition) -> list[Box]:
    """The boxes of the cells 0, 1, 2, … (preorder)."""
    return [cell.box for cell in _cells(partition)]


def blocks(partition: Partition) -> list[Block]:
    """The blocks, by their first cells."""
    result, first = [], 0
    for _, group in itertools.groupby(_cells(partition), lambda cell: cell.block):
        cells = list(group)
        result.append(Block(first, tuple(cell.box for cell in cells), tuple(cell.settled for cell in cells)))
        first += len(cells)
    return result


def routing_tree(partition: Partition) -> plan.Tree:
    """The partition as the dispatcher's flat preorder tree."""
    order = _preorder(partition)
    place = {id(part): position for position, part in enumerate(order)}
    nodes: list[plan.Split | plan.Leaf] = []
    cell = 0
    for part in order:
        if isinstance(part, Split):
            nodes.append(plan.Split(part.axis, part.threshold, place[id(part.low)], place[id(part.high)]))
        else:
            nodes.append(plan.Leaf(cell))
            cell += 1
    return tuple(nodes)


def _cells(partition: Partition) -> list[Leaf]:
    """The cells 0, 1, 2, …."""
    return [part for part in _preorder(partition) if isinstance(part, Leaf)]


def _preorder(partition: Partition) -> list[Partition]:
    """All parts: each before its low part, that before its high part."""
    order, stack = [], [partition]
    while stack:
        part = stack.pop()
        order.append(part)
        if isinstance(part, Split):
            stack += [part.high, part.low]
    return order
