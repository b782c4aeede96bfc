"""Ascent finds maxima, bisection finds zeros, on units whose maxima and zeros are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.interpret import evaluate_all
from dispatcher.layers import Input, Relu, dense
from slicer.bounds.linear import Prepared
from slicer.network import Network
from tests.attack.proof import Boxes
from tests.attack.units import (
    ASCENT,
    AXES,
    BORDERS,
    ZEROS,
    all_values,
    best_of_sample,
    bisect,
    climb,
    neighbours,
    own_values,
    unit_points,
)

F32 = np.float32


def one_layer(weight: np.ndarray, bias: np.ndarray) -> Prepared:
    units, inputs = weight.shape
    return Prepared(Network((Input(inputs), dense(0, weight, bias), Relu(1, units), dense(2, np.ones((1, units))))))


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1))
def test_ascent_of_an_affine_unit_ends_in_its_best_corner(seed):
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=(4, 3)).astype(F32)
    prepared = one_layer(weight, rng.normal(size=4))
    lower = rng.normal(size=(4, 3)).astype(F32)
    boxes = Boxes(lower, lower + rng.random((4, 3)).astype(F32))
    best = climb(prepared, boxes, np.arange(4), ((boxes.lower + boxes.upper) / 2).astype(F32))[-1]
    np.testing.assert_array_equal(best, np.where(weight > 0, boxes.upper, boxes.lower))


def test_ascent_finds_the_ridge_of_a_unit_that_bends():
    """relu(x) − 3·relu(x − 0.3) − 0.25: largest at x = 0.3, where it is 0.05; inactive at 0 and at 1."""
    layers = (Input(1), dense(0, [[1], [1]], [0, -0.3]), Relu(1, 2), dense(2, [[1, -3]], [-0.25]), Relu(3, 1))
    prepared = Prepared(Network((*layers, dense(4, [[1]]))))
    box = Boxes(np.zeros((1, 1), F32), np.ones((1, 1), F32))
    way = climb(prepared, box, np.array([2]), F32([[0.01]]))
    assert own_values(prepared, np.array([2]), way[-1])[0] > 0.04
    assert own_values(prepared, np.array([2]), way[0])[0] < 0


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1))
def test_bisection_ends_within_an_ulp_of_the_zero(seed):
    rng = np.random.default_rng(seed)
    slope, zero = float(rng.uniform(0.5, 2)), float(F32(rng.uniform(0.2, 0.8)))
    prepared = one_layer(F32([[slope]]), F32([-slope * zero]))
    exact = -float(prepared.affine[1].bias[0]) / float(prepared.affine[1].weight[0, 0])
    found = bisect(prepared, np.array([0]), F32([[0]]), F32([[1]]))[0, 0]
    assert abs(float(found) - exact) <= np.spacing(F32(exact))


def test_the_best_of_a_sample_belongs_to_its_own_cell_and_unit(targets):
    target = targets["dense"]
    pairs = np.argwhere(target.removed)
    best = best_of_sample(target, pairs, np.random.default_rng(0))
    boxes = target.cells[pairs[:, 0]]
    assert ((boxes.lower <= best) & (best <= boxes.upper)).all()
    middle = ((boxes.lower.astype(float) + boxes.upper) / 2).astype(F32)
    better = own_values(target.prepared, pairs[:, 1], best) >= own_values(target.prepared, pairs[:, 1], middle)
    assert better.mean() > 0.95


def test_own_values_are_the_interpreter_s_up_to_rounding(targets):
    target = targets["sparse"]
    points = np.random.default_rng(0).random((50, 2)).astype(F32)
    layers = target.network.layers
    values = evaluate_all(layers, points)
    expected = np.concatenate([values[layer.source] for layer in layers if isinstance(layer, Relu)], axis=1)
    np.testing.assert_allclose(all_values(target.prepared, points), expected, atol=1e-5)
    units = np.arange(50) % expected.shape[1]
    np.testing.assert_allclose(own_values(target.prepared, units, points), expected[np.arange(50), units], atol=1e-5)


@pytest.mark.parametrize("count", [1, 777, 5000])
def test_as_many_points_as_asked_for_and_of_all_kinds(targets, count):
    kinds, sizes = zip(
        *((kind, len(points)) for kind, points in unit_points(targets["dense"], count, np.random.default_rng(0))),
        strict=True,
    )
    assert sum(sizes) == count
    if count == 5000:
        assert set(kinds) == {ASCENT, ZEROS, BORDERS}


@pytest.mark.parametrize("inputs", [1, 3, 40])
def test_neighbours_differ_in_one_number_by_one_ulp(inputs):
    points = np.random.default_rng(0).normal(size=(5, inputs)).astype(F32)
    same, *others = neighbours(points, np.random.default_rng(1))
    np.testing.assert_array_equal(same, points)
    assert len(others) == 2 * min(inputs, AXES)
    for moved in others:
        ((axis,),) = {tuple(np.flatnonzero(row)) for row in moved != points}
        up = moved[0, axis] > points[0, axis]
        np.testing.assert_array_equal(moved[:, axis], np.nextafter(points[:, axis], F32(np.inf if up else -np.inf)))
    assert len({moved.tobytes() for moved in others}) == len(others)


def test_neighbours_of_a_cell_s_best_points_cross_its_borders(targets):
    target = targets["sparse"]
    outside = 0
    for kind, points in unit_points(target, 20_000, np.random.default_rng(0)):
        if kind == BORDERS:
            inside = [((box.lower <= points) & (points <= box.upper)).all(axis=1) for box in _each(target.cells)]
            assert np.any(inside, axis=0).all()
            outside += len(set(np.argmax(inside, axis=0).tolist())) > 1
    assert outside


def _each(boxes: Boxes) -> list[Boxes]:
    return [boxes[np.array([index])] for index in range(len(boxes))]


def test_a_bundle_that_removes_nothing_offers_no_such_points(targets):
    from dataclasses import replace

    target = replace(targets["dense"], removed=np.zeros_like(targets["dense"].removed))
    assert list(unit_points(target, 100, np.random.default_rng(0))) == []
