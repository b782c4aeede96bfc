"""Constant prefixes of dense units.

Requires: the constants of the source layer (`slicer.reduce.constants`).
Does: sums the terms of a unit before its first non-constant one, at build time.
Ensures: starting the accumulator from this sum and leaving those terms out changes no bit.
Proof: it is the parent's accumulator after the same terms in the same order (CERTIFICATE.md §3).
Reference: partial evaluation; the order is what makes it exact, so later constants stay in place.
"""

from __future__ import annotations

import numpy as np

from dispatcher.layers import Dense
from dispatcher.plan import Prefix
from slicer.reduce.constants import Constants, accumulate


def first_variable(layer: Dense, unit: int, source: Constants) -> int:
    """The least j whose weight is not zero and whose source unit is not constant (the fan-in if there is none)."""
    variable = np.flatnonzero((layer.weight[unit] != 0) & ~source.known)
    return int(variable[0]) if len(variable) else layer.weight.shape[1]


def constant_prefix(layer: Dense, unit: int, source: Constants) -> Prefix | None:
    """The unit's prefix; None if all its terms before ``first`` are zero, so that nothing is to be recorded."""
    first = first_variable(layer, unit, source)
    terms = (layer.weight[unit, :first] != 0) & (source.value[:first] != 0)
    if not terms.any():
        return None
    return Prefix(unit, first, accumulate(layer, unit, source.value, first))
