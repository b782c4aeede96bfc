"""`eval32` is the declared evaluation: compared with exact rational arithmetic, rounded by a rule of its own."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.interpret import eval32, evaluate_all
from dispatcher.layers import Add, Concat, Dense, Elementwise, Gather, Input, Layers, Relu, dense, freeze
from tests.dispatcher.network_samples import chain, random_network, random_points


def fl(x: Fraction) -> Fraction:
    """Round to the nearest float32, ties to even, subnormals included: from the definition of binary32."""
    if x == 0:
        return x
    exponent = abs(x.numerator).bit_length() - x.denominator.bit_length()
    if abs(x) < Fraction(2) ** exponent:
        exponent -= 1
    quantum = Fraction(2) ** (max(exponent, -126) - 23)
    rounded = round(x / quantum) * quantum  # Python rounds fractions half to even
    assert abs(rounded) < 2**128
    return rounded


def exact(values) -> list[Fraction]:
    return [Fraction(float(value)) for value in values]


def oracle(layers: Layers, point: np.ndarray) -> list[list[Fraction]]:
    """Every layer's values for one input."""
    values: list[list[Fraction]] = []
    for layer in layers:
        match layer:
            case Input():
                values.append(exact(point))
            case Dense():
                values.append([dense_unit(layer, unit, values[layer.source]) for unit in range(layer.width)])
            case Elementwise():
                pairs = zip(values[layer.source], exact(layer.constant), strict=True)
                values.append([fl({"add": a + c, "mul": a * c, "div": a / c}[layer.op]) for a, c in pairs])
            case Relu():
                values.append([max(a, Fraction(0)) for a in values[layer.source]])
            case Gather():
                values.append([values[layer.source][index] for index in layer.indices])
            case Concat():
                values.append([a for source in layer.sources for a in values[source]])
            case Add():
                first, second = (values[source] for source in layer.sources)
                values.append([fl(a + b) for a, b in zip(first, second, strict=True)])
    return values


def dense_unit(layer: Dense, unit: int, source: list[Fraction]) -> Fraction:
    accumulator = Fraction(float(layer.start[unit]))
    for weight, value in zip(exact(layer.weight[unit]), source, strict=True):
        accumulator = fl(accumulator + fl(weight * value))
    return fl(accumulator + Fraction(float(layer.bias[unit])))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([1.0, 1e-30, 1e-38, 3e4]))
def test_every_layer_equals_exact_arithmetic_rounded_once_per_operation(seed, scale):
    layers = random_network(seed, length=8)
    points = random_points(layers, 2, seed, scale)
    for row, point in enumerate(points):
        for got, expected in zip(evaluate_all(layers, points), oracle(layers, point), strict=True):
            assert exact(got[row]) == expected


def test_terms_are_added_in_ascending_order():
    # 2^24 + 1 rounds to 2^24: only the order (1 + 1) + 2^24 would give 2^24 + 2.
    layers = (Input(3), dense(0, np.ones((1, 3))))
    assert eval32(layers, np.array([[2.0**24, 1, 1]], np.float32)) == 2.0**24
    assert eval32(layers, np.array([[1, 1, 2.0**24]], np.float32)) == 2.0**24 + 2


def test_the_bias_comes_last_and_the_start_first():
    weight, big, one = np.ones((1, 1)), [2.0**24], [1.0]
    point = np.array([[1.0]], np.float32)
    assert eval32((Input(1), dense(0, weight, bias=big, start=one)), point) == 2.0**24 + 2
    assert eval32((Input(1), dense(0, weight, bias=one, start=big)), point) == 2.0**24


def test_products_are_rounded_before_they_are_added():
    # (1 + 2^-12)² = 1 + 2^-11 + 2^-24 rounds to 1 + 2^-11; a fused multiply-add would keep the last term.
    value = np.float32(1 + 2.0**-12)
    layers = (Input(1), dense(0, [[value]], start=[-(1 + 2.0**-11)]))
    assert eval32(layers, np.array([[value]])) == 0


def test_relu_of_minus_zero_and_of_nan_is_plus_zero():
    values = eval32((Input(3), Relu(0, 3)), np.array([[-0.0, np.nan, np.inf]], np.float32))
    assert values.tobytes() == np.array([0, 0, np.inf], np.float32).tobytes()


def test_evaluate_all_gives_float32_batch_by_width():
    layers = random_network(3)
    values = evaluate_all(layers, random_points(layers, 5, 0))
    assert [value.shape for value in values] == [(5, layer.width) for layer in layers]
    assert {value.dtype for value in values} == {np.dtype(np.float32)}


def test_rows_are_independent_of_their_batch():
    layers = chain([3, 20, 2])
    points = random_points(layers, 9, 1)
    together = eval32(layers, points)
    assert np.array_equal(together, np.concatenate([eval32(layers, points[[row]]) for row in range(9)]))
    assert eval32(layers, points[:0]).shape == (0, 2)


def test_large_batches_go_block_by_block(monkeypatch):
    layers = chain([3, 20, 2])
    points = random_points(layers, 50, 1)
    whole = eval32(layers, points)
    monkeypatch.setattr("dispatcher.interpret._VALUES", 7 * sum(layer.width for layer in layers))
    assert np.array_equal(eval32(layers, points), whole)


def test_layers_without_units_evaluate():
    layers = (Input(2), dense(0, np.zeros((0, 2))), Relu(1, 0), dense(2, np.zeros((2, 0)), bias=[3, 4], start=[1, 0]))
    assert eval32(layers, np.zeros((2, 2), np.float32)).tolist() == [[4, 4], [4, 4]]


@pytest.mark.parametrize("inputs", [np.zeros((2, 3)), np.zeros((2, 2), np.float32), np.zeros(3, np.float32)])
def test_other_types_and_shapes_are_refused(inputs):
    with pytest.raises(ValueError, match="expected float32"):
        evaluate_all(chain([3, 2]), inputs)


def test_overflow_is_silent_and_ieee():
    layers = (Input(1), Elementwise(0, "mul", freeze([3e38], np.float32)), dense(1, [[1.0], [-1.0]]))
    with np.errstate(all="raise"):
        assert eval32(layers, np.array([[2.0]], np.float32)).tolist() == [[np.inf, -np.inf]]
