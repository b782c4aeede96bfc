"""Parts that become cells: the best ones for their number, with one member for what is not settled."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dispatcher
import slicer
from dispatcher.errors import UnusableInput
from dispatcher.interpret import eval32
from slicer.box import Box
from slicer.certificate.verdict import Accepted
from slicer.family import carving, compress
from slicer.family.block import search_block
from slicer.family.carving import MIXED, Forest
from slicer.family.cell import CellWorker
from slicer.family.checkpoint import PartStore, carved_cells
from slicer.family.claim import Claim
from slicer.family.options import Options
from slicer.family.terms import Terms
from slicer.family.workers import Raised
from slicer.partition import Block, Growth, blocks
from slicer.search.carve import NONE, Parts
from slicer.search.verdict import TIME, Open
from tests.family.test_decision import network, points
from tests.family.test_growth import Here
from tests.onnx_files import write_onnx
from tests.random_networks import seeds

DECIDE = {"mode": "decision", "decision": "argmax", "effort": 100, "jobs": 1}


def _random_parts(rng: np.random.Generator) -> Parts:
    """A tree with a few leaves, settled or not."""
    axis, low, volume, leaves_ = [-1], [-1], [1.0], [0]
    for _ in range(int(rng.integers(0, 6))):
        node = leaves_.pop(int(rng.integers(len(leaves_))))
        axis[node], low[node] = 0, len(axis)
        leaves_ += [len(axis), len(axis) + 1]
        share = rng.uniform(0.1, 0.9)
        volume += [volume[node] * share, volume[node] * (1 - share)]
        axis, low = [*axis, -1, -1], [*low, -1, -1]
    label = np.where(np.array(axis) < 0, rng.integers(NONE, 2, len(axis)), NONE)
    return Parts(np.array(axis), np.zeros(len(axis)), np.array(low), label, np.array(volume))


def _best(parts: Parts, node: int = 0) -> dict[int, float]:
    """By exhaustion: the largest volume that can be settled with each number of cells."""
    if parts.axis[node] < 0:
        return {1: float(parts.volume[node] * (parts.label[node] != NONE))}
    low = int(parts.low[node])
    labels = _labels(parts, node)
    best = {1: float(parts.volume[node]) if len(labels) == 1 and NONE not in labels else 0.0}
    for a, x in _best(parts, low).items():
        for b, y in _best(parts, low + 1).items():
            best[a + b] = max(best.get(a + b, 0.0), x + y)
    return best


def _labels(parts: Parts, node: int) -> set[int]:
    """The labels of the leaves below a node."""
    if parts.axis[node] < 0:
        return {int(parts.label[node])}
    low = int(parts.low[node])
    return _labels(parts, low) | _labels(parts, low + 1)


def _cells(forest: Forest, labels: np.ndarray) -> list[int]:
    """The nodes that become cells."""
    stack, cells = forest.roots.tolist(), []
    while stack:
        node = stack.pop()
        if labels[node] == MIXED:
            low = forest.cut(node)[2]
            stack += [low, low + 1]
        else:
            cells.append(node)
    return cells


@given(seeds, st.integers(1, 4), st.integers(1, 12))
@settings(deadline=None, max_examples=200)
def test_no_cells_of_the_same_number_settle_more(seed, trees, limit):
    rng = np.random.default_rng(seed)
    parts, measures = [_random_parts(rng) for _ in range(trees)], rng.dirichlet(np.ones(trees))
    limit = max(limit, trees)
    forest = Forest(parts, measures.tolist())
    labels = forest.pruned(limit)
    cells = _cells(forest, labels)
    assert len(cells) <= limit
    volume = np.concatenate([own.volume * measure for own, measure in zip(parts, measures, strict=True)])
    settled = sum(volume[cell] for cell in cells if labels[cell] != NONE)
    best = {0: 0.0}
    for own, measure in zip(parts, measures, strict=True):
        joint: dict[int, float] = {}
        for a, x in best.items():
            for b, y in _best(own).items():
                joint[a + b] = max(joint.get(a + b, 0.0), x + measure * y)
        best = joint
    assert settled == pytest.approx(max(found for count, found in best.items() if count <= len(cells)))


def test_blocks_are_consecutive_cells():
    growth = Growth(Box(np.zeros(1, np.float32), np.ones(1, np.float32)))
    low, high = growth.cut(0, 0, 0.5)
    first, second = growth.divide(low, 0, 0.25)
    growth.settle(first, True)
    growth.settle(second, False)
    growth.divide(second, 0, 0.375)
    found = blocks(growth.partition())
    assert [(block.first, len(block.boxes)) for block in found] == [(0, 3), (3, 1)]
    assert [block.settled for block in found] == [(True, None, None), (None,)]
    assert [float(box.lower[0]) for block in found for box in block.boxes] == [0, 0.25, 0.375, 0.5]
    assert growth.boxes[high].lower[0] == 0.5


class _Raising(Here):
    """Workers that pass on what a task raises, as processes do."""

    def run(self, job, places):
        for place in places:
            try:
                yield place, job.task(*job.entry(place))
            except RuntimeError as error:
                yield place, Raised(error, "here")


@pytest.fixture(scope="module")
def carved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("carved")
    model = write_onnx(folder / "model.onnx", network())
    return model, slicer.compress(model, "-1:1", folder / "bundle", Options(cells=6, parts=6, **DECIDE))


def test_parts_settle_more_of_the_domain(carved, tmp_path):
    model, bundle = carved
    whole = slicer.compress(model, "-1:1", tmp_path / "whole", Options(cells=6, parts=1, **DECIDE))
    assert len(whole.family.cells) == 6
    assert 6 < len(bundle.family.cells) <= 36

    def settled(made):
        return sum(made.measures[count.cell] for count in made.counts if count.classes == 1)

    assert settled(bundle) > settled(whole) + 0.2


def test_parts_that_need_a_network_share_it(carved):
    """More cells than the first six are no more networks than six."""
    _, bundle = carved
    networks = {bundle.family.cells[count.cell] for count in bundle.counts if count.classes > 1}
    cells = [count.cell for count in bundle.counts if count.classes > 1]
    assert len(networks) <= 6 < len(cells)


def test_a_carved_family_keeps_its_promise(carved):
    _, bundle = carved
    assert slicer.audit(bundle.path, exact=True).accepted
    expected = eval32(network().layers, points()).argmax(axis=1)
    assert np.array_equal(dispatcher.load(bundle.path).decide(points()), expected)


def test_it_is_the_same_from_any_number_of_workers_and_after_a_crash(carved, tmp_path, monkeypatch):
    model, bundle = carved
    options = Options(cells=6, parts=6, **DECIDE | {"jobs": 2})
    stage = "slicer.family.assemble.Staging.finish"

    def crash(*_arguments, **_options):
        raise OSError("the power went")

    with monkeypatch.context() as patch:
        patch.setattr(stage, crash)
        with pytest.raises(OSError, match="power"):
            slicer.compress(model, "-1:1", tmp_path / "again", options)
    again = slicer.compress(model, "-1:1", tmp_path / "again", options, resume=True)
    assert again.digest == bundle.digest
    assert again.reused == len(bundle.family.cells)


def test_parts_are_found_again(tmp_path):
    box, rng = Box(np.zeros(2), np.ones(2)), np.random.default_rng(3)
    parts = _random_parts(rng)
    stores = [PartStore(tmp_path, parent * 64, {"effort": effort}) for parent, effort in (("0", 1), ("1", 1), ("0", 2))]
    stores[0].write(box, parts)
    again = stores[0].read(box)
    for name in Parts.__dataclass_fields__:
        assert getattr(again, name).tolist() == getattr(parts, name).tolist()
    assert stores[1].read(box) is stores[2].read(box) is stores[0].read(Box(np.zeros(2), np.full(2, 0.5))) is None
    (file,) = (tmp_path / "parts").iterdir()
    file.write_bytes(file.read_bytes()[:-3])
    assert stores[0].read(box) is None


def test_a_run_that_was_interrupted_while_it_carved_goes_on_there(carved, tmp_path, monkeypatch):
    """The parts of the first three cells are kept; only the others are carved again, to the same bundle."""
    model, bundle = carved
    keep, asked = carving.Carving.keep, []

    def interrupt(self, box, parts):
        keep(self, box, parts)
        asked.append(box)
        if len(asked) == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(carving.Carving, "keep", interrupt)
        with pytest.raises(KeyboardInterrupt):
            slicer.compress(model, "-1:1", tmp_path / "bundle", Options(cells=6, parts=6, **DECIDE))
    assert carved_cells(tmp_path / "bundle.partial") == 3
    again = slicer.compress(model, "-1:1", tmp_path / "bundle", Options(cells=6, parts=6, **DECIDE), resume=True)
    assert again.digest == bundle.digest

    asked.clear()
    (tmp_path / "other").mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(carving.Carving, "keep", interrupt)
        with pytest.raises(KeyboardInterrupt):
            slicer.compress(model, "-1:1", tmp_path / "other/bundle", Options(cells=6, parts=6, **DECIDE))
    left: list[Box] = []
    monkeypatch.setattr(carving.Carving, "keep", lambda _self, box, _parts: left.append(box))
    slicer.compress(model, "-1:1", tmp_path / "other/bundle", Options(cells=6, parts=6, **DECIDE))
    assert len(left) == 3


def test_a_cell_whose_carving_raises_is_searched_as_a_whole(carved, tmp_path, monkeypatch):
    model, _ = carved
    call = carving.Carve.__call__

    def fail(self, box):
        if box.lower[0] == -1:
            raise RuntimeError("no parts here")
        return call(self, box)

    monkeypatch.setattr(carving.Carve, "__call__", fail)
    monkeypatch.setattr(compress, "LokyWorkers", lambda _jobs: _Raising())
    bundle = slicer.compress(model, "-1:1", tmp_path / "bundle", Options(cells=6, parts=6, **DECIDE))
    assert not any(count.gate.startswith("given up") for count in bundle.counts)
    assert 6 < len(bundle.family.cells) < len(carved[1].family.cells)


def test_parts_that_time_cut_short_are_not_kept(tmp_path):
    """They would be others than those of a run that has time."""
    store = PartStore(tmp_path, "0" * 64, {})
    box, parts = Box(np.zeros(2), np.ones(2)), _random_parts(np.random.default_rng(3))
    content = network().content
    carving.Carving(carving.Carve(content, Claim("argmax"), 10, end=5.0), 4, store).keep(box, parts)
    assert store.read(box) is None
    carving.Carving(carving.Carve(content, Claim("argmax"), 10), 4, store).keep(box, parts)
    assert store.read(box) is not None


def test_a_part_whose_shared_proof_is_refused_is_searched_by_itself(monkeypatch):
    """The gate refuses what is offered for one part first: its own search brings another proof."""
    worker = CellWorker(network().content, Claim("argmax"))
    block = Block(
        0,
        tuple(Box(np.array([x, -1], np.float32), np.array([x + 0.5, 1], np.float32)) for x in (-1, -0.5, 0)),
        (False, False, False),
    )
    shared = search_block(worker, block, Terms(100, 0))
    assert len({result.member for result in shared}) == 1
    offer, refused = worker.gate.offer, []

    def refuse(cell, *rest):
        made, verdict = offer(cell, *rest)
        if cell == 1 and not refused:
            refused.append(verdict)
            return made, "refused"
        return made, verdict

    monkeypatch.setattr(worker.gate, "offer", refuse)
    alone = search_block(worker, block, Terms(100, 0))
    assert isinstance(refused[0], Accepted)
    assert [alone[0], alone[2]] == [shared[0], shared[2]]
    assert alone[1] == worker.run(1, block.boxes[1], Terms(100, 0, attempts=False))
    box = json.loads(alone[1].certificate)["box"]
    assert float.fromhex(box["lower"][0]) == -0.5


def test_a_shared_search_that_was_cut_short_is_so_in_all_its_cells(monkeypatch):
    worker, verdict = CellWorker(network().content, Claim("argmax")), {0: Open(TIME)}
    search = worker.search

    def short(*given):
        found, attested = search(*given)
        return replace(found, verdicts=found.verdicts | verdict), attested

    halves = tuple(Box(np.array([x, -1], np.float32), np.array([x + 1, 1], np.float32)) for x in (-1, 0))
    block = Block(0, halves, (False, False))
    assert not any(result.counts.truncated for result in search_block(worker, block, Terms(50, 0)))
    monkeypatch.setattr(worker, "search", short)
    assert [result.counts.truncated for result in search_block(worker, block, Terms(50, 0))] == [True, True]


def test_an_affine_function_serves_several_parts_of_a_cell():
    """The first part's function is near enough in the second, which by itself has another one."""
    worker = CellWorker(network().content, Claim(epsilon=(10.0,) * 4))
    halves = tuple(Box(np.array([x, -1], np.float32), np.array([x + 1, 1], np.float32)) for x in (-1, 0))
    both = search_block(worker, Block(0, halves, (True, True)), Terms(100, 0))
    assert both[0].counts.affine
    assert both[1].counts.affine
    assert both[0].member == both[1].member != worker.run(1, halves[1], Terms(100, 0)).member


def test_parts_belong_to_adaptive_cells_of_their_modes():
    for wrong in ({}, {"mode": "decision", "cuts": "uniform"}):
        with pytest.raises(UnusableInput, match="--parts"):
            Options(parts=2, **wrong)
    with pytest.raises(UnusableInput, match="--parts"):
        Options(parts=0, mode="decision")
    Options(cells=131_000)
    for many in ({"cells": 131_001}, {"cells": 50_000, "mode": "decision"}):
        with pytest.raises(UnusableInput, match="--cells: expected at most 131,000 cells"):
            Options(**many)
    assert [Options().divided, Options(mode="decision").divided, Options(mode="decision", parts=1).divided] == [1, 4, 1]
