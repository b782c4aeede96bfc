"""Points that exercise a family where it could go wrong: all over the domain, and on both sides of every border."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dispatcher.plan import Family
from dispatcher.tree import Leaf, Split, walk

Points = NDArray[np.float32]

LEAST = 16  # covering points of a family with few cells


def random_points(family: Family, count: int, rng: np.random.Generator) -> Points:
    """Uniform float32 points of the domain ``[count, n_in]``."""
    return _uniform(family.lower, family.upper, count, rng)


def border_points(family: Family, per_border: int, rng: np.random.Generator) -> Iterator[Points]:
    """Points on and one ulp beside the threshold of each routing node, in its box: ``[3·per_border, n_in]`` each."""
    for position, box_lower, box_upper in walk(family.tree, family.lower, family.upper):
        node = family.tree[position]
        if not isinstance(node, Split):
            continue
        lower, upper = box_lower.astype(np.float32), box_upper.astype(np.float32)
        points = _uniform(lower, upper, 3 * per_border, rng)
        threshold = np.float32(node.threshold)
        beside = [threshold, *(np.nextafter(threshold, np.float32(side)) for side in (-np.inf, np.inf))]
        points[:, node.axis] = np.clip(np.repeat(beside, per_border), lower[node.axis], upper[node.axis])
        yield points


def corner_points(family: Family, limit: int, rng: np.random.Generator) -> Points:
    """Corners of the domain: all if there are at most ``limit``, else that many random ones; ``[m, n_in]``."""
    inputs = len(family.lower)
    if 2**inputs <= limit:
        choice = np.indices((2,) * inputs).reshape(inputs, -1).T == 1
    else:
        choice = rng.random((limit, inputs)) < 0.5
    return np.where(choice, family.upper, family.lower)


def _uniform(lower: Points, upper: Points, count: int, rng: np.random.Generator) -> Points:
    """Uniform points of a box, rounded to float32 inside it."""
    spread = rng.random((count, len(lower))) * (upper.astype(np.float64) - lower)
    return np.clip((lower + spread).astype(np.float32), lower, upper)


def covering_points(family: Family, limit: int, rng: np.random.Generator) -> Points:
    """At most ``limit`` points ``[m, n_in]`` that reach every cell and both sides of every border, if they suffice.

    Two corners of the domain first. Then for every cell a point beside the border that its last routing test draws (on
    the threshold, or one ulp above it), then the sides of the other borders from the root down, and random points until
    there are at least `LEAST`.
    """
    sides = border_sides(family)[: max(0, limit - 2)]
    points = [family.lower, family.upper, *(side.points(1, rng)[0] for side in sides)]
    filling = random_points(family, max(0, LEAST - len(points)), rng)
    return np.concatenate([np.array(points, np.float32), filling])[:limit]


@dataclass(frozen=True, eq=False, slots=True)
class Side:
    """One side of a border: the box ``[lower, upper]`` of the inputs that come there, and the number beside the border.

    ``child`` is the node that they come to, ``depth`` how many tests come before the one that draws the border.
    """

    child: int
    depth: int
    axis: int
    number: float
    lower: Points
    upper: Points

    def points(self, count: int, rng: np.random.Generator) -> Points:
        """Points ``[count, n_in]`` of the box, beside the border."""
        points = _uniform(self.lower, self.upper, count, rng)
        points[:, self.axis] = self.number
        return points


def border_sides(family: Family) -> list[Side]:
    """Both sides of every border: those of cells first, then the others, each kind from the root down."""
    sides: list[Side] = []
    pending = [(0, 0, family.lower, family.upper)]
    while pending:
        position, depth, lower, upper = pending.pop()
        node = family.tree[position]
        if isinstance(node, Split):
            threshold = np.float32(node.threshold)
            above = np.nextafter(threshold, np.float32(np.inf))
            below_upper, above_lower = upper.copy(), lower.copy()
            below_upper[node.axis], above_lower[node.axis] = threshold, above
            sides.append(Side(node.low, depth, node.axis, float(threshold), lower, below_upper))
            sides.append(Side(node.high, depth, node.axis, float(above), above_lower, upper))
            pending += [(side.child, depth + 1, side.lower, side.upper) for side in sides[-2:]]
    return sorted(sides, key=lambda side: (isinstance(family.tree[side.child], Split), side.depth))


def cell_boxes(family: Family) -> list[tuple[Points, Points]]:
    """The closed box ``lower, upper`` of the float32 inputs that come to each cell."""
    boxes = {0: (family.lower, family.upper)} | {s.child: (s.lower, s.upper) for s in border_sides(family)}
    return [boxes[position] for position, node in enumerate(family.tree) if isinstance(node, Leaf)]


def box_points(lower: Points, upper: Points, count: int, rng: np.random.Generator) -> Points:
    """Uniform points of a box ``[count, n_in]``."""
    return _uniform(lower, upper, count, rng)
