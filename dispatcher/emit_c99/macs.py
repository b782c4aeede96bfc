"""Multiply-accumulates of layout ``masked``."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dispatcher.emit_c99.live import member_macs
from dispatcher.emit_c99.numbering import masked_program, number
from dispatcher.plan import Family


def masked_macs(family: Family) -> NDArray[np.int64]:
    """Multiply-accumulates of every member ``[n_members]`` in layout ``masked``, no more for any input.

    They count units that are not live but computed in one pass with others; in layout ``packed`` there are none, and
    the count is that of `dispatcher.cost`. Without a floating-point unit the C computes live units only. An affine
    member has ``n_out * n_in``; one that reads hidden units has what it walks of the parent, and its weights.
    """
    numbering = number(family.members)
    own = family.parent[-1].width * family.parent[0].width
    macs = np.full(numbering.first + len(numbering.affine), own, np.int64)
    program = masked_program(family.parent, numbering)
    macs[: len(numbering.masked)] = member_macs(family.parent, numbering.masked, program)
    return macs[list(numbering.numbers)]
