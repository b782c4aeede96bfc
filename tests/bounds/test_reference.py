"""The bounds of the reference method contain every execution, and decide what is easy to decide."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.interpret import evaluate_all
from dispatcher.layers import Dense, Input, Relu, dense
from slicer.bounds.backward import relax
from slicer.bounds.linear import Prepared
from slicer.bounds.noise import gamma, radius
from slicer.bounds.reference import bound_boxes
from slicer.box import Box
from slicer.network import Network
from slicer.search.evaluate import evaluate, gradients
from tests.random_networks import chain, mixed, networks, random_box, seeds


def _bound(network: Network, boxes: list[Box], phases: np.ndarray | None = None):
    prepared = Prepared(network)
    lower = np.array([box.lower for box in boxes], np.float64)
    upper = np.array([box.upper for box in boxes], np.float64)
    facts = np.zeros((len(boxes), prepared.relu_units), np.int8) if phases is None else phases
    return prepared, bound_boxes(prepared, lower, upper, facts)


@given(networks(), seeds, st.floats(0.0, 2.0))
@settings(deadline=None, max_examples=60)
def test_every_float32_and_every_real_execution_lies_between_the_bounds(network, seed, width):
    rng = np.random.default_rng(seed)
    boxes = [random_box(rng, network.n_in, width) for _ in range(3)]
    prepared, bounds = _bound(network, boxes)
    for row, box in enumerate(boxes):
        points = np.concatenate([box.sample(60, rng), [box.lower, box.upper]])
        for values in (evaluate_all(network.layers, points), evaluate(prepared, points.astype(np.float64))):
            for lower, upper, value in zip(bounds.lower, bounds.upper, values, strict=True):
                assert (value >= lower[row] - 1e-12).all()
                assert (value <= upper[row] + 1e-12).all()


@given(networks(), seeds)
@settings(deadline=None, max_examples=40)
def test_proved_phases_hold_at_every_point(network, seed):
    rng = np.random.default_rng(seed)
    box = random_box(rng, network.n_in, 0.5)
    prepared, bounds = _bound(network, [box])
    values = evaluate_all(network.layers, box.sample(200, rng))
    for relu, offset in prepared.offsets.items():
        proved = bounds.proved[0, offset : offset + network.layers[relu].width]
        inputs = values[network.layers[relu].source]
        assert (inputs[:, proved < 0] <= 0).all()
        assert (inputs[:, proved > 0] >= 0).all()


@given(seeds)
@settings(deadline=None, max_examples=40)
def test_facts_tighten_and_stay_sound_where_they_hold(seed):
    rng = np.random.default_rng(seed)
    network = mixed(rng)
    box = random_box(rng, network.n_in, 1.0)
    prepared, free = _bound(network, [box])
    points = box.sample(400, rng)
    values = evaluate_all(network.layers, points)
    relu = next(iter(prepared.offsets))
    inputs = values[network.layers[relu].source]
    phases = np.zeros((1, prepared.relu_units), np.int8)
    unit = int(np.argmin(np.abs((inputs > 0).mean(axis=0) - 0.5)))
    phases[0, prepared.offsets[relu] + unit] = -1
    _, bounds = _bound(network, [box], phases)
    source = network.layers[relu].source
    assert bounds.upper[source][0, unit] <= min(0.0, free.upper[source][0, unit])
    hold = inputs[:, unit] <= 0
    for lower, upper, value in zip(bounds.lower, bounds.upper, values, strict=True):
        assert (value[hold] >= lower[0] - 1e-12).all()
        assert (value[hold] <= upper[0] + 1e-12).all()


def test_backward_bounds_see_what_intervals_cannot():
    # relu(x) + relu(-x) - |x| style cancellation: z = relu(x + 4) - relu(x + 4) is exactly 0, intervals say [-2, 2].
    layers = (
        Input(1),
        dense(0, np.array([[1.0], [1.0]]), np.array([4.0, 4.0])),
        Relu(1, 2),
        dense(2, np.array([[1.0, -1.0]]), np.array([-0.5])),
        Relu(3, 1),
        dense(4, np.array([[1.0]])),
    )
    _, bounds = _bound(Network(layers), [Box(np.float32([-1]), np.float32([1]))])
    assert bounds.proved[0].tolist() == [1, 1, -1]
    assert bounds.upper[3][0, 0] == pytest.approx(-0.5, abs=1e-4)


def test_a_unit_whose_maximum_is_exactly_zero_is_not_called_inactive():
    layers = (Input(1), dense(0, np.array([[1.0]])), Relu(1, 1), dense(2, np.array([[1.0]])))
    _, bounds = _bound(Network(layers), [Box(np.float32([-1]), np.float32([0]))])
    assert bounds.proved[0].tolist() == [0]


@given(st.floats(-5, 5), st.floats(0, 5))
def test_relaxation_encloses_relu_and_touches_it_at_both_ends(lower, width):
    upper = lower + width
    lines = relax(np.array([[lower]]), np.array([[upper]]))
    z = np.linspace(lower, upper, 41)
    value = np.maximum(z, 0)
    top = lines.slope[0, 0] * z + lines.offset[0, 0]
    assert (lines.alpha[0, 0] * z <= value + 1e-12).all()
    assert (top >= value - 1e-12).all()
    assert top[0] == pytest.approx(value[0], abs=1e-9)
    assert top[-1] == pytest.approx(value[-1], abs=1e-9)


def test_noise_radius_of_a_dense_unit_is_higham_s_bound():
    network = Network((Input(2), dense(0, np.array([[2.0, -3.0]]), np.array([1.0]))))
    noise = radius(Prepared(network), 1, [np.array([[1.0, 2.0]])])
    # n = 2 products and a bias: gamma_3 * (|1| + 2*1 + 3*2) = 9 gamma_3; flushed subnormals are far below
    assert noise is not None
    assert noise[0, 0] == pytest.approx(9 * gamma(3), rel=1e-6)
    assert noise[0, 0] > 9 * 3 * 2.0**-24


@given(seeds)
@settings(deadline=None, max_examples=20)
def test_gradients_match_differences(seed):
    rng = np.random.default_rng(seed)
    network = mixed(rng)
    prepared = Prepared(network)
    layer = len(network.layers) - 1
    points = rng.normal(size=(4, network.n_in))
    gradient = gradients(prepared, evaluate(prepared, points), layer, np.zeros(4, np.int64))
    step = 1e-7
    for axis in range(network.n_in):
        moved = points.copy()
        moved[:, axis] += step
        difference = (evaluate(prepared, moved)[layer][:, 0] - evaluate(prepared, points)[layer][:, 0]) / step
        # a kink between the two points is possible; three of four points must agree
        assert (np.abs(difference - gradient[:, axis]) < 1e-4 * (1 + np.abs(difference))).sum() >= 3


def test_plain_chain_proves_the_easy_units():
    network = chain(np.random.default_rng(1), [4, 30, 30, 2])
    shifted = tuple(
        dense(layer.source, layer.weight, layer.bias - 20) if isinstance(layer, Dense) else layer
        for layer in network.layers
    )
    _, bounds = _bound(Network(shifted), [Box(-np.ones(4, np.float32), np.ones(4, np.float32))])
    assert (bounds.proved == -1).all()
