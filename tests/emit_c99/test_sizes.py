"""`table_sizes` says what the compiler says."""

from __future__ import annotations

import subprocess
from dataclasses import asdict, fields
from typing import get_args

import numpy as np
import pytest

from dispatcher.emit_c99 import Layout, emit_c99, masked_macs, parent_family, table_sizes
from dispatcher.emit_c99.package import package_files
from dispatcher.emit_c99.provenance import Provenance
from dispatcher.emit_c99.sizes import sizes_of
from dispatcher.emit_c99.tables import build_tables
from dispatcher.errors import UnusableInput
from dispatcher.layers import Input, dense, freeze
from dispatcher.package import write_package
from dispatcher.plan import Readout
from tests.dispatcher.bundle_samples import make_family
from tests.dispatcher.member_samples import member_of
from tests.dispatcher.network_samples import chain
from tests.emit_c99.families import (
    DIGEST,
    affine_family,
    epsilon_family,
    family_with_prefixes,
    member_with,
    random_affine,
    random_family,
    random_member,
    random_readout,
    readout_family,
    residual_readouts,
    wide_family,
    with_members,
)
from tests.emit_c99.host import sources
from tests.emit_c99.tables_in import compiled_tables

WIDE = (Input(1), dense(0, np.ones((70_000, 1))), dense(1, np.ones((1, 70_000))))  # 32-bit indices and places
LARGE = chain([5, 260, 260, 260, 3])  # 16-bit indices, 32-bit places
FAMILIES = {
    "random": random_family(6),
    "prefixes": family_with_prefixes(),
    "one cell": make_family(chain([3, 4, 2])),
    "identity": make_family((Input(3),), 4),
    "wide": make_family(WIDE),
    "large": make_family(LARGE, 3),
    "wide members": wide_family(2),
    "epsilon": epsilon_family(),
    "affine": affine_family(),
    "readouts": readout_family(),
    "residual readouts": residual_readouts(),
}


@pytest.mark.parametrize(
    ("name", "layout"),
    [*((name, "packed") for name in FAMILIES), *((name, "masked") for name in FAMILIES if name != "wide")],
)
def test_sizes_are_those_of_the_compiled_tables(name, layout, compiler, tmp_path):
    emit_c99(FAMILIES[name], DIGEST, tmp_path / "net", "net", layout)
    assert compiled_tables(compiler, tmp_path / "net") == table_sizes(FAMILIES[name], layout)


@pytest.mark.parametrize(
    ("name", "layout"),
    [*(("wide members", layout) for layout in get_args(Layout)), ("epsilon", "masked"), ("readouts", "masked")],
)
def test_flash_is_what_the_compiler_puts_into_the_objects_up_to_alignment(name, layout, compiler, tmp_path):
    """All sections of the data files, as ``size`` counts them; 64-bit addresses instead of 32-bit ones."""
    emit_c99(FAMILIES[name], DIGEST, tmp_path / "net", "net", layout)
    objects = [tmp_path / f"{source.stem}.o" for source in (tmp_path / "net").glob("*_data*.c")]
    for path in objects:
        assert compiler("-c", tmp_path / "net" / f"{path.stem}.c", "-o", path).returncode == 0
    lines = subprocess.run(["size", *objects], capture_output=True, text=True, check=True).stdout.splitlines()[1:]
    sizes = table_sizes(FAMILIES[name], layout)
    assert 0 <= sum(int(line.split()[3]) for line in lines) - sizes.flash <= 32 * len(fields(sizes))


def test_masked_tables_are_the_parents_and_little_for_each_member():
    """A cell has a split of eight bytes and a member; a member a choice and at most a mask for each hidden layer."""
    rng, parent, cells = np.random.default_rng(0), chain([5, 50, 50, 50, 5]), 40
    family = make_family(parent, cells, lambda _: random_member(parent, rng, (0.1, 0.5)))
    alone, masked, packed = table_sizes(make_family(parent)), table_sizes(family, "masked"), table_sizes(family)
    assert masked.numbers == alone.numbers
    assert masked.flash - alone.flash <= cells * (8 + 2 + 3 * (2 + 7)) + 3 * 14 + 32
    assert masked.flash < 1.1 * alone.flash
    assert packed.flash > 10 * masked.flash


def test_an_affine_member_takes_its_numbers_and_a_place():
    """Beside a cell: a split of eight bytes and a member's number."""
    rng, parent = np.random.default_rng(0), chain([5, 50, 50, 5])
    whole, affine = member_of(parent, set()), [random_affine(parent, rng) for _ in range(40)]
    few, many = (table_sizes(with_members(parent, [whole, *affine[:n]]), "masked") for n in (10, 40))
    assert many.flash - few.flash == 30 * (4 * 5 * 6 + 2 + 8 + 2)
    assert many.ram == few.ram == table_sizes(make_family(parent)).ram


def test_a_readout_takes_a_row_and_its_numbers_and_a_row_for_each_layer():
    """Beside a cell, a choice for each of three slots, and at most a mask for each; it shares the parent's weights."""
    rng, parent = np.random.default_rng(0), chain([5, 50, 50, 50, 5])
    members = [random_readout(parent, [0, 4, 6], rng, 0.5, kept=True) for _ in range(40)]
    few, many = (with_members(parent, [member_of(parent, set()), *members[:n]]) for n in (10, 40))
    sizes = [table_sizes(family, "masked") for family in (few, many)]
    own = sum(4 * 5 * (1 + sum(len(units) for _, units in one.readout.reads[:2])) for one in members[10:])
    assert sizes[1].numbers - sizes[0].numbers == own
    assert sizes[1].members - sizes[0].members == 30 * (6 + 3 * 6 + 2 * 3)
    assert sizes[1].live - sizes[0].live <= 30 * (3 * 7 + 7 + 1)
    assert sizes[0].steps == sizes[1].steps == table_sizes(make_family(parent)).steps


