"""Float32 by way of binary64 and struct is IEEE-754 binary32, also in the subnormal range and at the largest number."""

from __future__ import annotations

import math
import operator
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slicer.certificate import check

SPECIAL = [0x00000000, 0x80000000, 0x00000001, 0x807FFFFF, 0x00800000, 0x3F800000, 0xBF800001, 0x7F7FFFFF, 0xFF7FFFFF]
words = st.one_of(st.integers(0, 2**32 - 1), st.sampled_from(SPECIAL)).filter(lambda w: (w >> 23) & 0xFF != 0xFF)
close = st.integers(0x00000000, 0x01000000)  # subnormal and the smallest normal numbers


def value(word: int) -> float:
    return struct.unpack(">f", word.to_bytes(4, "big"))[0]


@settings(deadline=None, max_examples=1500)
@given(
    st.one_of(words, close), st.one_of(words, close), st.sampled_from([operator.add, operator.mul, operator.truediv])
)
def test_operations_are_those_of_numpy_bit_for_bit(left, right, operation):
    a, b = value(left), value(right)
    if operation is operator.truediv and abs(b) < 2.0**-126:
        return
    with np.errstate(all="ignore"):
        expected = operation(np.float32(a), np.float32(b))
    if np.isinf(expected):
        with pytest.raises(OverflowError):
            check.single(operation(a, b))
    else:
        assert check.FLOAT32.pack(check.single(operation(a, b))).hex() == np.array(expected, ">f4").tobytes().hex()


@settings(deadline=None, max_examples=300)
@given(words)
def test_numbers_are_read_exactly(word):
    number = value(word)
    assert check.Field(number.hex(), "x").number() == number
    assert check.Field(f"{word:08x}", "x").vector(1) == (number,)
    assert check.FLOAT32.pack(number).hex() == f"{word:08x}"


@pytest.mark.parametrize(
    "text",
    [
        "1.0", "0x1p+0", "0x1.0p+0 ", "0X1.0000000000000P+0", "0x1.0000000000000p+00", "nan", "inf", "-inf", "",
        math.pi.hex(),                 # not float32
        (2.0**128).hex(),              # above the largest
        (2.0**128 - 2.0**100).hex(),   # would round to infinity
        (2.0**-150).hex(),             # below the smallest
        "0x1." + "0" * 13 + "p+9999", "0x" + "1" * 10000, "1" * 5000, "0x1.0000000000000p+0\n", "\uff11",
        1, 1.5, None, True, ["0x0.0p+0"],
    ],
)  # fmt: skip
def test_other_spellings_are_refused(text):
    with pytest.raises(check.Rejected):
        check.Field(text, "x").number()


@pytest.mark.parametrize(
    "text", ["3F800000", "3f80000", "3f8000000", "7f800000", "ff800000", "7fc00000", " 3f80000", "", 0]
)
def test_other_vectors_are_refused(text):
    with pytest.raises(check.Rejected):
        check.Field(text, "x").vector(1)
