"""Points that need no look inside the network: borders, corners, thresholds, special numbers, and points all over.

Every function yields batches ``[m, n_in]`` of float32 points of the domain, ``count`` in all (or somewhat fewer, where
it shares them out equally).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from dispatcher.interpret import eval32
from tests.attack.promise import decided
from tests.attack.proof import Boxes, Cuts
from tests.attack.target import Target

Points = np.ndarray
Kind = Callable[[Target, int, np.random.Generator], Iterator[Points]]

VALUES = 1 << 20  # numbers in a batch: 4 MiB
_TINY, _NORMAL = np.finfo(np.float32).smallest_subnormal, np.finfo(np.float32).smallest_normal
_SPECIAL = np.array([0.0, _TINY, 2 * _TINY, np.nextafter(_NORMAL, np.float32(0)), _NORMAL], np.float32)
SPECIAL = np.concatenate([_SPECIAL, -_SPECIAL])  # ±0, subnormal numbers of both ends, and ±2^−126
_SHIFTS = (-2, -1, 0, 1, 2)  # ulps
_BISECTIONS = 40  # of a segment, after which its ends are neighbours in float32, but for numbers near 0


def uniform(target: Target, count: int, rng: np.random.Generator) -> Iterator[Points]:
    """Uniform points of the domain."""
    for size in _sizes(count, target):
        yield within(target.domain[np.zeros(size, np.int64)], rng)


def threshold_points(target: Target, count: int, rng: np.random.Generator) -> Iterator[Points]:
    """Points on the routing thresholds and up to two ulps beside them."""
    yield from _beside(target.routing, target.domain, count, target, rng)


def proof_points(target: Target, count: int, rng: np.random.Generator) -> Iterator[Points]:
    """Points on the thresholds of the proof trees and up to two ulps beside them."""
    cells = [cell for cell in rng.permutation(len(target.cells)) if len(target.cuts(cell).axis)][:count]
    for cell in cells:
        yield from _beside(target.cuts(cell), target.domain, count // len(cells), target, rng)


def corner_points(target: Target, count: int, rng: np.random.Generator) -> Iterator[Points]:
    """Corners of the domain and of the cells, exact ones and some whose numbers are an ulp off in any direction."""
    yield corners(target.domain, count // 8, rng)
    for size in _sizes(count - count // 8, target):
        boxes = target.cells[rng.integers(0, len(target.cells), size)]
        points = np.where(rng.random(boxes.lower.shape) < 0.5, boxes.lower, boxes.upper)
        moves = rng.integers(-1, 2, points.shape) * (rng.random((size, 1)) < 0.75)
        yield clip(ulps(points, moves), target.domain)


def face_points(target: Target, count: int, rng: np.random.Generator) -> Iterator[Points]:
    """Points some of whose numbers are exactly the bounds of the domain."""
    for size in _sizes(count, target):
        yield on_bounds(target.domain[np.zeros(size, np.int64)], rng)


def special_points(target: Target, count: int, rng: np.random.Generator) -> Iterator[Points]:
    """Points some of whose numbers are ±0 or subnormal, where the domain has such numbers."""
    for size in _sizes(count, target):
        boxes = target.domain[np.zeros(size, np.int64)]
        points = within(boxes, rng)
        special = rng.choice(SPECIAL, points.shape)
        fits = (special >= boxes.lower) & (special <= boxes.upper) & (rng.random(points.shape) < 0.5)
        yield np.where(fits, special, points)


def tie_points(target: Target, count: int, rng: np.random.Generator) -> Iterator[Points]:
    """Mode ``decision``: where the winner changes between two points of one cell, and up to two ulps beside it."""
    decision, layers = target.bundle.family.decision, target.network.layers
    for size in _sizes(count, target) if decision is not None else ():
        boxes = target.cells[rng.integers(0, len(target.cells), max(1, size // len(_SHIFTS)))]
        pair = [on_bounds(boxes, rng), on_bounds(boxes, rng)]
        wins, other = (decided(decision, eval32(layers, points)) for points in pair)
        first, second, wins = (values[wins != other] for values in (*pair, wins))
        for _ in range(_BISECTIONS):
            middle = ((first.astype(np.float64) + second) / 2).astype(np.float32)
            same = (decided(decision, eval32(layers, middle)) == wins)[:, None]
            first, second = np.where(same, middle, first), np.where(same, second, middle)
        for _ in _SHIFTS if len(first) else ():
            points = np.where(rng.random((len(first), 1)) < 0.5, first, second)
            moves = rng.choice(_SHIFTS, points.shape) * (rng.random((len(first), 1)) < 0.75)
            yield clip(ulps(points, moves), target.domain)


def within(boxes: Boxes, rng: np.random.Generator) -> Points:
    """A uniform point of each box, rounded to float32 inside it."""
    spread = rng.random(boxes.lower.shape) * (boxes.upper.astype(np.float64) - boxes.lower)
    return clip((boxes.lower + spread).astype(np.float32), boxes)


def on_bounds(boxes: Boxes, rng: np.random.Generator) -> Points:
    """A point of each box: half of its numbers are uniform, the others bounds of the box."""
    points, which = within(boxes, rng), rng.integers(0, 4, boxes.lower.shape)
    return np.where(which == 2, boxes.lower, np.where(which == 3, boxes.upper, points))


def corners(box: Boxes, limit: int, rng: np.random.Generator) -> Points:
    """The corners of a single box: all if there are at most ``limit``, else that many random ones."""
    n_in = box.lower.shape[1]
    if n_in < limit.bit_length():
        high = (np.arange(2**n_in)[:, None] >> np.arange(n_in)) % 2 == 1
    else:
        high = rng.random((limit, n_in)) < 0.5
    return np.where(high, box.upper, box.lower)


def ulps(points: Points, moves: np.ndarray) -> Points:
    """The points, each number moved by so many float32 numbers up or down (integers, of the same shape)."""
    moved = points.astype(np.float32)
    for _ in range(int(np.abs(moves).max(initial=0))):
        towards = np.where(moves > 0, np.float32(np.inf), np.float32(-np.inf))
        moved = np.where(moves != 0, np.nextafter(moved, towards), moved)
        moves = moves - np.sign(moves)
    return moved


def clip(points: Points, boxes: Boxes) -> Points:
    """The points, each number moved into its box."""
    return np.clip(points, boxes.lower, boxes.upper)


def _beside(cuts: Cuts, domain: Boxes, count: int, target: Target, rng: np.random.Generator) -> Iterator[Points]:
    """Points beside thresholds: the cut number up to two ulps off, the others anywhere in the box or on its bounds."""
    if not len(cuts.axis):
        return
    for size in _sizes(count, target):
        cut = rng.integers(0, len(cuts.axis), size)
        points = on_bounds(cuts.boxes[cut], rng)
        moved = ulps(cuts.threshold[cut], rng.choice(_SHIFTS, size))
        points[np.arange(size), cuts.axis[cut]] = moved
        yield clip(points, domain)


def _sizes(count: int, target: Target) -> Iterator[int]:
    """Sizes of batches with ``count`` points in all."""
    most = max(1, VALUES // target.network.n_in)
    while count > 0:
        yield min(count, most)
        count -= most
