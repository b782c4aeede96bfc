"""Fits of readouts and their errors: nothing is proved there, but what is proposed must be what it says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.interpret import eval32
from dispatcher.layers import Input, Relu, dense, freeze
from dispatcher.plan import Readout
from slicer.bounds.linear import Prepared
from slicer.network import Network
from slicer.search.evaluate import evaluate
from slicer.search.readout import all_inputs, distance, fit, has_errors, with_errors
from tests.random_networks import chain, mixed, seeds

F32 = np.float32


def random_readout(rng: np.random.Generator, network: Network) -> Readout:
    """Random numbers for random units of one to three layers before the last."""
    places = rng.choice(len(network.layers) - 1, min(3, len(network.layers) - 1), replace=False)
    rows = []
    for place in sorted(places.tolist()):
        width = network.layers[place].width
        rows.append((place, tuple(sorted(rng.choice(width, int(rng.integers(1, width + 1)), replace=False).tolist()))))
    n_read, n_out = sum(len(units) for _, units in rows), network.n_out
    weight, bias = rng.normal(size=(n_out, n_read)), rng.normal(size=n_out)
    return Readout(tuple(rows), freeze(weight, F32), freeze(bias, F32))


def values_read(prepared: Prepared, readout: Readout, points: np.ndarray) -> np.ndarray:
    """The units read, ``[m, n_read]``."""
    values = evaluate(prepared, points)
    return np.column_stack([values[place][:, unit] for place, units in readout.reads for unit in units])


@given(seeds, st.booleans())
@settings(deadline=None, max_examples=60)
def test_errors_of_hidden_readouts_are_what_they_are_off_beyond_their_bounds(seed, graph):
    rng = np.random.default_rng(seed)
    network = mixed(rng, blocks=2, width=4) if graph else chain(rng, [3, 5, 4, 2])
    readout, epsilon = random_readout(rng, network), rng.uniform(0, 1, network.n_out).astype(F32)
    points = rng.uniform(-1, 1, (40, network.n_in))
    outputs = evaluate(Prepared(network), points)[-1]
    left = outputs - (values_read(Prepared(network), readout, points) @ readout.weight.T.astype(float) + readout.bias)
    extended = with_errors(network, readout, epsilon)
    assert isinstance(extended.layers[-1], Relu)
    assert len(extended.layers) == len(network.layers) + 4, "as many as CERTIFICATE.md §5 has"
    found = evaluate(Prepared(extended), points)[-2]
    np.testing.assert_allclose(found, np.concatenate([left, -left], axis=1) - np.tile(epsilon, 2), atol=1e-9)
    off = distance(readout, values_read(Prepared(network), readout, points), outputs)
    np.testing.assert_allclose(off, np.abs(left).max(axis=0))


@given(seeds)
@settings(deadline=None, max_examples=40)
def test_what_is_an_affine_function_of_the_units_is_found(seed):
    rng = np.random.default_rng(seed)
    values, weight, bias = rng.uniform(-3, 3, (60, 4)), rng.normal(size=(2, 4)), rng.normal(size=2)
    reads = ((0, (1,)), (2, (0, 3, 4)))
    found = fit(reads, values, values @ weight.T + bias)
    assert found.readout.reads == reads
    np.testing.assert_allclose(found.readout.weight, weight, atol=1e-5)
    np.testing.assert_allclose(found.readout.bias, bias, atol=1e-5)
    assert (found.distance < 1e-5).all()


@given(seeds)
@settings(deadline=None, max_examples=40)
def test_errors_are_as_large_above_as_below(seed):
    rng = np.random.default_rng(seed)
    values = rng.uniform(-1, 1, (80, 3))
    outputs = np.abs(values).sum(axis=1, keepdims=True) ** 2 + rng.exponential(size=(80, 1))
    readout = fit(((0, (0, 1, 2)),), values, outputs).readout
    left = outputs - (values @ readout.weight.T.astype(float) + readout.bias)
    assert left.max() == pytest.approx(-left.min(), abs=1e-5)


@given(seeds, st.integers(0, 3))
@settings(deadline=None, max_examples=60)
def test_known_weights_are_kept_and_the_others_fitted_to_what_they_leave(seed, number):
    rng = np.random.default_rng(seed)
    values, known = rng.normal(size=(50, 5)), rng.normal(size=(2, number)).astype(F32)
    weight = np.hstack([rng.normal(size=(2, 5 - number)), known])
    found = fit(((0, (0, 1, 2, 3, 4)),), values, values @ weight.T + 3, known.astype(float))
    assert (found.readout.weight[:, 5 - number :] == known).all()
    np.testing.assert_allclose(found.readout.weight, weight, atol=1e-5)
    assert (found.distance < 1e-4).all()


def test_a_unit_that_never_changes_disturbs_no_fit():
    values = np.column_stack([np.linspace(0, 1, 20), np.full(20, 0.75), np.zeros(20)])
    found = fit(((2, (0, 1, 2)),), values, values[:, :1] * 2 + 1)
    assert np.isfinite(found.readout.weight).all()
    assert (found.distance < 1e-5).all()


def test_numbers_beyond_float32_are_no_fit():
    values = np.array([[0.0], [1e-45], [2e-45]])
    assert not np.isfinite(fit(((2, (0,)),), values, values * 1e90).distance).any()


def test_errors_are_counted_as_the_checkers_count_them():
    """2n(n + m) weights, at most 2^20."""
    network = Network((Input(3), dense(0, np.ones((512, 3)))))
    assert has_errors(network, 512)
    assert not has_errors(network, 513)
    assert has_errors(network)
    assert not has_errors(Network((Input(600), dense(0, np.ones((500, 600))))))


def test_all_inputs_are_all_there_are():
    assert all_inputs(chain(np.random.default_rng(0), [4, 3, 1])) == ((0, (0, 1, 2, 3)),)


def test_layers_are_read_whole_with_zeros_for_what_is_not_read():
    """Bits of the units read, and nothing of the others."""
    network = Network((Input(2), dense(0, np.eye(2)), Relu(1, 2), dense(2, [[1, 1]])))
    readout = Readout(((0, (1,)), (2, (0,))), F32([[8, 1]]), F32([0]))
    extended = with_errors(network, readout, np.zeros(1))
    assert extended.layers[-3].weight.tolist() == [[1, 0, -8, -1, 0], [-1, 0, 8, 1, 0]]
    assert eval32(extended.layers[:-1], F32([[0.5, 0.25]])).tolist() == [[0.75 - 2.5, 2.5 - 0.75]]
