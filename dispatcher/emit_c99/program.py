"""A network as a program: a short list of steps, each of which computes one buffer from other buffers.

The steps stand in the network's order and follow its declared evaluation. Three liberties keep every bit: layers that
the output does not depend on, or that have no units, give no step; a ReLU that is the only reader of a Dense layer is
part of the Dense step; an element-wise layer works in place if nobody reads its source afterwards.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet

import numpy as np
from numpy.typing import NDArray

from dispatcher.emit_c99.lists import hand_on_lists
from dispatcher.emit_c99.steps import Kind, Program, Step, Value
from dispatcher.layers import Add, Concat, Dense, Elementwise, Gather, Layer, Layers, Relu

_ELEMENTWISE = {"add": Kind.PLUS, "mul": Kind.TIMES, "div": Kind.DIVIDED}


def compile_network(layers: Layers, read: AbstractSet[int] = frozenset()) -> Program:
    """The program of a network, parent or packed member.

    Layers that are ``read`` besides, by readouts, have values of their own, whether or not the output depends on them.
    """
    compiler = _Compiler(layers, read)
    values = [Value(0, 0, 0)] if 0 in read else []
    for position in range(1, len(layers)):
        if compiler.last_use[position] >= 0 and layers[position].width:
            compiler.append(position)
            if position in read:
                values.append(Value(position, len(compiler.steps), compiler.buffer[position]))
    last = len(layers) - 1
    buffers = compiler.buffer[0], compiler.buffer[last]
    return hand_on_lists(Program(tuple(compiler.widths), tuple(compiler.steps), *buffers, tuple(values)))


def last_uses(layers: Layers, read: AbstractSet[int] = frozenset()) -> list[int]:
    """Position of every layer's last reader among the layers that the output, or one ``read``, depends on.

    ``len(layers)`` for the output; a layer that is read counts as a reader of itself. −1 for a layer that nothing of
    these depends on.
    """
    last = [position if position in read else -1 for position in range(len(layers))]
    last[-1] = len(layers)
    for position in reversed(range(len(layers))):
        if last[position] >= 0:
            for source in layers[position].sources:
                last[source] = max(last[source], position)
    return last


class _Compiler:
    """Builds steps in the layers' order; ``buffer`` maps a layer's position to the buffer with its value."""

    def __init__(self, layers: Layers, read: AbstractSet[int]) -> None:
        self.layers = layers
        self.last_use = last_uses(layers, read)
        self.widths = [layers[0].width]
        self.buffer = {0: 0}
        self.fused = self._fused(read)
        self.steps: list[Step] = []

    def _fused(self, apart: AbstractSet[int]) -> set[int]:
        """Positions of the ReLUs that are the only reader of a Dense layer, if it is not one of those ``apart``."""
        readers: list[list[int]] = [[] for _ in self.layers]
        for position, layer in enumerate(self.layers):
            if self.last_use[position] >= 0:
                for source in layer.sources:
                    readers[source].append(position)
        return {
            read[0]
            for position, read in enumerate(readers)
            if isinstance(self.layers[position], Dense) and len(read) == 1 and isinstance(self.layers[read[0]], Relu)
            if position not in apart
        }

    def append(self, position: int) -> None:
        """Add the steps of one layer."""
        layer = self.layers[position]
        if position in self.fused:
            self.buffer[position] = self.buffer[layer.sources[0]]
            return
        match layer:
            case Dense():
                self._dense(layer, position)
            case Elementwise():
                self._pointwise(layer, position, _ELEMENTWISE[layer.op], layer.constant)
            case Relu():
                self._pointwise(layer, position, Kind.RELU)
            case Add():
                self._pointwise(layer, position, Kind.ADD)
            case Gather():
                self._gather(layer, position)
            case Concat():
                self._concat(layer, position)

    def _new(self, position: int) -> int:
        """A new buffer for a layer's value."""
        self.widths.append(self.layers[position].width)
        self.buffer[position] = len(self.widths) - 1
        return self.buffer[position]

    def _dense(self, layer: Dense, position: int) -> None:
        """A Dense layer: bias, start (if any is not zero), weights transposed to ``[n_in, n_out]``."""
        start = bool(layer.start.any())
        parts = [layer.bias, *([layer.start] if start else []), layer.weight.T.ravel()]
        n_in = self.layers[layer.source].width
        relu = self.last_use[position] in self.fused
        target, floats = self._new(position), np.concatenate(parts)
        source = self.buffer[layer.source] if n_in else target  # a layer without units has no buffer
        self.steps.append(
            Step(
                Kind.DENSE,
                source,
                source,
                target,
                n_in,
                layer.width,
                floats=floats,
                start=start,
                relu=relu,
                layer=position,
                result=self.last_use[position] if relu else position,
            )
        )

    def _pointwise(self, layer: Layer, position: int, kind: Kind, constant: NDArray[np.float32] | None = None) -> None:
        """A layer whose unit i reads unit i of its sources: in place if a source is not read afterwards."""
        sources = [self.buffer[source] for source in layer.sources]
        over = [self.buffer[source] for source in layer.sources if self.last_use[source] == position]
        if over:
            self.buffer[position] = over[0]
        target = self.buffer[position] if over else self._new(position)
        floats = np.zeros(0, np.float32) if constant is None else constant
        self.steps.append(Step(kind, sources[0], sources[-1], target, layer.width, layer.width, floats=floats))

    def _gather(self, layer: Gather, position: int) -> None:
        """A Gather; units that stand side by side in its source are copied without a table."""
        source, n_in, width = self.buffer[layer.source], self.layers[layer.source].width, layer.width
        target, first = self._new(position), int(layer.indices[0])
        if np.array_equal(layer.indices, np.arange(first, first + width)):
            self.steps.append(Step(Kind.COPY, source, source, target, width, width, source_shift=first))
        else:
            self.steps.append(Step(Kind.GATHER, source, source, target, n_in, width, indices=layer.indices))

    def _concat(self, layer: Concat, position: int) -> None:
        """A Concat: one copy for each source that has units."""
        target, shift = self._new(position), 0
        for part in layer.sources:
            width = self.layers[part].width
            if width:
                source = self.buffer[part]
                self.steps.append(Step(Kind.COPY, source, source, target, width, width, target_shift=shift))
            shift += width
