"""Numbers survive being text: every spelling reads back as the same bits, and there is only one spelling."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.literal import bits_text, bits_value, c99_text, hex_text, hex_value, short_text

EDGES = [0.0, -0.0, 1.0, -1.0, 0.1, 1e-45, -1e-45, 1.1754942e-38, 1.1754944e-38, 3.4028235e38, -3.4028235e38, 16777216]


def random_floats(count: int) -> np.ndarray:
    """Finite float32 numbers with uniformly random bits, and the edges."""
    bits = np.random.default_rng(0).integers(0, 2**32, count, dtype=np.uint32).view(np.float32)
    return np.concatenate([np.array(EDGES, np.float32), bits[np.isfinite(bits)]])


any_float32 = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(st.lists(any_float32, max_size=8))
def test_bits_round_trip(numbers):
    values = np.array(numbers, np.float32)
    assert bits_value(bits_text(values)).tobytes() == values.tobytes()


def test_bits_are_big_endian_ieee():
    assert bits_text(np.array([1, -0.0], np.float32)) == "3f80000080000000"


@pytest.mark.parametrize("text", ["3F800000", "3f80000", "3f800000 ", "3f800000\n", "3g800000", "٣f800000", "+f800000"])
def test_other_spellings_of_bits_are_refused(text):
    with pytest.raises(ValueError, match="expected 8 lower-case hex digits"):
        bits_value(text)


@given(any_float32)
def test_hex_floats_round_trip(number):
    assert np.float32(hex_value(hex_text(number))).tobytes() == np.float32(number).tobytes()


NOT_HEX = ["1", "0x1p+0", "0x1.8p+0", "0X1.8000000000000p+0", " 0x1.0000000000000p+0", "inf", "-inf", "nan", "", "x"]
NOT_FLOAT32 = [(0.1).hex(), (1e300).hex(), (3.4028236e38).hex(), (1e-46).hex(), "0x1.0000000000000p+2000"]


@pytest.mark.parametrize("text", NOT_HEX + NOT_FLOAT32)
def test_other_spellings_and_other_numbers_are_refused(text):
    with pytest.raises(ValueError, match="expected"):
        hex_value(text)


@given(any_float32)
def test_decimals_round_trip(number):
    assert np.float32(float(short_text(np.float32(number)))).tobytes() == np.float32(number).tobytes()


def test_decimals_of_random_bits_round_trip():
    values = random_floats(20_000)
    assert np.array([float(short_text(value)) for value in values], np.float32).tobytes() == values.tobytes()


@given(any_float32)
def test_c99_constants_are_hex_floats(number):
    text = c99_text(number)
    assert text.endswith("f")
    assert np.float32(float.fromhex(text[:-1])).tobytes() == np.float32(number).tobytes()


def test_c99_constants_are_short():
    assert [c99_text(value) for value in (0.75, 0.0, -0.0, -2)] == ["0x1.8p-1f", "0x0p+0f", "-0x0p+0f", "-0x1p+1f"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_c99_has_no_constants_for_what_is_not_finite(value):
    with pytest.raises(ValueError, match="expected a finite float"):
        c99_text(value)


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_a_c_compiler_reads_the_same_bits(tmp_path):
    values = random_floats(2000)
    source = tmp_path / "constants.c"
    constants = ",\n".join(c99_text(value) for value in values)
    source.write_text(
        "#include <stdio.h>\n"
        f"static const float values[] = {{\n{constants}\n}};\n"
        "int main(void) { return fwrite(values, sizeof values, 1, stdout) == 1 ? 0 : 1; }\n"
    )
    program = tmp_path / "constants"
    subprocess.run(["cc", "-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror", source, "-o", program], check=True)
    assert subprocess.run([program], check=True, capture_output=True).stdout == values.tobytes()
