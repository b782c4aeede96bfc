"""VNN-LIB 1.0: the input box of a property."""

import pytest

from dispatcher.errors import UnusableInput
from slicer.readers import read_domain

DECLARATIONS = "(declare-const X_0 Real)\n(declare-const X_1 Real)\n(declare-const Y_0 Real)\n"
UNIT = "(assert (<= X_1 1))\n(assert (>= X_1 0))\n"


@pytest.fixture
def read(tmp_path):
    """Reads assertions below the declarations of two inputs and an output."""

    def reader(assertions, declarations=DECLARATIONS):
        path = tmp_path / "p.vnnlib"
        path.write_text(declarations + assertions)
        box = read_domain(path, 2)
        return list(zip(box.lower.tolist(), box.upper.tolist(), strict=True))

    return reader


@pytest.mark.parametrize(
    "assertions",
    [
        "(assert (<= X_0 2))(assert (>= X_0 -1.5))",
        "(assert (>= 2 X_0))(assert (<= -1.5 X_0))",
        "(assert (and (<= X_0 2) (>= X_0 -1.5)))",
        "(assert (and (<= X_0 2) (and (and (>= X_0 (- 1.5))))))",
        "; a comment (with parentheses\n(assert(<= X_0 2.0e0))\n(assert (>=\n X_0 ; here\n -15e-1))",
        "(assert (<= X_0 2))(assert (>= X_0 -1.5))(assert (<= X_0 7))(assert (>= X_0 -7))",
        "(assert (or (and (<= X_0 2) (>= X_0 -1.5))))",
        "(set-logic QF_LRA)(assert (<= X_0 2))(assert (>= X_0 -1.5))(check-sat)",
    ],
)
def test_bounds(read, assertions):
    assert read(assertions + UNIT) == [(-1.5, 2), (0, 1)]


def test_several_boxes_give_their_hull(read):
    boxes = "(assert (or (and (<= X_0 2) (>= X_0 1) (>= X_1 0.5)) (and (<= X_0 -2) (>= X_0 -3) (>= X_1 0.25))))"
    assert read(boxes + UNIT) == [(-3, 2), (0.25, 1)]


def test_a_case_without_a_bound_gives_none(read):
    with pytest.raises(UnusableInput, match="input 0: expected a lower and an upper bound, got no upper bound"):
        read("(assert (>= X_0 0))(assert (or (<= X_0 1) (<= Y_0 0)))" + UNIT)


def test_what_is_said_about_outputs_is_no_bound(read):
    outputs = "(assert (or (and (<= Y_0 0)) (not (= (+ Y_0 1) 3))))(assert (<= X_0 1))(assert (>= X_0 0))"
    assert read(outputs + UNIT) == [(0, 1), (0, 1)]


def test_a_case_may_mix_inputs_and_outputs(read):
    mixed = "(assert (or (and (<= X_0 1) (>= X_0 0) (<= Y_0 0)) (and (>= X_0 0) (<= X_0 2) (>= Y_0 1))))"
    assert read(mixed + UNIT) == [(0, 2), (0, 1)]


EXPECTED = "expected a bound of one input, (<= X_i number) or (>= X_i number)"
SEVERAL = "got a constraint on more than one variable or on a term (only boxes of inputs can be domains)"

BAD = {
    "(assert (<= X_0 X_1))": f"line 4: {EXPECTED}, {SEVERAL}",
    "(assert (<= X_0 Y_0))": f"line 4: {EXPECTED}, {SEVERAL}",
    "(assert (<= (+ X_0 X_1) 1))": f"line 4: {EXPECTED}, {SEVERAL}",
    "(assert (<= (* 2 X_0) 1))": f"line 4: {EXPECTED}, {SEVERAL}",
    "(assert (<= X_0 (+ 1 1)))": f"line 4: {EXPECTED}, got a term instead of the number",
    "(assert (not (<= X_0 1)))": f"line 4: {EXPECTED}, got 'not'",
    "(assert (< X_0 1))": f"line 4: {EXPECTED}, got '<'",
    "(assert X_0)": f"line 4: {EXPECTED}, got 'something else'",
    "(assert (<= X_0 1 2))": "line 4: expected 2 operand(s) of '<=', got 3",
    "(assert)": "line 4: expected 1 operand(s) of 'assert', got 0",
    "\n(assert (<= X_0 nan))": "line 5: expected a finite decimal number, got 'nan'",
    "\n(assert (<= X_0 -inf))": "line 5: expected a finite decimal number, got '-inf'",
    "(assert (<= X_0 1e39))(assert (>= X_0 0))": "line 4: expected a number within float32's range, got '1e39'",
    "(assert (<= X_0 1))": "input 0: expected a lower and an upper bound, got no lower bound",
    "(assert (>= X_0 1))": "input 0: expected a lower and an upper bound, got no upper bound",
    "": "input 0: expected a lower and an upper bound, got no bounds",
    "(assert (>= X_0 1))\n(assert (<= X_0 0))": "line 5: input 0: expected lower <= upper, got 1:0",
    "(assert (<= X_7 1))": "expected bounds of declared inputs, got one of X_7",
    "(assert (or))": "line 4: expected at least one case in (or …)",
    "X_0": "line 4: expected a command in parentheses",
    "(assert (<= X_0 1)": "line 4: expected a ')' for this '(', got the end of the file",
    "(assert (<= X_0 1)))": "line 4: expected no ')' here: nothing is open",
    "(assert " + "(and " * 64 + ")" * 65: "line 4: expected at most 64 levels of parentheses",
    "(" * 10**6: "line 4: expected at most 64 levels of parentheses",
    "(vnnlib-version <2.0>)": "line 4: expected VNN-LIB 1.0, got a command of version 2",
    "(declare-network f)": "line 4: expected VNN-LIB 1.0, got a command of version 2",
}


@pytest.mark.parametrize("assertions", BAD, ids=lambda text: text[:40])
def test_one_clear_error(read, tmp_path, assertions):
    with pytest.raises(UnusableInput) as caught:
        read(assertions + "\n" + UNIT)
    assert str(caught.value) == f"{tmp_path / 'p.vnnlib'}: {BAD[assertions]}"


@pytest.mark.parametrize(
    ("declarations", "got"),
    [
        ("(declare-const X_0 Real)", "1 (X_0 to X_0)"),
        ("(declare-const X_0 Real)(declare-const X_2 Real)", "2 (X_0 to X_2)"),
        ("", "none"),
    ],
)
def test_other_inputs_than_the_network_has(read, declarations, got):
    with pytest.raises(UnusableInput) as caught:
        read(UNIT, declarations)
    assert caught.value.what == f"expected declarations of 2 inputs, X_0 to X_1, got {got}"
