"""Inputs for which nothing was proved get their code and leave the output alone; the domain's closed box gets OK."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from dispatcher.emit_c99 import emit_c99
from tests.emit_c99.families import (
    DIGEST,
    affine_family,
    random_family,
    readouts_alone,
)
from tests.emit_c99.host import HERE, NO_FMA, build_runner, run_points, sources

OK, NAN, OUT_OF_DOMAIN = 0, -2, -3
UNTOUCHED = 0xFFFFFFFF


@pytest.fixture(
    scope="module",
    params=[(random_family(3), "packed"), (affine_family(), "masked"), (readouts_alone(), "masked")],
    ids=["random, packed", "affine, masked", "readouts, masked"],
)
def package(request, tmp_path_factory):
    (family, layout), directory = request.param, tmp_path_factory.mktemp("package") / "net"
    emit_c99(family, DIGEST, directory, "net", layout)
    return family, directory


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (np.nan, NAN),
        (-np.nan, NAN),
        (np.inf, OUT_OF_DOMAIN),
        (-np.inf, OUT_OF_DOMAIN),
        (np.nextafter(np.float32(1), np.float32(2)), OUT_OF_DOMAIN),
        (np.nextafter(np.float32(-1), np.float32(-2)), OUT_OF_DOMAIN),
        (np.finfo(np.float32).max, OUT_OF_DOMAIN),
    ],
)
def test_one_bad_input_at_any_place(bad, code, package, compiler):
    family, directory = package
    inputs = family.parent[0].width
    points = np.zeros((inputs, inputs), np.float32)
    np.fill_diagonal(points, bad)
    answers = run_points(build_runner(compiler, directory), points, family.parent[-1].width)
    assert (answers.codes == code).all()
    assert (answers.routes == code).all()
    assert (answers.outputs.view(np.uint32) == UNTOUCHED).all()


def test_the_first_bad_input_decides(package, compiler):
    family, directory = package
    points = np.array(list(itertools.product([0, 2, np.nan], repeat=family.parent[0].width)), np.float32)
    answers = run_points(build_runner(compiler, directory), points, family.parent[-1].width)
    codes = {0.0: OK, 2.0: OUT_OF_DOMAIN}
    for point, got in zip(points.tolist(), answers.codes, strict=True):
        assert got == next((codes.get(x, NAN) for x in point if x != 0), OK)


def test_corners_are_inside(package, compiler):
    family, directory = package
    points = np.array(list(itertools.product([-1, 1], repeat=family.parent[0].width)), np.float32)
    answers = run_points(build_runner(compiler, directory), points, family.parent[-1].width)
    assert (answers.codes == OK).all()


def test_null_pointers_and_overlapping_arrays(package, compiler, tmp_path):
    _, directory = package
    files = (f"-I{directory}", HERE / "arguments.c", *sources(directory))
    program = compiler.build(tmp_path / "arguments", NO_FMA, *files)
    assert compiler.run(program) == (0, "")
