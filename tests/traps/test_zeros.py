"""Signed zeros, and units that just touch zero."""

from __future__ import annotations

import numpy as np
import pytest

from dispatcher.layers import Add, Elementwise, Gather, Input, Relu, dense, freeze
from dispatcher.runtime import Dispatcher
from slicer.network import Network
from tests.random_networks import chain
from tests.traps.pipeline import box, passes

F32 = np.float32


def relu_of_inputs(weight: list[float], inputs: int) -> Network:
    """Σ w·relu(x)."""
    return Network((Input(inputs), Relu(0, inputs), dense(1, [weight], [0.5])))


@pytest.mark.parametrize(("lower", "upper"), [(-1, -0.0), (-1, 0.0), (-0.0, -0.0), (0.0, 0.0), (-0.0, 0.0)])
def test_a_relu_of_an_input_that_is_never_positive_is_removed(lower, upper, tmp_path):
    """Its maximum is exactly 0, and inputs carry no rounding error."""
    found = passes(relu_of_inputs([3.0, 1.0], 2), box((lower, upper), (0, 1)), 1, tmp_path)
    assert found.removed == [1]


def test_negative_zero_is_routed_like_zero(tmp_path):
    """The cut at 0 sends −0 and 0 low and the smallest subnormal number high."""
    found = passes(relu_of_inputs([3.0], 1), box((-1, 1)), 2, tmp_path)
    points = F32([[-0.0], [0.0], [1e-45], [-1e-45]])
    serve = Dispatcher(found.target.bundle.family)
    assert serve.route(points).tolist() == [0, 0, 1, 0]
    assert found.removed == [1, 0]
    np.testing.assert_array_equal(serve.predict(points), F32([[0.5], [0.5], [0.5], [0.5]]))


@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_weights_and_biases_of_zeros_of_both_signs(zero, tmp_path):
    rng = np.random.default_rng(1)
    weight = np.where(rng.random((8, 3)) < 0.5, zero, rng.normal(size=(8, 3)))
    bias = np.where(rng.random(8) < 0.7, zero, rng.normal(size=8))
    second = np.where(rng.random((6, 8)) < 0.5, zero, rng.normal(size=(6, 8)))
    layers = (Input(3), dense(0, weight, bias), Relu(1, 8), dense(2, second, np.full(6, zero)), Relu(3, 6))
    network = Network((*layers, dense(4, rng.normal(size=(2, 6)), [zero, zero])))
    passes(network, box((-1, 1), (-0.0, 1), (-1, 0.0)), 6, tmp_path)


def test_elementwise_zeros_of_both_signs(tmp_path):
    """−0 + 0, −0 · 1 and 0 / −2: the sign of a zero must not become a difference anywhere."""
    layers = [Input(4), Elementwise(0, "add", freeze([0.0, -0.0, 0.0, -0.0], F32))]
    layers.append(Elementwise(1, "mul", freeze([-1, 0.0, -0.0, 1], F32)))
    layers.append(Elementwise(2, "div", freeze([-2, 2, -2, 2], F32)))
    layers += [Relu(3, 4), Add((3, 4), 4), dense(5, [[1, -1, 2, -2], [0, 1, -0.0, 1]], [-0.0, 0.0])]
    passes(Network(tuple(layers)), box((-1, 1), (-1, 1), (0, 1), (-0.0, 0.0)), 4, tmp_path)


def test_a_dense_unit_whose_maximum_is_exactly_zero_is_right_whether_removed_or_not(tmp_path):
    """−x and x − 1 on [0, 1], and relus of x₀ − x₁: nothing proves them inactive, as rounding may add to 0."""
    weight, bias = [[-1, 0], [1, 0], [1, -1]], [0, -1, -1]
    layers = (Input(2), dense(0, weight, bias), Relu(1, 3), dense(2, [[5, 7, 11]], [0.25]))
    found = passes(Network(layers), box((0, 1), (0, 1)), 1, tmp_path)
    assert found.removed == [0]


def test_maxima_of_exactly_zero_in_deeper_layers(tmp_path):
    """relu(x) − relu(x) is zero on every input, and so is a unit that reads only removed units."""
    first = dense(0, [[1.0], [1.0], [-1.0]], [0, 0, -2])
    second = dense(2, [[1, -1, 0], [0, 0, 3], [-1, 0, 0]], [0, 0, 0])
    third = dense(4, [[1e20, 1e20, 1e20]], [1])
    network = Network((Input(1), first, Relu(1, 3), second, Relu(3, 3), third))
    found = passes(network, box((0, 1)), 3, tmp_path)
    assert all(count >= 1 for count in found.removed)


def test_a_domain_that_starts_or_ends_with_either_zero(tmp_path):
    network = chain(np.random.default_rng(2), [4, 10, 2])
    found = passes(network, box((-0.0, 1), (0.0, 1), (-1, -0.0), (-1, 0.0)), 5, tmp_path)
    lower, upper = found.target.domain.lower[0], found.target.domain.upper[0]
    points = np.array([lower, upper, np.abs(lower), -np.abs(upper)], F32)
    points = np.clip(points, lower, upper)
    zeros = np.where(points == 0, -points, points)  # zeros of the other sign
    serve = Dispatcher(found.target.bundle.family)
    np.testing.assert_array_equal(serve.route(points), serve.route(zeros))
    np.testing.assert_array_equal(serve.predict(points), serve.predict(zeros))


def test_a_prefix_of_negative_zero_changes_nothing(tmp_path):
    """Constant terms of −0 and of values that cancel to zero, before the first term that varies."""
    first = dense(0, [[1, 0], [1, 0], [0, 1]], [-5, -5, 0.5])  # units 0 and 1 are inactive
    second = dense(2, [[1, 0, 0], [0, 1, 0], [0, 0, 1]], [0.3, 0.3, 0])  # units 0 and 1 are constants
    third = dense(4, [[1, -1, 2], [-1, 1, -2], [-0.0, 0.0, 1]], [0, -0.0, 0])
    network = Network((Input(2), first, Relu(1, 3), second, Relu(3, 3), third, Relu(5, 3), dense(6, np.eye(3))))
    found = passes(network, box((0, 1), (-1, 1)), 4, tmp_path)
    assert all(count >= 2 for count in found.removed)


def test_gathered_zeros(tmp_path):
    layers = (Input(2), Relu(0, 2), Gather(1, freeze([1, 0, 1, 1], np.int64)), dense(2, [[1, 2, 3, -4]], [0]))
    found = passes(Network(layers), box((-1, -0.0), (-0.5, 0.5)), 3, tmp_path)
    assert found.removed[0] == 2
