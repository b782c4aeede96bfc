"""A member returns the parent's bits wherever the removed units are inactive, and leaves out what it can."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.interpret import eval32, evaluate_all
from dispatcher.layers import Dense, Input, Relu, dense, freeze
from dispatcher.plan import Readout, member_layers, whole_member
from slicer.network import Network
from slicer.reduce.constants import constant_units
from slicer.reduce.member import build_member
from tests.dispatcher.member_samples import member_of
from tests.random_networks import networks, random_box, seeds


def _inactive(network: Network, points: np.ndarray) -> dict[int, set[int]]:
    """Units that are inactive at every given point."""
    values = evaluate_all(network.layers, points)
    found = {p: np.flatnonzero((values[network.layers[p].source] <= 0).all(axis=0)) for p in network.relu_layers}
    return {p: {int(unit) for unit in units} for p, units in found.items() if len(units)}


@given(networks(), seeds, st.floats(0, 2))
@settings(deadline=None, max_examples=120)
def test_members_return_the_parent_s_bits_where_the_removed_units_are_inactive(network, seed, width):
    rng = np.random.default_rng(seed)
    points = random_box(rng, network.n_in, width).sample(40, rng)
    removed = _inactive(network, points)
    kept_out = {p: {u for u in units if rng.random() < 0.8} for p, units in removed.items()}
    for choice in (removed, kept_out, {}):
        layers = member_layers(network.layers, build_member(network, choice))
        np.testing.assert_array_equal(eval32(layers, points), eval32(network.layers, points))


@given(networks(), seeds)
@settings(deadline=None, max_examples=40)
def test_constant_units_have_their_value_at_every_point(network, seed):
    rng = np.random.default_rng(seed)
    points = random_box(rng, network.n_in, 1.0).sample(30, rng)
    values = evaluate_all(network.layers, points)
    for constants, value in zip(constant_units(network, _inactive(network, points)), values, strict=True):
        np.testing.assert_array_equal(value[:, constants.known], np.tile(constants.value[constants.known], (30, 1)))


def _small() -> Network:
    layers = (
        Input(2),
        dense(0, np.array([[1, 1], [2, 0], [0, 3]], float), np.array([1, 2, 3], float)),
        Relu(1, 3),
        dense(2, np.array([[1, 0, 2], [4, 5, 6]], float), np.array([0.5, 7], float)),
    )
    return Network(layers)


def test_nothing_removed_keeps_everything():
    network = _small()
    assert build_member(network, {}) == whole_member(network.layers)


def test_an_inactive_unit_takes_its_row_and_its_columns_along():
    member = build_member(_small(), {2: {1}})
    assert [layer.units for layer in member.layers] == [(0, 1), (0, 2), (0, 2), (0, 1)]
    packed = member_layers(_small().layers, member)[3]
    assert isinstance(packed, Dense)
    assert packed.weight.tolist() == [[1, 2], [4, 6]]


def test_all_units_inactive_leaves_constants():
    member = build_member(_small(), {2: {0, 1, 2}})
    assert [layer.units for layer in member.layers] == [(0, 1), (), (), (0, 1)]
    assert [(c.unit, float(c.value)) for c in member.layers[3].constants] == [(0, 0.5), (1, 7.0)]
    output = eval32(member_layers(_small().layers, member), np.ones((2, 2), np.float32))
    assert output.tolist() == [[0.5, 7], [0.5, 7]]


def test_a_unit_that_nobody_reads_is_dropped_without_any_claim():
    layers = list(_small().layers)
    layers[3] = dense(2, np.array([[1, 0, 0], [4, 0, 6]], float))
    member = build_member(Network(tuple(layers)), {})
    assert [layer.units for layer in member.layers] == [(0, 1), (0, 2), (0, 2), (0, 1)]


def test_constants_before_the_first_variable_term_are_summed_and_later_ones_stay():
    # Layer 2's inputs: relu(3) is constant (no weights), relu(x) is not, relu(5) is constant behind it.
    layers = (
        Input(1),
        dense(0, np.array([[0.0], [1.0], [0.0]]), np.array([3.0, 0.0, 5.0])),
        Relu(1, 3),
        dense(2, np.array([[2.0, 1.0, 1.0], [0.0, 1.0, 0.0]]), np.array([1.0, 0.0])),
    )
    network = Network(layers)
    member = build_member(network, {})
    assert [layer.units for layer in member.layers] == [(0,), (1, 2), (1, 2), (0, 1)]
    (prefix,) = member.layers[3].prefixes
    assert (prefix.unit, prefix.first, float(prefix.value)) == (0, 1, 6.0)
    assert [(c.unit, float(c.value)) for c in member.layers[1].constants] == [(2, 5.0)]
    packed = member_layers(network.layers, member)[3]
    assert isinstance(packed, Dense)
    assert packed.weight.tolist() == [[1, 1], [1, 0]]
    assert packed.start.tolist() == [6, 0]


def test_a_prefix_keeps_the_rounding_of_the_parent_s_order():
    # 2^24 + 1 + 1 is 2^24 in this order; summing the constants the other way round would give 2^24 + 2.
    layers = (
        Input(1),
        dense(0, np.zeros((4, 1)), np.array([2.0**24, 1.0, 1.0, 0.0])),
        Relu(1, 4),
        dense(2, np.array([[1.0, 1.0, 1.0, 0.0]]), np.array([0.0])),
    )
    network = Network(layers)
    member = build_member(network, {})
    assert [float(c.value) for c in member.layers[3].constants] == [2.0**24]
    points = np.zeros((1, 1), np.float32)
    assert eval32(network.layers, points) == eval32(member_layers(network.layers, member), points) == 2.0**24


def _readout(network: Network, rng: np.random.Generator) -> Readout:
    """Random numbers for random units of some layers before the last."""
    number = int(rng.integers(1, len(network.layers)))
    reads = []
    for place in sorted(rng.choice(len(network.layers) - 1, number, replace=False).tolist()):
        width = network.layers[place].width
        units = rng.choice(width, int(rng.integers(1, width + 1)), replace=False)
        reads.append((place, tuple(sorted(units.tolist()))))
    weight = rng.normal(size=(network.n_out, sum(len(units) for _, units in reads)))
    return Readout(tuple(reads), freeze(weight, np.float32), freeze(rng.normal(size=network.n_out), np.float32))


@given(networks(), seeds, st.floats(0, 2))
@settings(deadline=None, max_examples=120)
def test_members_with_readouts_are_those_of_the_rules_and_read_the_parent_s_bits(network, seed, width):
    rng = np.random.default_rng(seed)
    points, readout = random_box(rng, network.n_in, width).sample(40, rng), _readout(network, rng)
    removed = _inactive(network, points)
    values = evaluate_all(network.layers, points)
    read = np.column_stack([values[place][:, unit] for place, units in readout.reads for unit in units])
    expected = eval32((Input(read.shape[1]), dense(0, readout.weight, readout.bias)), read)
    some = {place: {unit for unit in units if rng.random() < 0.8} for place, units in removed.items()}
    for choice in (removed, some, {}):
        member = build_member(network, choice, readout=readout)
        pairs = {(place, unit) for place, units in choice.items() for unit in units}
        assert member == member_of(network.layers, pairs, readout)
        np.testing.assert_array_equal(eval32(member_layers(network.layers, member), points), expected)


def test_a_readout_leaves_out_what_comes_behind_it():
    readout = Readout(((0, (1,)), (2, (0,))), np.ones((2, 2), np.float32), np.zeros(2, np.float32))
    member = build_member(_small(), {}, readout=readout)
    assert [layer.units for layer in member.layers] == [(0, 1), (0,), (0,), ()]
    assert member.readout is readout
    packed = member_layers(_small().layers, member)
    assert [layer.weight.tolist() for layer in packed if isinstance(layer, Dense)] == [[[1, 1]], [[1, 1], [1, 1]]]


def test_units_that_are_removed_are_kept_where_they_are_read():
    """They are zero without their sources."""
    readout = Readout(((2, (0, 1)),), np.ones((2, 2), np.float32), np.zeros(2, np.float32))
    member = build_member(_small(), {2: {1}}, readout=readout)
    assert [layer.units for layer in member.layers] == [(0, 1), (0, 1), (0, 1), ()]
