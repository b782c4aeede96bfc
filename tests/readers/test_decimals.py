"""Decimal text: correctly rounded once, or enclosed."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dispatcher.errors import UnusableInput
from slicer.readers.decimals import enclose, nearest_float32, parse_decimal

float32s = st.floats(width=32, allow_nan=False, allow_infinity=False)
small_decimals = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**38), max_value=10**38)


def next_to(value, direction):
    with np.errstate(over="ignore"):
        return float(np.nextafter(np.float32(value), np.float32(direction * np.inf)))


@given(small_decimals)
@example(Decimal("1.000000059604644775390625000001"))
@example(Decimal("1.000000059604644775390625"))  # a tie: the even one is below
@example(Decimal("1.000000178813934326171875"))  # a tie: the even one is above
@example(Decimal("1.000000178813934326171874999999999"))
@example(Decimal("-1.000000059604644775390625000001"))
@example(Decimal("7.006492321624085354618e-46"))  # about half of the smallest subnormal
@settings(deadline=None)
def test_the_nearest_float32(decimal):
    """No float32 is nearer, in exact arithmetic, and of two equally near ones the even one is taken."""
    (value,) = nearest_float32([str(decimal)])
    error = abs(Fraction(decimal) - Fraction(float(value)))
    for direction in (-1, 1):
        neighbour = next_to(value, direction)
        if np.isfinite(neighbour):
            other = abs(Fraction(decimal) - Fraction(neighbour))
            assert error < other or (error == other and value.view(np.uint32) % 2 == 0)


@given(float32s, st.integers(-(10**12), 10**12))
@settings(deadline=None)
def test_decimals_beside_the_middle_of_two_float32(value, offset):
    """Digits far beyond float64's precision decide."""
    upper = next_to(value, 1)
    if np.isinf(upper):
        return
    middle = (Fraction(value) + Fraction(upper)) / 2
    exact = middle + Fraction(offset, 10**80)
    digits = exact * 10**250  # an integer: a float32 and its middles are multiples of 2^-150
    assert digits.denominator == 1
    (nearest,) = nearest_float32([f"{digits.numerator}e-250"])
    if offset:
        assert nearest == (upper if offset > 0 else value)
    else:
        assert nearest in (value, upper)
        assert nearest.view(np.uint32) % 2 == 0


def test_several_numbers_at_once():
    np.testing.assert_array_equal(
        nearest_float32([" 1", "-.5 ", "+2.", "3e-1", "1E2"]), np.float32([1, -0.5, 2, 0.3, 100])
    )


def test_negative_zero_and_underflow():
    assert np.signbit(nearest_float32(["-0.0"]))[0]
    assert nearest_float32(["1e-99999"])[0] == 0


@pytest.mark.parametrize("text", ["", "nan", "inf", "1_000", "0x10", "1e", "--1", "1,5", "١", "1e99999999999999999999"])
def test_what_is_not_a_finite_decimal_number(text):
    with pytest.raises(UnusableInput) as caught:
        parse_decimal(text)
    assert str(caught.value) == f"expected a finite decimal number, got {text!r}"


def test_what_is_above_the_largest_float32():
    largest = 340282346638528859811704183484516925440
    assert nearest_float32([str(-largest)])[0] == np.finfo(np.float32).min
    with pytest.raises(UnusableInput, match=r"expected a number within float32's range, got '3402823466385288598117"):
        nearest_float32(["1", f"{largest}.1"])


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**38), max_value=10**38))
@settings(deadline=None)
def test_enclosing_numbers_are_the_nearest_on_either_side(decimal):
    down, up = enclose(decimal)
    assert Fraction(down) <= Fraction(decimal) <= Fraction(up)
    assert up == down or up == np.nextafter(down, np.inf)
    assert (up == down) == (Fraction(float(decimal)) == Fraction(decimal))
