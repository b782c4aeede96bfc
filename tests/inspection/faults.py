"""Copies of a family with one planted fault, and what such a copy answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from dispatcher.evaluate import Evaluator
from dispatcher.layers import Dense, Layers
from dispatcher.plan import Family, Split, Tree, member_layers
from dispatcher.route import Router


@dataclass(frozen=True, eq=False)
class Copy:
    """What a device holds: a routing tree, the member of every cell, packed members."""

    tree: Tree
    cells: tuple[int, ...]
    members: tuple[Layers, ...]

    def answers(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Cells ``[n]`` and outputs ``[n, n_out]``."""
        cells = Router(self.tree)(points)
        outputs = np.empty((len(points), self.members[0][-1].width), np.float32)
        served = np.array(self.cells)[cells]
        for member in np.unique(served):
            outputs[served == member] = Evaluator(self.members[member])(points[served == member])
        return cells, outputs


Fault = Callable[[Copy, np.random.Generator], Copy]


def copy_of(family: Family) -> Copy:
    """A copy without a fault."""
    members = tuple(member_layers(family.parent, member) for member in family.members)
    return Copy(family.tree, family.cells, members)


def flipped_bit(copy: Copy, rng: np.random.Generator) -> Copy:
    """One bit of one weight of one member flipped: every stored bit is equally likely."""
    places = [
        (member, position)
        for member, layers in enumerate(copy.members)
        for position, layer in enumerate(layers)
        if isinstance(layer, Dense) and layer.weight.size
    ]
    sizes = np.array([copy.members[member][position].weight.size for member, position in places])
    member, position = places[rng.choice(len(places), p=sizes / sizes.sum())]
    layer = copy.members[member][position]
    bits = layer.weight.copy().view(np.uint32)
    bits.flat[rng.integers(bits.size)] ^= np.uint32(1 << int(rng.integers(32)))
    layers = list(copy.members[member])
    layers[position] = replace(layer, weight=bits.view(np.float32))
    return replace(copy, members=(*copy.members[:member], tuple(layers), *copy.members[member + 1 :]))


def wrong_member(copy: Copy, rng: np.random.Generator) -> Copy:
    """One cell served by another cell's member."""
    cell = int(rng.integers(len(copy.cells)))
    others = [member for member in range(len(copy.members)) if member != copy.cells[cell]]
    return replace(copy, cells=(*copy.cells[:cell], int(rng.choice(others)), *copy.cells[cell + 1 :]))


def moved_threshold(copy: Copy, rng: np.random.Generator) -> Copy:
    """One threshold off by one ulp, up or down."""
    splits = [position for position, node in enumerate(copy.tree) if isinstance(node, Split)]
    position = int(rng.choice(splits))
    node = copy.tree[position]
    moved = np.nextafter(np.float32(node.threshold), np.float32(rng.choice([-np.inf, np.inf])))
    tree = (*copy.tree[:position], replace(node, threshold=float(moved)), *copy.tree[position + 1 :])
    return replace(copy, tree=tree)


FAULTS: dict[str, Fault] = {
    "flipped bit": flipped_bit,
    "wrong member": wrong_member,
    "moved threshold": moved_threshold,
}


def differs(copy: Copy, points: np.ndarray, expected: tuple[np.ndarray, np.ndarray], *, cells: bool = True) -> bool:
    """Whether a copy answers some point otherwise than expected; with or without its cells."""
    answered = copy.answers(points)
    wrong = ~((answered[1] == expected[1]) | (np.isnan(answered[1]) & np.isnan(expected[1]))).all(axis=1)
    return bool((wrong | (cells & (answered[0] != expected[0]))).any())
