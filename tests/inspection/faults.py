"""Copies of a family with one planted fault, and what such a copy answers.

A packed copy holds every member's weights; a masked one the parent's, once, and for every member which units are live,
or an affine member's weights. Members that end in a readout of hidden units have its weights besides; those that
several have in common are flipped for one member here, which is harder to see.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from dispatcher.emit_c99 import Layout
from dispatcher.evaluate import Evaluator
from dispatcher.layers import Dense, Layers, Relu, freeze
from dispatcher.plan import Family, Member, MemberLayer, Readout, Split, Tree, member_layers
from dispatcher.route import Router


@dataclass(frozen=True, eq=False)
class Copy:
    """What a device holds: a routing tree, the member of every cell, packed members; and the family that it copies."""

    tree: Tree
    cells: tuple[int, ...]
    members: tuple[Layers, ...]
    family: Family

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
    return Copy(family.tree, family.cells, members, family)


def flipped_bit(copy: Copy, rng: np.random.Generator) -> Copy:
    """One bit of one weight of one member flipped: every stored bit is equally likely."""
    member, layers = _flip(copy.members, rng)
    return replace(copy, members=(*copy.members[:member], layers, *copy.members[member + 1 :]))


def flipped_shared_bit(copy: Copy, rng: np.random.Generator) -> Copy:
    """One bit flipped of one of the parent's weights, which all but affine members read, or of one of a readout."""
    readouts = [index for index, member in enumerate(copy.family.members) if member.readout is not None]
    flipped, layers = _flip((copy.family.parent, *(copy.members[index][-1:] for index in readouts)), rng)
    members = list(copy.members)
    if flipped:
        members[readouts[flipped - 1]] = (*members[readouts[flipped - 1]][:-1], *layers)
    else:
        members = [member_layers(layers, member) for member in copy.family.members]
    return replace(copy, members=tuple(members))


def _flip(networks: Sequence[Layers], rng: np.random.Generator) -> tuple[int, Layers]:
    """The number of one of the networks, and that network with one bit of a weight flipped."""
    places = [
        (network, position)
        for network, layers in enumerate(networks)
        for position, layer in enumerate(layers)
        if isinstance(layer, Dense) and layer.weight.size
    ]
    sizes = np.array([networks[network][position].weight.size for network, position in places])
    network, position = places[rng.choice(len(places), p=sizes / sizes.sum())]
    layer = networks[network][position]
    bits = layer.weight.copy().view(np.uint32)
    bits.flat[rng.integers(bits.size)] ^= np.uint32(1 << int(rng.integers(32)))
    return network, (
        *networks[network][:position],
        replace(layer, weight=bits.view(np.float32)),
        *networks[network][position + 1 :],
    )


def flipped_mask(copy: Copy, rng: np.random.Generator) -> Copy:
    """One live unit of a set lost, or another one taken for live, in every member that chooses this set."""
    parent, members = copy.family.parent, copy.family.members
    relus = [position for position, layer in enumerate(parent) if isinstance(layer, Relu) and layer.width]
    while True:
        position, member = int(rng.choice(relus)), members[rng.integers(len(members))]
        units, source = member.layers[position].units, parent[position].source
        plain = isinstance(parent[source], Dense) and member.layers[source] == MemberLayer(units)  # no special units
        if plain and _walks(member, position):
            break
    flipped = MemberLayer(tuple(sorted({*units} ^ {int(rng.integers(parent[position].width))})))
    changed = []
    for one in members:
        layers, readout = list(one.layers), one.readout
        if _walks(one, position) and layers[source] == MemberLayer(units):
            layers[source] = layers[position] = flipped
            readout = None if readout is None else _of_units(readout, position, flipped.units)
        changed.append(member_layers(parent, Member(tuple(layers), readout)))
    return replace(copy, members=tuple(changed))


def _walks(member: Member, position: int) -> bool:
    """Whether a member computes a layer, and does not only add it up: all that it reads of the layer could be lost."""
    if member.readout is None:
        return True
    return any(layer > position or (layer == position and len(units) > 1) for layer, units in member.readout.reads)


def _of_units(readout: Readout, position: int, units: tuple[int, ...]) -> Readout:
    """A readout of those units of a layer that are left: lost ones add nothing, further ones are not read."""
    reads, kept, first = [], [], 0
    for layer, own in readout.reads:
        left = [place for place, unit in enumerate(own) if layer != position or unit in units]
        kept += [first + place for place in left]
        reads += [(layer, tuple(own[place] for place in left))] if left else []
        first += len(own)
    return Readout(tuple(reads), freeze(readout.weight[:, kept], np.float32), readout.bias)


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


FAULTS: dict[Layout, dict[str, Fault]] = {
    "packed": {"flipped bit": flipped_bit, "wrong member": wrong_member, "moved threshold": moved_threshold},
    "masked": {
        "flipped bit": flipped_shared_bit,
        "flipped bit of a mask": flipped_mask,
        "wrong member": wrong_member,
        "moved threshold": moved_threshold,
    },
}


def differs(copy: Copy, points: np.ndarray, expected: tuple[np.ndarray, np.ndarray], *, cells: bool = True) -> bool:
    """Whether a copy answers some point otherwise than expected; with or without its cells."""
    answered = copy.answers(points)
    wrong = ~((answered[1] == expected[1]) | (np.isnan(answered[1]) & np.isnan(expected[1]))).all(axis=1)
    return bool((wrong | (cells & (answered[0] != expected[0]))).any())
