"""What a family is: a parent network, a routing tree over its domain, and one member per set of cells.

A `Member` stores no weights: it lists, for every layer of the parent, the units that are left, the constant prefixes
that were summed at build time and the units that became constants. `member_layers` packs it into a small network of
the same layer kinds, whose declared evaluation returns the parent's bits on the member's cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dispatcher.errors import UnusableBundle
from dispatcher.layers import Add, Concat, Dense, Elementwise, Gather, Input, Layer, Layers, Relu, dense, freeze

Mode = Literal["bitwise"]


@dataclass(frozen=True, slots=True)
class Prefix:
    """A Dense unit's constant prefix: terms with source index below ``first`` sum to ``value`` (float32, eval32)."""

    unit: int
    first: int
    value: np.float32


@dataclass(frozen=True, slots=True)
class Constant:
    """A Dense unit whose value is the same float32 number on the whole slice: an empty row with this bias."""

    unit: int
    value: np.float32


@dataclass(frozen=True, slots=True)
class MemberLayer:
    """What is left of one parent layer: unit indices in ascending order, prefixes and constants among them."""

    units: tuple[int, ...]
    prefixes: tuple[Prefix, ...] = ()
    constants: tuple[Constant, ...] = ()


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a family: an entry per parent layer. Layer 0 (the input) is always whole."""

    layers: tuple[MemberLayer, ...]


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


@dataclass(frozen=True, eq=False)
class Family:
    """The whole plan.

    Attributes
    ----------
    parent:
        The parent's layers.
    lower, upper:
        The closed domain box, float32 ``[n_in]``.
    tree:
        Routing nodes in preorder; node 0 is the root; leaves carry the cells 0, 1, 2, … in this order.
    members:
        Distinct members in the order of their first cell.
    cells:
        The member's index of every cell.
    """

    mode: Mode
    parent: Layers
    lower: NDArray[np.float32]
    upper: NDArray[np.float32]
    tree: Tree
    members: tuple[Member, ...]
    cells: tuple[int, ...]

    def __post_init__(self) -> None:
        check_tree(self.tree, len(self.cells), self.lower, self.upper)
        width = self.parent[0].width
        if self.lower.shape != (width,) or self.upper.shape != (width,):
            raise UnusableBundle(f"expected a domain of {width} inputs, got {self.lower.shape[0]}", where="domain")
        if any(not 0 <= index < len(self.members) for index in self.cells):
            raise UnusableBundle("expected every cell to name a member of the family", where="cells")


def check_tree(tree: Tree, cells: int, lower: NDArray[np.float32], upper: NDArray[np.float32]) -> None:
    """Check that the nodes form one binary tree in preorder whose thresholds lie inside their boxes.

    Raises
    ------
    UnusableBundle
        Naming the node.
    """
    stack = [(0, lower.astype(float), upper.astype(float))]
    seen = leaves = 0
    while stack:
        position, box_lower, box_upper = stack.pop()
        if position != seen or position >= len(tree):
            raise UnusableBundle("expected a binary tree in preorder", where=f"tree: node {position}")
        seen += 1
        node = tree[position]
        if isinstance(node, Leaf):
            if node.cell != leaves:
                raise UnusableBundle(f"expected cell {leaves}, got {node.cell}", where=f"tree: node {position}")
            leaves += 1
            continue
        if not (0 <= node.axis < len(lower) and box_lower[node.axis] <= node.threshold < box_upper[node.axis]):
            raise UnusableBundle("expected a threshold inside the node's box", where=f"tree: node {position}")
        low_upper, high_lower = box_upper.copy(), box_lower.copy()
        low_upper[node.axis] = high_lower[node.axis] = node.threshold
        stack.append((node.high, high_lower, box_upper))
        stack.append((node.low, box_lower, low_upper))
    if seen != len(tree) or leaves != cells:
        raise UnusableBundle(f"expected {len(tree)} nodes and {cells} cells, got {seen} and {leaves}", where="tree")


def whole_member(parent: Layers) -> Member:
    """The member that keeps everything: the parent itself."""
    return Member(tuple(MemberLayer(tuple(range(layer.width))) for layer in parent))


def member_layers(parent: Layers, member: Member) -> Layers:
    """Pack a member: the parent's layers restricted to the member's units, as a network of its own.

    A layer that nobody needs has width 0. Where a layer keeps fewer units than its source (which another layer reads
    too), a `Gather` is put between. The terms of a prefix are zero in the packed row, as ``start`` holds their sum.
    """
    packer = _Packer(parent, member)
    for position in range(len(parent)):
        packer.append(position)
    return tuple(packer.layers)


class _Packer:
    """Builds the member's layers in the parent's order; ``place`` maps parent positions to member positions."""

    def __init__(self, parent: Layers, member: Member) -> None:
        self.parent = parent
        self.member = member
        self.units = [np.array(layer.units, np.int64) for layer in member.layers]
        self.layers: list[Layer] = []
        self.place: list[int] = []

    def append(self, position: int) -> None:
        """Add the restriction of one parent layer."""
        layer, kept = self.parent[position], self.units[position]
        packed: Layer
        match layer:
            case Input():
                packed = layer
            case Dense():
                packed = self._dense(layer, position)
            case Elementwise():
                constant = freeze(layer.constant[kept], np.float32)
                packed = Elementwise(self._only(layer.source, kept), layer.op, constant, layer.name)
            case Relu():
                packed = Relu(self._only(layer.source, kept), len(kept), layer.name)
            case Gather():
                indices = np.searchsorted(self.units[layer.source], layer.indices[kept])
                packed = Gather(self.place[layer.source], freeze(indices, np.int64), layer.name)
            case Concat():
                packed = Concat(self._slices(layer, kept), len(kept), layer.name)
            case Add():
                first, second = (self._only(source, kept) for source in layer.sources)
                packed = Add((first, second), len(kept), layer.name)
        self.place.append(len(self.layers))
        self.layers.append(packed)

    def _only(self, source: int, wanted: NDArray[np.int64]) -> int:
        """Member position of a layer holding just the wanted units of a parent layer."""
        if np.array_equal(self.units[source], wanted):
            return self.place[source]
        indices = freeze(np.searchsorted(self.units[source], wanted), np.int64)
        self.layers.append(Gather(self.place[source], indices, f"{self.parent[source].name}[kept]"))
        return len(self.layers) - 1

    def _slices(self, layer: Concat, kept: NDArray[np.int64]) -> tuple[int, ...]:
        """The sources of a Concat, each restricted to the units that the Concat keeps of it."""
        places, offset = [], 0
        for source in layer.sources:
            width = self.parent[source].width
            places.append(self._only(source, kept[(kept >= offset) & (kept < offset + width)] - offset))
            offset += width
        return tuple(places)

    def _dense(self, layer: Dense, position: int) -> Dense:
        """A Dense layer restricted to kept rows and to the source's kept columns, prefixes and constants applied."""
        kept, source, entry = self.units[position], self.units[layer.source], self.member.layers[position]
        weight, bias, start = layer.weight[np.ix_(kept, source)], layer.bias[kept], layer.start[kept]
        row = {int(unit): index for index, unit in enumerate(kept)}
        for prefix in entry.prefixes:
            weight[row[prefix.unit], source < prefix.first] = 0
            start[row[prefix.unit]] = prefix.value
        for constant in entry.constants:
            weight[row[constant.unit]] = 0
            bias[row[constant.unit]] = constant.value
            start[row[constant.unit]] = 0
        return dense(self.place[layer.source], weight, bias, start, layer.name)
