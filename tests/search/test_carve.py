"""Carving: the parts of a cell tile it, and what settles a part holds at its points."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.layers import Input, dense
from slicer.box import Box
from slicer.network import Network
from slicer.search.carve import NONE, ROUND, Functions, Parts, Winners, carve
from slicer.search.evaluate import evaluate
from tests.random_networks import chain, seeds

UNIT = Box(np.full(2, -1, np.float32), np.ones(2, np.float32))
EPSILON = np.full(3, 0.05)


def network(seed: int) -> Network:
    return chain(np.random.default_rng(seed), [2, 6, 6, 3])


def boxes(parts: Parts) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """The corners of every leaf, by node."""
    corners = {0: (UNIT.lower.astype(np.float64), UNIT.upper.astype(np.float64))}
    for node in np.flatnonzero(parts.axis >= 0):
        lower, upper = corners.pop(int(node))
        axis, threshold, low = parts.axis[node], parts.threshold[node], int(parts.low[node])
        assert lower[axis] < threshold < upper[axis]
        assert threshold == np.float32(threshold)
        inside = np.arange(2) == axis
        corners[low] = lower, np.where(inside, threshold, upper)
        corners[low + 1] = np.where(inside, threshold, lower), upper
    return corners


@given(seeds, st.sampled_from(["argmax", "argmin"]), st.integers(1, 60))
@settings(deadline=None, max_examples=40)
def test_one_output_wins_in_every_settled_part(seed, decision, effort):
    claims = Winners(network(seed), decision)
    parts, rng = carve(claims, UNIT, effort), np.random.default_rng(seed)
    leaves = boxes(parts)
    assert len(parts.axis) <= effort
    assert parts.volume[list(leaves)].sum() == pytest.approx(1)
    for node, (lower, upper) in leaves.items():
        assert parts.volume[node] == pytest.approx(np.prod(upper - lower) / 4)
        if parts.label[node] != NONE:
            outputs = evaluate(claims.prepared, rng.uniform(lower, upper, (200, 2)), 5)[5]
            winner = outputs.argmax(axis=1) if decision == "argmax" else outputs.argmin(axis=1)
            assert (winner == parts.label[node]).all()


@given(seeds, st.integers(1, 60))
@settings(deadline=None, max_examples=40)
def test_an_affine_function_is_near_in_every_settled_part(seed, effort):
    claims = Functions(network(seed), EPSILON)
    parts, rng = carve(claims, UNIT, effort), np.random.default_rng(seed)
    for node, (lower, upper) in boxes(parts).items():
        if parts.label[node] != NONE:
            points = rng.uniform(lower, upper, (200, 2))
            function = claims.functions[parts.label[node]]
            distance = evaluate(claims.prepared, points)[-1] - (points @ function.weight.T + function.bias)
            assert (np.abs(distance) <= EPSILON).all()


def test_cuts_that_divide_nothing_are_taken_back():
    """A tree of three cuts: below the low child both leaves have one label, below the high child they have two."""
    axis, low = np.array([0, 1, 1, -1, -1, -1, -1]), np.array([1, 3, 5, -1, -1, -1, -1])
    parts = Parts(axis, np.arange(7.0), low, np.array([-1, -1, -1, 4, 4, 4, NONE]), np.arange(7) / 7)
    merged = parts.merged()
    assert merged.axis.tolist() == [0, -1, 1, -1, -1]
    assert merged.low.tolist() == [1, -1, 3, -1, -1]
    assert merged.label.tolist() == [NONE, 4, NONE, 4, NONE]
    assert merged.threshold.tolist() == [0, 0, 2, 0, 0]
    assert merged.volume.tolist() == (np.array([0, 1, 2, 5, 6]) / 7).tolist()


def test_carving_settles_most_of_an_easy_cell():
    """So that the other tests do not pass for want of settled parts."""
    for claims in (Winners(network(1), "argmax"), Functions(network(1), EPSILON)):
        parts = carve(claims, UNIT, 400)
        assert parts.volume[parts.label != NONE].sum() > 0.5
        assert len(set(parts.label[parts.label != NONE].tolist())) > 1


def test_a_tie_everywhere_is_never_settled():
    """Two equal outputs: one of them wins everywhere by the rule for ties, and nothing can prove it."""
    equal = Network((Input(2), dense(0, np.ones((2, 2)), np.zeros(2))))
    for decision in ("argmax", "argmin"):
        assert (carve(Winners(equal, decision), UNIT, 50).label == NONE).all()


def test_neighbours_share_a_function():
    """One affine network: its first part is settled at once, and a bound of nothing never is."""
    affine = Network((Input(2), dense(0, np.array([[1.0, -2.0]]), np.zeros(1))))
    assert carve(Functions(affine, np.array([0.01])), UNIT, 50).label.tolist() == [0]
    assert (carve(Functions(affine, np.zeros(1)), UNIT, 50).label == NONE).all()


def test_a_cell_of_a_point_has_one_part():
    point = Box(np.ones(2, np.float32), np.ones(2, np.float32))
    assert len(carve(Winners(network(2), "argmax"), point, 50).axis) == 1


def test_time_that_is_up_leaves_one_part():
    assert len(carve(Winners(network(1), "argmax"), UNIT, 400, lambda: True).axis) == 1


def test_a_hopeless_cell_costs_a_quarter():
    """Equal outputs again, in a network whose every halving changes the bounds."""
    equal = Network((*network(1).layers[:-1], dense(4, np.ones((2, 6)), np.zeros(2))))
    claims, asked = Winners(equal, "argmax"), []
    bound, claims.wanted = claims.wanted, lambda labels: (asked.append(len(labels)), bound(labels))[1]
    carve(claims, UNIT, 400)
    assert 100 < sum(asked) <= 100 + 2 * ROUND
