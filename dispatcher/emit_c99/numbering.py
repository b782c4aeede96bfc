"""How layout ``masked`` numbers members: first readouts of hidden units, then exact ones, then affine ones.

So one comparison tells what a member is, and the rows of its kind have no gaps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from dispatcher.emit_c99.program import compile_network
from dispatcher.emit_c99.steps import Program
from dispatcher.layers import Layers
from dispatcher.plan import Member

_Kind = Literal["readout", "exact", "affine"]


@dataclass(frozen=True, slots=True)
class Numbering:
    """Members in the order of layout ``masked``.

    Attributes
    ----------
    readouts, exact, affine:
        Those that end in a readout of hidden units, those that keep the outputs, and those that read the input alone,
        each in the order that they came in.
    first:
        The number of the first affine one: at least 1, as C has no empty arrays.
    numbers:
        The number of every member, in the order that they came in.
    """

    readouts: tuple[Member, ...]
    exact: tuple[Member, ...]
    affine: tuple[Member, ...]
    first: int
    numbers: tuple[int, ...]

    @property
    def masked(self) -> tuple[Member, ...]:
        """Those that keep units of the parent."""
        return self.readouts + self.exact


def number(members: Sequence[Member]) -> Numbering:
    """Number members."""
    groups: dict[_Kind, list[Member]] = {"readout": [], "exact": [], "affine": []}
    for member in members:
        groups[_kind(member)].append(member)
    readouts, exact, affine = (tuple(group) for group in groups.values())
    first = max(1, len(readouts) + len(exact))
    following = {"readout": iter(range(first)), "exact": iter(range(len(readouts), first))}
    following |= {"affine": iter(range(first, first + len(affine)))}
    return Numbering(readouts, exact, affine, first, tuple(next(following[_kind(member)]) for member in members))


def _kind(member: Member) -> _Kind:
    """What a member is."""
    if member.readout is None:
        return "exact"
    return "affine" if member.readout.affine else "readout"


def masked_program(parent: Layers, numbering: Numbering) -> Program:
    """The program of the members that keep units: the parent's; without such members one of no steps."""
    if numbering.masked:
        reads = [one.readout.reads for one in numbering.readouts if one.readout]
        return compile_network(parent, {layer for read in reads for layer, _ in read})
    return Program((parent[0].width, parent[-1].width), (), 0, 1)