def test_weights_in_common_stand_once():
    """Of a layer that many members read with the same weights, which are not the parent's."""
    rng, parent = np.random.default_rng(1), chain([3, 30, 4])
    weight = rng.normal(size=(4, 30))

    def member(number):
        units = tuple(unit for unit in range(30) if unit % 15 != number)
        numbers = freeze(weight[:, list(units)], np.float32), freeze(rng.normal(size=4), np.float32)
        return member_with(parent, Readout(((2, units),), *numbers))

    sizes = [table_sizes(with_members(parent, [member(n) for n in range(count)]), "masked") for count in (2, 12)]
    assert sizes[1].numbers - sizes[0].numbers == 10 * 4 * 4


def test_affine_members_alone_leave_nothing_of_the_parent():
    family = FAMILIES["affine"]
    assert table_sizes(family, "masked").numbers == 4 * len(family.members) * 2 * (4 + 1)
    assert table_sizes(family, "masked").flash < table_sizes(family, "packed").flash


def test_equal_sets_of_live_units_stand_once():
    parent = chain([3, 20, 20, 2])
    families = [make_family(parent, 4, lambda cell, n=n: _without(parent, cell % n)) for n in (1, 2, 4)]
    live = [table_sizes(family, "masked").live for family in families]
    assert [one - live[0] for one in live] == [0, 3, 9]  # a mask has three bytes


def _without(parent, unit):
    """The member without one unit of the first ReLU layer, and without the last of the second."""
    return member_of(parent, {(2, unit), (4, 19)})


def test_an_unknown_layout_is_refused():
    with pytest.raises(UnusableInput, match="layout: expected packed or masked, got 'dense'"):
        table_sizes(FAMILIES["one cell"], "dense")


def test_macs_of_the_masked_layout_count_blocks_that_are_not_all_live():
    parent = chain([20, 34, 3])
    keep = [set(range(34)), {0, 33}, set(range(6)), {3}]
    family = make_family(parent, 4, lambda cell: member_of(parent, {(2, unit) for unit in set(range(34)) - keep[cell]}))
    computed = [34, 2, 8, 1]  # two of ten and one of eight are gathered, six are computed in a block of eight
    assert masked_macs(family).tolist() == [20 * n + 3 * len(units) for n, units in zip(computed, keep, strict=True)]


def test_macs_of_affine_members_are_their_weights():
    family = FAMILIES["epsilon"]
    macs, alone = masked_macs(family), {}
    for index, member in enumerate(family.members):
        if member.readout is None:
            alone[index] = int(masked_macs(make_family(family.parent, 1, lambda _, one=member: one))[0])
    assert len(alone) == 2
    assert macs.tolist() == [alone.get(index, 5 * 3) for index in range(len(family.members))]
    assert masked_macs(FAMILIES["affine"]).tolist() == [2 * 4] * 5


def test_macs_of_readouts_are_those_of_the_steps_walked_and_their_weights():
    parent = chain([20, 34, 34, 3])
    reads = [((2, (3,)),), ((0, (1, 2)), (2, (0, 33))), ((2, (0,)), (4, (5, 30)))]
    numbers = [Readout(one, _ones(3, sum(len(units) for _, units in one)), _ones(3)) for one in reads]
    members = [*(member_with(parent, one) for one in numbers), member_of(parent, set())]
    removed = {(2, unit) for unit in range(1, 33)}  # the third keeps two units of the first layer
    members[2] = member_of(parent, removed, numbers[2])
    walked = [20 * 1, 20 * 2, 20 * 2 + 2 * 2, 20 * 34 + 34 * 34 + 34 * 3]
    assert masked_macs(with_members(parent, members)).tolist() == [
        macs + weights for macs, weights in zip(walked, [3 * 1, 3 * 4, 3 * 3, 0], strict=True)
    ]


def _ones(*shape: int) -> np.ndarray:
    return freeze(np.ones(shape), np.float32)


def test_sizes_with_several_data_files(compiler, tmp_path):
    assert len(build_tables(FAMILIES["large"]).chunks) == 1
    tables = build_tables(FAMILIES["large"], least_bits=1)
    assert len(tables.chunks) == 2
    write_package(package_files(tables, "net", Provenance(DIGEST, DIGEST)), tmp_path / "net")
    assert len(sources(tmp_path / "net")) == 3
    assert compiled_tables(compiler, tmp_path / "net") == sizes_of(tables)


def test_flash_is_the_sum_of_the_tables():
    sizes = table_sizes(FAMILIES["random"])
    assert sizes.flash == sum(asdict(sizes).values()) - sizes.ram


def test_a_parent_alone_costs_its_parameters_and_little_else():
    network = chain([5, 50, 50, 5])
    family = parent_family(network, np.full(5, -1, np.float32), np.full(5, 1, np.float32))
    parameters = 52 * 6 + 52 * 51 + 5 * 51  # hidden units in whole quads
    sizes = table_sizes(family)
    assert sizes.numbers == 4 * parameters
    assert sizes.flash - sizes.numbers <= 120
    assert sizes.ram == 4 * 5 + 2 * 50 * (4 + 2)
