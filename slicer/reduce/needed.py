"""Units nobody reads.

Requires: the constants of every layer (`slicer.reduce.constants`).
Does: walks back from the outputs, or from the units that a readout reads, and collects the units that the member still
has to compute.
Ensures: every operand that can change a bit of an output is kept.
Proof: CERTIFICATE.md §3. A dense unit does not need terms with weight zero, terms that are exactly zero (omission, §2)
and the terms of its prefix; a constant dense unit needs nothing.
Reference: dead-code elimination; a zero weight is an edge that does not exist.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dispatcher.layers import Add, Concat, Dense, Elementwise, Gather, Input, Relu
from slicer.network import Network
from slicer.reduce.constants import Constants
from slicer.reduce.prefixes import first_variable

Mask = NDArray[np.bool_]


def needed_units(
    network: Network, constants: list[Constants], reads: Sequence[tuple[int, Sequence[int]]] | None = None
) -> list[Mask]:
    """Which units of every layer are needed, ``[n]`` per layer, for all outputs or for ``reads``: (layer, units)."""
    needed = [np.zeros(layer.width, bool) for layer in network.layers]
    needed[0][:] = True
    for position, units in [(-1, range(network.n_out))] if reads is None else reads:
        needed[position][list(units)] = True
    for position in range(len(network.layers) - 1, 0, -1):
        _mark_sources(network, position, constants, needed)
    return needed


def _mark_sources(network: Network, position: int, constants: list[Constants], needed: list[Mask]) -> None:
    """Mark what the needed units of one layer read."""
    layer, units = network.layers[position], needed[position]
    match layer:
        case Input():
            return
        case Dense():
            for unit in np.flatnonzero(units & ~constants[position].known):
                needed[layer.source] |= _dense_reads(layer, int(unit), constants[layer.source])
        case Relu() | Elementwise():
            needed[layer.source] |= units
        case Gather():
            needed[layer.source][layer.indices[units]] = True
        case Concat():
            widths = [network.layers[source].width for source in layer.sources]
            for source, part in zip(layer.sources, np.split(units, np.cumsum(widths)[:-1]), strict=True):
                needed[source] |= part
        case Add():
            for source in layer.sources:
                needed[source] |= units


def _dense_reads(layer: Dense, unit: int, source: Constants) -> Mask:
    """Source units whose term can change the unit's bits."""
    reads: Mask = (layer.weight[unit] != 0) & ~(source.known & (source.value == 0))
    reads[: first_variable(layer, unit, source)] = False
    return reads
