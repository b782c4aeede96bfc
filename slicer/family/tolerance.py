"""How much outputs may differ in mode ``epsilon``: from what the user says to a float32 bound for each output.

A share of an output's range means the range of its values at seeded points of the domain, corners among them: no more
than the true range, so that bounds are rather too small than too large.
"""

from __future__ import annotations

import math

import numpy as np

from dispatcher.errors import UnusableInput
from dispatcher.interpret import eval32
from slicer.box import Box
from slicer.network import Network
from slicer.search.falsify import sample_points

BATCHES = 16  # of about a thousand points each


def bounds(epsilon: str | float, network: Network, domain: Box) -> tuple[float, ...]:
    """The bound of every output, rounded down to float32.

    Raises
    ------
    UnusableInput
        If it is no positive number, or one followed by ``%``.
    """
    text = str(epsilon).strip()
    number, relative = text.removesuffix("%"), text.endswith("%")
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not 0 < value < float(np.finfo(np.float32).max):
        raise UnusableInput(f"expected a positive number, or one followed by %, got {text[:40]!r}", where="--epsilon")
    if not relative:
        return (_down(value),) * network.n_out
    rng = np.random.default_rng(0)
    points = np.concatenate([sample_points(domain, rng) for _ in range(BATCHES)]).astype(np.float32)
    outputs = eval32(network.layers, points).astype(np.float64)
    return tuple(_down(float(width)) for width in value / 100 * (outputs.max(axis=0) - outputs.min(axis=0)))


def _down(value: float) -> float:
    """The largest float32 number that is no larger."""
    nearest = np.float32(value)
    return float(nearest if float(nearest) <= value else np.nextafter(nearest, np.float32(0)))
