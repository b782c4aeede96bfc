"""The committed reference bundles: both checkers accept them on every run, as does the checker that one carries."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import dispatcher
import slicer
from dispatcher.interpret import eval32
from dispatcher.vectors import border_points, corner_points, random_points
from tests.attack.hunt import hunt
from tests.attack.judge import PlainJudge
from tests.attack.target import open_target
from tests.certificates.both import CHECKER, judge, judge_outside
from tests.certificates.opened import MANIFEST, PARENT, open_bundle, sha, store
from tests.certificates.reference import DECIDING, DECISIONS, EXAMPLE, OPTIONS, REFERENCE, make, make_decisions
from tests.certificates.trees import closings
from tests.certificates.truth import doubts

DIGEST = "b119f35898dd2e35a46dc5483e2ba57d9cc16d1ff9d65304f564ca9603f745aa"
DIGEST_OF_DECISIONS = "2e1265844606bfe753923b6c1ea7d06a5425e4300925ce2b31c0de42e28b0a1a"


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


@pytest.mark.parametrize("bundle", [REFERENCE, DECISIONS], ids=["bitwise", "decision"])
def test_one_bit_of_any_file_is_noticed(bundle: Path, tmp_path: Path) -> None:
    contents = {p.relative_to(bundle).as_posix(): p.read_bytes() for p in bundle.rglob("*") if p.is_file()}
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


def test_the_one_of_decisions_is_what_was_committed_and_is_accepted() -> None:
    assert sha((DECISIONS / MANIFEST).read_bytes()) == DIGEST_OF_DECISIONS
    assert sum(path.stat().st_size for path in DECISIONS.rglob("*") if path.is_file()) < 60_000
    assert DECIDING.record().items() <= json.loads((DECISIONS / MANIFEST).read_bytes())["options"].items()
    assert judge_outside(DECISIONS).accepted
    assert slicer.audit(DECISIONS).accepted


def test_it_has_cells_with_one_class_with_some_and_with_all() -> None:
    """And margins that are closed below splits, besides removed units."""
    certificates = open_bundle(DECISIONS).certificates
    assert {len(certificate["classes"]) for certificate in certificates} == {1, 2, 3}
    assert {0, 1, 2} == {output for certificate in certificates for output in certificate["classes"]}
    assert any(certificate["removed"] for certificate in certificates)
    assert sum(len(certificate["tree"]) > 1 for certificate in certificates) >= 2


def test_it_decides_as_its_model_does() -> None:
    assert doubts(DECISIONS) == []
    target = open_target(DECISIONS)
    assert all(finding.clean for finding in hunt(target, PlainJudge(target), 5000, 5000, seed=0).values())


def test_making_it_again_gives_an_accepted_bundle_of_decisions(tmp_path: Path) -> None:
    make_decisions(tmp_path / "bundle")
    assert judge(tmp_path / "bundle").accepted
