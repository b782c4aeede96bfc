"""A solver's point becomes a witness only through eval32: clipped into the box, rounded to float32, evaluated.

Solvers stop where their tolerance is met, often exactly where the pre-activation is zero. So points a little further
along its gradient are tried as well; whichever eval32 confirms is a witness like any other.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dispatcher.interpret import evaluate_all
from slicer.bounds.linear import Prepared
from slicer.box import Box
from slicer.search.evaluate import evaluate, gradients

Array = NDArray[np.float64]
Points = NDArray[np.float32]
Phases = NDArray[np.int8]

# Steps along the sign of the gradient, in widths of the box, smallest first.
STEPS = np.concatenate([[0.0], 2.0 ** np.arange(-20, 0)])


def inside(points: Array, box: Box) -> Points:
    """The float32 points of the box nearest to points ``[m, n_in]``; NaN becomes the lower corner."""
    near = np.where(np.isnan(points), box.lower, points)
    clipped = np.clip(near, box.lower.astype(np.float64), box.upper.astype(np.float64))
    return np.clip(clipped.astype(np.float32), box.lower, box.upper)


def confirmed(prepared: Prepared, box: Box, point: Array, unit: int, phase: int) -> Points | None:
    """A float32 input ``[n_in]`` at or near a point where eval32 contradicts the unit's phase; None if none is."""
    relu = max(position for position, first in prepared.offsets.items() if first <= unit)
    source, index = prepared.network.layers[relu].sources[0], unit - prepared.offsets[relu]
    start = inside(point[None], box).astype(np.float64)
    gradient = gradients(prepared, evaluate(prepared, start, source), source, np.array([index]))
    width = box.upper.astype(np.float64) - box.lower
    points = inside(start - phase * STEPS[:, None] * width * np.sign(gradient), box)
    own = evaluate_all(prepared.network.layers[: source + 1], points)[source][:, index]
    wrong = np.flatnonzero(own > 0 if phase < 0 else own < 0)
    return points[wrong[0]] if len(wrong) else None


def contradicted(prepared: Prepared, witness: Points, phases: Phases) -> NDArray[np.bool_]:
    """Which of the claims ``phases`` (−1 inactive, +1 active, 0 none) eval32 contradicts at one input: ``[n_relu]``."""
    values = evaluate_all(prepared.network.layers, witness[None])
    own = [values[prepared.network.layers[relu].sources[0]][0] for relu in prepared.offsets]
    flat = np.concatenate(own) if own else np.zeros(0, np.float32)
    return np.asarray(((phases < 0) & (flat > 0)) | ((phases > 0) & (flat < 0)))
