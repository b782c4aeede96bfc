"""Budgets where only the decision counts, or outputs may differ: what can be joined is, the rest is counted in."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

import slicer
from dispatcher.emit_c99 import table_sizes
from dispatcher.errors import UnusableInput
from dispatcher.interpret import eval32
from dispatcher.load import load
from dispatcher.vectors import border_points, random_points
from slicer.box import Box
from slicer.family.cell import CellWorker
from slicer.family.claim import Claim
from slicer.family.proof import read_proof
from slicer.family.terms import Terms
from slicer.summary import summarize
from tests.certificates.both import judge
from tests.onnx_files import write_onnx
from tests.random_networks import chain

CLAIMS = {"decision": {"mode": "decision", "decision": "argmax"}, "epsilon": {"mode": "epsilon", "epsilon": "0.2%"}}


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    network = chain(np.random.default_rng(11), [3, 20, 20, 10])
    return write_onnx(tmp_path_factory.mktemp("model") / "net.onnx", network)


def _compress(model: Path, out: Path, mode: str, **options) -> slicer.Bundle:
    return slicer.compress(
        model, "0:1", out, slicer.Options(cells=12, parts=2, effort=40, jobs=2, **CLAIMS[mode], **options)
    )


@pytest.fixture(scope="module", params=CLAIMS)
def free(request, model, tmp_path_factory) -> slicer.Bundle:
    return _compress(model, tmp_path_factory.mktemp("free") / "bundle", request.param)


def _fixed(bundle: slicer.Bundle) -> dict[int, bool]:
    """Whether a cell's member can be shared with equal cells only."""
    return {count.cell: count.classes == 1 or count.affine or count.readout > 0 for count in bundle.counts}


def _claimed(bundle: slicer.Bundle, cell: int) -> tuple[set[tuple[int, int]], set[int]]:
    """The removed units, and the outputs that may win."""
    record = json.loads((bundle.path / "certificates" / f"{cell:06d}.json").read_bytes())
    return {(layer, unit) for layer, units in record["removed"] for unit in units}, set(record.get("classes", ()))


def test_joined_families_are_accepted_keep_the_budget_and_their_promise(free, model, tmp_path):
    fixed = _fixed(free)
    assert len(set(fixed.values())) == 2  # both kinds of cells
    unshared = len({free.family.cells[cell] for cell, is_fixed in fixed.items() if is_fixed})
    budget = unshared + 2
    assert budget < len(free.family.members)
    bundle = _compress(model, tmp_path / "bundle", free.family.mode, members=budget)
    assert len(bundle.family.members) == budget == bundle.budget.chosen.members
    assert bundle.budget.binding == ("--members",)
    assert judge(bundle.path).accepted
    family = bundle.family
    rng = np.random.default_rng(0)
    points = np.concatenate([random_points(family, 3000, rng), *border_points(family, 50, rng)])
    expected, served = eval32(slicer.read_network(model).layers, points), load(bundle.path)
    if family.epsilon is None:
        np.testing.assert_array_equal(served.decide(points), expected.argmax(axis=1))
    else:
        assert (np.abs(served.predict(points) - expected.astype(float)) <= family.epsilon).all()
    summary = summarize(bundle)
    assert summary["mac_mean"] == pytest.approx(bundle.budget.chosen.mac_mean)
    assert summary["mac_mean"] > summarize(free)["mac_mean"]
    assert table_sizes(family).flash == bundle.budget.chosen.flash < table_sizes(free.family).flash


def test_a_certificate_claims_what_all_cells_of_its_member_can(free, model, tmp_path):
    fixed = _fixed(free)
    budget = len({free.family.cells[cell] for cell, is_fixed in fixed.items() if is_fixed}) + 2
    bundle = _compress(model, tmp_path / "bundle", free.family.mode, members=budget)
    assert bundle.family.tree == free.family.tree
    assert _fixed(bundle) == fixed
    for cell, is_fixed in fixed.items():
        if is_fixed:
            mates = [cell]
        else:
            mates = [mate for mate in fixed if bundle.family.cells[mate] == bundle.family.cells[cell]]
        own = [_claimed(free, mate) for mate in mates]
        removed, classes = _claimed(bundle, cell)
        assert removed == set.intersection(*(one[0] for one in own))
        assert classes == set.union(*(one[1] for one in own))


