"""On emulated microcontrollers, with and without a floating-point unit, the package returns the bits of `eval32`."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest

from dispatcher.boards import Board
from dispatcher.emit_c99 import Layout, emit_c99, table_sizes
from dispatcher.plan import Family
from dispatcher.vectors import random_points
from tests.benchmarks.mcu import instructions
from tests.dispatcher.bundle_samples import make_family
from tests.dispatcher.member_samples import member_of
from tests.dispatcher.network_samples import chain
from tests.emit_c99.boards import build_with_vectors
from tests.emit_c99.families import (
    DIGEST,
    affine_family,
    chain_with_prefixes,
    epsilon_family,
    expected,
    family_with_prefixes,
    hard_points,
    mixed_family,
    random_family,
    random_readout,
    readout_family,
    residual_readouts,
    wide_family,
    with_members,
)
from tests.emit_c99.host import NO_FMA, bits, sources
from tests.emit_c99.tables_in import table_bytes

pytestmark = pytest.mark.mcu

LAYOUTS = get_args(Layout)

FAMILIES = {
    "random": random_family(3),
    "wide": wide_family(1, cells=6),
    "mixed": mixed_family(1, cells=3),
    "prefixes": family_with_prefixes(),
    "chain with prefixes": chain_with_prefixes(),
    "epsilon": epsilon_family(),
    "readouts": readout_family(),
    "residual readouts": residual_readouts(),
}


@pytest.mark.parametrize(
    ("name", "layout", "level"),
    [
        ("random", "packed", "-O2"),
        ("prefixes", "packed", "-Os"),
        ("wide", "masked", "-Os"),
        ("mixed", "masked", "-O2"),
        ("chain with prefixes", "masked", "-O0"),
        ("epsilon", "masked", "-Os"),
        ("readouts", "masked", "-Os"),
        ("residual readouts", "masked", "-O2"),
    ],
)
def test_same_bits(name, layout, level, board, tmp_path):
    family = FAMILIES[name]
    points = hard_points(family, np.random.default_rng(0), 30)
    program = build(board, family, points, tmp_path, level, NO_FMA, layout=layout)
    code, words = board.run(program)
    answers = np.array(words, np.uint32).reshape(len(points), 2 + family.parent[-1].width)
    cells, outputs = expected(family, points)
    assert code == 0
    assert (answers[:, 0] == 0).all()
    assert (answers[:, 1] == cells).all()
    assert (bits(answers[:, 2:].view(np.float32)) == bits(outputs)).all()


def test_nan_and_numbers_outside_the_domain(board, tmp_path):
    family = family_with_prefixes()
    points = np.array([[0, 0, 1.5], [0, -1.5, 0]], np.float32)
    _, words = board.run(build(board, family, points, tmp_path, "-Os", NO_FMA))
    assert words[:2] == words[4:6] == [2**32 - 3, 2**32 - 3]


@pytest.mark.parametrize(
    ("name", "layout"), [*(("wide", layout) for layout in LAYOUTS), ("epsilon", "masked"), ("readouts", "masked")]
)
def test_sizes_on_a_32_bit_target(name, layout, board_with_fpu, tmp_path):
    family = FAMILIES[name]
    emit_c99(family, DIGEST, tmp_path / "net", "net", layout)
    objects = []
    for source in sources(tmp_path / "net"):
        objects.append(tmp_path / f"{source.stem}.o")
        command = [board_with_fpu.compiler, *board_with_fpu.flags, "-std=c99", "-ffreestanding", "-Os"]
        subprocess.run([*command, "-c", source, "-o", objects[-1]], check=True)
    measured = table_bytes(f"{board_with_fpu.toolchain}nm", *objects)
    sizes = table_sizes(family, layout)
    assert measured == replace(sizes, ram=measured.ram)
    assert measured.flash == sizes.flash


def test_instructions_are_counted(board_with_fpu, tmp_path):
    """One count for one program and input, whatever the machine; a routing test costs little beside a layer."""
    parent = chain([3, 20, 20, 2])
    family = make_family(parent, 8)
    points = random_points(family, 20, np.random.default_rng(0))
    counts = [instructions(board_with_fpu, family, points, tmp_path / name) for name in "ab"]
    alone = instructions(board_with_fpu, make_family(parent), points, tmp_path / "c")
    assert counts[0] == counts[1]
    assert 1000 < alone.mean < counts[0].mean < 1.2 * alone.mean


def test_removed_units_save_instructions_in_the_masked_layout(board_with_fpu, tmp_path):
    parent = chain([4, 40, 40, 40, 2])
    few = member_of(parent, {(place, unit) for place in (2, 4, 6) for unit in range(40) if unit % 5})
    points = random_points(make_family(parent), 20, np.random.default_rng(0))
    families = [make_family(parent), make_family(parent, 1, lambda _: few)]
    whole, masked = (
        instructions(board_with_fpu, family, points, tmp_path / str(number), layout="masked").mean
        for number, family in enumerate(families)
    )
    assert masked < whole / 2


def test_affine_members_take_no_more_instructions_than_packed(board_with_fpu, tmp_path):
    family = affine_family()
    points = random_points(family, 40, np.random.default_rng(0))
    packed, masked = (
        instructions(board_with_fpu, family, points, tmp_path / layout, layout=layout).mean for layout in LAYOUTS
    )
    assert masked < packed


def test_a_readout_costs_what_it_walks_and_reads(board_with_fpu, tmp_path):
    """Less than the parent, which has the same layer and two more behind it."""
    rng, parent = np.random.default_rng(0), chain([4, 40, 40, 40, 2])
    read = with_members(parent, [random_readout(parent, [0, 2], rng)])
    points = random_points(read, 20, np.random.default_rng(0))
    whole, short = (
        instructions(board_with_fpu, family, points, tmp_path / name, layout="masked").mean
        for name, family in (("whole", make_family(parent)), ("short", read))
    )
    assert short < whole / 3


def build(board: Board, family: Family, points: np.ndarray, directory, *flags: str, layout: Layout = "packed"):
    """The program that prints a family's answers for points."""
    emit_c99(family, DIGEST, directory / "net", "net", layout)
    return build_with_vectors(board, "vectors.c", points, directory, *flags)
