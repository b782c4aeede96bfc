"""The encoding holds at every point of the box: real arithmetic's values meet all bounds, equations and constraints."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from dispatcher.errors import UnusableInput
from dispatcher.layers import Input, Relu, dense
from slicer.bounds.linear import Prepared
from slicer.bounds.reference import bound_boxes
from slicer.box import Box
from slicer.network import Network
from slicer.search.evaluate import evaluate, pre_activations
from slicer.search.solvers.encode import encode
from slicer.search.solvers.query import Encoding, Form, Question, check_bounds
from tests.random_networks import networks, random_box, seeds

# Bounds and equations are scaled to widths of about 2; this is far above float64's error in them.
SLACK = 1e-6


def _completed(lower: np.ndarray, equations: tuple[Form, ...], relus: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    """Values of all variables at scaled inputs: every equation gives its last variable, every pair its second."""
    values = np.full(len(lower), np.nan)
    values[: len(inputs)] = inputs
    source = {after: before for before, after in relus.tolist()}
    for form in equations:
        *used, last = form.indices.tolist()
        assert form.coefficients[-1] == -1 and np.isnan(values[last])
        for variable in used:
            if np.isnan(values[variable]):
                values[variable] = max(0.0, values[source[variable]])
        values[last] = form.constant + form.coefficients[:-1] @ values[used]
    for before, after in relus:
        values[after] = max(0.0, values[before])
    return values


def _half(prepared: Prepared, box: Box) -> np.ndarray:
    """Half-widths of the intervals of all ReLU units, 1 for a single number."""
    bounds = bound_boxes(
        prepared,
        *(c[None].astype(np.float64) for c in (box.lower, box.upper)),
        np.zeros((1, prepared.relu_units), np.int8),
    )
    width = pre_activations(prepared, bounds.upper)[0] - pre_activations(prepared, bounds.lower)[0]
    return np.where(width > 0, width / 2, 1.0)


def _points(box: Box, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Points of the box and their scaled inputs."""
    points = np.concatenate([box.sample(20, rng), [box.lower, box.upper]]).astype(np.float64)
    lower, upper = box.lower.astype(np.float64), box.upper.astype(np.float64)
    half = (upper - lower) / 2
    return points, (points - (lower + upper) / 2) / np.where(half > 0, half, 1)


@given(networks(), seeds)
@settings(deadline=None, max_examples=60)
def test_every_point_of_the_box_is_an_assignment(network, seed):
    rng = np.random.default_rng(seed)
    box, prepared = random_box(rng, network.n_in, 1.0), Prepared(network)
    encoding, half = encode(prepared, box), _half(prepared, box)
    points, inputs = _points(box, rng)
    expected = pre_activations(prepared, evaluate(prepared, points)) / half
    for point, scaled, own in zip(points, inputs, expected, strict=True):
        np.testing.assert_allclose(encoding.point(scaled), point, atol=1e-6)
        values = _completed(encoding.lower, encoding.equations, encoding.relus, scaled)
        assert (values >= encoding.lower - SLACK).all() and (values <= encoding.upper + SLACK).all()
        for unit, z in zip(encoding.units, own, strict=True):
            size = SLACK * max(1.0, abs(z))
            assert abs(unit.form.coefficients @ values[unit.form.indices] + unit.form.constant - z) < size
            assert unit.variable < 0 or abs(values[unit.variable] - z) < size
            assert unit.lower - size <= z <= unit.upper + size


@given(networks(), seeds)
@settings(deadline=None, max_examples=40)
def test_a_question_has_a_solution_wherever_the_unit_leaves_its_phase(network, seed):
    rng = np.random.default_rng(seed)
    box, prepared = random_box(rng, network.n_in, 1.0), Prepared(network)
    encoding, half = encode(prepared, box), _half(prepared, box)
    points, inputs = _points(box, rng)
    own = pre_activations(prepared, evaluate(prepared, points))
    for unit in range(prepared.relu_units):
        for phase in (-1, 1):
            best = int((-phase * own[:, unit]).argmax())
            target = -phase * own[best, unit] / half[unit]
            question = encoding.question(unit, phase)
            if question is None:
                assert target <= SLACK
            elif target >= 0:
                values = _completed(question.lower, question.equations, question.relus, inputs[best])
                assert abs(values[question.target] - target) < SLACK * max(1, target)
                assert (values >= question.lower - SLACK).all() and (values <= question.upper + SLACK).all()


@given(networks(), seeds)
@settings(deadline=None, max_examples=40)
def test_what_is_fixed_is_linear_and_ranges_are_neither_wide_nor_narrow(network, seed):
    box, prepared = random_box(np.random.default_rng(seed), network.n_in, 1e-6), Prepared(network)
    encoding = encode(prepared, box)
    width = encoding.upper - encoding.lower
    before, after = encoding.relus.T
    assert (width[np.setdiff1d(np.arange(len(width)), after)] > 2 - SLACK).all()
    assert (width <= 2 + SLACK).all()
    assert (encoding.lower[before] < 0).all() and (encoding.upper[before] > 0).all()
    assert set(before.tolist()) == {unit.variable for unit in encoding.units if unit.variable >= 0}
    assert all(unit.phase == 0 for unit in encoding.units if unit.variable >= 0)


def test_facts_tighten_the_encoding():
    # z = max(x, 0) + max(-x, 0) - 1.1: with the first unit inactive only max(-x, 0) is left.
    layers = (
        Input(1),
        dense(0, [[1.0], [-1.0]]),
        Relu(1, 2),
        dense(2, [[1.0, 1.0]], [-1.1]),
        Relu(3, 1),
        dense(4, [[1.0]]),
    )
    prepared, box = Prepared(Network(layers)), Box(np.float32([-1]), np.float32([1]))
    assert len(encode(prepared, box).relus) == 2
    with_fact = encode(prepared, box, np.array([-1, 0, 0], np.int8))
    assert [unit.phase for unit in with_fact.units] == [-1, 0, -1]
    assert len(with_fact.relus) == 1
    assert with_fact.question(0, -1) is None


def test_up_to_counts_what_some_units_need():
    rng = np.random.default_rng(5)
    layers = (
        Input(2),
        dense(0, rng.normal(size=(3, 2))),
        Relu(1, 3),
        dense(2, rng.normal(size=(2, 3))),
        Relu(3, 2),
        dense(4, [[1.0, 1.0]]),
    )
    encoding = encode(Prepared(Network(layers)), Box(np.float32([-1, -1]), np.float32([1, 1])))
    assert encoding.up_to([0]) == encoding.units[3].before == (8, 3, 3)
    assert encoding.up_to([0, 3]) == (len(encoding.lower), len(encoding.equations), len(encoding.relus)) == (12, 5, 5)


@pytest.mark.parametrize("bad", [(np.nan, 1.0), (0.0, np.nan), (-np.inf, 1.0), (0.0, np.inf), (1.0, 0.5)])
def test_unusable_bounds_are_refused(bad):
    lower, upper = np.array([0.0, bad[0]]), np.array([1.0, bad[1]])
    with pytest.raises(UnusableInput, match="query variable 1: expected finite bounds with lower <= upper"):
        check_bounds(lower, upper)
    with pytest.raises(UnusableInput):
        Question(lower, upper, (), np.zeros((0, 2), np.int64), 1)
    with pytest.raises(UnusableInput):
        Encoding(Box(np.float32([0]), np.float32([1])), lower, upper, (), np.zeros((0, 2), np.int64), ())
    with pytest.raises(UnusableInput):
        Form(np.array([0]), np.array([np.nan]), 0.0)
