"""Falsification: points of a cell at which a unit has the phase that we hoped it never has.

Uniform sampling and corners first, then gradient ascent with shrinking sign steps from each unit's best points
(projected gradient, Madry et al., ICLR 2018). This decides which units are *candidates*; nothing here proves anything.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slicer.bounds.linear import Prepared
from slicer.box import Box
from slicer.search.evaluate import evaluate, gradients, pre_activations

Array = NDArray[np.float64]

SAMPLES = 1024
CORNER_DIMENSIONS = 6
STARTS = 2
STEPS = 8


@dataclass(eq=False)
class Extremes:
    """Largest and smallest pre-activation seen for every ReLU unit, and where: ``[n_relu]``, ``[n_relu, n_in]``."""

    largest: Array
    smallest: Array
    largest_at: Array
    smallest_at: Array

    def update(self, points: Array, values: Array) -> None:
        """Take in points ``[m, n_in]`` with their pre-activations ``[m, n_relu]``."""
        if not len(points):
            return
        for best, at, chosen in (
            (self.largest, self.largest_at, values.argmax(axis=0)),
            (self.smallest, self.smallest_at, values.argmin(axis=0)),
        ):
            value = values[chosen, np.arange(values.shape[1])]
            better = value > best if best is self.largest else value < best
            best[better] = value[better]
            at[better] = points[chosen[better]]

    @property
    def phase(self) -> NDArray[np.int8]:
        """−1 never seen active, +1 never seen inactive, 0 both seen; ``[n_relu]``."""
        never_active = self.largest <= 0
        return np.where(never_active, -1, np.where(self.smallest >= 0, 1, 0)).astype(np.int8)


def sample_points(box: Box, rng: np.random.Generator) -> Array:
    """Uniform points and, in few dimensions, the corners of the box ``[m, n_in]``."""
    return np.concatenate([_corners(box), box.sample(SAMPLES, rng)]).astype(np.float64)


def sample_extremes(prepared: Prepared, box: Box, rng: np.random.Generator) -> Extremes:
    """Extremes over uniform points and, in few dimensions, the corners of the box."""
    points = sample_points(box, rng)
    values = pre_activations(prepared, evaluate(prepared, points))
    shape = (values.shape[1], box.dimension)
    infinite = np.full(values.shape[1], np.inf)
    extremes = Extremes(-infinite, infinite, np.zeros(shape), np.zeros(shape))
    extremes.update(points, values)
    return extremes


def climb(
    prepared: Prepared, box: Box, extremes: Extremes, targets: NDArray[np.int8], rng: np.random.Generator
) -> None:
    """Improve the extremes of the units with a non-zero target by gradient search.

    ``targets`` is −1 where an activating point is sought (the unit was never seen active), +1 where a deactivating
    one is; ``[n_relu]``.
    """
    for relu, offset in prepared.offsets.items():
        width = prepared.network.layers[relu].width
        if targets[offset : offset + width].any():
            _climb_layer(prepared, box, extremes, (relu, targets[offset : offset + width]), rng)


def _climb_layer(
    prepared: Prepared,
    box: Box,
    extremes: Extremes,
    wanted: tuple[int, NDArray[np.int8]],
    rng: np.random.Generator,
) -> None:
    """Gradient search for the units of one ReLU layer with a target, `STARTS` starts each, all at once."""
    relu, targets = wanted
    units = np.flatnonzero(targets)
    source = prepared.network.layers[relu].sources[0]
    flat = units + prepared.offsets[relu]
    lower, upper = box.lower.astype(np.float64), box.upper.astype(np.float64)
    best = np.where((targets[units] < 0)[:, None], extremes.largest_at[flat], extremes.smallest_at[flat])
    points = np.concatenate([best, box.sample(len(units) * (STARTS - 1), rng)]).astype(np.float64)
    unit, direction = np.tile(units, STARTS), -np.tile(targets[units], STARTS).astype(np.float64)
    step = 0.5
    for _ in range(STEPS):
        values = evaluate(prepared, points, source)
        gradient = gradients(prepared, values, source, unit) * direction[:, None]
        moved = points + step * (upper - lower) * np.sign(gradient)
        points = np.clip(moved, lower, upper).astype(np.float32).astype(np.float64)
        step *= 0.6
        extremes.update(points, pre_activations(prepared, evaluate(prepared, points)))


def _corners(box: Box) -> NDArray[np.float32]:
    """All corners in at most `CORNER_DIMENSIONS` dimensions, else the two extreme ones and the centre."""
    if box.dimension <= CORNER_DIMENSIONS:
        choice = np.indices((2,) * box.dimension).reshape(box.dimension, -1).T
        return np.where(choice == 1, box.upper, box.lower)
    centre = ((box.lower.astype(np.float64) + box.upper) / 2).astype(np.float32)
    return np.stack([box.lower, box.upper, np.clip(centre, box.lower, box.upper)])
