"""Affine members in layout ``masked``: vectors of numbers beside the parent's program.

The tables number the members anew: first those that keep units of the parent, then the affine ones. So one comparison
tells them apart, and an affine member is a place in the table of numbers: the step that reads them is the same for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dispatcher.emit_c99.live import member_macs
from dispatcher.emit_c99.program import compile_network
from dispatcher.emit_c99.steps import Program, Step
from dispatcher.layers import Layers
from dispatcher.plan import Family, Member, member_layers


@dataclass(frozen=True, slots=True)
class AffineTable:
    """The number of the first affine member, and the place of each one's numbers."""

    first: int
    places: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Numbering:
    """Members in the order of layout ``masked``.

    Attributes
    ----------
    masked, affine:
        Those that keep units of the parent, and affine ones, each in the order that they came in.
    first:
        The number of the first affine one: at least 1, as C has no empty arrays.
    numbers:
        The number of every member, in the order that they came in.
    """

    masked: tuple[Member, ...]
    affine: tuple[Member, ...]
    first: int
    numbers: tuple[int, ...]


def number(members: Sequence[Member]) -> Numbering:
    """Number members: those that keep units from 0 on, affine ones after them."""
    masked = tuple(member for member in members if member.readout is None)
    affine = tuple(member for member in members if member.readout is not None)
    first = max(1, len(masked))
    following = {False: iter(range(len(masked))), True: iter(range(first, first + len(affine)))}
    return Numbering(masked, affine, first, tuple(next(following[member.readout is not None]) for member in members))


def masked_program(parent: Layers, numbering: Numbering) -> Program:
    """The program of the members that keep units: the parent's; without such members one of no steps."""
    if numbering.masked:
        return compile_network(parent)
    return Program((parent[0].width, parent[-1].width), (), 0, 1)


def affine_step(parent: Layers, member: Member) -> Step:
    """What an affine member computes."""
    (step,) = compile_network(member_layers(parent, member)).steps
    return step


def masked_macs(family: Family) -> NDArray[np.int64]:
    """Multiply-accumulates of every member ``[n_members]`` in layout ``masked``, no more for any input.

    They count units that are not live but computed in one pass with others; in layout ``packed`` there are none, and
    the count is that of `dispatcher.cost`. Without a floating-point unit the C computes live units only. An affine
    member has ``n_out * n_in``.
    """
    numbering = number(family.members)
    own = family.parent[-1].width * family.parent[0].width
    macs = np.full(numbering.first + len(numbering.affine), own, np.int64)
    program = masked_program(family.parent, numbering)
    macs[: len(numbering.masked)] = member_macs(family.parent, numbering.masked, program)
    return macs[list(numbering.numbers)]
