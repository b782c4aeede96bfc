"""Tables: numbers that several members use stand once, and the compact routing tree routes as the tree does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.emit_c99.pools import FloatPool, IndexPool
from dispatcher.emit_c99.tables import SplitRow, build_tables, integer_bits, split_rows
from dispatcher.errors import UnusableInput
from dispatcher.layers import Input, Relu, dense
from dispatcher.plan import whole_member
from dispatcher.route import Router
from dispatcher.tree import Leaf, Split
from tests.dispatcher.bundle_samples import make_family
from tests.dispatcher.member_samples import member_of
from tests.dispatcher.network_samples import chain

VECTORS = st.lists(st.lists(st.sampled_from([0.0, -0.0, 1.0, 2.5]), max_size=8), max_size=12)


@given(VECTORS)
def test_pooled_vectors_are_found_at_their_places(vectors):
    pool = FloatPool(chunk_bits=3)
    arrays = [np.array(vector, np.float32) for vector in vectors]
    places = [pool.add(array) for array in arrays]
    chunks = pool.chunks()
    for array, place in zip(arrays, places, strict=True):
        found = chunks[place >> 3][place & 7 :][: array.size]
        assert found.tobytes() == array.tobytes()
    assert sum(chunk.size for chunk in chunks) <= max(1, sum(len(v) for v in {a.tobytes(): a for a in arrays}.values()))
    assert all(0 < chunk.size <= 8 for chunk in chunks)


def test_equal_vectors_stand_once_and_zeros_of_different_sign_apart():
    pool = FloatPool(chunk_bits=4)
    assert [pool.add(np.array(v, np.float32)) for v in ([1, 2], [0.0], [-0.0], [1, 2], [])] == [0, 2, 3, 0, 0]


def test_indices_are_pooled_too():
    pool = IndexPool()
    assert [pool.add(np.array(v, np.int64)) for v in ([3, 1], [2], [3, 1])] == [0, 2, 0]
    assert pool.values().tolist() == [3, 1, 2]


def test_members_share_the_layers_that_they_have_in_common():
    parent = chain([3, 6, 6, 2])
    small = member_of(parent, {(4, 5)})  # the second ReLU's last unit: the first Dense layer stays what it is
    family = make_family(parent, 2, lambda cell: (whole_member(parent), small)[cell])
    first, second = (build_tables(family).steps[index] for index in (0, 3))
    assert first == second
    assert build_tables(family).chunks[0].size == (3 * 6 + 6) + (6 * 6 + 6) + (6 * 2 + 2) + (6 * 5 + 5) + (5 * 2 + 2)


def test_split_rows_of_a_tree_by_hand():
    tree = (Split(0, 0.5, 1, 4), Split(1, -1.0, 2, 3), Leaf(0), Leaf(1), Split(1, 2.0, 5, 6), Leaf(2), Leaf(3))
    assert split_rows(tree) == (SplitRow(0.5, 0, 2), SplitRow(-1.0, 1, 1), SplitRow(2.0, 1, 1))
    assert split_rows((Leaf(0),)) == ()


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 40), st.integers(0, 1000))
def test_split_rows_route_as_the_tree(cells, seed):
    family = make_family((Input(2), Relu(0, 2)), cells)
    points = np.random.default_rng(seed).integers(-8, 9, (50, 2)).astype(np.float32) / 8  # many of them on thresholds
    rows = split_rows(family.tree)
    assert [walk(rows, cells, point) for point in points] == Router(family.tree)(points).tolist()


def walk(rows, cells, point) -> int:
    """The walk of netslicer_find_cell()."""
    split = cell = 0
    while cells > 1:
        row = rows[split]
        if point[row.axis] <= np.float32(row.threshold):
            split, cells = split + 1, row.low
        else:
            split, cell, cells = split + row.low, cell + row.low, cells - row.low
    return cell


def test_integers_are_as_wide_as_they_must_be():
    assert [integer_bits(n) for n in (0, 2**16 - 1, 2**16, 2**32 - 1)] == [16, 16, 32, 32]
    with pytest.raises(UnusableInput, match="less than 2\\^32 numbers"):
        integer_bits(2**32)


def test_scratch_is_that_of_the_member_that_needs_most():
    parent = (Input(2), dense(0, np.ones((9, 2))), Relu(1, 9), dense(2, np.ones((1, 9))))
    small = member_of(parent, {(2, unit) for unit in range(8)})
    family = make_family(parent, 2, lambda cell: (small, whole_member(parent))[cell])
    tables = build_tables(family)
    assert (tables.scratch_floats, tables.scratch_indices) == (11, 10)
