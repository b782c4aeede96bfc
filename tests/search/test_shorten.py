"""What is read off a layer of ReLU units: which units, with which weights, and which are left out first."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings

from dispatcher.layers import Add, Concat, Input, Relu, dense
from slicer.bounds.linear import Prepared
from slicer.network import Network
from slicer.search import shorten
from slicer.search.evaluate import evaluate
from slicer.search.readout import ROOM
from slicer.search.shorten import Shortening, shortenings
from tests.random_networks import chain, mixed, seeds

NONE = np.zeros(0, np.int64)


def points_of(network: Network, rng: np.random.Generator, count: int = 200) -> np.ndarray:
    return rng.uniform(-1, 1, (count, network.n_in))


def found(network: Network, epsilon: float, removed: np.ndarray = NONE, seed: int = 0) -> list[Shortening]:
    points = points_of(network, np.random.default_rng(seed))
    return [*shortenings(Prepared(network), np.full(network.n_out, epsilon), removed, points)]


def deepest(one: Shortening) -> int:
    """The layer that is read off, if no unit of it is left out."""
    return one.fit(0).readout.reads[-1][0]


def four_bends() -> Network:
    """y = Σ wᵢ·relu(x + cᵢ) on [−1, 1]: units 0 and 3 are active, unit 1 bends a little, unit 2 much."""
    return Network((Input(1), dense(0, np.ones((4, 1)), [2, 0.9, 0, 3]), Relu(1, 4), dense(2, [[1, 1, 1, 5]])))


def test_a_layer_that_is_the_last_but_one_allows_everything_to_be_exact():
    """With its units and the inputs the outputs are an affine function, whatever the bound."""
    (one,) = found(four_bends(), 1e-6)
    readout = one.fit(0).readout
    assert readout.reads == ((0, (0,)), (2, (0, 1, 2, 3)))
    np.testing.assert_allclose(readout.weight, [[0, 1, 1, 1, 5]], atol=1e-6)
    assert (one.fit(0).distance < 1e-5).all()


def test_the_units_whose_relu_does_least_are_left_out_first():
    """Active ones cost nothing; then the one that bends a little; a linear function of the input takes their place."""
    (one,) = found(four_bends(), 0.05)
    left = [set(range(4)) - set(one.fit(count).readout.reads[-1][1]) for count in range(4)]
    assert left[0] == set()
    assert left[1] < left[2] == {0, 3} < left[3] == {0, 1, 3}
    slopes = [float(one.fit(count).readout.weight[0, 0]) for count in (2, 0)]
    assert slopes == pytest.approx([6, 0], abs=1e-5)
    assert one.fit(4).readout.reads == ((0, (0,)),), "an affine function of the input"


@pytest.mark.parametrize(("epsilon", "most"), [(1e-4, 2), (0.15, 3), (0.4, 4)])
def test_as_many_are_left_out_as_points_allow(epsilon, most):
    """Unit 1 alone is off by less than 0.1 from a line, units 1 and 2 together by more, and less than 0.36."""
    (one,) = found(four_bends(), epsilon)
    assert one.most == most
    assert one.fits(most)
    assert most == 4 or not one.fits(most + 1)


def test_units_that_are_removed_are_not_read():
    network, removed = chain(np.random.default_rng(0), [2, 6, 5, 2]), np.array([1, 4, 7, 9])
    read = list(itertools.chain.from_iterable(one.fit(0).readout.reads for one in found(network, 9, removed)))
    assert read
    for layer, first, gone in ((2, 0, {1, 4}), (4, 6, {1, 3})):
        units = [set(units) for place, units in read if place == layer]
        assert units
        assert not any(own & gone for own in units), first


@given(seeds)
@settings(deadline=None, max_examples=30)
def test_what_is_proposed_is_near_at_its_points_and_shorter_layers_come_first(seed):
    rng = np.random.default_rng(seed)
    network = mixed(rng, blocks=3, width=4) if seed % 2 else chain(rng, [2, 6, 6, 6, 2])
    prepared, points = Prepared(network), points_of(network, rng)
    values = evaluate(prepared, points)
    epsilon = 0.3 * np.ptp(values[-1], axis=0) + 1e-6
    some = [*shortenings(prepared, epsilon, NONE, points)]
    deep = [deepest(one) for one in some]
    assert deep == sorted(set(deep))
    for shorter, count in [(one, count) for one in some for count in (0, one.most // 2, one.most)]:
        tried = shorter.fit(count)
        readout = tried.readout
        assert [layer for layer, _ in readout.reads] == sorted({layer for layer, _ in readout.reads})
        assert all(list(units) == sorted(set(units)) for _, units in readout.reads)
        read = np.column_stack([values[layer][:, unit] for layer, units in readout.reads for unit in units])
        off = np.abs(values[-1] - read @ readout.weight.T.astype(float) - readout.bias).max(axis=0)
        np.testing.assert_allclose(off, tried.distance)
        assert shorter.fits(count) == (tried.distance <= ROOM * epsilon).all()
    assert all(one.fits(0) for one in some)


def test_units_that_are_read_keep_the_weights_that_the_outputs_have():
    """The last layer reads the units that are read and nothing else: those weights are known, bit for bit."""
    network = chain(np.random.default_rng(4), [2, 7, 6, 3])
    one = found(network, 1.0)[-1]
    assert deepest(one) == 4
    for count in range(1, 5):
        readout = one.fit(count).readout
        place, units = readout.reads[-1]
        own = readout.weight[:, -len(units) :]
        assert place == 4
        assert (own == network.layers[5].weight[:, list(units)]).all()


def test_layers_before_the_last_ones_have_no_weights_of_their_own():
    """Behind the first layer there is another ReLU: its units are fitted."""
    network = chain(np.random.default_rng(4), [2, 7, 6, 3])
    one = found(network, 9.0)[0]
    assert deepest(one) == 2
    assert one._weights is None


def test_weights_are_pulled_through_all_that_is_affine():
    """y reads relu(z) by a product of two layers, and once more by a sum."""
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=(3, 2)), rng.normal(size=(4, 3))
    layers = (Input(2), dense(0, first), Relu(1, 3), dense(2, second), dense(2, second[::-1]), Add((3, 4), 4))
    network = Network((*layers, dense(5, np.ones((1, 4)))))
    (one,) = found(network, 1.0)
    weight = (second.astype(np.float32) + second[::-1].astype(np.float32)).sum(axis=0)
    np.testing.assert_allclose(one._weights, weight[None], rtol=1e-6)


def test_what_a_layer_reads_without_another_relu_between_is_read_too():
    network = Network(
        (
            Input(2),
            dense(0, np.ones((3, 2)), [1, 0, -1]),
            Relu(1, 3),
            Concat((0, 2), 5),
            dense(3, np.ones((2, 5)), [-1, -2]),
            Relu(4, 2),
            dense(5, [[1, 1]]),
        )
    )
    assert shorten._read_by(Prepared(network), (4,)) == [0, 2]
    assert shorten._read_by(Prepared(network), (1,)) == [0]
    last = found(network, 1.0)[-1]
    assert [layer for layer, _ in last.fit(0).readout.reads] == [0, 2, 5]


def test_inputs_are_read_only_where_they_are_few():
    wide = chain(np.random.default_rng(2), [30, 4, 4, 1])
    assert [layer for layer, _ in found(wide, 9.0)[-1].fit(0).readout.reads] == [2, 4]
    slim = chain(np.random.default_rng(2), [2, 4, 4, 1])
    assert [layer for layer, _ in found(slim, 9.0)[-1].fit(0).readout.reads] == [0, 2, 4]


def test_what_no_checker_would_take_is_not_proposed(monkeypatch):
    network = chain(np.random.default_rng(0), [2, 6, 5, 2])
    assert found(network, 9.0)
    monkeypatch.setattr(shorten, "has_errors", lambda *_: False)
    assert found(network, 9.0) == []


def test_a_bound_of_nothing_allows_nothing():
    network = chain(np.random.default_rng(0), [2, 6, 5, 2])
    assert found(network, 0.0) == []
    assert [deepest(one) for one in found(network, 1e-4)] == [4]


def test_a_network_whose_last_layer_is_a_relu_is_read_before_it():
    network = Network((*chain(np.random.default_rng(0), [2, 5, 3]).layers, Relu(3, 3)))
    assert {deepest(one) for one in found(network, 9.0)} == {2}


def test_few_points_allow_no_fit_of_many_units():
    """A fit to as many units as points is exact there, and says nothing of all others."""
    network = chain(np.random.default_rng(0), [40, 60, 1])
    epsilon, rng = np.full(1, 1e9), np.random.default_rng(1)
    for count, allowed in ((199, 0), (200, 1)):  # 40 inputs and 60 units
        assert len([*shortenings(Prepared(network), epsilon, NONE, points_of(network, rng, count))]) == allowed
