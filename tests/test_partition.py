"""A partition's cells cover the domain, and the routing tree finds the right one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.errors import UnusableInput
from dispatcher.plan import Leaf, Split, check_tree
from slicer.box import Box, middle
from slicer.partition import halve, leaves, routing_tree
from tests.random_networks import random_box, seeds


@given(seeds, st.integers(1, 40), st.integers(1, 5))
@settings(deadline=None, max_examples=60)
def test_exactly_n_cells_that_cover_the_domain(seed, cells, dimension):
    rng = np.random.default_rng(seed)
    domain = random_box(rng, dimension, 2.0)
    if (domain.lower == domain.upper).all():
        return
    partition = halve(domain, cells)
    boxes, tree = leaves(partition), routing_tree(partition)
    assert len(boxes) == cells
    check_tree(tree, cells, domain.lower, domain.upper)
    for point in domain.sample(50, rng):
        position = 0
        while isinstance(node := tree[position], Split):
            position = node.low if point[node.axis] <= node.threshold else node.high
        assert isinstance(node, Leaf)
        assert boxes[node.cell].contains(point[None])[0]


def test_powers_of_two_give_equal_cells_and_halve_each_input_in_turn():
    domain = Box(np.float32([0, 0, 0]), np.float32([8, 8, 1]))
    sides = {tuple(box.upper - box.lower) for box in leaves(halve(domain, 16))}
    assert sides == {(2.0, 4.0, 0.5)}


def test_a_flat_input_is_never_cut():
    domain = Box(np.float32([0, 3]), np.float32([1, 3]))
    assert all(box.lower[1] == box.upper[1] == 3 for box in leaves(halve(domain, 8)))


def test_too_many_cells_for_a_tiny_domain_is_an_error():
    one = np.float32(1)
    ulp = np.float32(2**-23)
    assert len(leaves(halve(Box(np.array([one]), np.array([one + 2 * ulp])), 2))) == 2
    with pytest.raises(UnusableInput, match="enough float32 numbers to cut"):
        halve(Box(np.array([one]), np.array([one + 2 * ulp])), 3)
    with pytest.raises(UnusableInput, match="enough float32 numbers to cut"):
        halve(Box(np.array([one]), np.array([one])), 2)


@given(st.floats(-(2.0**100), 2.0**100, width=32), st.floats(-(2.0**100), 2.0**100, width=32))
def test_middle_is_a_float32_threshold_inside(a, b):
    lower, upper = min(a, b), max(a, b)
    threshold = middle(lower, upper)
    if threshold is None:
        assert np.nextafter(np.float32(lower), np.float32(np.inf)) >= upper
    else:
        assert lower < threshold < upper
        assert np.float32(threshold) == threshold


@given(st.floats(-1e38, 1e38), st.floats(0, 1e30))
def test_outward_contains_the_real_box(lower, width):
    box = Box.outward([lower], [lower + width])
    assert float(box.lower[0]) <= lower
    assert float(box.upper[0]) >= lower + width


@pytest.mark.parametrize(
    ("lower", "upper", "message"),
    [
        ([0, np.nan], [1, 1], "input 1: expected finite bounds, got nan:1.0"),
        ([0, 2], [1, 1], "input 1: expected lower <= upper, got 2.0:1.0"),
        ([0], [np.inf], "input 0: expected finite bounds, got 0.0:inf"),
        ([0, 0], [1], "box: expected two vectors of equal length, got (2,) and (1,)"),
    ],
)
def test_unusable_boxes_are_refused(lower, upper, message):
    with pytest.raises(UnusableInput) as error:
        Box(np.array(lower, np.float32), np.array(upper, np.float32))
    assert str(error.value) == message
