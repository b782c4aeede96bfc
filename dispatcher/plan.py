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
from dispatcher.layers import (
    Add,
    Concat,
    Dense,
    Elementwise,
    Gather,
    Input,
    Layer,
    Layers,
    Matrix,
    Relu,
    Vector,
    dense,
    freeze,
)
from dispatcher.tree import Leaf, Split, Tree, check_tree

__all__ = [
    "Constant",
    "Decision",
    "Family",
    "Leaf",
    "Member",
    "MemberLayer",
    "Mode",
    "Prefix",
    "Readout",
    "Split",
    "Tree",
    "check_tree",
    "concat_slices",
    "member_layers",
    "whole_member",
]

Mode = Literal["bitwise", "decision", "epsilon"]
Decision = Literal["argmax", "argmin"]  # where the largest, or the smallest, output stands; the first of equal ones


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


@dataclass(frozen=True, eq=False, slots=True)
class Readout:
    """Outputs as an affine function of some of the parent's units.

    Attributes
    ----------
    reads:
        Positions of layers with the units that are read, both ascending: ``((layer, (unit, …)), …)``.
    weight, bias:
        ``[n_out, n_read]``, for the units in this order, and ``[n_out]``; read-only.
    """

    reads: tuple[tuple[int, tuple[int, ...]], ...]
    weight: Matrix
    bias: Vector

    @property
    def affine(self) -> bool:
        """Whether the input alone is read: an affine function is all that is left of the network."""
        return self.reads[-1][0] == 0


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a family: an entry per parent layer. Layer 0 (the input) is always whole.

    In mode ``epsilon`` its outputs may be a ``readout`` of units that it keeps; it keeps no outputs then.
    """

    layers: tuple[MemberLayer, ...]
    readout: Readout | None = None


@dataclass(frozen=True, eq=False)
class Family:
    """The whole plan.

    Attributes
    ----------
    parent:
        The parent's layers.
    lower, upper:
        The closed domain box, float32 ``[n_in]``, finite.
    tree:
        Routing nodes in preorder; node 0 is the root; leaves carry the cells 0, 1, 2, … in this order.
    members:
        Distinct members in the order of their first cell.
    cells:
        The member's index of every cell.
    decision:
        In mode ``decision`` what members and parent have in common; else None.
    epsilon:
        In mode ``epsilon`` the largest difference of each output, float32 ``[n_out]``; else None.

    Raises
    ------
    UnusableBundle
        If domain, tree, members and cells do not fit together.
    """

    mode: Mode
    parent: Layers
    lower: NDArray[np.float32]
    upper: NDArray[np.float32]
    tree: Tree
    members: tuple[Member, ...]
    cells: tuple[int, ...]
    decision: Decision | None = None
    epsilon: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        assert (self.mode == "decision") == (self.decision is not None)
        assert (self.mode == "epsilon") == (self.epsilon is not None)
        bounds = np.zeros(self.parent[-1].width) if self.epsilon is None else self.epsilon
        if bounds.shape != (self.parent[-1].width,) or not (bounds >= 0).all():
            raise UnusableBundle("expected a bound for each output, none of them negative", where="epsilon")
        if self.mode != "epsilon" and any(member.readout for member in self.members):
            raise UnusableBundle("expected no readouts, but in mode epsilon", where="members")
        width, shapes = self.parent[0].width, (self.lower.shape, self.upper.shape)
        if shapes != ((width,), (width,)):
            raise UnusableBundle(f"expected a domain of {width} inputs, got shapes {shapes}", where="domain")
        if not (np.isfinite(self.lower).all() and np.isfinite(self.upper).all() and (self.lower <= self.upper).all()):
            raise UnusableBundle("expected finite corners with lower ≤ upper for every input", where="domain")
        check_tree(self.tree, len(self.cells), self.lower, self.upper)
        if tuple(dict.fromkeys(self.cells)) != tuple(range(len(self.members))):
            raise UnusableBundle("expected every member to be used, in the order of first cells", where="cells")


def whole_member(parent: Layers) -> Member:
    """The member that keeps everything: the parent itself."""
    return Member(tuple(MemberLayer(tuple(range(layer.width))) for layer in parent))


def member_layers(parent: Layers, member: Member) -> Layers:
    """Pack a member: the parent's layers restricted to the member's units, as a network of its own.

    A layer that nobody needs has width 0. Where a layer keeps fewer units than its source (which another layer reads
    too), a `Gather` is put between. The terms of a prefix are zero in the packed row, as ``start`` holds their sum.
    """
    packer, readout = _Packer(parent, member), member.readout
    for position in range(len(parent) if readout is None else readout.reads[-1][0] + 1):
        packer.append(position)
    if readout is not None:
        packer.read(readout)
    return tuple(packer.layers)


def concat_slices(layer: Concat, parent: Layers, kept: NDArray[np.int64]) -> list[tuple[int, NDArray[np.int64]]]:
    """The ascending units ``kept`` of a Concat as (source, units of this source) pairs, one for each source."""
    widths = [parent[source].width for source in layer.sources]
    offsets = np.concatenate([[0], np.cumsum(widths, dtype=np.int64)])
    borders = np.searchsorted(kept, offsets)
    return [
        (source, kept[borders[index] : borders[index + 1]] - offsets[index])
        for index, source in enumerate(layer.sources)
    ]


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
                slices = concat_slices(layer, self.parent, kept)
                packed = Concat(tuple(self._only(*pair) for pair in slices), len(kept), layer.name)
            case Add():
                first, second = (self._only(source, kept) for source in layer.sources)
                packed = Add((first, second), len(kept), layer.name)
        self.place.append(len(self.layers))
        self.layers.append(packed)

    def read(self, readout: Readout) -> None:
        """Add a readout of units of the layers so far."""
        sources = [self._only(layer, np.array(units, np.int64)) for layer, units in readout.reads]
        if len(sources) > 1:
            self.layers.append(Concat(tuple(sources), readout.weight.shape[1], "read"))
            sources = [len(self.layers) - 1]
        self.layers.append(dense(sources[0], readout.weight, readout.bias, name="readout"))

    def _only(self, source: int, wanted: NDArray[np.int64]) -> int:
        """Member position of a layer holding just the wanted units of a parent layer."""
        if np.array_equal(self.units[source], wanted):
            return self.place[source]
        indices = freeze(np.searchsorted(self.units[source], wanted), np.int64)
        self.layers.append(Gather(self.place[source], indices, f"{self.parent[source].name}[kept]"))
        return len(self.layers) - 1

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
        return dense(self.place[layer.source], weight, bias, start, layer.name)
