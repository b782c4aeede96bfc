"""From what the caller has to float32 points of the domain, or one clear error that names row, input and value."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dispatcher.errors import UnusableInput
from dispatcher.literal import short_text

Points = NDArray[np.float32]

_EXACT = 1 << 24  # every integer up to here is a float32 number


def as_points(inputs: ArrayLike, width: int) -> Points:
    """The inputs as a float32 array, ``[batch, width]`` or one vector ``[width]``, free of NaN.

    Floating-point numbers of any other precision are rounded to the nearest float32. Integers must be float32 numbers.

    Raises
    ------
    UnusableInput
        If type or shape does not fit, an integer is no float32 number, or a number is NaN.
    """
    array = _numbers(inputs)
    if array.ndim not in (1, 2) or array.shape[-1] != width:
        raise UnusableInput(
            f"expected an array of shape [batch, {width}] or [{width}], got {list(array.shape)}", where="inputs"
        )
    with np.errstate(over="ignore", under="ignore"):
        points = array.astype(np.float32, copy=False)
    nan = np.argwhere(np.isnan(np.atleast_2d(points)))
    if len(nan):
        row, axis = nan[0]
        raise UnusableInput("expected a number, got nan", where=place(row, axis))
    return points


def _numbers(inputs: ArrayLike) -> NDArray[np.generic]:
    """An array of floating-point numbers, or of integers that are float32 numbers."""
    try:
        array = np.asarray(inputs)
    except ValueError as error:
        raise UnusableInput(f"expected an array of numbers: {error}", where="inputs") from error
    if array.dtype.kind not in "fiub":
        raise UnusableInput(f"expected real numbers, got an array of {array.dtype}", where="inputs")
    if array.dtype.kind in "iu":
        for large in array[(array > _EXACT) | (array < -_EXACT)].tolist():
            if int(np.float32(large)) != large:
                raise UnusableInput(
                    f"expected integers that are float32 numbers, got {large}",
                    where="inputs",
                    fix="pass floating-point numbers to have them rounded",
                )
    return array


def outside(points: Points, lower: Points, upper: Points) -> NDArray[np.bool_]:
    """Which rows ``[batch]`` of the points ``[batch, n_in]`` lie outside the closed box."""
    beyond: NDArray[np.bool_] = np.any((points < lower) | (points > upper), axis=1)
    return beyond


def refuse_outside(points: Points, lower: Points, upper: Points) -> None:
    """Raise `UnusableInput` for the first number that lies outside the closed box, if there is one."""
    beyond = np.argwhere((points < lower) | (points > upper))
    if len(beyond):
        row, axis = beyond[0]
        raise UnusableInput(
            f"expected a value from {short_text(lower[axis])} to {short_text(upper[axis])} (the bundle's domain), "
            f"got {short_text(points[row, axis])}",
            where=place(row, axis),
            fix="choose 'clamp' or 'parent' for inputs out of domain if that is meant",
        )


def refuse_infinite(points: Points) -> None:
    """Raise `UnusableInput` for the first infinite number, if there is one."""
    infinite = np.argwhere(np.isinf(points))
    if len(infinite):
        row, axis = infinite[0]
        raise UnusableInput(f"expected a finite number, got {short_text(points[row, axis])}", where=place(row, axis))


def place(row: int, axis: int) -> str:
    """Where a number stands, both counted from 0."""
    return f"row {row}, input {axis}"
