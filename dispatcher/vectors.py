"""Points that exercise a family where it could go wrong: all over the domain, and on both sides of every border."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from dispatcher.plan import Family
from dispatcher.tree import Split, walk

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
    sides = sorted(_sides(family), key=lambda side: side[:2])
    points = [family.lower, family.upper, *(_beside(*side[2:], rng) for side in sides[: max(0, limit - 2)])]
    filling = random_points(family, max(0, LEAST - len(points)), rng)
    return np.concatenate([np.array(points, np.float32), filling])[:limit]


def _sides(family: Family) -> Iterator[tuple[bool, int, int, float, Points, Points]]:
    """Each side of each border: whether more borders follow, depth, axis, the number beside the border, its box.

    The box ``[lower, upper]`` holds exactly the inputs that come to that side.
    """
    pending = [(0, 0, family.lower, family.upper)]
    while pending:
        position, depth, lower, upper = pending.pop()
        node = family.tree[position]
        if isinstance(node, Split):
            threshold = np.float32(node.threshold)
            above = np.nextafter(threshold, np.float32(np.inf))
            low, high = upper.copy(), lower.copy()
            low[node.axis], high[node.axis] = threshold, above
            for child, number, box in ((node.low, threshold, (lower, low)), (node.high, above, (high, upper))):
                yield isinstance(family.tree[child], Split), depth, node.axis, float(number), *box
                pending.append((child, depth + 1, *box))


def _beside(axis: int, number: float, lower: Points, upper: Points, rng: np.random.Generator) -> Points:
    """A point of a box with a given number on one axis, otherwise random, ``[n_in]``."""
    point: Points = _uniform(lower, upper, 1, rng)[0]
    point[axis] = number
    return point
