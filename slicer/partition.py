"""`Partition`: how a domain is cut into cells, as the routing tree sees it (``x[axis] <= threshold`` goes low)."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dispatcher import plan
from dispatcher.errors import UnusableInput
from slicer.box import Box, middle


@dataclass(frozen=True, eq=False, slots=True)
class Leaf:
    """A cell."""

    box: Box


@dataclass(frozen=True, eq=False, slots=True)
class Split:
    """A cut of a box into ``x[axis] <= threshold`` and the rest."""

    axis: int
    threshold: float
    low: Partition
    high: Partition


Partition = Split | Leaf


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
    cuts: dict[int, tuple[int, float]] = {}  # cell by creation order -> its cut
    children: dict[int, tuple[int, int]] = {}
    boxes = [domain]
    queue = [(0, 0)]  # (depth, creation order)
    for _ in range(cells - 1):
        depth, order = _next_splittable(queue, boxes)
        axis = _widest(boxes[order], domain)
        threshold = middle(float(boxes[order].lower[axis]), float(boxes[order].upper[axis]))
        assert threshold is not None  # _next_splittable made sure of it
        cuts[order], children[order] = (axis, threshold), (len(boxes), len(boxes) + 1)
        boxes += [boxes[order].below(axis, threshold), boxes[order].above(axis, threshold)]
        for child in children[order]:
            heapq.heappush(queue, (depth + 1, child))
    return _assemble(boxes, cuts, children)


def _next_splittable(queue: list[tuple[int, int]], boxes: list[Box]) -> tuple[int, int]:
    """The largest cell (least depth, then oldest) that can be cut."""
    while queue:
        depth, order = heapq.heappop(queue)
        if _splittable(boxes[order]).any():
            return depth, order
    raise UnusableInput(
        "expected a domain with enough float32 numbers to cut", where="--cells", fix="ask for fewer cells"
    )


def _splittable(box: Box) -> NDArray[np.bool_]:
    """Inputs with a float32 number strictly between their bounds ``[n]``."""
    return np.nextafter(box.lower, box.upper) < box.upper


def _widest(box: Box, domain: Box) -> int:
    """The input that can be cut with the largest width relative to the domain's, the first of equals."""
    whole = domain.upper.astype(float) - domain.lower
    width = box.upper.astype(float) - box.lower
    # Thresholds are rounded to float32: compare shares to a relative 1e-3, so that halves count as equal.
    shares = [w / d if cut else 0.0 for w, d, cut in zip(width, whole, _splittable(box), strict=True)]
    best = max(shares)
    return next(axis for axis, share in enumerate(shares) if share >= best * (1 - 1e-3) and share > 0)


def _assemble(boxes: list[Box], cuts: dict[int, tuple[int, float]], children: dict[int, tuple[int, int]]) -> Partition:
    """Nested partition from the flat record; children have larger numbers than their parent."""
    parts: dict[int, Partition] = {}
    for order in range(len(boxes) - 1, -1, -1):
        if order in cuts:
            low, high = children[order]
            parts[order] = Split(*cuts[order], parts.pop(low), parts.pop(high))
        else:
            parts[order] = Leaf(boxes[order])
    return parts[0]


def leaves(partition: Partition) -> list[Box]:
    """The boxes of the cells 0, 1, 2, … (preorder)."""
    return [part.box for part in _preorder(partition) if isinstance(part, Leaf)]


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


def _preorder(partition: Partition) -> list[Partition]:
    """All parts: each before its low part, that before its high part."""
    order, stack = [], [partition]
    while stack:
        part = stack.pop()
        order.append(part)
        if isinstance(part, Split):
            stack += [part.high, part.low]
    return order
