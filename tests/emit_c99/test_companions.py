"""What surrounds the code in a package works: self-test, host test, build systems, report."""

from __future__ import annotations

import configparser
import json
import shutil
import subprocess
from dataclasses import astuple, replace
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.cost import cost
from dispatcher.emit_c99 import Layout, c_sources, emit_c99, masked_macs, table_sizes
from dispatcher.emit_c99.costs import stack_of
from dispatcher.emit_c99.tables import build_tables
from dispatcher.emit_c99.vectors import MOST_BYTES, package_vectors
from dispatcher.layers import Elementwise, Input, dense, freeze
from dispatcher.literal import c99_text
from dispatcher.plan import Family, Split, member_layers
from dispatcher.route import Router
from dispatcher.vectors import LEAST, covering_points, random_points
from tests.dispatcher.bundle_samples import make_family
from tests.dispatcher.network_samples import chain
from tests.emit_c99.boards import build_with_vectors
from tests.emit_c99.families import (
    DIGEST,
    affine_family,
    epsilon_family,
    expected,
    family_with_prefixes,
    mixed_family,
    random_family,
    readout_family,
    wide_family,
)
from tests.emit_c99.host import HERE, NO_FMA, STRICT, bits, sources

EACH = pytest.mark.parametrize("layout", get_args(Layout))


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 40), st.integers(1, 3), st.integers(0, 1000))
def test_points_reach_every_cell_and_both_sides_of_every_border(cells, inputs, seed):
    family = make_family(chain([inputs, 2, 1]), cells)
    points = covering_points(family, 1000, np.random.default_rng(seed))
    assert len(points) == max(LEAST, 2 + 2 * (cells - 1))
    assert set(Router(family.tree)(points)) == set(range(cells))
    assert ((points >= family.lower) & (points <= family.upper)).all()
    reached = {(position, side) for point in points for position, side in sides_of(family, point)}
    assert len(reached) == 2 * (cells - 1)


def sides_of(family: Family, point: np.ndarray) -> list[tuple[int, bool]]:
    """The borders that a point is beside, and on which side."""
    found, position = [], 0
    while isinstance(node := family.tree[position], Split):
        threshold = np.float32(node.threshold)
        low = point[node.axis] <= threshold
        if point[node.axis] in (threshold, np.nextafter(threshold, np.float32(np.inf))):
            found.append((position, bool(low)))
        position = node.low if low else node.high
    return found


def test_few_points_reach_as_many_cells_as_they_can():
    family = make_family(chain([2, 2, 1]), 32)
    points = covering_points(family, 22, np.random.default_rng(0))
    assert len(points) == 22
    assert len(set(Router(family.tree)(points))) >= 20


def test_cells_of_one_ulp_are_reached():
    """Two cells whose borders are the domain's: one number on each side."""
    one = np.float32(1)
    above = np.nextafter(one, np.float32(2))
    family = make_family(chain([1, 2, 1]), 2)
    tree = (replace(family.tree[0], threshold=1.0), *family.tree[1:])
    family = replace(family, lower=freeze([one], np.float32), upper=freeze([above], np.float32), tree=tree)
    points = covering_points(family, 100, np.random.default_rng(0))
    assert set(points[:, 0].tolist()) == {1.0, float(above)}


def test_vectors_are_those_of_the_reference_interpreter():
    family = mixed_family(0)
    vectors = package_vectors(family)
    cells, outputs = expected(family, vectors.inputs)
    assert (vectors.cells == cells).all()
    assert (bits(vectors.outputs) == bits(outputs)).all()
    assert vectors.sides == 2 * len(family.cells) - 2


def test_vectors_are_bounded():
    vectors = package_vectors(make_family(chain([400, 2, 3]), 64))
    assert 0.9 * MOST_BYTES < vectors.nbytes <= MOST_BYTES
    assert vectors.sides < 2 * 63
    assert len(package_vectors(make_family((Input(20_000),))).cells) == 1


def test_vectors_whose_outputs_are_not_finite_are_left_out():
    large = freeze(np.full(1, 3e38), np.float32)
    layers = (Input(1), Elementwise(0, "mul", large), dense(1, [[2.0]]))
    vectors = package_vectors(make_family(layers, 4))
    assert len(vectors.cells) > 0
    assert np.isfinite(vectors.outputs).all()


