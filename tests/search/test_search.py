"""Search proposes only what holds, proves what is easy, counts its effort and repeats itself."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.interpret import evaluate_all
from dispatcher.layers import Input, Relu, dense
from slicer.bounds.linear import Prepared
from slicer.box import Box
from slicer.network import Network
from slicer.search.cell import CellSearch, search_cell
from slicer.search.falsify import sample_extremes
from slicer.search.tree import ProofTree
from slicer.search.verdict import EFFORT, TIME, Open, Proved, Refuted
from tests.random_networks import chain, networks, random_box, seeds


def _search(network: Network, box: Box, effort: int, **options) -> CellSearch:
    return search_cell(Prepared(network), box, effort, np.random.default_rng(7), **options)


def _pre_activations(network: Network, points: np.ndarray) -> np.ndarray:
    values = evaluate_all(network.layers, points)
    sources = [values[network.layers[p].source] for p in network.relu_layers]
    return np.concatenate(sources, axis=1) if sources else np.zeros((len(points), 0))


@given(networks(), seeds, st.integers(1, 60))
@settings(deadline=None, max_examples=40)
def test_verdicts_hold_at_every_point(network, seed, effort):
    rng = np.random.default_rng(seed)
    box = random_box(rng, network.n_in, 1.0)
    found = _search(network, box, effort)
    values = _pre_activations(network, np.concatenate([box.sample(300, rng), [box.lower, box.upper]]))
    assert (values[:, found.inactive] <= 0).all()
    for unit, verdict in found.verdicts.items():
        if isinstance(verdict, Proved):
            assert (verdict.phase * values[:, unit] >= 0).all()
        if isinstance(verdict, Refuted):
            assert box.contains(verdict.witness[None]).all()
            assert _pre_activations(network, verdict.witness[None])[0, unit] != 0
    assert found.boxes <= max(1, effort)


def _bump() -> Network:
    """Second-layer units max(x, 0) + max(-x, 0) - c = |x| - c for c = 1.1 (never active) and c = 0.9 (active at ±1)."""
    layers = (
        Input(1),
        dense(0, np.array([[1.0], [-1.0]])),
        Relu(1, 2),
        dense(2, np.array([[1.0, 1.0], [1.0, 1.0]]), np.array([-1.1, -0.9])),
        Relu(3, 2),
        dense(4, np.array([[1.0, 1.0]])),
    )
    return Network(layers)


def test_a_unit_that_needs_no_split_and_one_that_is_active_at_corners():
    found = _search(_bump(), Box(np.float32([-1]), np.float32([1])), 10)
    assert found.inactive.tolist() == [2]
    assert found.verdicts == {2: Proved(-1)}


def test_splits_prove_what_one_linear_bound_cannot():
    # z = |x| - |x - 0.01| - 0.02 is at most -0.01, but every linear bound on [-1, 1] loses about a half.
    layers = (
        Input(1),
        dense(0, np.array([[1.0], [-1.0], [1.0], [-1.0]]), np.array([0.0, 0.0, -0.01, 0.01])),
        Relu(1, 4),
        dense(2, np.array([[1.0, 1.0, -1.0, -1.0]]), np.array([-0.02])),
        Relu(3, 1),
        dense(4, np.array([[1.0]])),
    )
    network, box = Network(layers), Box(np.float32([-1]), np.float32([1]))
    assert 4 not in _search(network, box, 1).inactive
    assert _search(network, box, 1).verdicts[4] == Open(EFFORT)
    found = _search(network, box, 200)
    assert 4 in found.inactive
    assert found.verdicts[4] == Proved(-1)
    assert len(found.tree.nodes) > 1


def test_a_hidden_peak_is_refuted_with_a_witness_that_eval32_confirms():
    # A spike of width 2e-3 around x0 = 0.3217 that 1,024 samples and gradients (zero almost everywhere) may miss.
    peak, half = 0.3217, 1e-3
    layers = (
        Input(1),
        dense(0, np.ones((3, 1)) / half, np.array([-peak / half + 1, -peak / half, -peak / half - 1])),
        Relu(1, 3),
        dense(2, np.array([[1.0, -2.0, 1.0]]), np.array([-0.5])),
        Relu(3, 1),
        dense(4, np.array([[1.0]])),
    )
    network, box = Network(layers), Box(np.float32([-1]), np.float32([1]))
    seen = sample_extremes(Prepared(network), box, np.random.default_rng(7)).phase[3] == 0
    found = _search(network, box, 400)
    assert 3 not in found.inactive
    assert seen or isinstance(found.verdicts.get(3), Refuted | None)
    assert not isinstance(found.verdicts.get(3), Proved)


@given(seeds)
@settings(deadline=None, max_examples=10)
def test_the_same_seed_gives_the_same_tree(seed):
    network = chain(np.random.default_rng(seed), [3, 12, 12, 2])
    box = random_box(np.random.default_rng(seed), 3, 1.0)
    first, second = _search(network, box, 50), _search(network, box, 50)
    assert first.inactive.tolist() == second.inactive.tolist()
    assert [node.threshold for node in first.tree.nodes] == [node.threshold for node in second.tree.nodes]


def test_a_stopped_search_says_so_and_keeps_what_it_has():
    network = chain(np.random.default_rng(3), [4, 40, 40, 40, 2])
    box = Box(-np.ones(4, np.float32), np.ones(4, np.float32))
    found = _search(network, box, 10_000, stopped=lambda: True)
    assert found.boxes == 1
    assert Open(TIME) in found.verdicts.values()


def test_a_point_cell_and_a_network_without_relu_are_fine():
    point = Box(np.float32([0.5]), np.float32([0.5]))
    assert _search(_bump(), point, 50).inactive.tolist() == [1, 2, 3]
    affine = Network((Input(1), dense(0, np.ones((1, 1)))))
    assert _search(affine, point, 50).inactive.size == 0


class TestTree:
    """Trees made by hand: 0 splits into 1 and 2, 2 into 3 and 4."""

    @staticmethod
    def _tree() -> ProofTree:
        def units(*numbers: int) -> np.ndarray:
            return np.array(numbers, np.int64)

        tree = ProofTree()
        for inactive, active in (((9,), (8,)), ((1, 2), ()), ((3,), (5,)), ((1,), (7,)), ((1, 2), ())):
            tree.add(units(*inactive), units(*active))
        tree.split(0, 0, 0.0, (1, 2))
        tree.split(2, 1, 0.5, (3, 4))
        return tree

    def test_closed_everywhere_means_on_every_path(self):
        assert np.flatnonzero(self._tree().closed_everywhere(10)).tolist() == [1, 9]

    def test_trimming_keeps_what_the_removals_need_and_facts_above_it(self):
        trimmed = self._tree().trim(np.array([1, 9]))
        assert [node.children for node in trimmed.nodes] == [(1, 2), None, (3, 4), None, None]
        assert [node.inactive.tolist() for node in trimmed.nodes] == [[9], [1], [3], [1], [1]]
        assert [node.active.tolist() for node in trimmed.nodes] == [[8], [], [5], [], []]
        assert np.flatnonzero(trimmed.closed_everywhere(10)).tolist() == [1, 9]

    def test_a_lean_tree_keeps_facts_only_above_the_nodes_that_need_them(self):
        tree, removed = self._tree(), np.array([1, 9])
        assert [node.inactive.tolist() for node in tree.lean(removed).nodes] == [[9], [1], [], [1], [1]]
        assert [node.active.tolist() for node in tree.lean(removed).nodes] == [[], [], [], [], []]
        helped = tree.lean(removed, [(1, 9)])
        assert [node.inactive.tolist() for node in helped.nodes] == [[9], [1], [], [1], [1]]
        assert [node.active.tolist() for node in helped.nodes] == [[8], [], [], [], []]
        helped = tree.lean(removed, [(4, 5)])
        assert [node.inactive.tolist() for node in helped.nodes] == [[9], [1], [3], [1], [1]]
        assert [node.active.tolist() for node in helped.nodes] == [[], [], [], [], []]

    def test_refused_closings_can_be_taken_out(self):
        tree = self._tree()
        less = tree.without([(3, 1), (0, 8)])
        assert [node.inactive.tolist() for node in less.nodes] == [[9], [1, 2], [3], [], [1, 2]]
        assert less.nodes[0].active.tolist() == []
        assert np.flatnonzero(less.closed_everywhere(10)).tolist() == [9]
        assert tree.nodes[3].inactive.tolist() == [1]

    def test_trimming_cuts_branches_that_prove_nothing_needed(self):
        trimmed = self._tree().trim(np.array([9]))
        assert len(trimmed.nodes) == 1
        assert trimmed.nodes[0].children is None


@given(networks(), seeds)
@settings(deadline=None, max_examples=40)
def test_a_proof_cut_to_a_part_closes_what_it_did_and_nothing_false(network, seed):
    """Boxes of its nodes cover the part, and closings hold at points."""
    rng = np.random.default_rng(seed)
    box = random_box(rng, network.n_in)
    prepared = Prepared(network)
    found = search_cell(prepared, box, 40, rng)
    inside = np.sort(box.sample(2, rng), axis=0)
    part = Box(inside[0], inside[1])
    tree = found.tree.within(part.lower, part.upper)
    assert np.isin(found.inactive, np.flatnonzero(tree.closed_everywhere(prepared.relu_units))).all()
    points = part.sample(64, rng)
    values = _pre_activations(network, points)
    for point, own in zip(points, values, strict=True):
        index: int | None = 0
        while index is not None:
            node = tree.nodes[index]
            assert (own[node.inactive] <= 1e-3).all()
            assert (own[node.active] >= -1e-3).all()
            index = node.children[int(point[node.axis] > node.threshold)] if node.children else None


def test_a_proof_cut_to_one_side_of_a_split_keeps_that_side():
    """The root closes unit 0; below 0.5 unit 1 is closed, above it 2, and beyond 0.75 on the other axis 3."""
    tree, none = ProofTree(), np.zeros(0, np.int64)
    for units in ([0], [1], [2], [], [3]):
        tree.add(np.array(units, np.int64), none)
    tree.split(0, 0, 0.5, (1, 2))
    tree.split(2, 1, 0.75, (3, 4))

    def within(lower: list[float], upper: list[float]) -> ProofTree:
        return tree.within(np.array(lower, np.float32), np.array(upper, np.float32))

    def closed(part: ProofTree) -> list[list[int]]:
        return [node.inactive.tolist() for node in part.nodes]

    assert closed(within([0, 0], [0.5, 1])) == [[0, 1]]
    assert closed(within([0.5, 0], [1, 0.75])) == [[0, 2]]
    assert closed(within([0.5, 0.75], [1, 1])) == [[0, 2, 3]]
    across = within([0.25, 0.75], [1, 1])
    assert closed(across) == [[0], [1], [2, 3]]
    assert (across.nodes[0].axis, across.nodes[0].threshold, across.nodes[0].children) == (0, 0.5, (1, 2))
    assert closed(within([0, 0], [1, 1])) == closed(tree)
