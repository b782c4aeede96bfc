"""How much of its bounds a bundle of mode ``epsilon`` uses, by what a hunt found, with the interpreter's word for it."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping

import numpy as np

from dispatcher.interpret import eval32
from dispatcher.plan import member_layers
from tests.attack.judge import Finding
from tests.attack.promise import bounds_of, has_readout, shares_of
from tests.attack.shares import Shares
from tests.attack.target import Target


def tightness(target: Target, found: Mapping[str, Finding]) -> dict[str, object] | None:
    """The largest differences that a hunt found, as JSON; None in other modes.

    Raises
    ------
    AssertionError
        If the interpreter sees another difference than the compiled judge.
    """
    seen = [finding.shares for finding in found.values() if finding.shares is not None]
    if not seen:
        return None
    shares: Shares = functools.reduce(lambda a, b: a | b, seen)
    close = has_readout(target.bundle.family)
    values = shares.values[close]
    rows = [_cell_record(target, int(cell), shares) for cell in np.flatnonzero(shares.values > 0)]
    return {
        "epsilon": [float(bound).hex() for bound in bounds_of(target.bundle.family).max(axis=0)],
        "readouts": int(close.sum()),
        "readouts_only": bool(close.all()),
        "exact": "some" if shares.values[~close].any() else "no",
        "share": shares.largest if math.isfinite(shares.largest) else None,
        "least": float(values.min()) if len(values) else 0.0,
        "median": float(np.median(values)) if len(values) else 0.0,
        "worst": max(rows, key=lambda row: shares.values[row["cell"]], default=None),
        "cells": rows,
    }


def _cell_record(target: Target, cell: int, shares: Shares) -> dict:
    """The largest difference in one cell, evaluated once more by the reference interpreter."""
    family, point = target.bundle.family, shares.points[cell]
    member = member_layers(family.parent, family.members[family.cells[cell]])
    outputs, expected = eval32(member, point[None])[0], eval32(target.network.layers, point[None])[0]
    bounds = bounds_of(family)[cell]
    share = shares_of(outputs, expected, bounds)
    output = int(share.argmax())
    assert share[output] == shares.values[cell], (cell, share[output], shares.values[cell])
    return {
        "cell": cell,
        "output": output,
        "share": float(share[output]) if math.isfinite(share[output]) else None,
        "difference": (float(outputs[output]) - float(expected[output])).hex(),
        "bound": float(bounds[output]).hex(),
        "input": [float(number).hex() for number in point],
    }
