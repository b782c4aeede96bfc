"""Multiply-accumulates of members, counted for many sets of live units at once.

Invariant: the count is not below that of `dispatcher.cost` for the packed member (`slicer.reduce`), and equal to it in
a chain without zero weights whose layers all keep a unit. Units that became constant, and not zero, count as any other.
It serves choices between cuts and between members, not reports.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from dispatcher.layers import Add, Concat, Dense, Elementwise, Gather, Input, Relu
from slicer.network import Network

Units = NDArray[np.bool_]


class Work:
    """Counts for one network; live sets are in the flat numbering of its ReLU units."""

    def __init__(self, network: Network) -> None:
        self._layers = network.layers
        widths = [network.layers[relu].width for relu in network.relu_layers]
        starts = [0, *np.cumsum(widths, dtype=np.int64).tolist()]
        self._units = {relu: slice(*ends) for relu, ends in zip(network.relu_layers, pairwise(starts), strict=True)}

    def mac(self, live: Units) -> NDArray[np.int64]:
        """Multiply-accumulates ``[…]`` of members with the live units ``[…, n_relu]``."""
        total = np.zeros(live.shape[:-1], np.int64)
        for rows, columns in self.factors(live):
            total += rows.sum(axis=-1) * columns.sum(axis=-1)
        return total

    def factors(self, live: Units) -> list[tuple[Units, Units]]:
        """Rows ``[…, n_out]`` and columns ``[…, n_in]`` of each Dense layer; a union of live sets has their unions."""
        needed = self._needed(live)
        return [
            (needed[position], needed[layer.source])
            for position, layer in enumerate(self._layers)
            if isinstance(layer, Dense)
        ]

    def _needed(self, live: Units) -> list[Units]:
        """Units of every layer that somebody reads ``[…, n]``: as `slicer.reduce.needed` without zero weights."""
        varied = self._varied(live)
        needed = [np.zeros((*live.shape[:-1], layer.width), bool) for layer in self._layers]
        needed[0][...] = needed[-1][...] = True
        for position in range(len(self._layers) - 1, 0, -1):
            layer, units = self._layers[position], needed[position]
            match layer:
                case Input():
                    raise AssertionError("only layer 0 is an input")
                case Dense():
                    needed[layer.source] |= varied[layer.source]
                case Relu() | Elementwise():
                    needed[layer.source] |= units
                case Gather():
                    for unit, source in enumerate(layer.indices):
                        needed[layer.source][..., source] |= units[..., unit]
                case Concat():
                    widths = [self._layers[source].width for source in layer.sources]
                    for source, part in zip(layer.sources, np.split(units, np.cumsum(widths)[:-1], -1), strict=True):
                        needed[source] |= part
                case Add():
                    for source in layer.sources:
                        needed[source] |= units
        return needed

    def _varied(self, live: Units) -> list[Units]:
        """Units of every layer that are not known to be zero ``[…, n]``."""
        varied: list[Units] = []
        for position, layer in enumerate(self._layers):
            match layer:
                case Relu():
                    varied.append(live[..., self._units[position]])
                case Elementwise() if layer.op != "add":
                    varied.append(varied[layer.source])
                case Input() | Dense() | Elementwise():
                    varied.append(np.ones((*live.shape[:-1], layer.width), bool))
                case Gather():
                    varied.append(varied[layer.source][..., layer.indices])
                case Concat():
                    varied.append(np.concatenate([varied[source] for source in layer.sources], axis=-1))
                case Add():
                    varied.append(varied[layer.sources[0]] | varied[layer.sources[1]])
        return varied
