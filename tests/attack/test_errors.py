"""Errors are those of CERTIFICATE.md §5 as shares of their bounds, and the search finds where they are largest."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.interpret import eval32
from dispatcher.layers import Input, Relu, dense
from dispatcher.plan import Family, Leaf, Readout
from slicer.network import Network
from slicer.reduce.member import build_member
from slicer.search.readout import all_inputs, with_errors
from tests.attack.ascent import ascend
from tests.attack.errors import Differences, Search, error_points
from tests.attack.points import within
from tests.attack.promise import has_readout
from tests.attack.proof import Boxes

F32 = np.float32


def bent() -> Network:
    """relu(x − y/4), on the unit square."""
    return Network((Input(2), dense(0, [[1, -0.25]]), Relu(1, 1), dense(2, [[1], [-2]])))


def served(network: Network, weight: list, bias: list, epsilon: list) -> Family:
    """The family of one cell, the unit box, with an affine member."""
    member = build_member(network, {}, readout=Readout(all_inputs(network), F32(weight), F32(bias)))
    corner = np.ones(network.n_in, F32)
    return Family("epsilon", network.layers, 0 * corner, corner, (Leaf(0),), (member,), (0,), epsilon=F32(epsilon))


def test_errors_are_those_of_the_certificates_as_shares_of_the_bounds(targets):
    target = targets["near"]
    family, differences = target.bundle.family, Differences(target.network, target.bundle.family)
    assert differences.cells.tolist() == np.flatnonzero(has_readout(family)).tolist()
    assert len(differences.pairs) == len(set(map(tuple, differences.pairs))) == 6 * len(differences.cells)
    for row, cell in enumerate(differences.cells):
        points = within(target.cells[np.full(200, cell)], np.random.default_rng(0))
        readout = family.members[family.cells[cell]].readout
        extended = with_errors(target.network, readout, family.epsilon)
        expected = eval32(extended.layers[:-1], points) / np.tile(family.epsilon, 2) + 1
        np.testing.assert_allclose(differences.errors(np.full(200, row), points), expected, atol=1e-4)


def test_slopes_are_the_derivatives_of_the_errors():
    differences = Differences(bent(), served(bent(), [[0.5, 0], [-1, 0.25]], [0, 0], [0.5, 1]))
    pairs, step = np.array([[0, 0], [0, 1], [0, 2], [0, 3]]), 2.0**-8
    for x, y in ((0.75, 0.5), (0.125, 0.875)):  # on either side of the kink
        slopes = differences.slopes(pairs, F32([[x, y]] * 4))
        for axis, move in enumerate(F32(np.eye(2) * step)):
            ends = [differences.errors(np.zeros(1, int), F32([[x, y]]) + sign * move)[0] for sign in (1, -1)]
            measured = (ends[0] - ends[1]) / (2 * step)
            np.testing.assert_allclose(slopes[:, axis], measured * [0.5, 1, 0.5, 1], atol=1e-6)


def test_the_search_finds_the_largest_error_of_every_output_either_way():
    """Errors of relu(x − y/4) from x/2: largest at (1, 0), ½; smallest at (¼, 1), −⅛. Of twice the negative alike."""
    differences = Differences(bent(), served(bent(), [[0.5, 0], [-1, 0]], [0, 0], [0.5, 0.25]))
    search = Search(differences, np.random.default_rng(0))
    for _ in range(6):
        assert all(((points >= 0) & (points <= 1)).mean() > 0.5 for points in search.round())
    rows = zip(differences.pairs.tolist(), search.largest, search.best.tolist(), strict=True)
    found = {(row, error): (share, point) for (row, error), share, point in rows}
    for pair, share, point in (
        ((0, 0), 1, [1, 0]),
        ((0, 2), 0.25, [0.25, 1]),
        ((0, 1), 1, [0.25, 1]),
        ((0, 3), 4, [1, 0]),
    ):
        assert found[pair][0] == pytest.approx(share, rel=0.01)
        assert found[pair][1] == pytest.approx(point, abs=0.01)


def test_what_is_kept_is_what_was_seen(targets):
    """Points and heights of the search belong together, and no round loses what an earlier one found."""
    target = targets["near"]
    differences = Differences(target.network, target.bundle.family)
    search, before = Search(differences, np.random.default_rng(0)), -np.inf
    for _ in range(3):
        assert list(search.round())
        again = differences.errors(differences.pairs[:, 0], search.best)[
            np.arange(len(search.best)), differences.pairs[:, 1]
        ]
        np.testing.assert_allclose(again, search.largest, rtol=1e-9)
        boxes = differences.box(differences.pairs[:, 0])
        assert ((boxes.lower <= search.best) & (search.best <= boxes.upper)).all()
        assert (search.largest >= before).all()
        before = search.largest.copy()


def test_points_all_over_each_cell_are_inside_it_and_on_its_bounds(targets):
    differences = Differences(targets["near"].network, targets["near"].bundle.family)
    batches = list(Search(differences, np.random.default_rng(0)).everywhere())
    assert len(batches) == len(differences.cells) > 1
    for row, points in enumerate(batches):
        lower, upper = differences.box([row]).lower, differences.box([row]).upper
        assert ((lower <= points) & (points <= upper)).all()
        assert ((points == lower).any(axis=0) & (points == upper).any(axis=0)).all()
        assert ((points > lower) & (points < upper)).all(axis=1).any()
        assert (np.ptp(points, axis=0) == (upper - lower)[0]).all()


@pytest.mark.parametrize("count", [1, 100, 5000])
def test_as_many_points_as_asked_for_and_of_the_domain(targets, count):
    target = targets["near"]
    points = np.concatenate(list(error_points(target, count, np.random.default_rng(0))))
    assert points.shape == (count, 2)
    assert points.dtype == F32
    assert ((target.domain.lower <= points) & (points <= target.domain.upper)).all()


@pytest.mark.parametrize("network", ["sparse", "argmax"])
def test_bundles_without_readouts_have_no_errors(targets, network):
    assert list(error_points(targets[network], 100, np.random.default_rng(0))) == []


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1))
def test_ascent_of_a_bowl_s_negative_comes_near_its_top(seed):
    rng = np.random.default_rng(seed)
    top = rng.uniform(-1, 1, (5, 3))
    boxes = Boxes(np.full((5, 3), -1, F32), np.full((5, 3), 1, F32))

    def heights(points):
        return -((points - top) ** 2).sum(axis=1)

    way = ascend(heights, lambda points: 2 * (top - points), boxes, np.zeros((5, 3), F32))
    assert (heights(way[-1]) >= np.max([heights(points) for points in way], axis=0)).all()
    assert (heights(way[-1]) > -0.05).all()
    for points, box in itertools.product(way, [boxes]):
        assert ((box.lower <= points) & (points <= box.upper)).all()


def test_the_attacked_bundle_has_members_of_all_kinds(targets):
    """Exact ones, affine ones, readouts of one layer and of several, behind units that are not read."""
    members = targets["near"].bundle.family.members
    deepest = [member.readout.reads[-1][0] if member.readout else None for member in members]
    assert {None, 0} < set(deepest)
    assert len(set(deepest)) > 3
    assert any(len(member.readout.reads) > 2 for member in members if member.readout)
