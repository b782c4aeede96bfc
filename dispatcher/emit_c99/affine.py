"""Affine members in layout ``masked``: vectors of numbers beside the parent's program.

The tables number them last, so one comparison tells them from others (`dispatcher.emit_c99.numbering`). An affine
member is a place in the table of numbers: the step that reads them is the same for all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dispatcher.emit_c99.program import compile_network
from dispatcher.emit_c99.steps import Step
from dispatcher.layers import Layers, dense
from dispatcher.plan import Member


@dataclass(frozen=True, slots=True)
class AffineTable:
    """The number of the first affine member, and the place of each one's numbers."""

    first: int
    places: tuple[int, ...]


def affine_step(parent: Layers, member: Member) -> Step:
    """What an affine member computes, zeros for inputs that it does not read."""
    assert member.readout is not None
    ((_, units),) = member.readout.reads
    weight = np.zeros((parent[-1].width, parent[0].width), np.float32)
    weight[:, list(units)] = member.readout.weight
    (step,) = compile_network((parent[0], dense(0, weight, member.readout.bias))).steps
    return step
