"""Tables: numbers that several members use stand once, and the compact routing tree routes as the tree does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.emit_c99.blocks import MOST_QUADS, QUAD, computed_units
from dispatcher.emit_c99.live import LiveRow, SlotRow, SpecialRow
from dispatcher.emit_c99.pools import FloatPool, IndexPool
from dispatcher.emit_c99.program import compile_network
from dispatcher.emit_c99.readout import Reading, ReadingRow, ReadoutRow
from dispatcher.emit_c99.steps import Kind
from dispatcher.emit_c99.tables import SplitRow, build_tables, integer_bits, split_rows
from dispatcher.errors import UnusableInput
from dispatcher.layers import Input, Relu, dense, freeze
from dispatcher.plan import Readout, whole_member
from dispatcher.route import Router
from dispatcher.tree import Leaf, Split
from tests.dispatcher.bundle_samples import make_family
from tests.dispatcher.member_samples import member_of
from tests.dispatcher.network_samples import chain
from tests.emit_c99.families import (
    affine_family,
    epsilon_family,
    member_with,
    random_member,
    readout_family,
    wide_family,
    with_members,
)
from tests.random_networks import mixed

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
    assert build_tables(family).chunks[0].size == (3 * 8 + 8) + (6 * 8 + 8) + (6 * 2 + 2) + (6 * 8 + 8) + (5 * 2 + 2)


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
    assert (tables.scratch_floats, tables.list_units) == (2, 9)


def masked(parent, *members):
    """The tables of a family with one cell for each member."""
    return build_tables(make_family(parent, len(members), lambda cell: members[cell]), "masked")


def test_masked_tables_by_hand():
    parent = chain([3, 20, 18, 2])
    first, second = member_of(parent, {(2, 0), (2, 19)}), member_of(parent, {(4, u) for u in range(1, 18)})
    live = masked(parent, first, second, whole_member(parent)).live
    assert [(row.source, row.target) for row in live.live_of_step] == [(2, 0), (2, 1), (2, 2)]  # 2: all are live
    assert live.choices.tolist() == [[0, 1], [1, 0], [1, 1]]
    # Slot 0: two sets of three bytes, slot 1 begins behind them: one unit of eighteen, which is gathered, then all.
    assert live.slots == (SlotRow(0, 0, 3, 0, 2), SlotRow(6, 0, 3, 1, 2))
    assert live.masks.tolist() == [0xFE, 0xFF, 0x07, 0xFF, 0xFF, 0x0F, 0x01, 0, 0, 0xFF, 0xFF, 0x03]


def test_special_units_by_hand():
    """A constant output is a special unit that takes no terms; the sets with special units come last."""
    parent = (Input(2), dense(0, np.eye(2)), Relu(1, 2), dense(2, [[1, 0], [1, 1]], [0.5, 0]))
    live = masked(parent, member_of(parent, {(2, 0)}), whole_member(parent)).live
    assert live.live_of_step[1] == LiveRow(2, 1)
    assert (live.slots[1].plain, live.choices[:, 1].tolist()) == (1, [1, 0])
    assert live.special_sets == (0,)
    assert live.specials == (SpecialRow(0.5, 0, 2), SpecialRow(0.0, 2, 0))


def test_the_masked_layout_has_one_program_and_the_parents_numbers():
    family = wide_family(0)
    tables, alone = build_tables(family, "masked"), build_tables(make_family(family.parent))
    assert (len(tables.programs), tables.members) == (1, len(family.members))
    assert [chunk.tobytes() for chunk in tables.chunks] == [chunk.tobytes() for chunk in alone.chunks]
    assert tables.steps == alone.steps


def test_affine_members_are_numbered_last_and_have_numbers_of_their_own():
    family = epsilon_family()
    tables, alone = build_tables(family, "masked"), build_tables(make_family(family.parent))
    kept = [member.readout is None for member in family.members]
    assert (kept, family.cells) == ([False, True, False, False, True, False], (0, 1, 2, 3, 4, 5, 1, 3))
    assert tables.cells == (2, 0, 3, 4, 1, 5, 0, 4)
    assert (tables.affine.first, len(tables.affine.places), tables.members) == (2, 4, 6)
    assert tables.steps == alone.steps
    assert len(tables.live.choices) == 2
    (numbers,) = tables.chunks
    assert numbers[: alone.chunks[0].size].tobytes() == alone.chunks[0].tobytes()
    for member, cell in ((0, 0), (2, 2), (3, 3), (3, 7), (5, 5)):
        readout = family.members[member].readout
        place = tables.affine.places[tables.cells[cell] - tables.affine.first]
        expected = np.concatenate([readout.bias, readout.weight.T.ravel()])
        assert numbers[place : place + expected.size].tobytes() == expected.tobytes()


def test_a_table_of_affine_members_alone_has_no_steps():
    tables = build_tables(affine_family(), "masked")
    assert (tables.affine.first, tables.cells, tables.programs[0].steps) == (1, (1, 2, 3, 4, 5), 0)
    assert tables.scratch_floats >= max(4, 2)


def test_readouts_are_numbered_first_and_affine_members_last():
    family = readout_family()
    tables = build_tables(family, "masked", with_parent=True)
    kinds = [
        "exact" if one.readout is None else "affine" if one.readout.affine else "readout" for one in family.members
    ]
    order = [kinds[family.cells[cell]] for cell in np.argsort(tables.cells, kind="stable")]
    assert order == ["readout"] * 10 + ["exact"] * 2 + ["affine"] * 2
    assert len(tables.readout.readouts) == 9
    assert (tables.parent, tables.affine.first) == (11, 12)
    assert len(tables.live.choices) == 12
    assert tables.steps == build_tables(make_family(family.parent)).steps


def test_tables_of_readouts_by_hand():
    """The first member has the parent's weights of the last layer, so has the third; the second has its own.

    The fourth is affine, and does not read the first input.
    """
    parent = (
        Input(2),
        dense(0, np.ones((10, 2))),
        Relu(1, 10),
        dense(2, np.arange(70).reshape(7, 10)),
        Relu(3, 7),
        dense(4, [[1, 2, 3, 4, 5, 6, 7]], [8]),
    )
    reads = [((0, (0, 1)), (4, (1, 6))), ((2, (0, 9)),), ((4, (0,)),), ((0, (1,)),)]
    weights = [[[21, 22, 2, 7]], [[31, 32]], [[1]], [[41]]]
    members = [
        member_with(parent, Readout(one, freeze(weight, np.float32), freeze([number], np.float32)))
        for number, (one, weight) in enumerate(zip(reads, weights, strict=True))
    ]
    tables = build_tables(with_members(parent, [*members, whole_member(parent)]), "masked")
    first = 12 * 3 + 8 * 11  # the hidden layers' numbers, units in whole quads; then one bias and seven weights
    masks = tables.live.masks.tobytes()
    assert tables.chunks[0][first:].tolist() == [8, 1, 2, 3, 4, 5, 6, 7, 0, 21, 22, 1, 31, 32, 2, 3, 0, 41]
    assert tables.readout.readings == (
        ReadingRow(0, 2, 0, 1, Reading(0)),
        ReadingRow(2, 7, 0, 1, Reading.FROM_LIST | Reading.OF_ALL),
        ReadingRow(1, 10, 0, 8, Reading.FROM_LIST),
    )
    assert [(row.weights - first, row.reading) for row in tables.readout.stages] == [(9, 0), (1, 1), (12, 2), (1, 1)]
    assert [masks[row.mask :][:n] for row, n in zip(tables.readout.stages[::2], (1, 2), strict=True)] == [
        b"\x03",
        b"\x01\x02",
    ]
    assert tables.readout.readouts == (
        ReadoutRow(0, first + 8, 2),
        ReadoutRow(2, first + 11, 1),
        ReadoutRow(3, first + 14, 1),
    )


def test_members_that_stop_before_a_step_choose_no_set_of_their_own():
    parent = chain([3, 20, 20, 2])
    reads = Readout(((2, (0, 1)),), freeze(np.ones((2, 2)), np.float32), freeze(np.ones(2), np.float32))
    some = [member_with(parent, reads), member_of(parent, {(4, 0)}), whole_member(parent)]
    live = build_tables(with_members(parent, some), "masked").live
    without = build_tables(with_members(parent, some[1:]), "masked").live
    number = live.live_of_step[1].target
    assert live.choices[0, number] == live.choices[1, number]
    assert live.masks.size == without.masks.size + 2 * 3  # of the layer that is read: two units, and all


def test_the_packed_layout_knows_no_affine_members():
    tables = build_tables(epsilon_family())
    assert (tables.readout, tables.affine, tables.cells, len(tables.programs)) == (
        None,
        None,
        epsilon_family().cells,
        6,
    )
    assert build_tables(wide_family(0), "masked").affine is None


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 1000))
def test_masks_are_the_live_units_of_every_member(seed):
    rng = np.random.default_rng(seed)
    parent = mixed(rng, width=int(rng.integers(1, 20))).layers
    family = make_family(parent, 4, lambda _: random_member(parent, rng, (0.0, 0.5, 1.0)))
    live, program = build_tables(family, "masked").live, compile_network(parent)
    for row, step in zip(live.live_of_step, program.steps, strict=True):
        if step.kind is not Kind.DENSE:
            continue
        for index, member in enumerate(family.members):
            source = parent[step.layer].source
            if not step.from_list:
                assert units_of(live, index, row.source, parent[source].width) == member.layers[source].units
            if step.to_list:
                assert units_of(live, index, row.target, step.n_out) == member.layers[step.result].units


def units_of(live, member: int, number: int, width: int) -> tuple[int, ...]:
    """The units that the tables say are live."""
    if number == len(live.slots):
        return tuple(range(width))
    slot = live.slots[number]
    first = slot.masks + slot.bytes * int(live.choices[member, number])
    bits = np.unpackbits(live.masks[first : first + slot.bytes], bitorder="little")
    assert not bits[width:].any()
    return tuple(np.flatnonzero(bits).tolist())


@given(st.lists(st.booleans(), min_size=1, max_size=140))
def test_computed_units_are_those_of_the_passes(units):
    """The C's rule, quad by quad: see netslicer_append_units."""
    quads = [any(units[first : first + QUAD]) for first in range(0, len(units), QUAD)]
    computed, first = set(), 0
    while first < len(quads):
        if not quads[first]:
            first += 1
            continue
        window = quads[first : first + MOST_QUADS]
        while not window[-1]:
            window.pop()
        computed |= set(range(first, first + len(window)))
        first += len(window)
    assert computed_units(np.array([units])).tolist() == [QUAD * len(computed)]
    assert {index for index, live in enumerate(quads) if live} <= computed
