"""`Box`: a closed axis-aligned box with float32 corners, the sets over which everything is proved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dispatcher.errors import UnusableInput
from dispatcher.layers import freeze


@dataclass(frozen=True, eq=False, slots=True)
class Box:
    """The set of x with ``lower <= x <= upper``.

    Attributes
    ----------
    lower, upper:
        Corners, float32 ``[n]``, finite, ``lower <= upper``.

    Raises
    ------
    UnusableInput
        Naming the first input whose bounds are unusable.
    """

    lower: NDArray[np.float32]
    upper: NDArray[np.float32]

    def __post_init__(self) -> None:
        object.__setattr__(self, "lower", freeze(self.lower, np.float32))
        object.__setattr__(self, "upper", freeze(self.upper, np.float32))
        if self.lower.ndim != 1 or self.lower.shape != self.upper.shape:
            raise UnusableInput(
                f"expected two vectors of equal length, got {self.lower.shape} and {self.upper.shape}", where="box"
            )
        for index, (lower, upper) in enumerate(zip(self.lower, self.upper, strict=True)):
            if not (np.isfinite(lower) and np.isfinite(upper)):
                raise UnusableInput(f"expected finite bounds, got {lower}:{upper}", where=f"input {index}")
            if lower > upper:
                raise UnusableInput(f"expected lower <= upper, got {lower}:{upper}", where=f"input {index}")

    @classmethod
    def outward(cls, lower: ArrayLike, upper: ArrayLike) -> Box:
        """The smallest float32 box that contains the given box of real (float64) numbers."""
        low, high = np.asarray(lower, np.float64), np.asarray(upper, np.float64)
        return cls(_round(low, -1), _round(high, +1))

    @property
    def dimension(self) -> int:
        """Number of inputs."""
        return int(self.lower.shape[0])

    @property
    def volume(self) -> float:
        """Product of the widths of all inputs that have one (a flat input counts as a point, not as nothing)."""
        width = self.upper.astype(np.float64) - self.lower
        return float(np.prod(width[width > 0]))

    def contains(self, points: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Which of the points ``[n, dimension]`` lie in the closed box."""
        inside: NDArray[np.bool_] = np.all((points >= self.lower) & (points <= self.upper), axis=1)
        return inside

    def below(self, axis: int, threshold: float) -> Box:
        """The part with ``x[axis] <= threshold``."""
        upper = self.upper.copy()
        upper[axis] = threshold
        return Box(self.lower, upper)

    def above(self, axis: int, threshold: float) -> Box:
        """The part with ``x[axis] >= threshold`` (closed: ties belong to both parts)."""
        lower = self.lower.copy()
        lower[axis] = threshold
        return Box(lower, self.upper)

    def sample(self, count: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """``[count, dimension]`` uniform float32 points of the closed box."""
        spread = rng.random((count, self.dimension)) * (self.upper.astype(np.float64) - self.lower)
        points = (self.lower + spread).astype(np.float32)
        return np.clip(points, self.lower, self.upper)


def middle(lower: float, upper: float) -> float | None:
    """A float32 threshold near the middle, strictly inside, so that both closed halves are smaller; None if none is."""
    threshold = float(np.float32((float(lower) + float(upper)) / 2))
    return threshold if lower < threshold < upper else None


def _round(values: NDArray[np.float64], direction: int) -> NDArray[np.float32]:
    """Float32 values not above (−1) or not below (+1) the given numbers."""
    with np.errstate(over="ignore"):
        near = values.astype(np.float32)
    wrong = near.astype(np.float64) > values if direction < 0 else near.astype(np.float64) < values
    moved = np.nextafter(near, np.float32(direction * np.inf), dtype=np.float32)
    result: NDArray[np.float32] = np.where(wrong, moved, near)
    return result


def stack(boxes: Sequence[Box]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Corners of several boxes as float64 arrays ``[n_boxes, dimension]``."""
    lower = np.array([box.lower for box in boxes], np.float64)
    upper = np.array([box.upper for box in boxes], np.float64)
    return lower, upper
