"""The attack on what certificates assert on the way: every closing must hold at every input of its own node's box.

A removal rests on facts proved further up in the tree; a false fact need not show in any output. Each closing is tried
at points of its box and by gradient ascent against it; the reference interpreter has the last word.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dispatcher.interpret import eval32
from slicer.bounds.linear import Prepared
from tests.attack.points import Points, on_bounds
from tests.attack.proof import Boxes, Closings
from tests.attack.target import Target, tapped
from tests.attack.units import climb, own_values

_SAMPLE = 16  # points of each box that ascent may start from


@dataclass(frozen=True)
class ClosingsFinding:
    """What was found.

    Attributes
    ----------
    closings, points:
        Closings attacked, and points at which they were evaluated.
    violated:
        Closings that do not hold at one of the points.
    largest:
        Largest value of phase·(−pre-activation): positive where a closing is violated; −inf without closings.
    """

    closings: int
    points: int
    violated: int
    largest: float


def attack_closings(target: Target, limit: int, seed: int) -> ClosingsFinding:
    """Attack up to ``limit`` closings, an equal number of every cell as far as they go, chosen at random."""
    rng = np.random.default_rng(seed)
    cells = rng.permutation(len(target.cells))[:limit]
    found = ClosingsFinding(0, 0, 0, -np.inf)
    for cell in cells:
        claims = _some(target.closings(cell), limit // len(cells), rng)
        if not len(claims.units):
            continue
        prepared = target.extended(cell)
        parent = tapped(prepared.network.layers)
        excess = np.stack([_excess(parent, claims, points) for points in _hardest(prepared, claims, rng)])
        found = ClosingsFinding(
            found.closings + len(claims.units),
            found.points + excess.size,
            found.violated + int((~(excess <= 0)).any(axis=0).sum()),
            max(found.largest, float(excess.max())),
        )
    return found


def _some(claims: Closings, limit: int, rng: np.random.Generator) -> Closings:
    """At most so many of the closings."""
    chosen = rng.permutation(len(claims.units))[:limit]
    return Closings(claims.units[chosen], claims.phases[chosen], claims.boxes[chosen])


def _hardest(prepared: Prepared, claims: Closings, rng: np.random.Generator) -> list[Points]:
    """Points ``[k, n_in]`` at which the k closings are closest to failing: of a sample, and after an ascent."""
    boxes: Boxes = claims.boxes
    best = on_bounds(boxes, rng)
    worst = -claims.phases * own_values(prepared, claims.units, best)
    for _ in range(_SAMPLE - 1):
        points = on_bounds(boxes, rng)
        values = -claims.phases * own_values(prepared, claims.units, points)
        best, worst = np.where((values > worst)[:, None], points, best), np.maximum(values, worst)
    return [best, *climb(prepared, boxes, claims.units, best, -claims.phases)[-2:]]


def _excess(parent: tuple, claims: Closings, points: Points) -> np.ndarray:
    """By how much each closing is violated at its own point ``[k]``."""
    values = eval32(parent, points)[np.arange(len(points)), claims.units]
    return -claims.phases * values
