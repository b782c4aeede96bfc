"""Every kind of point is where it says it is, and inside the domain."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dispatcher.interpret import eval32
from dispatcher.plan import Leaf, Split
from dispatcher.runtime import Dispatcher
from tests.attack import points as kinds
from tests.attack.points import SPECIAL, clip, corners, on_bounds, ulps
from tests.attack.promise import decided
from tests.attack.proof import Boxes
from tests.attack.target import Target, tree_boxes

F32 = np.float32
MAKERS = [
    kinds.uniform,
    kinds.threshold_points,
    kinds.proof_points,
    kinds.corner_points,
    kinds.face_points,
    kinds.special_points,
]


def made(make: kinds.Kind, target: Target, count: int = 6000) -> np.ndarray:
    return np.concatenate(list(make(target, count, np.random.default_rng(1))))


@pytest.mark.parametrize("make", MAKERS)
def test_points_are_of_the_domain_and_nearly_as_many_as_asked_for(targets, make):
    target = targets["dense"]
    points = made(make, target)
    assert points.dtype == F32
    assert 5000 <= len(points) <= 6000
    assert ((target.domain.lower <= points) & (points <= target.domain.upper)).all()


def test_large_numbers_of_points_come_in_batches_of_bounded_size(targets):
    sizes = [points.size for points in kinds.uniform(targets["dense"], 10**6, np.random.default_rng(0))]
    assert max(sizes) <= kinds.VALUES
    assert sum(sizes) == 3 * 10**6


def test_each_routing_threshold_is_met_from_both_sides(targets):
    target = targets["dense"]
    points = made(kinds.threshold_points, target)
    for axis, threshold in zip(target.routing.axis, target.routing.threshold, strict=True):
        for moves in (-2, -1, 0, 1, 2):
            assert (points[:, axis] == ulps(threshold, np.array(moves))).any()


def test_proof_thresholds_are_met_in_the_box_that_they_cut(targets):
    target = targets["dense"]
    points = made(kinds.proof_points, target, 20_000)
    proofs = [target.cuts(cell) for cell in range(len(target.cells))]
    assert sum(len(cuts.axis) for cuts in proofs) > 5
    for cuts in proofs:
        for axis, threshold, lower, upper in zip(
            cuts.axis, cuts.threshold, cuts.boxes.lower, cuts.boxes.upper, strict=True
        ):
            there = ((lower <= points) & (points <= upper)).all(axis=1)
            assert (points[there, axis] == threshold).any()


def test_all_corners_of_the_domain_and_many_of_the_cells_are_met(targets):
    target = targets["sparse"]
    points = {tuple(point) for point in made(kinds.corner_points, target).tolist()}
    for cell in range(len(target.cells)):
        assert {
            tuple(corner) for corner in corners(target.cells[[cell]], 4, np.random.default_rng(0)).tolist()
        } <= points
    assert {tuple(corner) for corner in corners(target.domain, 4, np.random.default_rng(0)).tolist()} <= points


def test_special_points_have_negative_zeros_and_subnormal_numbers(targets):
    points = made(kinds.special_points, targets["dense"])
    assert (np.signbit(points) & (points == 0)).any(axis=0).all()
    assert ((points != 0) & (np.abs(points) < np.finfo(F32).smallest_normal)).any(axis=0).all()
    assert set(SPECIAL[SPECIAL >= 0].tolist()) <= set(points.ravel().tolist())


@pytest.mark.parametrize("network", ["argmax", "argmin"])
def test_ties_are_where_the_winner_changes(targets, network):
    """Of a point and its neighbours by up to two ulps in any direction, two have different winners."""
    target = targets[network]
    points = made(kinds.tie_points, target, 5000)
    assert 500 < len(points) <= 5000
    moves = np.array(list(itertools.product((-2, -1, 0, 1, 2), repeat=2)))
    near = [clip(ulps(points, np.broadcast_to(move, points.shape)), target.domain) for move in moves]
    winners = np.array([decided(network, eval32(target.network.layers, part)) for part in near])
    assert (winners != winners[0]).any(axis=0).mean() > 0.9


def test_mode_bitwise_has_no_ties(targets):
    assert list(kinds.tie_points(targets["dense"], 1000, np.random.default_rng(0))) == []


def test_faces_hold_every_bound_of_the_domain(targets):
    points, domain = made(kinds.face_points, targets["dense"]), targets["dense"].domain
    assert ((points == domain.lower).any(axis=0) & (points == domain.upper).any(axis=0)).all()
    assert ((points > domain.lower) & (points < domain.upper)).any(axis=0).all()


def test_corners_of_many_inputs_are_sampled():
    box = Boxes(np.zeros((1, 40), F32), np.ones((1, 40), F32))
    found = corners(box, 100, np.random.default_rng(0))
    assert found.shape == (100, 40)
    assert np.isin(found, [0, 1]).all()
    assert len(np.unique(found, axis=0)) == 100


numbers = st.floats(-4, 4, width=32)


@settings(deadline=None, max_examples=50)
@given(arrays(F32, 5, elements=numbers), arrays(np.int64, 5, elements=st.integers(-3, 3)))
def test_ulps_count_the_float32_numbers_between(points, moves):
    moved = ulps(points, moves)
    steps = [sum(1 for _ in _between(a, b)) for a, b in zip(points, moved, strict=True)]
    assert steps == np.abs(moves).tolist()
    assert (np.sign(moved.astype(float) - points) == np.sign(moves)).all()


def _between(a: np.float32, b: np.float32):
    """The float32 numbers after a, up to b."""
    while a != b:
        a = np.nextafter(a, b)
        yield a


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_points_on_bounds_lie_in_their_own_boxes(seed):
    rng = np.random.default_rng(seed)
    lower = rng.normal(size=(50, 3)).astype(F32)
    boxes = Boxes(lower, np.maximum(lower, lower + rng.normal(size=(50, 3)).astype(F32)))
    points = on_bounds(boxes, rng)
    assert ((boxes.lower <= points) & (points <= boxes.upper)).all()


def test_the_cells_boxes_hold_exactly_what_is_routed_to_them(targets):
    target = targets["dense"]
    points = np.concatenate([made(kinds.threshold_points, target), made(kinds.corner_points, target)])
    cells = Dispatcher(target.bundle.family).route(points)
    own = target.cells[cells]
    assert ((own.lower <= points) & (points <= own.upper)).all()
    assert sorted(set(cells)) == list(range(8))


def test_a_cell_without_width_is_a_box_too():
    """The threshold is the domain's lower bound: the low cell is one number wide, the high one starts after it."""
    tree = (Split(0, 0.0, 1, 2), Leaf(0), Leaf(1))
    cells, cuts = tree_boxes(tree, np.zeros(1, F32), np.ones(1, F32))
    assert cells.lower.ravel().tolist() == [0, np.nextafter(F32(0), F32(1))]
    assert cells.upper.ravel().tolist() == [0, 1]
    assert cuts.threshold.tolist() == [0]
