"""`GraphBuilder`: collects nodes and constants of one graph; equal constants are stored once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from dispatcher.emit_onnx import proto
from dispatcher.encode import digest

_NONE: Mapping[str, int | Sequence[int]] = {}


class GraphBuilder:
    """A graph from float32 ``inputs [batch, n_in]``."""

    def __init__(self) -> None:
        self._nodes: list[bytes] = []
        self._initializers: dict[str, bytes] = {}
        self._numbers: dict[str, int] = {}

    def add(
        self,
        op: str,
        inputs: Sequence[str],
        *,
        output: str = "",
        attributes: Mapping[str, int | Sequence[int]] = _NONE,
    ) -> str:
        """Append a node; returns the name of its output, a new one unless it is given."""
        if not output:
            self._numbers[op] = self._numbers.get(op, -1) + 1
            output = f"{op}_{self._numbers[op]}"
        self._nodes.append(proto.node(op, inputs, output, attributes))
        return output

    def floats(self, values: NDArray[np.float32] | Sequence[float]) -> str:
        """The name of a float32 constant."""
        return self._constant(np.asarray(values, np.float32))

    def integers(self, values: NDArray[np.int64] | Sequence[int] | int) -> str:
        """The name of an int64 constant."""
        return self._constant(np.asarray(values, np.int64))

    def _constant(self, values: proto.Array) -> str:
        key = digest(f"{values.dtype} {values.shape} ".encode() + values.tobytes())
        name = f"constant_{key[:32]}"
        if name not in self._initializers:
            self._initializers[name] = proto.tensor(name, values)
        return name

    def graph(self, name: str, n_in: int, n_out: int, *, cells: bool = False) -> bytes:
        """The graph with outputs ``outputs [batch, n_out]`` and, if asked for, ``cells [batch]``."""
        outputs = [proto.value_info("outputs", width=n_out)]
        if cells:
            outputs.append(proto.value_info("cells", width=None, integer=True))
        inputs = [proto.value_info("inputs", width=n_in)]
        return proto.graph(name, self._nodes, list(self._initializers.values()), inputs, outputs)
