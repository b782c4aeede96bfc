"""Huge, tiny and subnormal numbers, and everything at once; overflow is refused before anything is written."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import slicer
from dispatcher.errors import UnusableInput
from dispatcher.layers import Elementwise, Input, Relu, dense, freeze
from slicer.network import Network
from tests.random_networks import chain
from tests.traps.models import write_model
from tests.traps.pipeline import box, passes

F32 = np.float32
UNIT = ((-1, 1), (-1, 1))
TINY = 1e-45  # the smallest subnormal number


def scaled(scales: list[float], seed: int = 3) -> Network:
    """A chain 2-8-8-2 whose dense layers, biases too, are multiplied by these numbers."""
    layers = list(chain(np.random.default_rng(seed), [2, 8, 8, 2]).layers)
    for position, scale in zip((1, 3, 5), scales, strict=True):
        layer, factor = layers[position], np.float64(scale)
        layers[position] = dense(layer.source, layer.weight * factor, layer.bias * factor)
    return Network(tuple(layers))


@pytest.mark.parametrize(
    "scales",
    [
        pytest.param([1e30, 1e-30, 1], id="huge, then tiny"),
        pytest.param([1e-30, 1e30, 1], id="tiny, then huge"),
        pytest.param([1e30, 1, 1], id="huge throughout"),
        pytest.param([1e-30, 1, 1], id="tiny throughout"),
        pytest.param([1e-40, 1, 1], id="subnormal throughout"),
        pytest.param([1e-25, 1e-25, 1], id="products underflow"),
        pytest.param([1, 1, 1e-42], id="subnormal outputs"),
        pytest.param([1e18, 1e18, 1e-5], id="squares of large numbers"),
    ],
)
def test_layers_of_any_magnitude(scales, tmp_path):
    passes(scaled(scales), box(*UNIT), 4, tmp_path)


@pytest.mark.parametrize("bound", [1e30, 1e-30, 1e-38, 1e-44])
def test_domains_of_any_magnitude(bound, tmp_path):
    passes(scaled([1, 1, 1]), box((-bound, bound), (0, bound)), 5, tmp_path)


def test_weights_of_all_magnitudes_in_one_layer(tmp_path):
    rng = np.random.default_rng(5)
    weight = rng.normal(size=(10, 4)) * 10.0 ** rng.integers(-44, 31, (10, 4))
    bias = rng.normal(size=10) * 10.0 ** rng.integers(-44, 31, 10)
    layers = (Input(4), dense(0, weight, bias), Relu(1, 10), dense(2, rng.normal(size=(2, 10)) * 1e-3, [0, 1]))
    passes(Network(layers), box((-1, 1), (0, 1e-20), (-1e5, 1e5), (0, 1e-40)), 6, tmp_path)


def test_elementwise_constants_of_any_magnitude(tmp_path):
    """Normalisation as exporters write it: subtract, divide, multiply; with very large and very small numbers."""
    rng = np.random.default_rng(6)
    steps: list[tuple[str, list[float]]] = [
        ("add", [-1e5, 1e-45, 3e-39]),
        ("div", [1e30, 2.0**-126, -3.0]),
        ("mul", [1e30, 1e-38, 1e-20]),
    ]
    layers: list = [Input(3)]
    for op, constant in steps:
        layers.append(Elementwise(len(layers) - 1, op, freeze(constant, F32)))
    layers += [dense(3, rng.normal(size=(8, 3)), rng.normal(size=8)), Relu(4, 8), dense(5, rng.normal(size=(1, 8)))]
    passes(Network(tuple(layers)), box((0, 2e5), (0, 1e-3), (-1, 1)), 5, tmp_path)


def test_units_decided_by_subnormal_numbers_alone(tmp_path):
    """Biases of ±1e-45 beside products that underflow: nothing may be removed on the strength of such a bias."""
    weight = np.full((4, 2), 1e-30)
    layers = (Input(2), dense(0, weight, [TINY, -TINY, 1e-40, -1e-40]), Relu(1, 4), dense(2, np.full((1, 4), 1e30)))
    found = passes(Network(layers), box((0, 1e-30), (0, 1e-30)), 2, tmp_path)
    assert found.removed == [0, 0]


OVERFLOWING = {
    "a sum": (lambda: scaled([1e38, 1, 1]), UNIT),
    "a product of layers": (lambda: scaled([1e30, 1e30, 1]), UNIT),
    "magnitudes that cancel": (
        lambda: Network((Input(2), dense(0, [[3e38, -3e38]], [0]), Relu(1, 1), dense(2, [[1]]))),
        ((1, 1), (1, 1)),
    ),
    "a bias": (lambda: Network((Input(2), dense(0, [[1, 1]], [2e38]), Relu(1, 1), dense(2, [[1]]))), UNIT),
    "a division": (
        lambda: Network((Input(2), Elementwise(0, "div", freeze([1e-37, 1], F32)), dense(1, [[1, 1]]))),
        ((-1e5, 1e5), (0, 1)),
    ),
    "the domain": (lambda: scaled([1, 1, 1]), ((-3e38, 3e38), (0, 1))),
}


@pytest.mark.parametrize("name", OVERFLOWING)
def test_what_could_overflow_is_refused_with_one_clear_error(name, tmp_path):
    make, bounds = OVERFLOWING[name]
    model = write_model(tmp_path / "net.onnx", make())
    with pytest.raises(UnusableInput, match=r"cannot overflow float32 on the domain.*a smaller domain may help"):
        slicer.compress(model, box(*bounds), tmp_path / "bundle", slicer.Options(cells=2, jobs=1))
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]


def test_the_largest_numbers_that_cannot_overflow_pass(tmp_path):
    """Magnitudes may add up to 2^126 on any layer: 2^125 and a little less, as roundings count."""
    largest = 2.0**125 * (1 - 2.0**-20)
    model = Network((Input(1), dense(0, [[largest]], [0]), Relu(1, 1), dense(2, [[-1]], [largest])))
    passes(model, box((-1, 1)), 3, tmp_path)


def test_every_unit_at_a_magnitude_of_its_own(tmp_path):
    """Rows from 1e-40 to 1e25 that the next layer brings back to one magnitude."""
    rng = np.random.default_rng(12)
    magnitudes = 10.0 ** np.array([-40, -30, -20, -10, 0, 10, 20, 25])
    first = rng.normal(size=(8, 2)) * magnitudes[:, None]
    back = rng.normal(size=(3, 8)) * np.minimum(1 / magnitudes, 1e36)
    layers = (Input(2), dense(0, first, -0.5 * magnitudes), Relu(1, 8), dense(2, back, [0.1, 0, -0.1]))
    found = passes(Network(layers), box((0, 1), (0, 1)), 8, tmp_path)
    active = found.target.removed.any(axis=0)
    assert active[[4, 5, 6, 7]].any()


def test_a_prefix_is_summed_in_the_declared_order_and_precision(tmp_path):
    """Constants 1e8, 1.5 and −1e8: their float32 sum in this order is 0, in another order or precision 1.5."""
    first = dense(0, [[1, 0], [0, 1]], [-9, 0.25])  # unit 0 is inactive, unit 1 varies
    second = dense(2, [[1, 0], [1, 0], [1, 0], [0, 1]], [1e8, 1.5, 1e8, 0])
    third = dense(4, [[1, 1, -1, 1]], [0.125])
    found = passes(Network((Input(2), first, Relu(1, 2), second, Relu(3, 4), third)), box((0, 1), (0, 1)), 2, tmp_path)
    prefixes = [entry.prefixes for member in found.target.bundle.family.members for entry in member.layers]
    assert [(row.first, float(row.value)) for rows in prefixes for row in rows] == [(3, 0.0)]


def test_constants_of_many_roundings(tmp_path):
    """Units that read 40 constants, alone or before a unit that varies: every product and sum rounds to float32."""
    rng = np.random.default_rng(21)
    first = dense(0, [[1, 0], [0, 1]], [-9, 0.25])  # unit 0 is inactive, unit 1 varies
    second = dense(2, np.vstack([np.tile([1, 0], (40, 1)), [[0, 1]]]), rng.random(41))
    weight = rng.normal(size=(20, 41))
    weight[10:, 40] = 0
    layers = (Input(2), first, Relu(1, 2), second, Relu(3, 41), dense(4, weight, rng.normal(size=20)), Relu(5, 20))
    network = Network((*layers, dense(6, rng.normal(size=(2, 20)), [0, 0])))
    found = passes(network, box((0, 1), (0, 1)), 2, tmp_path)
    entries = [entry for member in found.target.bundle.family.members for entry in member.layers]
    assert sum(len(entry.prefixes) for entry in entries) > 2
    assert sum(len(entry.constants) for entry in entries) > 2


def test_magnitudes_meet_in_every_order(tmp_path):
    """A sum of 1e8, 1, −1e8 keeps or loses the 1, depending on the order: members must keep the parent's."""
    terms = list(itertools.permutations([1e8, 1.0, -1e8]))
    layers = (Input(3), dense(0, np.array(terms), np.zeros(6)), Relu(1, 6), dense(2, np.eye(6), np.zeros(6)))
    found = passes(Network(layers), box((0.5, 1), (0.5, 1), (0.5, 1)), 4, tmp_path)
    assert len(found.removed) == 4