@pytest.mark.parametrize("layout", ["auto", "packed"])
def test_flash_is_a_measured_limit(free, model, tmp_path, layout):
    budget = table_sizes(free.family).flash // 2
    bundle = _compress(model, tmp_path / "bundle", free.family.mode, flash=budget, layout=layout)
    assert table_sizes(bundle.family, bundle.layout).flash == bundle.budget.chosen.flash <= budget
    assert slicer.audit(bundle.path).accepted


def test_fewer_members_than_cannot_be_shared_is_one_clear_error(model, tmp_path):
    """Outputs that win somewhere alone, and one member for all other cells."""
    free = _compress(model, tmp_path / "free", "decision")
    unshared = len({free.family.cells[cell] for cell, is_fixed in _fixed(free).items() if is_fixed})
    with pytest.raises(UnusableInput, match=f"--members: expected at least {unshared + 1} members, got {unshared}"):
        _compress(model, tmp_path / "bundle", "decision", members=unshared)
    assert not (tmp_path / "bundle").exists()


def test_readouts_are_given_up_where_a_budget_has_no_room_for_them(model, tmp_path):
    """One member for all cells can only be an exact one: every bit is kept, and the proofs are those of its units."""
    free = _compress(model, tmp_path / "free", "epsilon")
    assert any(count.affine for count in free.counts)
    assert any(count.readout for count in free.counts)
    bundle = _compress(model, tmp_path / "bundle", "epsilon", members=1)
    assert len(bundle.family.members) == 1
    assert not any(count.affine or count.readout or count.parts for count in bundle.counts)
    assert judge(bundle.path).accepted
    points = random_points(bundle.family, 2000, np.random.default_rng(1))
    expected = eval32(slicer.read_network(model).layers, points)
    np.testing.assert_array_equal(load(bundle.path).predict(points), expected)
    least = summarize(bundle)["mac_mean"]
    kinds = {step.members: step.mac_mean for step in bundle.budget.steps}
    assert kinds[len(free.family.members)] == pytest.approx(summarize(free)["mac_mean"])
    assert max(kinds.values()) == pytest.approx(least)


def test_any_superset_of_the_classes_can_be_claimed():
    """With fewer units removed as well; outputs that get in again need no proof, all others keep theirs."""
    network = chain(np.random.default_rng(2), [3, 12, 12, 5])
    worker = CellWorker(network.content, Claim(decision="argmax"))
    box = Box(np.full(3, 0.2, np.float32), np.full(3, 0.7, np.float32))
    whole = worker.run(0, box, Terms(200, 0, attempts=False))
    proof = read_proof(whole.certificate, worker.prepared.offsets)
    assert proof.classes is not None
    assert 1 < len(proof.classes) < 4
    assert len(proof.removed) > 3
    others = [output for output in range(5) if output not in proof.classes]
    for more in itertools.chain.from_iterable(itertools.combinations(others, n) for n in range(len(others) + 1)):
        classes = sorted({*proof.classes, *more})
        small = worker.shrink(0, box, whole, proof.removed[::2], classes)
        again = read_proof(small.certificate, worker.prepared.offsets)
        assert again.classes == classes
        assert small.counts.classes == len(classes)
        np.testing.assert_array_equal(again.removed, proof.removed[::2])
        margins = {unit for node in again.tree.nodes for unit in node.inactive if unit >= network.relu_units}
        beaten = {(unit - network.relu_units) // 5 for unit in margins}
        assert beaten == set(range(5)) - set(classes)
