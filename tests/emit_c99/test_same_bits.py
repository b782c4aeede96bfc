"""The compiled C returns the bits of its member's `eval32` and the cell of the routing tree, at every optimisation."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from dispatcher.emit_c99 import Layout, emit_c99, emit_parent_c99
from dispatcher.emit_c99.live import SlotRow
from dispatcher.emit_c99.program import compile_network
from dispatcher.emit_c99.readout import Reading
from dispatcher.emit_c99.steps import Kind, Program
from dispatcher.emit_c99.tables import FROM_LIST, HAS_RELU, HAS_START, TO_LIST, build_tables
from dispatcher.interpret import eval32
from dispatcher.layers import Elementwise, Input, Relu, dense, freeze
from dispatcher.plan import Family, Readout, whole_member
from tests.dispatcher.bundle_samples import make_family
from tests.dispatcher.member_samples import member_of
from tests.dispatcher.network_samples import chain
from tests.emit_c99.families import (
    DIGEST,
    affine_family,
    chain_with_prefixes,
    decision_family,
    epsilon_family,
    expected,
    family_with_prefixes,
    hard_points,
    member_with,
    mixed_family,
    mixed_readouts,
    random_affine,
    random_family,
    random_readout,
    readout_family,
    readouts_alone,
    readouts_behind_prefixes,
    readouts_of_a_layer_aside,
    readouts_of_a_single_sum,
    readouts_of_waiting_layers,
    readouts_with_others_live,
    residual_readouts,
    wide_family,
    with_members,
)
from tests.emit_c99.host import Compiler, bits, build_runner, require, run_points

LAYOUTS = get_args(Layout)
FAMILIES = {
    **{f"random {seed}": random_family(seed) for seed in range(4)},
    **{f"wide {seed}": wide_family(seed) for seed in range(2)},
    **{f"mixed {seed}": mixed_family(seed) for seed in range(3)},
    "prefixes": family_with_prefixes(),
    "chain with prefixes": chain_with_prefixes(),
    "decision": decision_family(),
    "epsilon": epsilon_family(),
    "readouts": readout_family(),
    "residual readouts": residual_readouts(),
    "readouts behind prefixes": readouts_behind_prefixes(),
    "readouts of waiting layers": readouts_of_waiting_layers(),
    "readouts with others live": readouts_with_others_live(),
    "readouts of a layer aside": readouts_of_a_layer_aside(),
    "readouts of a single sum": readouts_of_a_single_sum(),
    "readouts alone": readouts_alone(),
    **{f"mixed readouts {seed}": mixed_readouts(seed) for seed in range(4)},
}


def assert_same(family: Family, compiler: Compiler, directory, *flags: str, layouts=LAYOUTS) -> None:
    """The C of each layout returns the cells and the bits of the members' `eval32`; so the layouts agree too."""
    points = hard_points(family, np.random.default_rng(0))
    cells, outputs = expected(family, points)
    for layout in layouts:
        emit_c99(family, DIGEST, directory / layout, "net", layout)
        answers = run_points(build_runner(compiler, directory / layout, *flags), points, family.parent[-1].width)
        assert (answers.codes == 0).all()
        assert (answers.routes == cells).all()
        assert (bits(answers.outputs) == bits(outputs)).all()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", FAMILIES)
def test_families(name, layout, compiler, tmp_path):
    assert_same(FAMILIES[name], compiler, tmp_path, "-O2", layouts=[layout])


@pytest.mark.parametrize(
    ("name", "level"),
    [
        ("wide 0", "-O0"),
        ("mixed 0", "-O0"),
        ("mixed 0", "-Os"),
        ("wide 0", "-O3"),
        ("epsilon", "-O0"),
        ("epsilon", "-O3"),
        ("readouts", "-O0"),
        ("readouts", "-O3"),
    ],
)
def test_every_optimisation(name, level, compiler, tmp_path):
    assert_same(FAMILIES[name], compiler, tmp_path, level)


def test_the_families_above_use_every_kind_of_step_and_every_flag():
    steps = [row for family in FAMILIES.values() for row in build_tables(family).steps]
    assert {row.kind for row in steps} == set(Kind)
    inner = {row.flags & (HAS_START | HAS_RELU) for row in steps if row.flags & FROM_LIST}
    first = {row.flags & (HAS_START | HAS_RELU) for row in steps if not row.flags & FROM_LIST}
    assert first == {0, HAS_START, HAS_RELU, HAS_START | HAS_RELU}
    assert inner == {0, HAS_RELU, HAS_START | HAS_RELU}
    assert any(row.n_in == 0 for row in steps), "a dense layer of constants"


