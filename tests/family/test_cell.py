"""The gate: what the checker does not accept is not removed, whatever search says."""

from __future__ import annotations

import json

import numpy as np
import pytest

from dispatcher.files import read_member
from dispatcher.interpret import eval32
from dispatcher.plan import member_layers, whole_member
from slicer.box import Box
from slicer.certificate.verdict import Accepted
from slicer.family import cell as cell_module
from slicer.family.cell import CellWorker
from slicer.family.terms import Terms
from slicer.search.cell import CellSearch, search_cell
from slicer.search.tree import ProofTree
from slicer.search.verdict import Proved
from tests.random_networks import chain

BOX = Box(np.full(4, 0.1, np.float32), np.full(4, 0.5, np.float32))


@pytest.fixture
def worker() -> CellWorker:
    return CellWorker(chain(np.random.default_rng(5), [4, 20, 20, 3]).content)


def _removed(certificate: bytes) -> list:
    return json.loads(certificate)["removed"]


def test_honest_search_removes_units_with_an_accepted_certificate(worker):
    result = worker.run(0, BOX, Terms(200, 0))
    assert result.counts.removed > 0
    assert result.counts.gate == "accepted"
    assert sum(len(units) for _, units in _removed(result.certificate)) == result.counts.removed
    verdict = worker.gate.checker.check_cell(0, BOX.lower, BOX.upper, result.certificate, result.member)
    assert isinstance(verdict, Accepted)
    counts = result.counts
    decided = counts.proved_inactive + counts.proved_active + counts.refuted
    assert decided + counts.open == counts.candidates


def test_a_lying_search_removes_nothing(worker, monkeypatch):
    everything = np.arange(worker.prepared.relu_units)

    def lie(*_arguments, **_options):
        tree = ProofTree()
        tree.add(everything, np.zeros(0, np.int64))
        return CellSearch(
            tree,
            everything,
            {int(unit): Proved(-1) for unit in everything},
            1,
            -np.ones_like(everything),
            everything[:0],
        )

    monkeypatch.setattr(cell_module, "search_cell", lie)
    result = worker.run(0, BOX, Terms(200, 0))
    assert result.counts.removed < worker.prepared.relu_units
    assert "expected a proved sign" in result.counts.gate
    verdict = worker.gate.checker.check_cell(0, BOX.lower, BOX.upper, result.certificate, result.member)
    assert isinstance(verdict, Accepted)
    member = read_member(result.member, worker.network.layers, worker.network.digest, "member")
    _assert_same_bits(worker, member, BOX.sample(2000, np.random.default_rng(0)))


def _assert_same_bits(worker: CellWorker, member, points: np.ndarray) -> None:
    parent = worker.network.layers
    np.testing.assert_array_equal(eval32(member_layers(parent, member), points), eval32(parent, points))


def test_a_search_that_crosses_the_phases_removes_nothing_wrong(worker, monkeypatch):
    def swapped(*arguments, **options):
        found = search_cell(*arguments, **options)
        for node in found.tree.nodes:
            node.inactive, node.active = node.active, node.inactive
        return found

    monkeypatch.setattr(cell_module, "search_cell", swapped)
    result = worker.run(0, BOX, Terms(50, 0))
    member = read_member(result.member, worker.network.layers, worker.network.digest, "member")
    _assert_same_bits(worker, member, BOX.sample(2000, np.random.default_rng(0)))
    assert result.counts.gate != "accepted"


def test_a_stopped_cell_keeps_everything_and_says_so(worker):
    result = worker.run(3, BOX, Terms(200, 0, end=0.0))
    assert result.counts.truncated
    assert result.counts.removed == 0
    member = read_member(result.member, worker.network.layers, worker.network.digest, "member")
    assert member == whole_member(worker.network.layers)
