"""`table_sizes` says what the compiler says."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest

from dispatcher.emit_c99 import emit_c99, parent_family, table_sizes
from dispatcher.emit_c99.package import package_files, write_package
from dispatcher.emit_c99.sizes import sizes_of
from dispatcher.emit_c99.tables import build_tables
from dispatcher.layers import Input, dense
from tests.dispatcher.bundle_samples import make_family
from tests.dispatcher.network_samples import chain
from tests.emit_c99.families import DIGEST, family_with_prefixes, random_family
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
}


@pytest.mark.parametrize("name", FAMILIES)
def test_sizes_are_those_of_the_compiled_tables(name, compiler, tmp_path):
    emit_c99(FAMILIES[name], DIGEST, tmp_path / "net", "net")
    assert compiled_tables(compiler, tmp_path / "net") == table_sizes(FAMILIES[name])


def test_sizes_with_several_data_files(compiler, tmp_path):
    assert len(build_tables(FAMILIES["large"]).chunks) == 1
    tables = build_tables(FAMILIES["large"], least_bits=1)
    assert len(tables.chunks) == 2
    write_package(package_files(tables, "net", DIGEST, DIGEST), tmp_path / "net")
    assert len(sources(tmp_path / "net")) == 3
    assert compiled_tables(compiler, tmp_path / "net") == sizes_of(tables)


def test_flash_is_the_sum_of_the_tables():
    sizes = table_sizes(FAMILIES["random"])
    assert sizes.flash == sum(asdict(sizes).values()) - sizes.ram


def test_a_parent_alone_costs_its_parameters_and_little_else():
    network = chain([5, 50, 50, 5])
    family = parent_family(network, np.full(5, -1, np.float32), np.full(5, 1, np.float32))
    parameters = 50 * 6 + 50 * 51 + 5 * 51
    sizes = table_sizes(family)
    assert sizes.numbers == 4 * parameters
    assert sizes.flash - sizes.numbers <= 120
    assert sizes.ram == 4 * 100 + 2 * 50
