"""The routing tree: a binary tree of float32 tests in preorder that sends every input of the domain to one cell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dispatcher.errors import UnusableBundle


@dataclass(frozen=True, slots=True)
class Split:
    """Routing node: ``x[axis] <= threshold`` goes to node ``low``, everything else to node ``high``."""

    axis: int
    threshold: float
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Leaf:
    """Routing leaf: the cell's index."""

    cell: int


Tree = tuple[Split | Leaf, ...]


def walk(
    tree: Tree, lower: NDArray[np.float32], upper: NDArray[np.float32]
) -> Iterator[tuple[int, NDArray[np.float64], NDArray[np.float64]]]:
    """Every node's position in preorder, with the corners ``[n_in]`` of its closed box.

    The corners are one pair of arrays that changes with every step (a deep tree over many inputs would otherwise need a
    box per level): copy what has to stay.
    """
    box_lower, box_upper = lower.astype(np.float64), upper.astype(np.float64)
    # A task sets the bounds of one axis and then visits a node, or none: then it only restores them.
    tasks: list[tuple[int | None, int, float, float]] = [(0, 0, box_lower[0], box_upper[0])]
    while tasks:
        position, axis, low, high = tasks.pop()
        box_lower[axis], box_upper[axis] = low, high
        if position is None:
            continue
        yield position, box_lower, box_upper
        node = tree[position]
        if isinstance(node, Split):
            low, high = box_lower[node.axis], box_upper[node.axis]
            tasks.append((None, node.axis, low, high))
            tasks.append((node.high, node.axis, node.threshold, high))
            tasks.append((node.low, node.axis, low, node.threshold))


def check_tree(tree: Tree, cells: int, lower: NDArray[np.float32], upper: NDArray[np.float32]) -> None:
    """Check that the nodes form one binary tree in preorder whose float32 thresholds lie inside their boxes.

    Raises
    ------
    UnusableBundle
        Naming the node.
    """
    seen = leaves = 0
    for position, box_lower, box_upper in walk(tree, lower, upper):
        where = f"tree: node {position}"
        if position != seen or position >= len(tree):
            raise UnusableBundle("expected a binary tree in preorder", where=where)
        seen += 1
        node = tree[position]
        if isinstance(node, Leaf):
            if node.cell != leaves:
                raise UnusableBundle(f"expected cell {leaves}, got {node.cell}", where=where)
            leaves += 1
        elif not (
            0 <= node.axis < len(lower)
            and box_lower[node.axis] <= node.threshold < box_upper[node.axis]
            and float(np.float32(node.threshold)) == node.threshold
        ):
            raise UnusableBundle("expected a float32 threshold inside the node's box", where=where)
    if seen != len(tree) or leaves != cells:
        raise UnusableBundle(f"expected {len(tree)} nodes and {cells} cells, got {seen} and {leaves}", where="tree")


def leaf_depths(tree: Tree) -> list[int]:
    """Number of tests on the route to every cell."""
    depth = [0] * len(tree)
    cells = []
    for position, node in enumerate(tree):  # preorder: a node stands before its children
        if isinstance(node, Split):
            depth[node.low] = depth[node.high] = depth[position] + 1
        else:
            cells.append(depth[position])
    return cells


def tree_depth(tree: Tree) -> int:
    """Number of tests on the longest route."""
    return max(leaf_depths(tree))


def cell_shares(tree: Tree, lower: NDArray[np.float32], upper: NDArray[np.float32]) -> NDArray[np.float64]:
    """Every cell's share of the domain's volume, ``[n_cells]``, summing to 1.

    Inputs of zero width do not count: they cannot be cut. Shares are products of ratios along the route, so that they
    neither overflow nor vanish where a volume over many inputs would.
    """
    share = np.ones(len(tree))
    for position, box_lower, box_upper in walk(tree, lower, upper):
        node = tree[position]
        if isinstance(node, Split):
            width = box_upper[node.axis] - box_lower[node.axis]
            share[node.low] = share[position] * (node.threshold - box_lower[node.axis]) / width
            share[node.high] = share[position] * (box_upper[node.axis] - node.threshold) / width
    return np.array([share[position] for position, node in enumerate(tree) if isinstance(node, Leaf)])
