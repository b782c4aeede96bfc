"""The committed reference bundle: both checkers accept it on every run, as does the checker that it carries."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import dispatcher
import slicer
from dispatcher.interpret import eval32
from dispatcher.vectors import border_points, corner_points, random_points
from tests.certificates.both import CHECKER, judge, judge_outside
from tests.certificates.opened import MANIFEST, PARENT, open_bundle, sha, store
from tests.certificates.reference import EXAMPLE, OPTIONS, REFERENCE, make
from tests.certificates.trees import closings

DIGEST = "7bed79ad0cf5d186980e56b7fa048317029ab244f03243dff5e4893de83cd345"


def test_it_is_the_bundle_that_was_committed() -> None:
    assert sha((REFERENCE / MANIFEST).read_bytes()) == DIGEST
    assert sum(path.stat().st_size for path in REFERENCE.rglob("*") if path.is_file()) < 300_000
    record = json.loads((REFERENCE / MANIFEST).read_bytes())
    assert OPTIONS.record().items() <= record["options"].items()
    source = (EXAMPLE / "collision_avoidance.onnx").read_bytes()
    assert (REFERENCE / record["source"]).read_bytes() == source


@pytest.mark.parametrize("checker", [CHECKER, REFERENCE / "check.py"], ids=["installed", "its own"])
def test_both_checkers_accept_it(checker: Path) -> None:
    assert judge_outside(REFERENCE, checker).accepted
    assert slicer.audit(REFERENCE).accepted


def test_it_has_what_makes_proofs_hard() -> None:
    """Splits in several cells, closings in two layers at least, members of different cells that differ."""
    opened = open_bundle(REFERENCE)
    trees = [certificate["tree"] for certificate in opened.certificates]
    assert sum(len(tree) > 1 for tree in trees) >= 3
    assert len({layer for tree in trees for _, _, layer, _ in closings(tree)}) >= 2
    assert len(opened.members) >= 3
    assert all(certificate["removed"] for certificate in opened.certificates)


def test_one_bit_of_any_file_is_noticed(tmp_path: Path) -> None:
    contents = {p.relative_to(REFERENCE).as_posix(): p.read_bytes() for p in REFERENCE.rglob("*") if p.is_file()}
    for path, content in contents.items():
        flipped = bytes([*content[:-2], content[-2] ^ 1, content[-1]])
        assert not judge(store(contents | {path: flipped}, tmp_path / path.replace("/", "-"))).accepted, path


def test_it_returns_the_bits_of_the_example() -> None:
    bundle, rng = dispatcher.load(REFERENCE), np.random.default_rng(0)
    family = bundle.family
    points = [random_points(family, 2000, rng), corner_points(family, 64, rng), *border_points(family, 200, rng)]
    inputs = np.concatenate(points)
    expected = eval32(slicer.read_network(EXAMPLE / "collision_avoidance.onnx").layers, inputs)
    np.testing.assert_array_equal(bundle.predict(inputs), expected)


def test_making_it_again_gives_an_accepted_bundle_of_the_same_parent(tmp_path: Path) -> None:
    """Not byte by byte: another BLAS may let the search find other proofs."""
    make(tmp_path / "bundle")
    assert judge(tmp_path / "bundle").accepted
    assert (tmp_path / "bundle" / PARENT).read_bytes() == (REFERENCE / PARENT).read_bytes()
