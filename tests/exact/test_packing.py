"""Rows of integers packed into one: shifts, masks and signs work slot by slot, and a relu's lines bound it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from slicer.certificate import check


def test_packing_is_exact():
    values = [5, -1, 0, -(2**30), 2**30, -7]
    assert check.unpack(check.pack(values, 64), 64, len(values)) == values


@settings(deadline=None, max_examples=100)
@given(st.lists(st.integers(-(2**60), 2**60), min_size=1, max_size=6))
def test_settling_rounds_down_and_splits_by_sign(values):
    """Coefficients lose less than one unit each, whatever the signs of their neighbours in the packed integer."""
    bits, slot = 20, 96
    batch = check.Batch(slot, bits, [(0, 0)] * len(values), check.Bounds(1))
    batch.pending[0] = check.pack(values, slot)
    settled, positive = (check.unpack(packed, slot, len(values)) for packed in batch.settle(0))
    assert settled == [value >> bits for value in values]
    assert positive == [max(value >> bits, 0) for value in values]


@settings(deadline=None, max_examples=200)
@given(st.integers(-2000, 2000), st.integers(0, 4000), st.lists(st.integers(-(2**12), 2**12), min_size=1, max_size=5))
def test_the_lines_of_a_relu_bound_it(low, width, coefficients):
    """A · relu(v) <= A' · v + c at both ends of the interval and at 0, where the difference is greatest."""
    bits, slot, high = 6, 64, low + width
    bounds = check.Bounds(2)
    bounds.low[0], bounds.high[0] = low, high
    relu = check.Relu([1], [0])
    relu.interval(bounds)
    batch = check.Batch(slot, bits, [(1, 1)] * len(coefficients), bounds)
    batch.pending[1] = check.pack(coefficients, slot)
    relu.eliminate(batch)
    slopes = check.unpack(batch.pending.get(0, 0), slot, len(coefficients))
    constants = check.unpack(batch.constant, slot, len(coefficients))
    for value in {low, high, *({0} if low <= 0 <= high else ())}:
        for A, slope, constant in zip(coefficients, slopes, constants, strict=True):
            assert A * max(value, 0) <= slope * value + ((constant + batch.error) << bits)
