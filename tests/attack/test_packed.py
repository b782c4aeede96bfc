"""A packed member in float64 is the member, and its slopes are its derivatives."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings

from dispatcher.interpret import eval32
from dispatcher.layers import Input, Relu, dense, freeze
from dispatcher.plan import Readout, member_layers
from slicer.network import Network
from slicer.reduce.member import build_member
from tests.attack.errors import Differences
from tests.attack.packed import Packed
from tests.attack.test_errors import served
from tests.emit_c99.families import random_member, random_readout
from tests.random_networks import mixed, seeds

F32 = np.float32


def random_packed(seed: int) -> tuple[Packed, Network, np.random.Generator]:
    """A random member of a random graph: units removed, prefixes, constants, and in half of all a readout."""
    rng = np.random.default_rng(seed)
    network = mixed(rng, blocks=3, width=5)
    if seed % 2:
        return Packed(network.layers, random_member(network.layers, rng, (0.3, 1.0))), network, rng
    places = sorted(rng.choice(len(network.layers) - 1, 3, replace=False).tolist())
    return Packed(network.layers, random_readout(network.layers, places, rng, 0.6)), network, rng


@given(seeds)
@settings(deadline=None, max_examples=80)
def test_values_are_those_of_the_member_but_for_rounding(seed):
    packed, network, rng = random_packed(seed)
    points = rng.uniform(-1, 1, (30, network.n_in)).astype(F32)
    np.testing.assert_allclose(packed.values(points)[-1], eval32(packed.layers, points), rtol=1e-4, atol=1e-4)


@given(seeds)
@settings(deadline=None, max_examples=80)
def test_slopes_are_derivatives(seed):
    """Between kinks, which a step as small as this seldom meets."""
    packed, network, rng = random_packed(seed)
    points = rng.uniform(-1, 1, (40, network.n_in))
    outputs, step = rng.integers(0, network.n_out, 40), 2.0**-20
    slopes, rows = packed.slopes(points, outputs), np.arange(40)
    good = 0
    for axis in range(network.n_in):
        move = step * np.eye(network.n_in)[axis]
        ends = [packed.values(points + sign * move)[-1][rows, outputs] for sign in (1, -1)]
        measured = (ends[0] - ends[1]) / (2 * step)
        good += np.isclose(measured, slopes[:, axis], rtol=1e-5, atol=1e-5).mean() / network.n_in
    assert good > 0.9


def test_layers_without_units_are_nothing():
    """A removed unit, a constant in its place, and a readout that reads it as well as the input."""
    network = Network((Input(1), dense(0, [[1.0]], [-9]), Relu(1, 1), dense(2, [[3.0]], [0.5])))
    member = build_member(network, {2: {0}})
    assert [layer.width for layer in member_layers(network.layers, member)] == [1, 0, 0, 1]
    packed = Packed(network.layers, member)
    assert packed.values(F32([[7]]))[-1].tolist() == [[0.5]]
    assert packed.slopes(F32([[7]]), np.zeros(1, int)).tolist() == [[0]]


def test_errors_are_those_of_the_member_not_of_the_units_that_it_names():
    """A member that lacks relu(x), which is active: its readout is off from the parent by all that it lacks."""
    network = Network((Input(1), dense(0, [[1.0]]), Relu(1, 1), dense(2, [[1.0]]), Relu(3, 1), dense(4, [[2.0]])))
    readout = Readout(((4, (0,)),), freeze([[2]], F32), freeze([0], F32))
    family = served(network, [[0]], [0], [1])
    for removed, off in (({}, 0), ({2: {0}}, 1)):
        member = build_member(network, removed, readout=readout)
        changed = type(family)(**{**vars(family), "members": (member,)})
        differences = Differences(network, changed)
        assert differences.errors(np.zeros(1, int), F32([[0.5]])).tolist() == [[off, -off]]
        assert differences.slopes(np.array([[0, 0], [0, 1]]), F32([[0.5]] * 2)).tolist() == [[2.0 * off], [-2.0 * off]]
