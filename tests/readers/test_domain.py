"""Domains: what is written is inside the float32 box; what is missing or wrong has a place."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.errors import UnusableInput
from slicer.readers import read_domain

FORMS = "expected lo:hi, 'lo,hi;lo,hi;…' with one pair per input, or a .csv or .vnnlib file"


def corners(box):
    return box.lower.tolist(), box.upper.tolist()


@pytest.mark.parametrize(
    ("text", "lower", "upper"),
    [
        ("0:1", 0, 1),
        ("-1:1", -1, 1),
        ("-.5:.5", -0.5, 0.5),
        ("-1e1:2.5E-1", -10, 0.25),
        (" -2 : 3 ", -2, 3),
        ("1:1", 1, 1),
    ],
)
def test_the_same_bounds_for_every_input(text, lower, upper):
    assert corners(read_domain(text, 3)) == ([lower] * 3, [upper] * 3)


@pytest.mark.parametrize("text", ["0,1;-1,0.5", " 0 , 1 ; -1 , 5e-1 "])
def test_a_pair_for_each_input(text):
    assert corners(read_domain(text, 2)) == ([0, -1], [1, 0.5])


@pytest.mark.parametrize("content", ["lower,upper\n0,1\n-1,.5\n", "\ufefflower, upper\r\n0,1\r\n-1,0.5\r\n\r\n"])
@pytest.mark.parametrize("kind", [str, Path])
def test_csv(tmp_path, content, kind):
    path = tmp_path / "Domain.CSV"
    path.write_bytes(content.encode())
    assert corners(read_domain(kind(path), 2)) == ([0, -1], [1, 0.5])


decimals = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**38), max_value=10**38)


@given(decimals, decimals)
@settings(deadline=None)
def test_the_box_is_the_smallest_that_contains_the_decimals(a, b):
    low, high = min(a, b), max(a, b)
    box = read_domain(f"{low}:{high}", 1)
    lower, upper = box.lower[0], box.upper[0]
    assert Fraction(float(lower)) <= Fraction(low) <= Fraction(high) <= Fraction(float(upper))
    inward = np.nextafter(lower, np.float32(np.inf)), np.nextafter(upper, np.float32(-np.inf))
    assert Fraction(float(inward[0])) > Fraction(low)
    assert Fraction(float(inward[1])) < Fraction(high)


def test_digits_beyond_float64_count():
    box = read_domain(f"0.{'9' * 40}:1.{'0' * 40}1", 1)
    assert box.lower[0] == np.nextafter(np.float32(1), np.float32(0))
    assert box.upper[0] == np.nextafter(np.float32(1), np.float32(2))


BAD_TEXTS = {
    "0": f"domain '0': {FORMS}, got something else",
    "": f"domain '': {FORMS}, got something else",
    "box.txt": f"domain 'box.txt': {FORMS}, got something else",
    "0;1": f"domain '0;1': {FORMS}, got something else",
    "0:1:2": "domain '0:1:2': expected two numbers, lower and upper, got 3",
    "0:": "domain '0:': expected a finite decimal number, got ''",
    "nan:1": "domain 'nan:1': expected a finite decimal number, got 'nan'",
    "0:inf": "domain '0:inf': expected a finite decimal number, got 'inf'",
    "0:1e39": "domain '0:1e39': expected a number within float32's range, got '1e39'",
    "1:0": "domain '1:0': input 0: expected lower <= upper, got 1:0",
    "0,1": "domain '0,1': expected bounds of 2 inputs separated by ';', got 1",
    "0,1;0,1;0,1": "domain '0,1;0,1;0,1': expected bounds of 2 inputs separated by ';', got 3",
    "0,1;0": "domain '0,1;0': input 1: expected two numbers, lower and upper, got 1",
    "0,1;nan,1": "domain '0,1;nan,1': input 1: expected a finite decimal number, got 'nan'",
    "0,1;2,1": "domain '0,1;2,1': input 1: expected lower <= upper, got 2:1",
}


@pytest.mark.parametrize("text", BAD_TEXTS)
def test_bad_text(text):
    with pytest.raises(UnusableInput) as caught:
        read_domain(text, 2)
    assert str(caught.value) == BAD_TEXTS[text]


BAD_CSV = {
    "0,1\n0,1\n": "line 1: expected the header 'lower,upper', got '0,1'",
    "\n": "line 1: expected the header 'lower,upper', got ''",
    "lower,upper\n0,1\n": "expected 2 rows below the header, one per input, got 1",
    "lower,upper\n0,1\n0,1\n0,1\n": "expected 2 rows below the header, one per input, got 3",
    "lower,upper\n0,1\n0\n": "line 3: input 1: expected two numbers, lower and upper, got 1",
    "lower,upper\n0,1\n,1\n": "line 3: input 1: expected a finite decimal number, got ''",
    "lower,upper\nNaN,1\n0,1\n": "line 2: input 0: expected a finite decimal number, got 'NaN'",
    "lower,upper\n0,1\n1,-inf\n": "line 3: input 1: expected a finite decimal number, got '-inf'",
    "lower,upper\n0,1\n1,0.5\n": "line 3: input 1: expected lower <= upper, got 1:0.5",
    "lower,upper\n-1e39,1\n1,2\n": "line 2: input 0: expected a number within float32's range, got '-1e39'",
}


@pytest.mark.parametrize("content", BAD_CSV)
def test_bad_csv(tmp_path, content):
    path = tmp_path / "domain.csv"
    path.write_text(content)
    with pytest.raises(UnusableInput) as caught:
        read_domain(path, 2)
    assert str(caught.value) == f"{path}: {BAD_CSV[content]}"


def test_paths(tmp_path):
    (tmp_path / "empty.csv").touch()
    for path, message in (
        (tmp_path / "none.csv", "expected a file, got nothing at this path (check the spelling)"),
        (tmp_path / "empty.csv", "expected content, got an empty file"),
        (tmp_path / "box.txt", f"{FORMS}, got this path"),
    ):
        with pytest.raises(UnusableInput) as caught:
            read_domain(path, 2)
        assert str(caught.value) == f"{path}: {message}"
