"""Every input of the domain reaches exactly one cell, in whose closed box it lies; malformed trees are refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.errors import UnusableBundle
from dispatcher.plan import Family, Leaf, Split, whole_member
from dispatcher.route import Router
from dispatcher.tree import cell_shares, check_tree, leaf_depths, tree_depth, walk
from tests.dispatcher.bundle_samples import halving_tree, make_family
from tests.dispatcher.network_samples import chain

LOWER, UPPER = np.array([-1, 0], np.float32), np.array([1, 0], np.float32)  # the second input is a constant


def leaf_boxes(tree, lower, upper):
    return [
        (low.copy(), high.copy())
        for position, low, high in walk(tree, lower, upper)
        if isinstance(tree[position], Leaf)
    ]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 4), st.integers(0, 10**6))
def test_routing_finds_the_one_box_that_holds_the_point(cells, n_in, seed):
    lower, upper = np.full(n_in, -1, np.float32), np.full(n_in, 1, np.float32)
    tree = halving_tree(lower, upper, cells)
    check_tree(tree, cells, lower, upper)
    points = np.random.default_rng(seed).uniform(-1, 1, (50, n_in)).astype(np.float32)
    boxes = leaf_boxes(tree, lower, upper)
    for point, cell in zip(points, Router(tree)(points), strict=True):
        inside = [c for c, (low, high) in enumerate(boxes) if (low <= point).all() and (point <= high).all()]
        assert inside == [cell]  # random points do not lie on borders


def test_a_point_on_the_threshold_goes_low_and_its_upper_neighbour_high():
    third = np.float32(1 / 3)
    tree = (Split(0, float(third), 1, 2), Leaf(0), Leaf(1))
    points = np.array([[third], [np.nextafter(third, np.float32(1))]], np.float32)
    assert Router(tree)(points).tolist() == [0, 1]


def test_a_tree_of_one_leaf_routes_everything_to_it():
    assert Router((Leaf(0),))(np.zeros((3, 2), np.float32)).tolist() == [0, 0, 0]
    assert Router((Leaf(0),))(np.zeros((0, 2), np.float32)).tolist() == []


def comb(depth: int):
    """A tree that is as deep as it has cells."""
    nodes = []
    for level in range(depth):
        nodes += [Split(0, float(level), 2 * level + 1, 2 * level + 2), Leaf(level)]
    return (*nodes, Leaf(depth))


def test_deep_trees_need_no_recursion():
    tree = comb(3000)
    lower, upper = np.array([0], np.float32), np.array([5000], np.float32)
    check_tree(tree, 3001, lower, upper)
    assert tree_depth(tree) == 3000
    assert leaf_depths(tree)[:3] == [1, 2, 3]
    assert Router(tree)(np.array([[0], [7.5], [4999]], np.float32)).tolist() == [0, 8, 3000]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 4))
def test_shares_are_the_boxes_volumes(cells, n_in):
    lower, upper = np.full(n_in, -1, np.float32), np.arange(1, n_in + 1, dtype=np.float32)
    tree = halving_tree(lower, upper, cells)
    volumes = [np.prod(high - low) for low, high in leaf_boxes(tree, lower, upper)]
    assert np.allclose(cell_shares(tree, lower, upper), np.array(volumes) / np.prod(upper - lower), rtol=1e-12)


def test_inputs_of_zero_width_do_not_count_in_shares():
    shares = cell_shares((Split(0, -0.5, 1, 2), Leaf(0), Leaf(1)), LOWER, UPPER)
    assert shares.tolist() == [0.25, 0.75]


def test_shares_of_many_narrow_inputs_do_not_vanish():
    lower, upper = np.zeros(400, np.float32), np.full(400, 1e-3, np.float32)  # a volume of 1e-1200
    shares = cell_shares(halving_tree(lower, upper, 8), lower, upper)
    assert np.isclose(shares.sum(), 1)
    assert (shares > 0.1).all()


MALFORMED = {
    "empty": ((), 0, "node 0: expected a binary tree in preorder"),
    "a child before its parent": ((Split(0, 0.0, 0, 1), Leaf(0)), 1, "node 0: expected a binary tree in preorder"),
    "children exchanged": ((Split(0, 0.0, 2, 1), Leaf(0), Leaf(1)), 2, "node 2: expected a binary tree in preorder"),
    "a child twice": ((Split(0, 0.0, 1, 1), Leaf(0)), 2, "node 1: expected a binary tree in preorder"),
    "a child beyond the end": ((Split(0, 0.0, 1, 2), Leaf(0)), 2, "node 2: expected a binary tree in preorder"),
    "a node nobody reaches": ((Leaf(0), Leaf(1)), 2, "expected 2 nodes and 2 cells, got 1 and 1"),
    "cells out of order": ((Split(0, 0.0, 1, 2), Leaf(1), Leaf(0)), 2, "node 1: expected cell 0, got 1"),
    "a cell twice": ((Split(0, 0.0, 1, 2), Leaf(0), Leaf(0)), 2, "node 2: expected cell 1, got 0"),
    "too few cells": ((Split(0, 0.0, 1, 2), Leaf(0), Leaf(1)), 3, "expected 3 nodes and 3 cells, got 3 and 2"),
    "axis out of range": ((Split(2, 0.0, 1, 2), Leaf(0), Leaf(1)), 2, "node 0: expected a float32 threshold"),
    "axis negative": ((Split(-1, 0.0, 1, 2), Leaf(0), Leaf(1)), 2, "node 0: expected a float32 threshold"),
    "axis of zero width": ((Split(1, 0.0, 1, 2), Leaf(0), Leaf(1)), 2, "node 0: expected a float32 threshold"),
    "threshold below": ((Split(0, -1.5, 1, 2), Leaf(0), Leaf(1)), 2, "node 0: expected a float32 threshold"),
    "threshold at the top": ((Split(0, 1.0, 1, 2), Leaf(0), Leaf(1)), 2, "node 0: expected a float32 threshold"),
    "threshold nan": ((Split(0, float("nan"), 1, 2), Leaf(0), Leaf(1)), 2, "node 0: expected a float32 threshold"),
    "threshold not float32": ((Split(0, 0.1, 1, 2), Leaf(0), Leaf(1)), 2, "node 0: expected a float32 threshold"),
    "threshold outside its node's box": (
        (Split(0, 0.0, 1, 4), Split(0, 0.5, 2, 3), Leaf(0), Leaf(1), Leaf(2)),
        3,
        "node 1: expected a float32 threshold",
    ),
}


@pytest.mark.parametrize(("tree", "cells", "reason"), MALFORMED.values(), ids=MALFORMED)
def test_malformed_trees_are_refused(tree, cells, reason):
    with pytest.raises(UnusableBundle, match=reason):
        check_tree(tree, cells, LOWER, UPPER)


def test_a_threshold_at_the_lower_end_is_allowed():
    check_tree((Split(0, -1.0, 1, 2), Leaf(0), Leaf(1)), 2, LOWER, UPPER)


DOMAINS = {
    "wrong length": ([0.0], [1.0]),
    "wrong rank": ([[0.0], [0.0]], [[1.0], [1.0]]),
    "nan": ([0, np.nan], [1, 1]),
    "infinite": ([0, 0], [1, np.inf]),
    "exchanged": ([0, 1], [1, 0]),
}


@pytest.mark.parametrize(("lower", "upper"), DOMAINS.values(), ids=DOMAINS)
def test_unusable_domains_are_refused(lower, upper):
    layers = chain([2, 1])
    with pytest.raises(UnusableBundle, match="domain: expected"):
        Family(
            "bitwise",
            layers,
            np.array(lower, np.float32),
            np.array(upper, np.float32),
            (Leaf(0),),
            (whole_member(layers),),
            (0,),
        )


@pytest.mark.parametrize("cells", [(0, 0), (1, 0), (0, 2), (0, -1)])
def test_every_member_must_be_used_in_order(cells):
    family = make_family(chain([2, 1]), 2)
    members = (whole_member(family.parent), whole_member(family.parent))
    with pytest.raises(UnusableBundle, match="cells: expected every member to be used"):
        Family("bitwise", family.parent, family.lower, family.upper, family.tree, members, cells)
