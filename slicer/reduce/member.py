"""The member of a cell: the parent less everything that the removed units make superfluous.

Requires: a set of units that are inactive on the cell; a readout is within its bounds there (its certificate says so).
Does: constants (also of outputs that cannot win), prefixes and needed units, in this order, once, and puts the readout
in the place of what it does not read; the result is the member of CERTIFICATE.md §3.
Ensures: eval32 of the member equals eval32 of the parent (==) wherever the removed units are inactive, but for outputs
of a readout, which are within their bounds.
Reference: a readout of the inputs of a cell without unstable units is the folding of stable layers by Serra et al.,
*Scaling Up Exact Neural Network Compression by ReLU Stability* (NeurIPS 2021), here with a tolerance.
"""

from __future__ import annotations

from collections.abc import Mapping, Set

import numpy as np

from dispatcher.layers import Dense
from dispatcher.plan import Constant, Member, MemberLayer, Readout
from slicer.network import Network
from slicer.reduce.constants import Constants, constant_units
from slicer.reduce.needed import Mask, needed_units
from slicer.reduce.prefixes import constant_prefix

Removed = Mapping[int, Set[int]]


def build_member(
    network: Network,
    removed: Removed,
    fixed: Mapping[int, np.float32] | None = None,
    readout: Readout | None = None,
) -> Member:
    """The member for the given removed units of each ReLU layer (by position).

    ``fixed`` has the outputs that are constant whatever they read, with their values (`slicer.reduce.classes`); with a
    ``readout`` the units that it reads are needed instead of outputs.
    """
    constants = constant_units(network, removed)
    for output, value in (fixed or {}).items():
        constants[-1].known[output], constants[-1].value[output] = True, value
    needed = needed_units(network, constants, None if readout is None else readout.reads)
    return Member(tuple(_entry(network, p, constants, needed[p]) for p in range(len(network.layers))), readout)


def _entry(network: Network, position: int, constants: list[Constants], needed: Mask) -> MemberLayer:
    """What is left of one layer."""
    layer, units = network.layers[position], np.flatnonzero(needed)
    indices = tuple(int(unit) for unit in units)
    if not isinstance(layer, Dense):
        return MemberLayer(indices)
    known, value = constants[position].known, constants[position].value
    prefixes = (constant_prefix(layer, unit, constants[layer.source]) for unit in indices if not known[unit])
    return MemberLayer(
        indices,
        tuple(prefix for prefix in prefixes if prefix is not None),
        tuple(Constant(unit, value[unit]) for unit in indices if known[unit]),
    )
