"""`Bound` and `Interval`: what a domain file says about one input, exactly and with the place where it says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from dispatcher.errors import UnusableInput
from slicer.box import Box
from slicer.readers.decimals import enclose


@dataclass(frozen=True, slots=True)
class Bound:
    """A decimal number and the place that gives it, such as "line 3: input 0"; empty if it is meant for every input."""

    value: Decimal
    where: str = ""


@dataclass(frozen=True, slots=True)
class Interval:
    """Lower and upper bound of one input; None is no bound."""

    lower: Bound | None = None
    upper: Bound | None = None

    def intersection(self, other: Interval) -> Interval:
        """The numbers in both intervals."""
        lowers = [bound for bound in (self.lower, other.lower) if bound]
        uppers = [bound for bound in (self.upper, other.upper) if bound]
        return Interval(max(lowers, key=_value, default=None), min(uppers, key=_value, default=None))

    def hull(self, other: Interval) -> Interval:
        """The smallest interval around both."""
        lower = min(self.lower, other.lower, key=_value) if self.lower and other.lower else None
        upper = max(self.upper, other.upper, key=_value) if self.upper and other.upper else None
        return Interval(lower, upper)


def _value(bound: Bound) -> Decimal:
    return bound.value


def enclosing_box(intervals: Sequence[Interval]) -> Box:
    """The smallest float32 box that contains the product of the intervals.

    Raises
    ------
    UnusableInput
        Naming the input (and line) without a bound or with lower > upper.
    """
    corners = [_corner(index, interval) for index, interval in enumerate(intervals)]
    lower, upper = zip(*corners, strict=True)
    return Box.outward(lower, upper)


def _corner(index: int, interval: Interval) -> tuple[float, float]:
    """Float64 numbers around one interval, or what is wrong with it."""
    lower, upper, place = interval.lower, interval.upper, f"input {index}"
    if lower is None or upper is None:
        missing = "bounds" if lower is upper else "lower bound" if lower is None else "upper bound"
        raise UnusableInput(f"expected a lower and an upper bound, got no {missing}", where=place)
    if lower.value > upper.value:
        got = f"{str(lower.value)[:40]}:{str(upper.value)[:40]}"
        raise UnusableInput(f"expected lower <= upper, got {got}", where=upper.where or place)
    return enclose(lower.value)[0], enclose(upper.value)[1]
