"""`Packed`: a packed member in float64, for choosing points: its own values and gradients, not the parent's.

What a member has lost, for good reasons or not, is missing here as well.
"""

from __future__ import annotations

import numpy as np

from dispatcher.layers import Add, Concat, Dense, Elementwise, Gather, Layers, Relu
from dispatcher.plan import Member, member_layers


class Packed:
    """A member of a parent; layers may be without units."""

    def __init__(self, parent: Layers, member: Member) -> None:
        self.layers = member_layers(parent, member)

    def values(self, points: np.ndarray) -> list[np.ndarray]:
        """All layers ``[m, n]`` at points ``[m, n_in]``."""
        values = [points.astype(np.float64)]
        for layer in self.layers[1:]:
            given = [values[source] for source in layer.sources]
            match layer:
                case Dense():
                    value = given[0] @ layer.weight.T.astype(np.float64) + layer.start + layer.bias
                case Elementwise(op="add"):
                    value = given[0] + layer.constant
                case Elementwise():
                    value = given[0] * _factor(layer)
                case Relu():
                    value = np.maximum(given[0], 0)
                case Gather():
                    value = given[0][:, layer.indices]
                case Concat():
                    value = np.concatenate(given, axis=1)
                case _:
                    value = given[0] + given[1]
            values.append(value)
        return values

    def slopes(self, points: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        """The gradient of an output ``[m]`` at a point of its own, ``[m, n_in]``; relu has the slope 0 at 0."""
        values = self.values(points)
        pending = [np.zeros_like(value) for value in values]
        pending[-1][np.arange(len(outputs)), outputs] = 1
        for position in range(len(self.layers) - 1, 0, -1):
            layer, slope = self.layers[position], pending[position]
            match layer:
                case Dense():
                    pending[layer.source] += slope @ layer.weight.astype(np.float64)
                case Elementwise():
                    pending[layer.source] += slope if layer.op == "add" else slope * _factor(layer)
                case Relu():
                    pending[layer.source] += slope * (values[layer.source] > 0)
                case Gather():
                    np.add.at(pending[layer.source].T, layer.indices, slope.T)
                case Concat():
                    widths = [self.layers[source].width for source in layer.sources]
                    for source, part in zip(
                        layer.sources, np.split(slope, np.cumsum(widths)[:-1], axis=1), strict=True
                    ):
                        pending[source] += part
                case Add():
                    for source in layer.sources:
                        pending[source] += slope
        return pending[0]


def _factor(layer: Elementwise) -> np.ndarray:
    """What a product or quotient multiplies units with."""
    constant = layer.constant.astype(np.float64)
    return constant if layer.op == "mul" else 1 / constant
