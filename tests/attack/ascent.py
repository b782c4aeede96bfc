"""Ascent of functions in boxes by the signs of their gradients: it chooses points, and proves nothing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tests.attack.points import Points, clip
from tests.attack.proof import Boxes

_STEPS, _FIRST_STEP, _SHRINK = 12, 0.5, 0.6  # as shares of the box's widths

Heights = Callable[[Points], np.ndarray]  # from points [m, n_in], each in a box of its own, to heights [m]
Slopes = Callable[[Points], np.ndarray]  # to gradients [m, n_in]


def ascend(heights: Heights, slopes: Slopes, boxes: Boxes, start: Points) -> list[Points]:
    """Ascent in each box with shrinking steps.

    Returns
    -------
    list[Points]
        The points visited, ``[m, n_in]`` each; the last is the best of all.
    """
    best, largest, way = start, heights(start), [start]
    width = boxes.upper.astype(np.float64) - boxes.lower
    step = np.concatenate([[2.0], _FIRST_STEP * _SHRINK ** np.arange(_STEPS)])  # the first one leads to a corner
    for length in step:
        points = clip((best + length * np.sign(slopes(best)) * width).astype(np.float32), boxes)
        values = heights(points)
        best = np.where((values > largest)[:, None], points, best)
        largest = np.maximum(values, largest)
        way.append(points)
    return [*way, best]
