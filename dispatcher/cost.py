"""What one evaluation of a network costs: multiply-accumulates, connections, ReLU units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dispatcher.layers import Dense, Input, Layers, Relu


@dataclass(frozen=True, slots=True)
class Cost:
    """Counts of one network.

    Attributes
    ----------
    mac:
        Multiply-accumulates per inference: ``n_out · n_in`` summed over packed Dense layers.
    connections:
        Non-zero weights.
    connections_without_input:
        Non-zero weights of Dense layers that read another Dense layer (the count of Serra et al., NeurIPS 2021).
    relu_units:
        Units of all ReLU layers.
    """

    mac: int
    connections: int
    connections_without_input: int
    relu_units: int


def cost(layers: Layers) -> Cost:
    """Counts of a network, parent or packed member."""
    near = _near_input(layers)
    dense = [(position, layer) for position, layer in enumerate(layers) if isinstance(layer, Dense)]
    connections = {position: int(np.count_nonzero(layer.weight)) for position, layer in dense}
    return Cost(
        mac=sum(layer.weight.size for _, layer in dense),
        connections=sum(connections.values()),
        connections_without_input=sum(count for position, count in connections.items() if not near[position]),
        relu_units=sum(layer.width for layer in layers if isinstance(layer, Relu)),
    )


def _near_input(layers: Layers) -> list[bool]:
    """For every layer, whether some way from the input to it meets no Dense layer in between."""
    near: list[bool] = []
    for layer in layers:
        near.append(
            any(
                isinstance(layers[source], Input) or (near[source] and not isinstance(layers[source], Dense))
                for source in layer.sources
            )
        )
    return near
