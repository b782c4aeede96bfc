"""The proof tree of a certificate (CERTIFICATE.md §6), walked in preorder: its form, and what nodes have to prove."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slicer.certificate.rigorous import form
from slicer.certificate.rigorous.form import Array, Indices, expect
from slicer.certificate.rigorous.parent import Parent

INACTIVE, ACTIVE = 1, 2
States = NDArray[np.int8]
Box = tuple[Array, Array]


@dataclass(frozen=True, eq=False)
class Node:
    """A node with closings: its box, and 0, INACTIVE or ACTIVE for every relu unit of the parent, ``[relu_units]``.

    ``facts`` are the closings of the proper ancestors, ``closings`` its own.
    """

    position: int
    box: Box
    facts: States
    closings: States


def walk(parent: Parent, tree: object, box: Box, removed: Indices, where: str) -> Iterator[Node]:
    """The nodes with closings, in preorder.

    On the way every leaf is checked to have all ``removed`` units (numbers in vectors over all relu units) closed
    inactive by itself or an ancestor.

    Raises
    ------
    Refusal
        If the form is wrong, or a leaf lacks a removed unit.
    """
    waiting = [(box, np.zeros(parent.relu_units, np.int8))]
    for position, value in enumerate(form.items(tree, where)):
        place = f"{where}[{position}]"
        expect(waiting, place, "expected the end: the tree is complete")
        box, facts = waiting.pop()
        node = form.record(value, place, (), ("inactive", "active", "axis", "threshold"))
        if "inactive" in node or "active" in node:
            closings = _closings(parent, node, facts, place)
            yield Node(position, box, facts, closings)
            facts = facts + closings
        if "axis" in node or "threshold" in node:
            form.record(node, place, ("axis", "threshold"), ("inactive", "active"))
            waiting += [(half, facts) for half in reversed(halves(node, box, place))]
        else:
            expect(
                (facts[removed] == INACTIVE).all(), place, "expected all removed units closed on the way to this leaf"
            )
    expect(not waiting, where, "expected a whole tree in preorder, got too few nodes")


def halves(node: dict[str, Any], box: Box, where: str) -> tuple[Box, Box]:
    """The low and the high part of the box of a split."""
    lower, upper = box
    axis = form.integer(node["axis"], f"{where}: axis", len(lower))
    threshold = form.number(node["threshold"], f"{where}: threshold")
    expect(lower[axis] <= threshold <= upper[axis], f"{where}: threshold", "expected a threshold inside the node's box")
    low, high = upper.copy(), lower.copy()
    low[axis] = high[axis] = threshold
    return (lower, low), (high, upper)


def _closings(parent: Parent, node: dict[str, Any], facts: States, where: str) -> States:
    """The closings of one node, ``[relu_units]``."""
    closings = np.zeros_like(facts)
    for key, state in (("inactive", INACTIVE), ("active", ACTIVE)):
        rows = parent.unit_lists(node.get(key, []), f"{where}: {key}")
        expect(rows or key not in node, f"{where}: {key}", "expected no empty list")
        flat = [parent.offset[layer] + unit for layer, units in rows for unit in units]
        fresh = not (facts[flat].any() or closings[flat].any())
        expect(fresh, f"{where}: {key}", "expected units that neither this node nor an ancestor closes elsewhere")
        closings[flat] = state
    return closings
