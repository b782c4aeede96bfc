"""Decimal text to binary floating point, correctly rounded in one step or enclosed, never rounded twice.

A float64 in between would round twice: 1 + 2^-24 + 1e-30 becomes the float64 1 + 2^-24, a tie that goes to the
float32 1, while the float32 nearest to the decimal is 1 + 2^-23. Comparisons of `decimal.Decimal` are exact, whatever
the context.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

import numpy as np
from numpy.typing import NDArray

from dispatcher.errors import UnusableInput

_LARGEST = Decimal(float(np.finfo(np.float32).max))
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\Z")


def parse_decimal(text: str) -> Decimal:
    """The exact value of a decimal number, such as ``-.5``, ``3`` or ``1.5e-3``.

    Raises
    ------
    UnusableInput
        For anything else, NaN and infinities included, and for magnitudes above the largest float32.
    """
    number = text.strip()
    try:
        value = Decimal(number) if _NUMBER.match(number) else None
    except InvalidOperation:  # an exponent beyond those of the decimal module
        value = None
    if value is None:
        raise UnusableInput(f"expected a finite decimal number, got {number[:40]!r}")
    if value.copy_abs() > _LARGEST:
        raise UnusableInput(f"expected a number within float32's range, got {number[:40]!r}")
    return value


def enclose(value: Decimal) -> tuple[float, float]:
    """The largest float64 not above and the smallest float64 not below a decimal in float32's range."""
    near = float(value)
    exact = Decimal(near)
    down = near if exact <= value else math.nextafter(near, -math.inf)
    up = near if exact >= value else math.nextafter(near, math.inf)
    return down, up


def nearest_float32(texts: Sequence[str]) -> NDArray[np.float32]:
    """Float32 numbers ``[n]`` nearest to the decimals, ties to even.

    Raises
    ------
    UnusableInput
        As `parse_decimal`.
    """
    decimals = [parse_decimal(text) for text in texts]
    wide = np.array([float(value) for value in decimals], np.float64)
    near, largest = wide.astype(np.float32), np.finfo(np.float32).max
    other = np.nextafter(near, np.where(wide > near, largest, -largest), dtype=np.float32)
    # Sums of two neighbouring float32 numbers are exact in float64, so a tie is seen as one.
    ties = np.flatnonzero((near != wide) & (near.astype(np.float64) + other == 2 * wide))
    for index in ties.tolist():
        near[index] = _break_tie(decimals[index], near[index], other[index])
    return near


def _break_tie(value: Decimal, near: np.float32, other: np.float32) -> np.float32:
    """The neighbour nearer to a decimal whose float64 lies in their middle; ``near`` (even) if the decimal does too."""
    middle = Decimal((float(near) + float(other)) / 2)
    if value == middle:
        return near
    return max(near, other) if value > middle else min(near, other)
