"""What a program is: a short list of steps, each of which computes one buffer from other buffers."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class Kind(IntEnum):
    """What a step does; names and values are those of ``netslicer_data.h``."""

    DENSE = 0
    RELU = 1
    ADD = 2
    PLUS = 3
    TIMES = 4
    DIVIDED = 5
    GATHER = 6
    COPY = 7


@dataclass(frozen=True, eq=False, slots=True)
class Step:
    """One step.

    Attributes
    ----------
    kind:
        What it does.
    source, second, target:
        Buffers; ``second`` is used by `Kind.ADD` only and otherwise equals ``source``.
    n_in, n_out:
        Numbers of source and target units.
    source_shift, target_shift:
        First unit that is read of the source and written of the target (a part of a Concat or of a slice).
    floats:
        The step's numbers, float32 ``[n]``, in the order that ``netslicer_data.h`` states; empty if it has none.
    indices:
        Gathered units ``[n_out]``; empty for other kinds.
    start, relu, from_list, to_list:
        Flags of a Dense step: accumulators start at given values; a ReLU follows; the step before left its units in a
        list; it leaves its own in a list (`dispatcher.emit_c99.lists`).
    layer, result:
        Positions of a Dense step's layer, and of the layer whose value it leaves: the same, or that of the ReLU.
    """

    kind: Kind
    source: int
    second: int
    target: int
    n_in: int
    n_out: int
    source_shift: int = 0
    target_shift: int = 0
    floats: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    indices: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    start: bool = False
    relu: bool = False
    from_list: bool = False
    to_list: bool = False
    layer: int = -1
    result: int = -1


@dataclass(frozen=True, slots=True)
class Value:
    """Where a layer's value stands: in a buffer, or in the list that the step before leaves, after so many steps."""

    layer: int
    steps: int
    buffer: int


@dataclass(frozen=True, slots=True)
class Program:
    """Steps in order over buffers of the given widths; the input's and the output's buffer.

    ``values`` are those of the layers that readouts read, by ascending layer; so their steps ascend, too.
    """

    widths: tuple[int, ...]
    steps: tuple[Step, ...]
    input: int
    output: int
    values: tuple[Value, ...] = ()

    def value_of(self, layer: int) -> Value:
        """The value of a layer that readouts read."""
        return next(value for value in self.values if value.layer == layer)

    def in_list(self, value: Value) -> bool:
        """Whether a value stands in a list."""
        if not value.steps:
            return False
        step = self.steps[value.steps - 1]
        return step.to_list and step.target == value.buffer
