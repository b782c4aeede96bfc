"""What a user's build may ask of a package: no warnings, C++, two packages in one program, names of their own."""

from __future__ import annotations

import re
import subprocess
from typing import get_args

import numpy as np
import pytest

from dispatcher.emit_c99 import Layout, emit_c99
from dispatcher.emit_c99.package import package_files
from dispatcher.emit_c99.provenance import Provenance
from dispatcher.emit_c99.tables import build_tables
from dispatcher.package import write_package
from tests.dispatcher.bundle_samples import make_family
from tests.dispatcher.network_samples import chain
from tests.emit_c99.families import (
    DIGEST,
    affine_family,
    epsilon_family,
    expected,
    family_with_prefixes,
    hard_points,
    mixed_family,
    random_family,
    readout_family,
    residual_readouts,
    wide_family,
)
from tests.emit_c99.host import HERE, NO_FMA, bits, build_runner, require, run_points, sources

PEDANTIC = ("-Wdouble-promotion", "-Wcast-qual", "-Wundef", "-Wwrite-strings", "-Wmissing-declarations", "-Wvla")


PACKAGES = {
    **{layout: (family_with_prefixes(), layout) for layout in get_args(Layout)},
    "masked, some affine": (epsilon_family(), "masked"),
    "masked, all affine": (affine_family(), "masked"),
    "masked, readouts": (readout_family(), "masked"),
    "masked, readouts of vectors": (residual_readouts(), "masked"),
}


@pytest.fixture(params=PACKAGES)
def family_and_package(request, tmp_path):
    family, layout = PACKAGES[request.param]
    emit_c99(family, DIGEST, tmp_path / "net", "net", layout)
    return family, tmp_path / "net"


@pytest.fixture
def package(family_and_package):
    return family_and_package[1]


@pytest.mark.parametrize("level", ["-O0", "-O3"])
def test_no_warnings(level, each_compiler, package):
    for source in sources(package):
        done = each_compiler(level, *PEDANTIC, "-Wstrict-prototypes", NO_FMA, "-c", source, "-o", package / "object")
        assert (done.returncode, done.stderr) == (0, "")


def test_no_warnings_as_cpp(each_compiler, package, tmp_path):
    require(each_compiler, tmp_path, "C++", "-x", "c++", standard="c++17")
    for source in sources(package):
        done = each_compiler("-x", "c++", *PEDANTIC, NO_FMA, "-c", source, "-o", package / "object", standard="c++17")
        assert (done.returncode, done.stderr) == (0, "")


def test_called_from_cpp(compiler, family_and_package, tmp_path):
    family, package = family_and_package
    require(compiler, tmp_path, "C++", "-x", "c++", standard="c++17")
    objects = []
    for source in sources(package):
        objects.append(package / f"{source.stem}.o")
        assert compiler(NO_FMA, "-c", source, "-o", objects[-1]).returncode == 0
    runner = package / "runner.cpp"
    runner.write_text((HERE / "runner.c").read_text())
    done = compiler(f"-I{package}", "-c", runner, "-o", package / "main.o", standard="c++17")
    assert done.returncode == 0, done.stderr
    program = compiler.build(package / "program", package / "main.o", *objects)
    points = hard_points(family, np.random.default_rng(0))
    outputs = family.parent[-1].width
    assert (bits(run_points(program, points, outputs).outputs) == bits(expected(family, points)[1])).all()


def test_every_symbol_begins_with_the_prefix(compiler, package):
    for source in sources(package):
        assert compiler("-O0", NO_FMA, "-c", source, "-o", package / "object").returncode == 0
        listing = subprocess.run(["nm", package / "object"], capture_output=True, text=True, check=True).stdout
        names = [line.split()[-1] for line in listing.splitlines()]
        assert names
        assert [name for name in names if not name.startswith("net_")] == []


def test_nothing_is_written_but_the_callers_memory_and_no_library_is_called(compiler, package):
    """Reentrant: no writable data. Compilers may call memcpy and its like for plain loops (GCC manual, 2.1)."""
    symbols = []
    for source in sources(package):
        assert compiler("-O2", "-fno-pic", NO_FMA, "-c", source, "-o", package / "object").returncode == 0
        listing = subprocess.run(["nm", package / "object"], capture_output=True, text=True, check=True).stdout
        symbols += [line.split()[-2:] for line in listing.splitlines()]
    assert {kind for kind, _ in symbols} == {"T", "t", "R", "r", "U"}
    called = {name for kind, name in symbols if kind == "U" and not name.startswith("net_")}
    assert called <= {"memcpy", "memmove", "memset", "memcmp", "__stack_chk_fail"}


