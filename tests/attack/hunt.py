"""The hunt: points of every kind, and what a judge finds with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from tests.attack import points as plain
from tests.attack.errors import error_points
from tests.attack.judge import Batches, Finding
from tests.attack.target import Target
from tests.attack.units import ASCENT, BORDERS, ZEROS, unit_points

UNIFORM, TIES, ERRORS = "uniform", "ties", "errors"
_PLAIN: dict[str, plain.Kind] = {
    "thresholds": plain.threshold_points,
    "proof thresholds": plain.proof_points,
    "corners": plain.corner_points,
    "faces": plain.face_points,
    "special": plain.special_points,
    TIES: plain.tie_points,
}
# Each kind with what it is, in the order of the tables.
KINDS = {
    "thresholds": "on routing thresholds and up to two ulps beside them",
    "proof thresholds": "the same for the thresholds of the proof trees",
    "corners": "corners of domain and cells, exact or an ulp off",
    "faces": "some numbers exactly on the domain's bounds",
    "special": "some numbers ±0 or subnormal",
    TIES: "mode decision: where the winner changes, by bisection in a cell, and up to two ulps beside",
    ERRORS: "mode epsilon: gradient ascent of the errors of readouts, either way; points all over their cells",
    ASCENT: "gradient ascent of removed units in their cells",
    ZEROS: "zeros of removed units by bisection, and their neighbours",
    BORDERS: "neighbours of the best points of ascent, across the cell's borders too",
    UNIFORM: "uniform over the domain",
}
NAMES = tuple(KINDS)

Judge = Callable[[Batches, int], list[Finding]]


def hunt(target: Target, judge: Judge, directed: int, uniform: int, seed: int) -> dict[str, Finding]:
    """Look for points at which the bundle is wrong.

    Parameters
    ----------
    directed, uniform:
        Numbers of points that are aimed at something, and of uniform ones.

    Returns
    -------
    dict[str, Finding]
        One for each of `KINDS`.
    """
    rng = np.random.default_rng(seed)
    return dict(zip(NAMES, judge(_batches(target, directed, uniform, rng), len(NAMES)), strict=True))


def _batches(
    target: Target, directed: int, uniform: int, rng: np.random.Generator
) -> Iterator[tuple[int, plain.Points]]:
    """All points with the numbers of their kinds.

    Half of the directed points are shared out equally among the kinds that need no look inside the network; readouts
    and units get the others, in equal numbers if there are both, and what a kind could not use.
    """
    share = directed // 2 // len(_PLAIN)
    for kind, make in _PLAIN.items():
        for points in make(target, share, rng):
            yield NAMES.index(kind), points
            directed -= len(points)
    for points in error_points(target, directed // 2 if target.removed.any() else directed, rng):
        yield NAMES.index(ERRORS), points
        directed -= len(points)
    for kind, points in unit_points(target, directed, rng):
        yield NAMES.index(kind), points
    for points in plain.uniform(target, uniform, rng):
        yield NAMES.index(UNIFORM), points
