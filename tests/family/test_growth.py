"""Adaptive cuts: a partition like any other, the same for everybody, finer where it pays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.cost import cost
from dispatcher.layers import Dense, Input, Relu, dense
from dispatcher.plan import check_tree, member_layers
from slicer.bounds.linear import Prepared
from slicer.box import Box
from slicer.certificate.write import unit_lists
from slicer.family import growth
from slicer.family.cuts import THRESHOLDS, Cutter
from slicer.family.growth import grow
from slicer.family.measure import Part
from slicer.family.survive import Lost
from slicer.family.work import Work
from slicer.family.workers import LokyWorkers, Raised
from slicer.network import Network
from slicer.partition import halve, leaves, routing_tree
from slicer.reduce.member import build_member
from slicer.search.cell import search_cell
from tests.random_networks import chain, networks, random_box, seeds

UNIT = Box(np.zeros(2, np.float32), np.ones(2, np.float32))


class Here:
    """Workers that are this process; ``order`` of the places is their own."""

    def __init__(self, *, backwards: bool = False) -> None:
        self.backwards, self.asked = backwards, 0

    def run(self, job, places):
        for place in sorted(places, reverse=self.backwards):
            entry = job.entry(place)
            self.asked += 1
            yield place, job.task(*entry)


def _grown(network: Network, domain: Box, cells: int, **options) -> list[Box]:
    options = {"seed": 0, "samples": None, "workers": Here()} | options
    return leaves(grow(network, domain, cells, **options))


def _steps(at: list[float]) -> Network:
    """Two inputs; for each number a unit that is active where the first input is larger than it, and one output."""
    weight = np.zeros((len(at), 2))
    weight[:, 0] = 1
    return Network((
        Input(2), dense(0, weight, -np.array(at)), Relu(1, len(at)), dense(2, np.ones((1, len(at))), np.zeros(1))
    ))  # fmt: skip


def _same(one: list[Box], other: list[Box]) -> bool:
    return len(one) == len(other) and all(
        (a.lower == b.lower).all() and (a.upper == b.upper).all() for a, b in zip(one, other, strict=True)
    )


@given(seeds, st.lists(st.integers(1, 6), min_size=2, max_size=5))
@settings(deadline=None, max_examples=40)
def test_the_count_of_a_live_set_is_that_of_the_packed_member(seed, widths):
    rng = np.random.default_rng(seed)
    network = chain(rng, widths)
    prepared, work = Prepared(network), Work(network)
    live = rng.random(prepared.relu_units) < 0.7
    for relu, start in prepared.offsets.items():
        live[start + rng.integers(network.layers[relu].width)] = True  # an empty layer makes what follows constant
    removed = {layer: set(units) for layer, units in unit_lists(np.flatnonzero(~live), prepared.offsets)}
    assert work.mac(live) == cost(member_layers(network.layers, build_member(network, removed))).mac


@given(networks(), seeds)
@settings(deadline=None, max_examples=40)
def test_counts_of_any_network_bound_the_member_s_from_above(network, seed):
    rng = np.random.default_rng(seed)
    prepared, work = Prepared(network), Work(network)
    live = rng.random((2, prepared.relu_units)) < 0.6
    for one in live:
        removed = {layer: set(units) for layer, units in unit_lists(np.flatnonzero(~one), prepared.offsets)}
        assert work.mac(one) >= cost(member_layers(network.layers, build_member(network, removed))).mac
    parent = sum(layer.weight.size for layer in network.layers if isinstance(layer, Dense))
    assert work.mac(np.ones(prepared.relu_units, bool)) <= parent
    for both, factors in zip(work.factors(live[0] | live[1]), work.factors(live), strict=True):
        for joint, each in zip(both, factors, strict=True):
            np.testing.assert_array_equal(joint, each[0] | each[1])


@pytest.mark.parametrize("eighth", range(1, THRESHOLDS))
def test_the_best_cut_is_where_units_begin_to_live(eighth):
    cut = Cutter(_steps([eighth / 8] * 10), 0).best(UNIT)
    assert (cut.axis, cut.threshold) == (0, eighth / 8)
    assert cut.gain == pytest.approx(eighth / 8 * 30)  # 10 units of 2 + 1 weights, on this share of the square


def test_no_cut_is_proposed_where_none_is_a_gain():
    assert Cutter(_steps([-1.0] * 10), 0).best(UNIT) is None
    assert Cutter(_steps([2.0] * 10), 0).best(UNIT) is None
    point = Box(np.float32([0.5, 0.5]), np.float32([0.5, 0.5]))
    assert Cutter(_steps([0.5] * 10), 0).best(point) is None


def test_a_cut_is_worth_what_the_measure_says():
    cutter = Cutter(_steps([0.25] * 10 + [0.75] * 9), 0)
    assert cutter.best(UNIT).threshold == 0.75  # by volume: 27 × 0.75 against 57 × 0.25
    low = np.float32([[0.2, 0.5]] * 9 + [[0.9, 0.5]])
    cut = cutter.best(UNIT, Part(1.0, 1.0, low).shares(UNIT))
    assert cut.threshold == 0.25
    assert cut.gain == pytest.approx(0.9 * 57)


@given(seeds, st.integers(1, 40), st.booleans())
@settings(deadline=None, max_examples=25)
def test_exactly_n_cells_that_cover_the_domain(seed, cells, by_samples):
    rng = np.random.default_rng(seed)
    network, domain = chain(rng, [3, 6, 6, 2]), random_box(rng, 3, 2.0)
    if (domain.lower == domain.upper).all():
        return
    samples = domain.sample(20, rng) if by_samples else None
    workers = Here()
    partition = grow(network, domain, cells, seed=0, samples=samples, workers=workers)
    assert len(leaves(partition)) == cells
    check_tree(routing_tree(partition), cells, domain.lower, domain.upper)
    assert workers.asked <= 2 * cells  # every cell is looked at once


def test_the_same_cells_for_every_worker_and_in_every_order():
    network = chain(np.random.default_rng(3), [4, 20, 20, 2])
    domain = Box(np.zeros(4, np.float32), np.ones(4, np.float32))
    here = _grown(network, domain, 40)
    assert _same(here, _grown(network, domain, 40, workers=Here(backwards=True)))
    assert _same(here, _grown(network, domain, 40, workers=LokyWorkers(2)))
    assert not _same(here, _grown(network, domain, 40, seed=1))
    assert not _same(here, leaves(halve(domain, 40)))


def test_progress_is_told_after_every_round():
    network = chain(np.random.default_rng(3), [2, 10, 2])
    told = []
    _grown(network, UNIT, 40, progress=lambda *counts: told.append(counts))
    rounds = [*range(2, 33), 34, 36, 38, 40]  # one cell in 16 is cut per round
    assert told == [(cells, 40) for cells in rounds]
    _grown(network, UNIT, 1, progress=lambda *counts: told.append(counts))
    assert len(told) == len(rounds)


@pytest.mark.parametrize("lost", [True, False])
def test_what_nobody_can_look_at_is_halved(lost, monkeypatch):
    if lost:
        monkeypatch.setattr(growth, "survive", lambda _workers, _job, count: ((k, Lost()) for k in range(count)))
    network = chain(np.random.default_rng(3), [2, 10, 2])
    for cells in (1, 4, 16):
        cut = _grown(network, UNIT, cells, stopped=lambda: not lost)
        assert sorted(map(_corners, cut)) == sorted(map(_corners, leaves(halve(UNIT, cells))))


def _corners(box: Box) -> list[float]:
    return [*box.lower.tolist(), *box.upper.tolist()]


def test_an_exception_in_a_worker_is_not_hidden(monkeypatch):
    raised = Raised(ValueError("oh"), "cuts.py:1")
    monkeypatch.setattr(growth, "survive", lambda *_arguments: (pair for pair in [(0, raised)]))
    with pytest.raises(ValueError, match="oh"):
        _grown(_steps([0.5]), UNIT, 4)


def test_cells_are_small_where_samples_are():
    network = chain(np.random.default_rng(5), [2, 30, 30, 2])
    samples = np.random.default_rng(0).uniform(0, 0.125, (200, 2)).astype(np.float32)
    cells = _grown(network, UNIT, 16, samples=samples)
    inside = [box for box in cells if (box.upper <= 0.25).all()]
    by_volume = [box for box in _grown(network, UNIT, 16) if (box.upper <= 0.25).all()]
    assert len(inside) > 2 * len(by_volume)


def test_adaptive_cuts_leave_less_work_than_halving():
    network = chain(np.random.default_rng(7), [3, 32, 32, 32, 2])
    domain = Box(np.full(3, -1, np.float32), np.ones(3, np.float32))
    prepared, work = Prepared(network), Work(network)

    def expected(boxes: list[Box]) -> float:
        total = 0.0
        for box in boxes:
            live = np.ones(prepared.relu_units, bool)
            live[search_cell(prepared, box, 40, np.random.default_rng(0)).inactive] = False
            total += box.volume / domain.volume * int(work.mac(live))
        return total

    adaptive, uniform = expected(_grown(network, domain, 32)), expected(leaves(halve(domain, 32)))
    assert adaptive < 0.97 * uniform


def test_a_part_of_the_measure_is_what_the_router_sends_there():
    samples = np.float32([[0.25, 0.0], [0.5, 0.0], [0.75, 0.0], [1.0, 0.0]])
    low, high = Part(1.0, 1.0, samples).cut(UNIT, 0, 0.5)
    assert (low.measure, high.measure) == (0.5, 0.5)  # x = threshold goes low
    lower, upper = low.cut(UNIT.below(0, 0.5), 0, 0.125)
    assert (lower.measure, upper.measure, lower.volume, upper.volume) == (0.0, 0.5, 0.125, 0.375)
    assert lower.shares(UNIT.below(0, 0.125)) is None
    below = high.shares(UNIT.above(0, 0.5))
    assert below.shape == (2, THRESHOLDS - 1)
    assert below[0].tolist() == [0, 0, 0, 0.5, 0.5, 0.5, 0.5]