def test_every_macro_begins_with_the_prefix_in_capitals(package):
    for path in package.glob("*.[ch]"):
        macros = re.findall(r"^#define (\w+)", path.read_text(), re.MULTILINE)
        assert [name for name in macros if not name.startswith("NET_")] == []
        assert "netslicer" not in path.read_text().lower()


def test_two_packages_in_one_program(compiler, tmp_path):
    first, second = make_family(chain([2, 5, 1], seed=1), 3), make_family(chain([2, 9, 1], seed=2), 4)
    for family, prefix, layout in ((first, "net", "packed"), (second, "other", "masked")):
        emit_c99(family, DIGEST, tmp_path / prefix, prefix, layout)
    files = [path for prefix in ("net", "other") for path in (f"-I{tmp_path / prefix}", *sources(tmp_path / prefix))]
    program = compiler.build(tmp_path / "both", NO_FMA, HERE / "two_packages.c", *files)
    points = hard_points(first, np.random.default_rng(0), 50)
    done = subprocess.run([program], input=points.tobytes(), capture_output=True, check=True)
    got = np.frombuffer(done.stdout, np.float32).reshape(-1, 2)
    assert (bits(got[:, :1]) == bits(expected(first, points)[1])).all()
    assert (bits(got[:, 1:]) == bits(expected(second, points)[1])).all()


def test_numbers_in_several_data_files(compiler, tmp_path):
    family = make_family(chain([3, 8, 8, 8, 8, 8, 2], seed=4), 3)
    tables = build_tables(family, least_bits=4)
    assert len(tables.chunks) > 2
    write_package(package_files(tables, "net", Provenance(DIGEST, DIGEST)), tmp_path / "net")
    assert len(sources(tmp_path / "net")) == 1 + len(tables.chunks)
    points = hard_points(family, np.random.default_rng(0))
    answers = run_points(build_runner(compiler, tmp_path / "net"), points, 2)
    assert (bits(answers.outputs) == bits(expected(family, points)[1])).all()


@pytest.mark.parametrize("name", ["affine", "readouts"])
def test_numbers_of_readouts_in_several_data_files(name, compiler, tmp_path):
    family = {"affine": epsilon_family, "readouts": readout_family}[name]()
    tables = build_tables(family, "masked", least_bits=1)
    places = [*tables.affine.places, *((row.weights for row in tables.readout.stages) if tables.readout else ())]
    assert len({place >> tables.chunk_bits for place in places} | {0}) > 1
    write_package(package_files(tables, "net", Provenance(DIGEST, DIGEST)), tmp_path / "net")
    points = hard_points(family, np.random.default_rng(0))
    answers = run_points(build_runner(compiler, tmp_path / "net"), points, family.parent[-1].width)
    assert (bits(answers.outputs) == bits(expected(family, points)[1])).all()


@pytest.mark.parametrize(
    ("family", "layout"),
    [
        (random_family(2), "packed"),
        (mixed_family(0), "masked"),
        (wide_family(1), "packed"),
        (wide_family(1), "masked"),
        (epsilon_family(), "masked"),
        (affine_family(), "masked"),
        (readout_family(), "masked"),
        (residual_readouts(), "masked"),
    ],
    ids=[
        *("random, packed", "mixed, masked", "wide, packed", "wide, masked", "epsilon, masked", "affine, masked"),
        *("readouts, masked", "readouts of vectors, masked"),
    ],
)
def test_address_and_undefined_behaviour_sanitizers_find_nothing(family, layout, compiler, tmp_path):
    flags = ("-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    require(compiler, tmp_path, "sanitizers for addresses and undefined behaviour", *flags)
    emit_c99(family, DIGEST, tmp_path / "net", "net", layout)
    rng = np.random.default_rng(0)
    wild = rng.integers(0, 1 << 32, (2000, family.parent[0].width), np.uint32).view(np.float32)
    points = np.concatenate([hard_points(family, rng), wild])
    run_points(build_runner(compiler, tmp_path / "net", *flags), points, family.parent[-1].width)
