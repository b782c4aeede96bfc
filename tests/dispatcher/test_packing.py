"""A packed member returns the parent's outputs (==) where the units it leaves out are inactive (CERTIFICATE.md §3)."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.interpret import eval32, evaluate_all
from dispatcher.layers import Add, Concat, Elementwise, Gather, Input, Layers, Relu, check_layers, dense, freeze
from dispatcher.plan import Constant, Member, MemberLayer, Prefix, member_layers, whole_member
from tests.dispatcher.member_samples import inactive_units, member_of
from tests.dispatcher.network_samples import chain, random_network, random_points


def check_equal(parent: Layers, points: np.ndarray) -> Layers:
    """Remove every unit that is inactive on the points, pack, compare on the points."""
    values = evaluate_all(parent, points)
    packed = member_layers(parent, member_of(parent, inactive_units(parent, values)))
    check_layers(packed)
    assert np.array_equal(eval32(packed, points), values[-1])
    return packed


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 20))
def test_members_of_random_graphs_equal_the_parent(seed, count):
    parent = random_network(seed)
    check_equal(parent, random_points(parent, count, seed))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 5))
def test_members_of_chains_equal_the_parent_and_are_smaller(seed, count):
    parent = chain([3, 12, 12, 12, 2], seed)
    packed = check_equal(parent, random_points(parent, count, seed))
    assert sum(layer.width for layer in packed) < sum(layer.width for layer in parent)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6))
def test_the_whole_member_is_the_parent(seed):
    parent = random_network(seed)
    points = random_points(parent, 4, seed)
    packed = member_layers(parent, whole_member(parent))
    assert [type(layer) for layer in packed] == [type(layer) for layer in parent]
    assert eval32(packed, points).tobytes() == eval32(parent, points).tobytes()


def test_a_residual_connection_reads_a_gathered_part_of_a_wider_layer():
    # The hidden units 0 and 2 stay; the skip connection needs unit 2 alone.
    parent = (
        Input(2),
        dense(0, [[1, 0], [0, 1], [1, 1]], bias=[1, -9, 2]),
        Relu(1, 3),
        dense(2, [[0, 0, 0], [0, 0, 0], [1, 5, 1]], bias=[0, 0, 1]),
        Add((2, 3), 3),
        Gather(4, freeze([2, 2], np.int64)),
        Elementwise(5, "mul", freeze([1, 3], np.float32)),
    )
    packed = check_equal(parent, random_points(parent, 20, 0))
    assert [layer.width for layer in packed] == [2, 2, 2, 1, 1, 1, 2, 2]


def test_a_concat_keeps_a_part_of_each_source():
    parent = (Input(3), Relu(0, 3), Concat((0, 1, 0), 9), dense(2, [[0, 1, 0, 0, 0, 2, 3, 0, 0]]))
    points = random_points(parent, 20, 0)
    packed = member_layers(parent, member_of(parent, set()))
    assert [layer.width for layer in packed] == [3, 1, 1, 1, 1, 3, 1]
    assert np.array_equal(eval32(packed, points), eval32(parent, points))


def test_prefixes_and_constants_take_the_place_of_terms():
    parent = (Input(1), dense(0, [[0], [0], [1]], bias=[0.1, 0.2, 0]), dense(1, [[1, 1, 1], [3, 0, 0]], bias=[9, 1]))
    tenth, fifth = np.float32(0.1), np.float32(0.2)
    member = member_of(parent, set())
    assert member.layers[2] == MemberLayer((0, 1), (Prefix(0, 2, tenth + fifth),), (Constant(1, 3 * tenth + 1),))
    assert member.layers[1] == MemberLayer((2,))
    packed = check_equal(parent, random_points(parent, 9, 0))
    assert packed[2].weight.tolist() == [[1], [0]]
    assert packed[2].start.tolist() == [tenth + fifth, 0]


def test_a_prefix_that_ends_inside_the_kept_units_zeroes_the_terms_before_it():
    parent = (Input(2), dense(0, [[1, 0], [0, 1]]), dense(1, [[2, 3], [5, 7]]))
    member = Member((MemberLayer((0, 1)), MemberLayer((0, 1)), MemberLayer((0, 1), (Prefix(1, 1, np.float32(4)),))))
    packed = member_layers(parent, member)
    assert packed[2].weight.tolist() == [[2, 3], [0, 7]]
    assert packed[2].start.tolist() == [0, 4]
