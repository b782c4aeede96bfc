"""A package appears complete or not at all, under names that a compiler accepts, and its text is what it should be."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest

import dispatcher.emit_c99
from dispatcher.emit_c99 import c_sources, emit_c99, emit_parent_c99
from dispatcher.errors import UnusableInput
from dispatcher.layers import Elementwise, Gather, Input, Relu, dense, freeze
from dispatcher.package import write_package
from dispatcher.plan import Family, Leaf, Split, whole_member
from tests.dispatcher.bundle_samples import make_family
from tests.dispatcher.member_samples import member_of
from tests.dispatcher.network_samples import chain
from tests.emit_c99.families import (
    DIGEST,
    affine_family,
    epsilon_family,
    readout_family,
    residual_readouts,
)

GOLDEN = Path(__file__).parent / "golden"
TEMPLATES = Path(dispatcher.emit_c99.__file__).parent
FAMILY = make_family(chain([2, 3, 1]), 2)


def tiny_family() -> Family:
    """Two inputs, two cells; the first cell does without the first of two ReLUs."""
    parent = (
        Input(2, "in"),
        Elementwise(0, "div", freeze(np.array([2, -4]), np.float32)),
        dense(1, [[1, 0.1], [-0.5, 2]], [0.25, -1]),
        Relu(2, 2),
        Gather(3, freeze(np.array([1, 0]), np.int64)),
        dense(4, [[3, -1]], [1 / 3]),
    )
    lower, upper = (freeze(np.array(corner), np.float32) for corner in ([-1, 0], [1, 2]))
    tree = (Split(0, 0.1015625, 1, 2), Leaf(0), Leaf(1))
    return Family("bitwise", parent, lower, upper, tree, (member_of(parent, {(3, 0)}), whole_member(parent)), (0, 1))


@pytest.mark.parametrize("layout", ["packed", "masked"])
@pytest.mark.parametrize(
    "name", ["tiny.h", "tiny_data.h", "tiny_data.c", "tiny_test_vectors.h", "README.md", "report.json"]
)
def test_golden_text(name, layout, tmp_path):
    """Every line of the expected files was checked by hand; a change of the format shows here."""
    emit_c99(tiny_family(), DIGEST, tmp_path / "tiny", "tiny", layout)
    assert (tmp_path / "tiny" / name).read_text() == (GOLDEN / layout / name).read_text()


@pytest.mark.parametrize(
    ("families", "layout", "parts"),
    [
        ((tiny_family(), FAMILY), "packed", ["packed.c"]),
        ((tiny_family(), FAMILY), "masked", ["masked.c", "gather.c"]),
        ((epsilon_family(), affine_family()), "packed", ["packed.c"]),
        ((epsilon_family(), affine_family()), "masked", ["masked.c", "gather.c", "affine.c"]),
        ((readout_family(), residual_readouts()), "packed", ["packed.c"]),
        ((readout_family(), residual_readouts()), "masked", ["masked.c", "gather.c", "readout.c", "affine.c"]),
    ],
    ids=["packed", "masked", "packed, affine", "masked, affine", "packed, readouts", "masked, readouts"],
)
def test_the_code_is_the_templates_whatever_the_family(families, layout, parts, tmp_path):
    for package, family in zip(("one", "two"), families, strict=True):
        emit_c99(family, DIGEST, tmp_path / package, "netslicer", layout)
    texts = [(tmp_path / package / "netslicer.c").read_text() for package in ("one", "two")]
    assert texts[0].split("*/\n", 1)[1] == texts[1].split("*/\n", 1)[1]
    assert all("declared evaluation order, contraction off" in text.split("*/\n", 1)[0] for text in texts)
    common = ["domain.c", "kernels.c", "sums.c", "dense.c", "store.c", "selfcheck.c"]
    for name in ("netslicer.c", *common, *parts):
        content = (TEMPLATES / name).read_text()
        for part in {"readout", "affine"} - {name.removesuffix(".c") for name in parts}:
            marked = rf"/\* @{part.upper()} \*/\n[^@]*/\* {part.upper()}@ \*/\n"
            content = re.sub(marked, '#include "nothing.c"\n', content)
        pieces = re.split(r'#include "\w+\.c"\n|/\* @?(?:READOUT|AFFINE)@? \*/\n', content)
        assert all(piece in texts[0] for piece in pieces)
    assert not re.search(r'\.c"|@', texts[0])
    assert ("AFFINE" in texts[0]) == ("affine.c" in parts)
    assert ("READOUT" in texts[0]) == ("readout.c" in parts)


def test_every_file_says_where_it_comes_from(tmp_path):
    for path in emit_c99(FAMILY, DIGEST, tmp_path / "net"):
        assert DIGEST in path.read_text()
    for path in emit_parent_c99(FAMILY.parent, FAMILY.lower, FAMILY.upper, tmp_path / "parent"):
        said = "parent alone, sha256" if path.name != "report.json" else '"bundle": null'
        assert said in path.read_text().replace("`", "").replace("The parent", "parent")


def test_the_same_family_gives_the_same_bytes(tmp_path):
    first, second = (emit_c99(tiny_family(), DIGEST, tmp_path / name) for name in ("a", "b"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_returned_paths_are_the_files_of_the_directory(tmp_path):
    paths = emit_c99(FAMILY, DIGEST, tmp_path / "new" / "net")
    assert sorted(paths) == sorted(path for path in (tmp_path / "new" / "net").rglob("*") if path.is_file())
    assert {path.relative_to(tmp_path / "new" / "net").as_posix() for path in paths} == {
        *("net.h", "net_data.h", "net.c", "net_data.c", "README.md", "report.json"),
        *("net_test_vectors.h", "net_selftest.c", "test/net_test.c"),
        *("CMakeLists.txt", "library.properties", "library.json"),
        *("zephyr/CMakeLists.txt", "zephyr/Kconfig", "zephyr/module.yml"),
    }
    assert {path.name for path in c_sources(paths)} == {"net.c", "net_data.c", "net_selftest.c"}


@pytest.mark.parametrize("prefix", ["a", "Net2", "net_", "a" * 40, "integer", "NET"])
def test_prefixes(prefix, tmp_path, compiler):
    paths = emit_c99(FAMILY, DIGEST, tmp_path / "net", prefix)
    for path in paths:
        if path.suffix == ".c":
            assert compiler("-fsyntax-only", f"-I{tmp_path / 'net'}", path).returncode == 0


@pytest.mark.parametrize(
    "prefix", ["", "2net", "_net", "my-net", "my net", "int", "restrict", "class", "nét", "net\n", "a" * 41, "../net"]
)
def test_prefixes_that_are_no_identifier(prefix, tmp_path):
    with pytest.raises(UnusableInput, match="prefix: expected a C identifier"):
        emit_c99(FAMILY, DIGEST, tmp_path / "net", prefix)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("digest", ["", "12ab", DIGEST.upper(), DIGEST[:-2] + "*/"])
def test_digests_that_are_none(digest, tmp_path):
    with pytest.raises(UnusableInput, match="64 hex digits"):
        emit_c99(FAMILY, digest, tmp_path / "net")


def test_an_empty_directory_is_filled(tmp_path):
    (tmp_path / "net").mkdir()
    assert all(path.is_file() for path in emit_c99(FAMILY, DIGEST, tmp_path / "net"))


def test_a_directory_with_files_is_left_alone(tmp_path):
    (tmp_path / "precious").write_text("mine")
    with pytest.raises(UnusableInput, match="or an empty one"):
        emit_c99(FAMILY, DIGEST, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


def test_a_file_is_left_alone(tmp_path):
    (tmp_path / "net").write_text("mine")
    with pytest.raises(UnusableInput, match="or an empty one"):
        emit_c99(FAMILY, DIGEST, tmp_path / "net")
    with pytest.raises(UnusableInput, match="cannot write"):
        emit_c99(FAMILY, DIGEST, tmp_path / "net" / "below")
    assert (tmp_path / "net").read_text() == "mine"


def test_nothing_is_left_if_writing_fails(tmp_path):
    with pytest.raises(UnusableInput, match="cannot write"):
        write_package({"net.h": "text", "x" * 300: "text"}, tmp_path / "net")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX systems")
def test_others_may_read_the_package(tmp_path):
    emit_c99(FAMILY, DIGEST, tmp_path / "net")
    assert (tmp_path / "net").stat().st_mode & 0o777 == 0o755