@EACH
@pytest.mark.parametrize("policy", ["REJECT", "CLAMP", "PARENT"])
@pytest.mark.parametrize("name", ["wide", "random", "one cell", "epsilon", "affine", "readouts"])
def test_the_host_test_passes(name, policy, layout, compiler, tmp_path):
    families = {"wide": wide_family(0), "random": random_family(2), "one cell": make_family(chain([3, 4, 2]))}
    families |= {"epsilon": epsilon_family(), "affine": affine_family(), "readouts": readout_family()}
    emit_c99(families[name], DIGEST, tmp_path / "net", "net", layout, with_parent=True)
    code, said = compiler.run(_host_test(compiler, tmp_path / "net", f"-DNET_POLICY=NET_{policy}"))
    assert (code, said.split()[-2:]) == (0, ["0", "failures"])


@EACH
def test_a_changed_weight_or_threshold_or_cell_fails_the_host_test(layout, compiler, tmp_path):
    family = wide_family(0)
    emit_c99(family, DIGEST, tmp_path / "net", "net", layout)
    data = tmp_path / "net" / "net_data.c"
    text = data.read_text()
    first = family.tree[0].threshold
    assert text.count("{0x0p+0f, 0, 6}") == 1, first
    for before, after in (
        ("{0x0p+0f, 0, 6}", "{0x1p-149f, 0, 6}"),
        ("{0x0p+0f, 0, 6}", "{-0x1p-149f, 0, 6}"),
        ("cells[NET_CELLS] NET_SECTION = {\n    0, 1,", "cells[NET_CELLS] NET_SECTION = {\n    1, 0,"),
    ):
        data.write_text(text.replace(before, after))
        assert compiler.run(_host_test(compiler, tmp_path / "net"))[0] == 1, after


def test_a_changed_number_or_place_of_an_affine_member_fails_the_host_test(compiler, tmp_path):
    family = epsilon_family()
    emit_c99(family, DIGEST, tmp_path / "net", "net", "masked")
    data = tmp_path / "net" / "net_data.c"
    text, places = data.read_text(), build_tables(family, "masked").affine.places
    row = ", ".join(map(str, places))
    assert text.count(f"{{\n    {row},\n}}") == 1
    swapped = ", ".join(map(str, (places[1], places[0], *places[2:])))
    bias = c99_text(float(family.members[0].readout.bias[1]))
    assert text.count(bias) == 1
    for before, after in ((row, swapped), (bias, c99_text(float(family.members[0].readout.bias[1]) * 2))):
        data.write_text(text.replace(before, after))
        assert compiler.run(_host_test(compiler, tmp_path / "net"))[0] == 1, after


def test_a_changed_row_or_number_of_a_readout_fails_the_host_test(compiler, tmp_path):
    """A weight, a bias, a mask, the steps before a layer, the number of stages, members that change places."""
    family = readout_family()
    emit_c99(family, DIGEST, tmp_path / "net", "net", "masked")
    data = tmp_path / "net" / "net_data.c"
    text, readout = data.read_text(), build_tables(family, "masked").readout
    function, (first, second) = family.members[0].readout, readout.readouts[:2]
    weight, bias = (max(map(float, some.ravel()), key=abs) for some in (function.weight[:, :4], function.bias))
    stage, row = next(one for one in readout.stages if one.mask), readout.readings[1]
    reading = f"{{{row.steps}, {row.units}, {row.source}, {row.row_step}, {row.flags:d}}}"
    rows = [f"    {{{one.first}, {one.bias}, {one.stages}}},\n" for one in (first, second)]
    for before, after in (
        (c99_text(weight), c99_text(2 * weight)),
        (c99_text(bias), c99_text(2 * bias)),
        (f"    {{{stage.weights}, {stage.mask}, {stage.reading}}},", f"    {{{stage.weights}, 0, {stage.reading}}},"),
        (reading, f"{{{row.steps - 1}{reading[2:]}"),
        (rows[0], f"    {{{first.first}, {first.bias}, {first.stages - 1}}},\n"),
        ("".join(rows), "".join(reversed(rows))),
    ):
        assert text.count(before) == 1, before
        data.write_text(text.replace(before, after))
        assert compiler.run(_host_test(compiler, tmp_path / "net"))[0] == 1, after


