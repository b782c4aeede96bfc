"""`Dispatcher`: the members' answers are the parent's; every unusable input is named; nothing is guessed."""

from __future__ import annotations

import doctest
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher import Dispatcher, UnusableInput
from dispatcher.interpret import eval32, evaluate_all
from dispatcher.layers import Input, dense
from dispatcher.plan import Constant, Member, MemberLayer, member_layers, whole_member
from tests.dispatcher.bundle_samples import make_family
from tests.dispatcher.member_samples import inactive_units, member_of
from tests.dispatcher.network_samples import chain, random_network, random_points


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 20), st.integers(0, 60))
def test_whole_members_return_the_parents_bits(seed, cells, batch):
    parent = random_network(seed)
    points = random_points(parent, batch, seed)
    outputs = Dispatcher(make_family(parent, cells)).predict(points)
    assert outputs.tobytes() == eval32(parent, points).tobytes()
    assert outputs.dtype == np.float32
    assert outputs.shape == (batch, parent[-1].width)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6))
def test_reduced_members_return_the_parents_values(seed):
    parent = chain([2, 16, 16, 3], seed)
    points = random_points(parent, 40, seed)
    whole = Dispatcher(make_family(parent, 8))
    cells, values = whole.route(points), evaluate_all(parent, points)

    def member(cell):
        return member_of(parent, inactive_units(parent, [value[cells == cell] for value in values]))

    assert np.array_equal(Dispatcher(make_family(parent, 8, member)).predict(points), values[-1])


def constant_members(parent, cell):
    """A member of its own per cell, which answers with the cell's number."""
    layers = whole_member(parent).layers
    return Member((*layers[:-1], MemberLayer((0,), (), (Constant(0, np.float32(cell)),))))


def test_every_row_is_answered_by_the_member_of_its_cell():
    parent = chain([2, 1])
    dispatcher = Dispatcher(make_family(parent, 7, lambda cell: constant_members(parent, cell)))
    points = random_points(parent, 200, 0)
    cells = dispatcher.route(points)
    assert set(cells) == set(range(7))
    assert np.array_equal(dispatcher.predict(points)[:, 0], cells)


def test_a_vector_gives_a_vector_and_an_empty_batch_an_empty_one():
    parent = chain([3, 8, 2])
    dispatcher = Dispatcher(make_family(parent, 4))
    points = random_points(parent, 5, 0)
    one = dispatcher.predict(points[2])
    assert one.shape == (2,)
    assert np.array_equal(one, dispatcher.predict(points)[2])
    assert dispatcher.route(points[2]).shape == ()
    assert dispatcher.route(points[2]) == dispatcher.route(points)[2]
    assert dispatcher.predict(points[:0]).shape == (0, 2)
    assert dispatcher.route(points[:0]).shape == (0,)
    assert (dispatcher.n_in, dispatcher.n_out) == (3, 2)


IDENTITY = (Input(2), dense(0, np.eye(2)))


def identity(cells: int = 2) -> Dispatcher:
    return Dispatcher(make_family(IDENTITY, cells))


@pytest.mark.parametrize(
    "given_as",
    [
        [[0.1, -0.5], [1, 0]],
        ((0.1, -0.5), (1, 0)),
        np.array([[0.1, -0.5], [1, 0]]),
        np.array([[0.1, -0.5], [1, 0]], ">f4"),
        np.asfortranarray(np.array([[0.1, -0.5], [1, 0]], np.float32)),
        np.array([[0.1, -0.5], [1, 0]], np.longdouble),
    ],
    ids=["lists", "tuples", "float64", "big-endian", "fortran", "longdouble"],
)
def test_floating_point_numbers_are_rounded_to_nearest(given_as):
    assert identity().predict(given_as).tolist() == [[np.float32(0.1), -0.5], [1, 0]]


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.uint16, np.bool_, np.float16])
def test_small_integers_and_halves_are_exact(dtype):
    assert identity().predict(np.array([[0, 1]], dtype)).tolist() == [[0, 1]]


def test_a_number_that_rounds_to_the_border_lies_inside():
    assert identity().predict([[1.00000001, -1]]).tolist() == [[1, -1]]


def test_inputs_are_not_changed():
    points = np.array([[5, 0]], np.float32)
    identity().predict(points, out_of_domain="clamp")
    assert points.tolist() == [[5, 0]]


