"""`Network`: an immutable directed acyclic graph of layers, checked once on construction.

The layer vocabulary and its declared evaluation live in `dispatcher.layers`; this class adds what the prover needs to
know about the graph. Layers are in topological order, layer 0 is the input, the last layer the output.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from dispatcher.cost import cost
from dispatcher.encode import digest
from dispatcher.errors import UnusableInput
from dispatcher.files import network_bytes
from dispatcher.layers import Dense, Layers, Relu, check_layers

if TYPE_CHECKING:
    import networkx as nx

# γ_m = m·u/(1 − m·u) needs m·u well below 1; the certificate format states the limit (CERTIFICATE.md §4).
MAX_FAN_IN = 1 << 20


@dataclass(frozen=True, eq=False)
class Network:
    """A feed-forward network.

    Attributes
    ----------
    layers:
        Layers in topological order; arrays are float32 and read-only.

    Raises
    ------
    UnusableInput
        If a shape does not fit, a number is NaN or infinite, a layer feeds nothing, or a fan-in exceeds 2^20.
    """

    layers: Layers

    def __post_init__(self) -> None:
        check_layers(self.layers)
        for position, layer in enumerate(self.layers):
            if isinstance(layer, Dense) and layer.weight.shape[1] + 1 > MAX_FAN_IN:
                raise UnusableInput(
                    f"expected at most {MAX_FAN_IN - 1} inputs of a dense layer, got {layer.weight.shape[1]}",
                    where=f"layer {position} ({layer.name!r})",
                )
        unread = [p for p in self.graph if self.graph.out_degree(p) == 0 and p not in (0, len(self.layers) - 1)]
        if unread:
            layer = self.layers[unread[0]]
            raise UnusableInput("expected every layer to be read", where=f"layer {unread[0]} ({layer.name!r})")

    @cached_property
    def graph(self) -> nx.DiGraph:
        """Layer positions, with an edge from every source to its reader."""
        import networkx as nx  # noqa: PLC0415 - takes a tenth of a second, which every worker of an audit would spend

        graph = nx.DiGraph()
        graph.add_nodes_from(range(len(self.layers)))
        graph.add_edges_from((source, p) for p, layer in enumerate(self.layers) for source in layer.sources)
        return graph

    @property
    def n_in(self) -> int:
        """Number of inputs."""
        return self.layers[0].width

    @property
    def n_out(self) -> int:
        """Number of outputs."""
        return self.layers[-1].width

    @cached_property
    def relu_layers(self) -> tuple[int, ...]:
        """Positions of the ReLU layers, ascending."""
        return tuple(p for p, layer in enumerate(self.layers) if isinstance(layer, Relu))

    @cached_property
    def relu_units(self) -> int:
        """Number of ReLU units."""
        return sum(self.layers[p].width for p in self.relu_layers)

    @cached_property
    def content(self) -> bytes:
        """Canonical bytes (``family/parent.json``)."""
        return network_bytes(self.layers)

    @cached_property
    def digest(self) -> str:
        """Sha256 of `content`."""
        return digest(self.content)

    def describe(self) -> str:
        """Shape in one line, such as ``5-50-50-5 (300 ReLUs, 13,000 MAC)``."""
        widths = [self.n_in, *(layer.width for layer in self.layers if isinstance(layer, Dense))]
        shape = "-".join(str(width) for width in widths)
        return f"{shape} ({self.relu_units} ReLUs, {cost(self.layers).mac:,} MAC)"