def test_the_self_test_names_the_first_failing_vector(compiler, tmp_path):
    emit_c99(wide_family(0), DIGEST, tmp_path / "net", "net")
    header = tmp_path / "net" / "net_test_vectors.h"
    text = header.read_text()
    start = text.index("test_outputs[")
    lines = text[start:].split("\n")
    main = tmp_path / "main.c"
    main.write_text(
        '#include <stdio.h>\n#include "net.h"\nint main(void) { static net_scratch s; '
        'printf("%d %d", net_selftest(&s), net_selftest(0)); return 0; }\n'
    )
    for failing in (1, 4):
        wrong = [*lines[:failing], "    {0x1p+99f, 0x1p+99f, 0x1p+99f},", *lines[failing + 1 :]]
        header.write_text(text[:start] + "\n".join(wrong))
        program = compiler.build(tmp_path / "main", f"-I{tmp_path / 'net'}", main, *sources(tmp_path / "net"))
        assert compiler.run(program) == (0, f"{failing} -1")


def test_cmake_builds_and_tests_the_package(compiler, tmp_path):
    if shutil.which("cmake") is None:
        pytest.skip("no cmake on this machine")
    emit_c99(wide_family(0), DIGEST, tmp_path / "net", "net", "masked", with_parent=True)
    build = tmp_path / "build"
    configure = [
        "cmake",
        "-S",
        tmp_path / "net",
        "-B",
        build,
        "-DNET_POLICY=NET_CLAMP",
        f"-DCMAKE_C_COMPILER={compiler.path}",
    ]
    for command in (configure, ["cmake", "--build", build], ["ctest", "--test-dir", build, "--output-on-failure"]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "100% tests passed" in done.stdout


def test_cmake_files_serve_a_project_and_zephyr(tmp_path):
    """A project that adds the package gets no test program; Zephyr's functions get paths that exist."""
    if shutil.which("cmake") is None:
        pytest.skip("no cmake on this machine")
    emit_c99(wide_family(0), DIGEST, tmp_path / "net", "net")
    names = (
        "zephyr_include_directories",
        "zephyr_library_named",
        "zephyr_library_compile_options",
        "zephyr_library_sources",
    )
    record = "\n".join(f'function({name})\n  message(STATUS "{name};${{ARGN}}")\nendfunction()' for name in names)
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.13)\nproject(user LANGUAGES C)\nadd_subdirectory(net)\n"
        f"if(TARGET net_test)\n  message(FATAL_ERROR test)\nendif()\n{record}\n"
        "set(CONFIG_NET ON)\nadd_subdirectory(net/zephyr)\n"
    )
    done = subprocess.run(["cmake", "-S", tmp_path, "-B", tmp_path / "b"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = {
        line.split(";")[0].removeprefix("-- "): line.split(";")[1:] for line in done.stdout.splitlines() if ";" in line
    }
    assert [(tmp_path / "net" / "zephyr" / path).resolve() for path in said["zephyr_library_sources"]] == [
        tmp_path / "net" / name for name in ("net.c", "net_data.c", "net_selftest.c")
    ]
    assert said["zephyr_library_compile_options"] == [NO_FMA]


def test_arduino_and_platformio_find_what_they_ask_for(tmp_path):
    """Keys that the Arduino library specification requires; JSON that PlatformIO's manifest parser takes."""
    paths = emit_c99(wide_family(0), DIGEST, tmp_path / "net", "net")
    properties = configparser.ConfigParser()
    properties.read_string("[library]\n" + (tmp_path / "net" / "library.properties").read_text())
    library = properties["library"]
    assert {
        "name",
        "version",
        "author",
        "maintainer",
        "sentence",
        "paragraph",
        "category",
        "url",
        "architectures",
    } <= set(library)
    assert (tmp_path / "net" / library["includes"]).is_file()
    manifest = json.loads((tmp_path / "net" / "library.json").read_text())
    assert (tmp_path / "net" / manifest["headers"]).is_file()
    assert sorted((tmp_path / "net").glob(manifest["build"]["srcFilter"][0].strip("+<>"))) == sorted(c_sources(paths))
    assert manifest["build"]["flags"] == NO_FMA


@pytest.mark.parametrize(
    ("family", "layout"),
    [
        *((wide_family(0), layout) for layout in get_args(Layout)),
        (epsilon_family(), "masked"),
        (readout_family(), "masked"),
    ],
)
def test_the_report_counts_what_is_there(family, layout, tmp_path):
    emit_c99(family, DIGEST, tmp_path / "net", "net", layout)
    report = json.loads((tmp_path / "net" / "report.json").read_text())
    sizes = table_sizes(family, layout)
    packed = [cost(member_layers(family.parent, member)).mac for member in family.members]
    macs = masked_macs(family).tolist() if layout == "masked" else packed
    of_routes = [macs[member] for member in family.cells]
    assert (report["bundle"], report["layout"], report["members"]) == (DIGEST, layout, len(family.members))
    assert (report["flash_bytes"]["tables"], report["ram_bytes"]) == (sizes.flash, sizes.ram)
    assert sum(report["flash_bytes"]["of_tables"].values()) == sizes.flash
    assert [route["mac"] for route in report["routes"]] == of_routes
    assert report["mac"]["min"] == min(of_routes) < report["mac"]["mean"] < report["mac"]["max"] == max(of_routes)
    assert report["mac"]["mean"] == pytest.approx(sum(r["mac"] * r["share"] for r in report["routes"]))
    vectors, cells = report["test_vectors"], len(family.cells)
    assert (vectors["cells"], vectors["count"]) == ({"reached": cells, "of": cells}, 2 * cells)
    assert vectors["sides_of_borders"] == {"reached": 2 * cells - 2, "of": 2 * cells - 2}


@pytest.mark.mcu
@pytest.mark.parametrize(
    ("family", "layout"),
    [
        *((family_with_prefixes(), layout) for layout in get_args(Layout)),
        (wide_family(0, 6), "masked"),
        (epsilon_family(), "masked"),
        (affine_family(), "masked"),
        (readout_family(), "masked"),
    ],
    ids=[*get_args(Layout), "wide", "some affine", "all affine", "readouts"],
)
@pytest.mark.parametrize("level", ["-O0", "-Os", "-O2", "-O3"])
def test_no_function_uses_more_stack_than_the_report_says(level, family, layout, board, tmp_path):
    points = random_points(family, 20, np.random.default_rng(0))
    emit_c99(family, DIGEST, tmp_path / "net", "net", layout)
    code, used = board.run(build_with_vectors(board, "stack.c", points, tmp_path, level, NO_FMA))
    assert code == 0
    stated = astuple(stack_of(build_tables(family, layout)))
    assert all(0 <= bytes_ <= most for bytes_, most in zip(used, stated, strict=True)), used


@pytest.mark.mcu
def test_the_self_test_passes_on_a_microcontroller(board, tmp_path):
    emit_c99(wide_family(0), DIGEST, tmp_path / "net", "net", "masked")
    main = tmp_path / "main.c"
    main.write_text(
        '#include "board.h"\n#include "net.h"\nint main(void) { static net_scratch s; return net_selftest(&s); }\n'
    )
    program = board.build(
        tmp_path / "program", *STRICT, "-Os", f"-I{tmp_path / 'net'}", main, *sources(tmp_path / "net")
    )
    assert board.run(program) == (0, [])


def _host_test(compiler, package, *flags):
    """The package's own test program, compiled without warnings."""
    files = (f"-I{package}", package / "test" / "net_test.c", *sources(package))
    return compiler.build(package / "host_test", *STRICT, NO_FMA, *flags, *files)


def test_runner_and_host_test_are_not_part_of_what_a_firmware_compiles(tmp_path):
    paths = emit_c99(wide_family(0), DIGEST, tmp_path / "net", "net")
    assert all("int main" not in path.read_text() for path in c_sources(paths))
    assert (HERE / "runner.c").is_file()
