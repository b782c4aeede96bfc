"""What was chosen at compile time for inputs outside the domain is what `Dispatcher.predict` does with them."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from dispatcher.emit_c99 import Layout, emit_c99, emit_parent_c99, table_sizes
from dispatcher.emit_c99.package import package_files
from dispatcher.emit_c99.provenance import Provenance
from dispatcher.emit_c99.sizes import sizes_of
from dispatcher.emit_c99.tables import build_tables
from dispatcher.interpret import eval32
from dispatcher.package import write_package
from dispatcher.plan import whole_member
from dispatcher.route import Router
from dispatcher.runtime import Dispatcher
from tests.dispatcher.bundle_samples import make_family
from tests.emit_c99.families import (
    DIGEST,
    affine_family,
    chain_with_prefixes,
    epsilon_family,
    expected,
    hard_points,
    mixed_family,
    readout_family,
    wide_family,
)
from tests.emit_c99.host import STRICT, bits, build_runner, run_points, sources
from tests.emit_c99.tables_in import compiled_tables

NAN, OUT_OF_DOMAIN = -2, -3
UNTOUCHED = 0xFFFFFFFF
FAMILIES = {
    "wide": wide_family(0),
    "mixed": mixed_family(0),
    "prefixes": chain_with_prefixes(),
    "epsilon": epsilon_family(),
    "affine": affine_family(),
    "readouts": readout_family(),
}
EACH = pytest.mark.parametrize("layout", get_args(Layout))
EVERY = pytest.mark.parametrize("name", FAMILIES)


def stray_points(family, rng) -> np.ndarray:
    """Points of which some or all numbers lie outside the domain ``[-1, 1]^n``, by an ulp or by far."""
    inside = hard_points(family, rng, 60)
    far = np.concatenate([inside * np.float32(3), inside * np.float32(1e30)])
    beyond = np.float32(np.nextafter(np.float32(1), np.float32(2)))
    near = np.where(rng.random(inside.shape) < 0.3, np.copysign(beyond, inside), inside)
    return np.concatenate([inside, far, near]).astype(np.float32)


def answers_of(family, layout, policy, points, compiler, directory, *, with_parent=False):
    emit_c99(family, DIGEST, directory / "net", "net", layout, with_parent=with_parent)
    program = build_runner(compiler, directory / "net", "-O2", f"-DNET_POLICY=NET_{policy}")
    return run_points(program, points, family.parent[-1].width)


@EACH
@EVERY
def test_clamped(name, layout, compiler, tmp_path):
    family = FAMILIES[name]
    points = stray_points(family, np.random.default_rng(0))
    points[-3:, 0] = np.inf, -np.inf, np.inf
    answers = answers_of(family, layout, "CLAMP", points, compiler, tmp_path)
    cells, outputs = expected(family, np.clip(points, family.lower, family.upper))
    assert (answers.codes == 0).all()
    assert (answers.routes == cells).all()
    assert (bits(answers.outputs) == bits(outputs)).all()
    assert (bits(answers.outputs) == bits(Dispatcher(family).predict(points, out_of_domain="clamp"))).all()


@EACH
@EVERY
def test_given_to_the_parent(name, layout, compiler, tmp_path):
    family = FAMILIES[name]
    points = stray_points(family, np.random.default_rng(0))
    points = points[np.isfinite(eval32(family.parent, points)).all(axis=1)]
    answers = answers_of(family, layout, "PARENT", points, compiler, tmp_path, with_parent=True)
    stray = (abs(points) > 1).any(axis=1)
    assert 0 < stray.sum() < len(points)
    assert (answers.codes == 0).all()
    assert (answers.routes[stray] == len(family.cells)).all()
    assert (answers.routes[~stray] == Router(family.tree)(points[~stray])).all()
    assert (bits(answers.outputs) == bits(Dispatcher(family).predict(points, out_of_domain="parent"))).all()


@pytest.mark.parametrize(
    ("policy", "point", "code"),
    [
        ("REJECT", [2, np.nan, 0, 0], OUT_OF_DOMAIN),
        ("CLAMP", [2, np.nan, 0, 0], NAN),
        ("CLAMP", [np.nan, 2, np.inf, 0], NAN),
        ("PARENT", [2, 0, 0, np.nan], NAN),
        ("PARENT", [2, 0, np.inf, np.nan], OUT_OF_DOMAIN),
        ("PARENT", [0, 0, 0, -np.inf], OUT_OF_DOMAIN),
    ],
)
def test_refused_whatever_the_policy(policy, point, code, compiler, tmp_path):
    points = np.array([point], np.float32)
    answers = answers_of(FAMILIES["wide"], "masked", policy, points, compiler, tmp_path, with_parent=True)
    assert answers.codes == answers.routes == code
    assert (answers.outputs.view(np.uint32) == UNTOUCHED).all()


def test_a_policy_that_the_package_cannot_follow_is_refused_by_the_compiler(compiler, tmp_path):
    emit_c99(make_family(FAMILIES["prefixes"].parent), DIGEST, tmp_path / "net", "net")
    emit_c99(_without_whole_member(), DIGEST, tmp_path / "less", "net")
    assert compiler("-DNET_POLICY=NET_PARENT", "-fsyntax-only", tmp_path / "net" / "net.c").returncode == 0
    done = compiler("-DNET_POLICY=NET_PARENT", "-fsyntax-only", tmp_path / "less" / "net.c")
    assert "emit it with --with-parent" in done.stderr
    assert "NET_POLICY must be" in compiler("-DNET_POLICY=7", "-fsyntax-only", tmp_path / "net" / "net.c").stderr


def test_the_parent_alone_may_evaluate_everything(compiler, tmp_path):
    family = FAMILIES["wide"]
    emit_parent_c99(family.parent, family.lower, family.upper, tmp_path / "net", "net")
    points = stray_points(family, np.random.default_rng(1))[:200]
    program = build_runner(compiler, tmp_path / "net", "-DNET_POLICY=NET_PARENT")
    answers = run_points(program, points, family.parent[-1].width)
    assert (bits(answers.outputs) == bits(eval32(family.parent, points))).all()


@EACH
def test_sizes_with_the_parent_are_those_of_the_compiled_tables(layout, compiler, tmp_path):
    tables = build_tables(_without_whole_member(), layout, with_parent=True)
    assert tables.parent == tables.members
    write_package(package_files(tables, "net", Provenance(DIGEST, DIGEST)), tmp_path / "net")
    assert compiled_tables(compiler, tmp_path / "net") == sizes_of(tables)


@pytest.mark.parametrize("name", ["epsilon", "affine", "readouts"])
def test_the_parent_comes_before_affine_members(name, compiler, tmp_path):
    tables = build_tables(FAMILIES[name], "masked", with_parent=True)
    affine = [one.readout is not None and one.readout.affine for one in FAMILIES[name].members]
    assert tables.parent == tables.affine.first - 1 == affine.count(False)
    assert min(tables.cells) >= tables.parent or name != "affine"
    write_package(package_files(tables, "net", Provenance(DIGEST, DIGEST)), tmp_path / "net")
    assert compiled_tables(compiler, tmp_path / "net") == sizes_of(tables)


@EACH
def test_a_whole_member_is_the_parent_already(layout):
    family = make_family(FAMILIES["wide"].parent)
    assert family.members == (whole_member(family.parent),)
    assert build_tables(family, layout).parent == 0
    assert sizes_of(build_tables(family, layout, with_parent=True)) == table_sizes(family, layout)
    assert build_tables(_without_whole_member(), layout).parent is None


@EACH
def test_tables_go_to_the_section_that_is_named(layout, compiler, tmp_path):
    emit_c99(FAMILIES["wide"], DIGEST, tmp_path / "net", "net", layout)
    named = '-DNET_SECTION=__attribute__((section(".tables")))'
    for source in (tmp_path / "net").glob("net_data*.c"):
        assembly = source.with_suffix(".s")
        assert compiler(named, "-S", source, "-o", assembly).returncode == 0
        placed = assembly.read_text().split(".section\t.tables")
        assert len(placed) > 1
        assert "net_floats_0:" in "".join(placed[1:])
        assert "net_splits:" in "".join(placed[1:])


@pytest.mark.parametrize(
    ("name", "layout"), [("wide", "packed"), *((name, "masked") for name in ("epsilon", "affine", "readouts"))]
)
@pytest.mark.parametrize("policy", ["REJECT", "CLAMP", "PARENT"])
def test_no_warnings(policy, name, layout, each_compiler, tmp_path):
    emit_c99(FAMILIES[name], DIGEST, tmp_path / "net", "net", layout, with_parent=True)
    for language in ((), ("-x", "c++")):
        for source in sources(tmp_path / "net"):
            flags = (*language, *STRICT, f"-DNET_POLICY=NET_{policy}", "-c", source, "-o", tmp_path / "object")
            done = each_compiler(*flags, standard="c++17" if language else "c99")
            assert (done.returncode, done.stderr) == (0, "")


def _without_whole_member():
    """A family none of whose members keeps everything."""
    family = chain_with_prefixes()
    few = family.members[1]
    return make_family(family.parent, 3, lambda _: few)
