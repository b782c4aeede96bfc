"""Proof trees as lists of nodes in preorder (CERTIFICATE.md §6): where nodes stand, what they close, their boxes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tests.certificates.opened import Json

Tree = list[Json]
Closing = tuple[int, str, int, int]  # node, "inactive" or "active", relu layer, unit
PHASES = ("inactive", "active")
Corners = tuple[np.ndarray, np.ndarray]  # float64 numbers that are float32 values


def children(tree: Tree, node: int) -> tuple[int, int]:
    """Positions of a split's children."""
    assert "axis" in tree[node]
    return node + 1, end(tree, node + 1)


def end(tree: Tree, node: int) -> int:
    """The position after a node's subtree."""
    open_nodes = 1
    while open_nodes:
        open_nodes += 1 if "axis" in tree[node] else -1
        node += 1
    return node


def splits(tree: Tree) -> list[int]:
    return [node for node, record in enumerate(tree) if "axis" in record]


def leaves(tree: Tree) -> list[int]:
    return [node for node, record in enumerate(tree) if "axis" not in record]


def parents(tree: Tree) -> dict[int, int]:
    """The parent of every node but the root, in the order of the nodes."""
    found: dict[int, int] = {}
    waiting: list[int] = []
    for node, record in enumerate(tree):
        if node:
            found[node] = waiting.pop()
        waiting += [node, node] if "axis" in record else []
    return found


def ancestors(tree: Tree, node: int) -> list[int]:
    """Proper ancestors, the nearest first."""
    above, found = parents(tree), []
    while node in above:
        node = above[node]
        found.append(node)
    return found


def closings(tree: Tree) -> Iterator[Closing]:
    """Every closing of every node."""
    for node, record in enumerate(tree):
        for phase in PHASES:
            for layer, units in record.get(phase, ()):
                for unit in units:
                    yield node, phase, layer, unit


def close(node: Json, phase: str, layer: int, unit: int) -> None:
    """Add a closing to a node, keeping the lists sorted; one that it has already stays once."""
    rows = {row[0]: set(row[1]) for row in node.get(phase, ())}
    rows.setdefault(layer, set()).add(unit)
    node[phase] = [[key, sorted(rows[key])] for key in sorted(rows)]


def reopen(node: Json, phase: str, layer: int, unit: int) -> None:
    """Take a closing away from a node, and lists that are empty then."""
    rows = [[key, [u for u in units if (key, u) != (layer, unit)]] for key, units in node.get(phase, ())]
    node.pop(phase, None)
    if any(units for _, units in rows):
        node[phase] = [row for row in rows if row[1]]


def corners(box: Json) -> Corners:
    """A box's corners as numbers."""
    return tuple(np.array([float.fromhex(text) for text in box[side]]) for side in ("lower", "upper"))  # type: ignore[return-value] # two


def halves(box: Corners, axis: int, threshold: float) -> tuple[Corners, Corners]:
    """The closed low and high part of a box."""
    below, above = box[1].copy(), box[0].copy()
    below[axis] = above[axis] = threshold
    return (box[0], below), (above, box[1])


def boxes(tree: Tree, box: Corners) -> list[Corners]:
    """The box of every node of a whole tree."""
    found = [box]
    for node, parent in parents(tree).items():
        record = tree[parent]
        low, high = halves(found[parent], record["axis"], float.fromhex(record["threshold"]))
        found.append(low if node == parent + 1 else high)
    return found


def covers(tree: Tree, box: Corners) -> bool:
    """Whether the nodes are one whole tree in preorder, each cut inside its node's box."""
    open_nodes = 1
    for record in tree:
        if not open_nodes:
            return False
        open_nodes += 1 if "axis" in record else -1
    if open_nodes:
        return False
    parts = boxes(tree, box)
    cuts = [(parts[k], tree[k]["axis"], float.fromhex(tree[k]["threshold"])) for k in splits(tree)]
    return all(part[0][axis] <= threshold <= part[1][axis] for part, axis, threshold in cuts)
