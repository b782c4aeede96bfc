"""`Evaluator` returns the bits of `eval32`, whatever the batch, and whatever is zero."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.evaluate import Evaluator
from dispatcher.interpret import eval32, evaluate_all
from dispatcher.layers import Input, dense
from dispatcher.plan import member_layers
from tests.dispatcher.member_samples import inactive_units, member_of
from tests.dispatcher.network_samples import chain, random_network, random_points


def same_bits(first: np.ndarray, second: np.ndarray) -> bool:
    return first.dtype == second.dtype and first.shape == second.shape and first.tobytes() == second.tobytes()


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 40))
def test_the_same_bits_as_the_reference(seed, batch):
    layers = random_network(seed)
    points = random_points(layers, batch, seed)
    assert same_bits(Evaluator(layers)(points), eval32(layers, points))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 10))
def test_the_same_bits_for_packed_members(seed, batch):
    parent = random_network(seed)
    points = random_points(parent, batch, seed)
    removed = inactive_units(parent, evaluate_all(parent, points))
    packed = member_layers(parent, member_of(parent, removed))
    assert same_bits(Evaluator(packed)(points), eval32(packed, points))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([1, 3, 64]), st.sampled_from([1, 40, 1 << 16]))
def test_block_sizes_change_no_bit(seed, rows, products):
    layers = chain([4, 30, 20, 3], seed)
    points = random_points(layers, 20, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dispatcher.evaluate._PRODUCTS", products)
        patch.setattr("dispatcher.evaluate._VALUES", rows * sum(layer.width for layer in layers))
        assert same_bits(Evaluator(layers)(points), eval32(layers, points))


def test_units_that_are_zero_in_some_rows_only_are_kept():
    layers = (Input(2), dense(0, [[1.0, 2.0]], bias=[0.5]))
    points = np.array([[0, 0], [0, 3], [-0.0, 5]], np.float32)
    assert Evaluator(layers)(points).tolist() == [[0.5], [6.5], [10.5]]


def test_the_accumulator_starts_from_start():
    layers = (Input(1), dense(0, [[1.0]], bias=[0.5], start=[2.0]))
    assert Evaluator(layers)(np.array([[0], [4]], np.float32)).tolist() == [[2.5], [6.5]]


def test_overflow_far_outside_the_domain_gives_the_same_bits():
    layers = chain([2, 8, 2])
    points = np.array([[3e38, -3e38], [3e38, 3e38]], np.float32)
    assert same_bits(Evaluator(layers)(points), eval32(layers, points))