REFUSED = {
    "nan": ([[0, 0], [0, np.nan]], "row 1, input 1: expected a number, got nan"),
    "above": ([[0, 0], [1.5, 0]], r"row 1, input 0: expected a value from -1.0 to 1.0 .*, got 1.5"),
    "below": ([[0, -1.0000001]], r"row 0, input 1: expected a value from -1.0 to 1.0 .*, got -1.0000001"),
    "infinite": ([[-np.inf, 0]], r"row 0, input 0: expected a value from -1.0 to 1.0 .*, got -inf"),
    "too large for float32": ([[1e300, 0]], r"row 0, input 0: expected a value from -1.0 to 1.0 .*, got inf"),
    "vector": ([0, 2], r"row 0, input 1: expected a value from -1.0 to 1.0 .*, got 2.0"),
    "columns": ([[0, 0, 0]], r"expected an array of shape \[batch, 2\] or \[2\], got \[1, 3\]"),
    "rank 3": ([[[0, 0]]], r"expected an array of shape \[batch, 2\] or \[2\], got \[1, 1, 2\]"),
    "scalar": (0.5, r"expected an array of shape \[batch, 2\] or \[2\], got \[\]"),
    "nothing": ([], r"expected an array of shape \[batch, 2\] or \[2\], got \[0\]"),
    "ragged": ([[0, 0], [0]], "expected an array of numbers"),
    "text": ([["0", "0"]], "expected real numbers, got an array of <U1"),
    "objects": ([[None, 0]], "expected real numbers, got an array of object"),
    "complex": ([[1j, 0]], "expected real numbers, got an array of complex128"),
    "inexact integer": ([[2**24 + 1, 0]], "expected integers that are float32 numbers, got 16777217"),
    "inexact unsigned": (np.array([[0, 2**63 + 1]], np.uint64), "are float32 numbers, got 9223372036854775809"),
}


@pytest.mark.parametrize(("inputs", "reason"), REFUSED.values(), ids=REFUSED)
def test_unusable_inputs_are_named(inputs, reason):
    for use in (identity().predict, identity().route):
        with pytest.raises(UnusableInput, match=reason):
            use(inputs)


def test_large_exact_integers_are_numbers():
    assert identity().predict([[2**24 + 2, -(2**40)]], out_of_domain="parent").tolist() == [[2**24 + 2, -(2**40)]]


def test_clamp_moves_to_the_nearest_point_of_the_domain():
    points = [[0.5, 3], [np.inf, -np.inf], [-2, 0.25]]
    assert identity().predict(points, out_of_domain="clamp").tolist() == [[0.5, 1], [1, -1], [-1, 0.25]]


def test_parent_evaluates_the_whole_parent_outside_and_members_inside():
    parent = chain([2, 1])
    family = make_family(parent, 2, lambda cell: constant_members(parent, 7))
    points = np.array([[0.5, 3], [0.5, 0.5], [-1, 1]], np.float32)  # outside, inside, at a corner
    outputs = Dispatcher(family).predict(points, out_of_domain="parent")
    assert outputs.tolist() == [eval32(parent, points)[0].tolist(), [7], [7]]


@pytest.mark.parametrize("policy", ["error", "clamp", "parent"])
def test_nan_is_an_error_in_every_policy(policy):
    with pytest.raises(UnusableInput, match="row 0, input 1: expected a number, got nan"):
        identity().predict([[3, np.nan]], out_of_domain=policy)


def test_infinity_is_an_error_for_the_parent():
    with pytest.raises(UnusableInput, match="row 1, input 0: expected a finite number, got inf"):
        identity().predict([[3, 0], [np.inf, 0]], out_of_domain="parent")


def test_an_unknown_policy_is_refused():
    with pytest.raises(UnusableInput, match="expected one of error, clamp, parent, got 'ignore'"):
        identity().predict([[0, 0]], out_of_domain="ignore")


def test_members_are_packed_once(monkeypatch):
    packed = []

    def count(parent, member):
        packed.append(member)
        return member_layers(parent, member)

    monkeypatch.setattr("dispatcher.runtime.member_layers", count)
    served = identity(4)
    assert packed == []
    for _ in range(3):
        served.predict([[0.3, 0.3], [-0.3, 0.3]])
    assert len(packed) == 1


def test_the_docstring_example_is_true():
    done = doctest.testmod(sys.modules["dispatcher.runtime"])
    assert done.attempted >= 7
    assert done.failed == 0