def test_the_families_above_use_every_way_of_the_masked_layout():
    """Few units and many, constants and prefixes, of layers that hand on lists and of layers that leave vectors."""
    ways = set()
    for family in FAMILIES.values():
        tables = build_tables(family, "masked")
        for row, live in zip(tables.steps, tables.live.live_of_step, strict=True):
            for which, number in (("source", live.source), ("target", live.target)):
                if number < len(tables.live.slots):
                    slot, to_list = tables.live.slots[number], bool(row.flags & TO_LIST)
                    ways |= {(which, to_list, way_of(choice, slot)) for choice in tables.live.choices[:, number]}
    assert ways >= {("target", True, way) for way in ("gathered", "blocks", "special")}
    assert ("target", False, "special") in ways
    assert {which for which, _, _ in ways} == {"source", "target"}


def way_of(choice: int, slot: SlotRow) -> str:
    """How the units of a chosen set are computed."""
    return "gathered" if choice < slot.gathered else "blocks" if choice < slot.plain else "special"


def test_affine_members_by_every_compiler(each_compiler, tmp_path):
    assert_same(epsilon_family(), each_compiler, tmp_path, "-O2")


@pytest.mark.parametrize("cells", [1, 5])
def test_affine_members_alone(cells, each_compiler, tmp_path):
    assert_same(affine_family(cells), each_compiler, tmp_path, "-O2")


def test_affine_members_that_read_some_inputs(compiler, tmp_path):
    rng, parent = np.random.default_rng(0), chain([6, 5, 3])
    numbers = freeze(rng.normal(size=(3, 2)), np.float32), freeze(rng.normal(size=3), np.float32)
    some = member_with(parent, Readout(((0, (1, 4)),), *numbers))
    assert_same(with_members(parent, [some, whole_member(parent)]), compiler, tmp_path, "-O1")


