"""The compiled C returns the bits of its member's `eval32` and the cell of the routing tree, at every optimisation."""

from __future__ import annotations

import numpy as np
import pytest

from dispatcher.emit_c99 import emit_c99, emit_parent_c99
from dispatcher.emit_c99.program import Kind
from dispatcher.emit_c99.tables import HAS_RELU, HAS_START, build_tables
from dispatcher.interpret import eval32
from dispatcher.layers import Input, dense
from dispatcher.plan import Family
from tests.dispatcher.bundle_samples import make_family
from tests.dispatcher.network_samples import chain
from tests.emit_c99.families import DIGEST, expected, family_with_prefixes, hard_points, random_family
from tests.emit_c99.host import Compiler, bits, build_runner, run_points

SEEDS = range(12)


def assert_same(family: Family, compiler: Compiler, directory, *flags: str) -> None:
    emit_c99(family, DIGEST, directory / "net", "net")
    points = hard_points(family, np.random.default_rng(0))
    answers = run_points(build_runner(compiler, directory / "net", *flags), points, family.parent[-1].width)
    cells, outputs = expected(family, points)
    assert (answers.codes == 0).all()
    assert (answers.routes == cells).all()
    assert (bits(answers.outputs) == bits(outputs)).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_random_families(seed, compiler, tmp_path):
    assert_same(random_family(seed), compiler, tmp_path, "-O2")


@pytest.mark.parametrize("level", ["-O0", "-Os", "-O3"])
@pytest.mark.parametrize("seed", [0, 1])
def test_every_optimisation(seed, level, compiler, tmp_path):
    assert_same(random_family(seed), compiler, tmp_path, level)


def test_constant_prefixes(compiler, tmp_path):
    assert_same(family_with_prefixes(), compiler, tmp_path, "-O2")


def test_the_families_above_use_every_kind_of_step_and_every_flag():
    families = [*map(random_family, SEEDS), family_with_prefixes()]
    steps = [row for family in families for row in build_tables(family).steps]
    assert {row.kind for row in steps} == set(Kind)
    assert {row.flags for row in steps} == {0, HAS_START, HAS_RELU, HAS_START | HAS_RELU}
    assert any(row.n_in == 0 for row in steps), "a dense layer of constants"


@pytest.mark.parametrize("width", [1, 3, 4, 7, 8, 12, 13, 31])
def test_every_number_of_units_beside_the_blocks_of_eight_and_four(width, compiler, tmp_path):
    assert_same(make_family(chain([3, width, width, 2], seed=width), 3), compiler, tmp_path, "-O2")


@pytest.mark.parametrize("cells", [1, 2, 3, 37])
def test_every_number_of_cells(cells, compiler, tmp_path):
    assert_same(make_family(chain([2, 4, 1]), cells), compiler, tmp_path, "-O1")


def test_a_network_that_is_its_input(compiler, tmp_path):
    assert_same(make_family((Input(3),), 4), compiler, tmp_path, "-O1")


def test_indices_of_32_bits(compiler, tmp_path):
    layers = (Input(1), dense(0, np.ones((70_000, 1)), np.arange(70_000)), dense(1, np.ones((1, 70_000)) / 70_000))
    family = make_family(layers)
    assert (build_tables(family).index_bits, build_tables(family).place_bits) == (32, 32)
    assert_same(family, compiler, tmp_path, "-O1")


def test_the_parent_alone(compiler, tmp_path):
    family = random_family(3)
    emit_parent_c99(family.parent, family.lower, family.upper, tmp_path / "net", "net")
    points = hard_points(family, np.random.default_rng(0))
    answers = run_points(build_runner(compiler, tmp_path / "net", "-O2"), points, family.parent[-1].width)
    assert (bits(answers.outputs) == bits(eval32(family.parent, points))).all()
    assert (answers.routes == 0).all()


def test_zeros_of_either_sign_and_subnormal_numbers(compiler, tmp_path):
    family = make_family(chain([4, 9, 9, 3], seed=5), 6)
    emit_c99(family, DIGEST, tmp_path / "net", "net")
    small = np.array([0.0, -0.0, 1e-45, -1e-45, 2**-126, -(2**-126), 1e-39, 1.0], np.float32)
    points = np.random.default_rng(1).choice(small, (500, 4))
    answers = run_points(build_runner(compiler, tmp_path / "net", "-O2"), points, 3)
    assert (bits(answers.outputs) == bits(expected(family, points)[1])).all()
