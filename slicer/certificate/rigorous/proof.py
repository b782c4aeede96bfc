"""The proof tree of a certificate (CERTIFICATE.md §6), walked in preorder: its form, and what nodes have to prove."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from slicer.certificate.rigorous import form
from slicer.certificate.rigorous.form import Array, Refusal, expect
from slicer.certificate.rigorous.parent import Parent

INACTIVE, ACTIVE = 1, 2
MAX_WAITING = 1 << 24  # numbers in the boxes and facts of the nodes that a walk still has to visit
Box = tuple[Array, Array]


@dataclass(frozen=True, eq=False)
class Node:
    """A node with closings: its box, and one byte for every unit of the parent: 0, INACTIVE or ACTIVE.

    ``facts`` are the closings of the proper ancestors, ``closings`` its own.
    """

    position: int
    box: Box
    facts: bytes
    closings: bytes


class Demands(NamedTuple):
    """Lists of units (numbered through), of each of which every path closes one inactive; what they are, in words."""

    units: Sequence[list[int]] = ()
    what: str = ""


def losses(parent: Parent, classes: Collection[int]) -> Demands:
    """For every output outside of ``classes`` its margins against those."""
    n, start = parent.outputs, parent.relus[parent.depth + 1]
    units = [[start + k * n + i for i in classes] for k in range(n) if k not in classes]
    return Demands(units, "every output outside of classes")


def errors(parent: Parent) -> Demands:
    """All errors of a readout."""
    start = parent.relus[parent.depth + 3]
    return Demands([[start + unit] for unit in range(2 * parent.outputs)], "all errors of the readout")


def walk(
    parent: Parent, tree: object, box: Box, removed: Collection[int], where: str, demands: Demands
) -> Iterator[Node]:
    """The nodes with closings, in preorder.

    On the way every leaf is checked to have all ``removed`` units (numbered through), and what else ``demands`` say,
    closed inactive by itself or an ancestor.

    Raises
    ------
    Refusal
        If the form is wrong, or a leaf lacks such a unit.
    """
    waiting = [(box, bytes(parent.size))]
    marks = bytearray(parent.size)
    for unit in removed:
        marks[unit] = INACTIVE
    needed = int.from_bytes(marks, "little")  # states as integers: of a byte's values 0 to 2 only INACTIVE has its bit
    for position, value in enumerate(form.items(tree, where)):
        place = f"{where}[{position}]"
        expect(waiting, place, "expected the end: the tree is complete")
        box, facts = waiting.pop()
        node = form.record(value, place, (), ("inactive", "active", "axis", "threshold"))
        if "inactive" in node or "active" in node:
            state, closings = bytearray(facts), bytearray(len(facts))
            for key, mark in (("inactive", INACTIVE), ("active", ACTIVE)):
                if key in node:
                    _close(parent, node[key], mark, (state, closings), f"{place}: {key}")
            yield Node(position, box, facts, bytes(closings))
            facts = bytes(state)
        if "axis" in node or "threshold" in node:
            form.record(node, place, ("axis", "threshold"), ("inactive", "active"))
            waiting += [(half, facts) for half in reversed(halves(node, box, place))]
            expect(len(waiting) * (2 * len(box[0]) + len(facts)) <= MAX_WAITING, place, "expected a tree less deep")
        else:
            good = needed & int.from_bytes(facts, "little") == needed
            expect(good, place, "expected all removed units closed on the way to this leaf")
            met = all(any(facts[unit] == INACTIVE for unit in units) for units in demands.units)
            expect(met, place, f"expected {demands.what} closed on the way to this leaf")
    expect(not waiting, where, "expected a whole tree in preorder, got too few nodes")


def _close(parent: Parent, value: object, mark: int, states: tuple[bytearray, bytearray], where: str) -> None:
    """Mark the units of one list of closings in the states, in which they must be 0."""
    units = parent.numbers(value, where)
    expect(units, where, "expected no empty list")
    state, closings = states
    for unit in units:
        if state[unit]:
            raise Refusal(where, "expected units that neither this node nor an ancestor closes elsewhere")
        state[unit] = closings[unit] = mark


def halves(node: dict[str, Any], box: Box, where: str) -> tuple[Box, Box]:
    """The low and the high part of the box of a split."""
    lower, upper = box
    axis = form.integer(node["axis"], f"{where}: axis", len(lower))
    threshold = form.number(node["threshold"], f"{where}: threshold")
    expect(lower[axis] <= threshold <= upper[axis], f"{where}: threshold", "expected a threshold inside the node's box")
    low, high = upper.copy(), lower.copy()
    low[axis] = high[axis] = threshold
    return (lower, low), (high, upper)