@pytest.mark.parametrize("outputs", [1, 2, 4, 7, 9])
def test_affine_members_wider_than_all_layers_of_the_parent(outputs, compiler, tmp_path):
    """Lists, rows and scratch hold what affine members need, where the parent needs less."""
    flags = ("-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    require(compiler, tmp_path, "sanitizers for addresses and undefined behaviour", *flags)
    rng, parent = np.random.default_rng(outputs), chain([6, 1, outputs])
    members = [random_affine(parent, rng), member_of(parent, set()), random_affine(parent, rng)]
    assert_same(with_members(parent, members), compiler, tmp_path, *flags)


def test_affine_members_at_places_of_32_bits(compiler, tmp_path):
    rng, parent = np.random.default_rng(1), chain([64, 2, 64])
    family = with_members(parent, [random_affine(parent, rng) for _ in range(17)])
    tables = build_tables(family, "masked")
    assert (tables.index_bits, tables.place_bits) == (16, 32)
    assert build_tables(family, "masked", least_bits=1).chunk_bits == (64 * 65).bit_length()
    assert_same(family, compiler, tmp_path, "-O1", layouts=["masked"])


def test_affine_members_of_a_network_without_dense_layers(compiler, tmp_path):
    """Whose own program has no lists."""
    parent = (Input(3), Relu(0, 3))
    rng = np.random.default_rng(0)
    family = with_members(parent, [random_affine(parent, rng), whole_member(parent), random_affine(parent, rng)])
    assert build_tables(family, "masked").list_units == 3
    assert_same(family, compiler, tmp_path, "-O1")


def test_the_families_above_read_layers_in_every_way():
    """Lists and vectors, with weights of the units read and with those of all; before the first step and behind others.

    Layers that have no value of their own in the parent's program are read as well.
    """
    readings = [
        row for one in FAMILIES.values() if (found := build_tables(one, "masked").readout) for row in found.readings
    ]
    assert {row.flags for row in readings} == {Reading(flags) for flags in range(4)}
    assert {row.steps > 0 for row in readings if not row.flags & Reading.FROM_LIST} == {True, False}
    alone = [
        layer
        for family in FAMILIES.values()
        for member in family.members
        if member.readout and not member.readout.affine
        for layer, _ in member.readout.reads
        if shape(compile_network(family.parent, {layer})) != shape(compile_network(family.parent))
    ]
    assert alone


def shape(program: Program) -> list[tuple[Kind, bool]]:
    """The steps of a program, and which of them include a ReLU."""
    return [(step.kind, step.relu) for step in program.steps]


@pytest.mark.parametrize("name", ["readouts", "residual readouts"])
def test_readouts_by_every_compiler(name, each_compiler, tmp_path):
    assert_same(FAMILIES[name], each_compiler, tmp_path, "-O2", layouts=["masked"])


@pytest.mark.parametrize("name", [name for name in FAMILIES if "readouts" in name])
def test_readouts_with_sanitizers(name, compiler, tmp_path):
    flags = ("-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    require(compiler, tmp_path, "sanitizers for addresses and undefined behaviour", *flags)
    assert_same(FAMILIES[name], compiler, tmp_path, *flags, layouts=["masked"])


def test_readouts_need_no_other_members_and_lists_hold_what_they_read():
    tables = build_tables(FAMILIES["readouts alone"], "masked")
    assert (tables.list_units, tables.affine, len(tables.readout.readouts)) == (6, None, 3)
    assert max(row.n_in for row in tables.steps if row.kind is Kind.DENSE) == 5


def test_readouts_at_places_of_32_bits(compiler, tmp_path):
    """A chunk holds the weights of all inputs for all outputs, which are more than any step of the parent has."""
    rng, parent = np.random.default_rng(1), chain([64, 20, 64])
    family = with_members(parent, [random_readout(parent, [0, 2], rng) for _ in range(30)])
    tables = build_tables(family, "masked")
    assert (tables.index_bits, tables.place_bits) == (16, 32)
    assert build_tables(family, "masked", least_bits=1).chunk_bits == 12 > (20 * 65).bit_length()
    assert_same(family, compiler, tmp_path, "-O1", layouts=["masked"])


def test_values_that_are_not_live_are_not_read(compiler, tmp_path):
    """A vector holds any number for them, even an infinite one that a zero would turn into NaN."""
    parent = (
        Input(2),
        dense(0, [[1, 0], [0, 3e38], [1, 1]]),
        Elementwise(1, "mul", freeze([1, 3e38, 2], np.float32)),
        Relu(2, 3),
        Elementwise(3, "add", freeze([1, 1, 1], np.float32)),
        dense(4, np.ones((2, 3))),
    )
    bias, weight = freeze([0.5, -1], np.float32), freeze([[1, 2], [3, 4]], np.float32)
    readouts = [
        Readout(((4, (0, 2)),), weight, bias),
        Readout(((4, (0, 2)),), freeze(np.ones((2, 2)), np.float32), bias),
    ]
    family = with_members(parent, [member_with(parent, one) for one in readouts])
    assert [row.flags for row in build_tables(family, "masked").readout.readings] == [Reading(0), Reading.OF_ALL]
    assert np.isfinite(expected(family, hard_points(family, np.random.default_rng(0)))[1]).all()
    assert_same(family, compiler, tmp_path, "-O1")


@pytest.mark.parametrize("width", [1, 3, 7, 13, 31, 46])
def test_every_number_of_units_beside_whole_blocks(width, compiler, tmp_path):
    assert_same(make_family(chain([3, width, width, 2], seed=width), 3), compiler, tmp_path, "-O2", layouts=["packed"])


def test_outputs_that_are_constant(compiler, tmp_path):
    parent = chain([2, 5, 5, 3])
    relus = {(place, unit) for place in (2, 4) for unit in range(5)}
    family = make_family(parent, 3, lambda cell: member_of(parent, (relus, set(), {(2, 0)})[cell]))
    assert len(family.members[0].layers[-1].constants) == 3
    assert_same(family, compiler, tmp_path, "-O1")


@pytest.mark.parametrize("cells", [1, 2, 3, 37])
def test_every_number_of_cells(cells, compiler, tmp_path):
    assert_same(make_family(chain([2, 4, 1]), cells), compiler, tmp_path, "-O1")


def test_a_network_that_is_its_input(compiler, tmp_path):
    assert_same(make_family((Input(3),), 4), compiler, tmp_path, "-O1")


def test_indices_of_32_bits(compiler, tmp_path):
    layers = (Input(1), dense(0, np.ones((70_000, 1)), np.arange(70_000)), dense(1, np.ones((1, 70_000)) / 70_000))
    family = make_family(layers)
    tables = build_tables(family)
    assert (tables.index_bits, tables.place_bits, tables.row_bits) == (32, 32, 32)
    assert_same(family, compiler, tmp_path, "-O1", layouts=["packed"])


def test_the_parent_alone(compiler, tmp_path):
    family = random_family(3)
    emit_parent_c99(family.parent, family.lower, family.upper, tmp_path / "net", "net")
    points = hard_points(family, np.random.default_rng(0))
    answers = run_points(build_runner(compiler, tmp_path / "net", "-O2"), points, family.parent[-1].width)
    assert (bits(answers.outputs) == bits(eval32(family.parent, points))).all()
    assert (answers.routes == 0).all()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_zeros_of_either_sign_and_subnormal_numbers(layout, compiler, tmp_path):
    family = make_family(chain([4, 9, 9, 3], seed=5), 6)
    emit_c99(family, DIGEST, tmp_path / "net", "net", layout)
    small = np.array([0.0, -0.0, 1e-45, -1e-45, 2**-126, -(2**-126), 1e-39, 1.0], np.float32)
    points = np.random.default_rng(1).choice(small, (500, 4))
    answers = run_points(build_runner(compiler, tmp_path / "net", "-O2"), points, 3)
    assert (bits(answers.outputs) == bits(expected(family, points)[1])).all()
