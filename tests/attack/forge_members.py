"""Forged members and parents: a few bits of a file are not what the certificates prove."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from dispatcher.layers import Dense, Layers, Relu, freeze
from dispatcher.plan import Member, MemberLayer
from slicer.network import Network
from slicer.reduce.member import build_member
from tests.attack.forge import Draft, follows, with_members
from tests.attack.forgery import TRIALS, Forgery, box_sample, cell_sample, shown
from tests.attack.proof import Boxes


def dropped_unit(draft: Draft, rng: np.random.Generator) -> Forgery | None:
    """Leaves a unit out of a member, though the certificate does not claim it."""
    relus = [place for place, layer in enumerate(draft.family.parent) if isinstance(layer, Relu)]
    for cell in rng.integers(0, len(draft.certificates), TRIALS if relus else 0):
        member, place = draft.member(cell), rng.choice(relus)
        units = member.layers[place].units
        gone = rng.choice(units) if units else None
        entry = replace(member.layers[place], units=tuple(unit for unit in units if unit != gone))
        changed = with_members(draft, {cell: replaced(member, place, entry)})
        if forged := shown(changed, cell_sample(draft, [cell], rng)):
            return forged
    return None


def prefix_bit(draft: Draft, rng: np.random.Generator) -> Forgery | None:
    """Flips the lowest bit of the value of a constant prefix."""
    return _changed_entry(draft, rng, "prefixes", lambda prefix: replace(prefix, value=flipped(prefix.value)))


def prefix_length(draft: Draft, rng: np.random.Generator) -> Forgery | None:
    """Makes a constant prefix one term longer, so that this term is lost."""
    return _changed_entry(draft, rng, "prefixes", lambda prefix: replace(prefix, first=prefix.first + 1))


def constant_bit(draft: Draft, rng: np.random.Generator) -> Forgery | None:
    """Flips the lowest bit of a constant unit."""
    return _changed_entry(draft, rng, "constants", lambda constant: replace(constant, value=flipped(constant.value)))


def weight_bit(draft: Draft, rng: np.random.Generator) -> Forgery | None:
    """Flips the lowest bit of one weight of the parent; members and certificates follow from this parent."""
    return _changed_parent(draft, rng, "weight")


def bias_bit(draft: Draft, rng: np.random.Generator) -> Forgery | None:
    """Flips the lowest bit of one bias of the parent; members and certificates follow from this parent."""
    return _changed_parent(draft, rng, "bias")


def flipped(value: np.float32) -> np.float32:
    """The float32 number with its lowest bit flipped."""
    return np.float32((np.asarray(value, np.float32).view(np.uint32) ^ np.uint32(1)).view(np.float32))


def _changed_entry(draft: Draft, rng: np.random.Generator, key: str, change: Callable[[Any], Any]) -> Forgery | None:
    """Changes a prefix or a constant of a member, wherever that member serves."""
    for index, place, entry in list(_entries(draft, key, rng))[:TRIALS]:
        rows = list(getattr(entry, key))
        row = rng.integers(len(rows))
        rows[row] = change(rows[row])
        member = replaced(draft.family.members[index], place, replace(entry, **{key: tuple(rows)}))
        cells = [cell for cell, own in enumerate(draft.family.cells) if own == index]
        changed = with_members(draft, dict.fromkeys(cells, member))
        if forged := shown(changed, cell_sample(draft, cells[:TRIALS], rng)):
            return forged
    return None


def _entries(draft: Draft, key: str, rng: np.random.Generator) -> Iterator[tuple[int, int, MemberLayer]]:
    """Layers of members that have prefixes or constants, in random order: (member, layer, entry)."""
    for index in rng.permutation(len(draft.family.members)):
        for place, entry in enumerate(draft.family.members[index].layers):
            if getattr(entry, key):
                yield int(index), place, entry


def replaced(member: Member, place: int, entry: MemberLayer) -> Member:
    """The member with another entry for one layer."""
    return replace(member, layers=(*member.layers[:place], entry, *member.layers[place + 1 :]))


def _changed_parent(draft: Draft, rng: np.random.Generator, name: str) -> Forgery | None:
    """Flips a bit of a number of the parent that is not zero, such that an output shows it."""
    layers = list(draft.family.parent)
    dense = [place for place, layer in enumerate(layers) if isinstance(layer, Dense) and getattr(layer, name).any()]
    domain = Boxes(draft.family.lower[None], draft.family.upper[None])
    for place in rng.choice(dense, TRIALS) if dense else []:
        numbers = np.array(getattr(layers[place], name))
        chosen = tuple(rng.choice(np.argwhere(numbers)))
        numbers[chosen] = flipped(numbers[chosen])
        forged_layer = replace(layers[place], **{name: freeze(numbers, np.float32)})
        network = Network((*layers[:place], forged_layer, *layers[place + 1 :]))
        cells = range(len(draft.certificates))
        members = {cell: _follows(draft, network.layers, cell) for cell in cells}
        changed = with_members(replace(draft, family=replace(draft.family, parent=network.layers)), members)
        if forged := shown(changed, box_sample(domain, rng)):
            return forged
    return None


def _follows(draft: Draft, parent: Layers, cell: int) -> Member:
    """The member of a cell for another parent, of which a readout reads the same units by the same numbers."""
    removed, readout = draft.removed(cell), draft.member(cell).readout
    if readout is not None:
        return build_member(Network(parent), removed, readout=readout)
    return follows(draft, parent, removed, draft.classes(cell))
