"""Readouts of hidden units in layout ``masked``: numbers beside the parent's program, which these members walk in part.

Where the walk comes to a layer that a member reads, it adds the terms of the units read to the outputs, in ascending
order: a *stage*. Layers come in ascending order too, and the bias last, so this is the declared order of the readout.

The weights of a stage are those of the units read alone, side by side. But where members read a layer with the same
weights, as many do that keep those of the parent, one table of all units of the layer serves them: units that a member
does not read are not seen there, by its live units or by the mask of the stage.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntFlag

import numpy as np
from numpy.typing import NDArray

from dispatcher.emit_c99.blocks import padded
from dispatcher.emit_c99.pools import FloatPool
from dispatcher.emit_c99.steps import Kind, Program, Value
from dispatcher.layers import Dense, Layers
from dispatcher.plan import Member

Table = NDArray[np.float32]


class Reading(IntFlag):
    """Flags of a row, as in ``readout.h``: units stand in a list; the weights are those of all units of the layer."""

    FROM_LIST = 1
    OF_ALL = 2


@dataclass(frozen=True, slots=True)
class ReadingRow:
    """How a layer is read: after how many steps, its units, where they stand in the scratch, rows of a list."""

    steps: int
    units: int
    source: int
    row_step: int
    flags: Reading


@dataclass(frozen=True, slots=True)
class StageRow:
    """Where the weights stand, and the mask of the units read; the number of the layer's row."""

    weights: int
    mask: int
    reading: int


@dataclass(frozen=True, slots=True)
class ReadoutRow:
    """A member's first stage, the place of its bias, and how many stages it has."""

    first: int
    bias: int
    stages: int


@dataclass(frozen=True, slots=True)
class ReadoutTables:
    """The tables of ``readout.h``."""

    readings: tuple[ReadingRow, ...]
    stages: tuple[StageRow, ...]
    readouts: tuple[ReadoutRow, ...]

    def largest_index(self) -> int:
        """The largest number that an index of the C has to hold."""
        rows = [max(row.steps, row.units, row.source, row.row_step) for row in self.readings]
        return max(len(self.readings), *rows, *(row.stages for row in self.readouts))

    def largest_place(self) -> int:
        """The largest number that a place of the C has to hold."""
        stages = [max(row.weights, row.mask) for row in self.stages]
        return max(len(self.stages), *stages, *(row.bias for row in self.readouts))


@dataclass(frozen=True, eq=False, slots=True)
class Part:
    """What one member reads of one layer: units, weights ``[n_read, n_out]``, and whether it keeps no other units."""

    layer: int
    units: tuple[int, ...]
    weights: Table
    alone: bool


def parts_of(member: Member) -> Iterator[Part]:
    """The parts of a member's readout, layers ascending."""
    assert member.readout is not None
    first = 0
    for layer, units in member.readout.reads:
        columns = member.readout.weight[:, first : first + len(units)]
        yield Part(layer, units, np.ascontiguousarray(columns.T), member.layers[layer].units == units)
        first += len(units)


def common_weights(parts: Sequence[Part], width: int) -> Table:
    """For every unit of a layer the weights that most parts have for it ``[width, n_out]``; zeros if none reads it."""
    counts: list[Counter[bytes]] = [Counter() for _ in range(width)]
    for part in parts:
        for unit, row in zip(part.units, part.weights, strict=True):
            counts[unit][row.tobytes()] += 1
    table = np.zeros((width, parts[0].weights.shape[1]), np.float32)
    for unit, count in enumerate(counts):
        if count:
            table[unit] = np.frombuffer(count.most_common(1)[0][0], np.float32)
    return table


def agrees(part: Part, table: Table) -> bool:
    """Whether a part has the weights of a table ``[width, n_out]``, bit for bit."""
    return table[list(part.units)].tobytes() == part.weights.tobytes()


class Readouts:
    """Where the weights of members stand that read hidden units of a parent.

    Parameters
    ----------
    parent, members, program:
        The members, and the program of the parent that they walk.
    """

    def __init__(self, parent: Layers, members: Sequence[Member], program: Program) -> None:
        self._parent, self._program = parent, program
        self._n_out = parent[-1].width
        self._parts = [list(parts_of(member)) for member in members]
        self._biases = [member.readout.bias for member in members if member.readout]
        every = [part for parts in self._parts for part in parts]
        self._tables = {value.layer: self._shared(value, every) for value in program.values}

    def largest(self) -> int:
        """How many numbers the largest vector may have that they add."""
        return max((self._parent[value.layer].width for value in self._program.values), default=1) * self._n_out

    def list_units(self) -> int:
        """How many units a list may have to hold."""
        return max((self._parent[value.layer].width for value in self._program.values), default=1)

    def last_row(self) -> int:
        """The largest row in a list that is made for a stage."""
        return (self.list_units() - 1) * self._n_out

    def tables(self, pool: FloatPool, offsets: Sequence[int], masks: bytearray) -> ReadoutTables:
        """The tables; numbers are added to the pool, which has the program's, and masks to those that are there.

        ``offsets``: of the program's buffers in the scratch.
        """
        readings: list[ReadingRow] = []
        stages: list[StageRow] = []
        readouts: list[ReadoutRow] = []
        for parts, bias in zip(self._parts, self._biases, strict=True):
            readouts.append(ReadoutRow(len(stages), pool.add(bias), len(parts)))
            for part in parts:
                table = self._table_of(part)
                row = self._reading(part.layer, offsets, of_all=table is not None)
                if row not in readings:
                    readings.append(row)
                place = pool.add((part.weights if table is None else table).ravel())
                seen = row.flags == Reading.FROM_LIST | Reading.OF_ALL  # nothing else is in the list
                mask = 0 if seen else _mask_place(part.units, row.units, masks)
                stages.append(StageRow(place, mask, readings.index(row)))
        return ReadoutTables(tuple(readings), tuple(stages), tuple(readouts))

    def _reading(self, layer: int, offsets: Sequence[int], *, of_all: bool) -> ReadingRow:
        """A layer's row."""
        value = self._program.value_of(layer)
        in_list = self._program.in_list(value)
        assert in_list or self._program.widths[value.buffer], "a value is in a list or in a buffer"
        flags = (Reading.FROM_LIST if in_list else Reading(0)) | (Reading.OF_ALL if of_all else Reading(0))
        return ReadingRow(
            steps=value.steps,
            units=self._parent[layer].width,
            source=0 if in_list else offsets[value.buffer],
            row_step=self._row_step(value),
            flags=flags,
        )

    def _row_step(self, value: Value) -> int:
        """What lies between the rows of two units: in a list that is handed on, what the next step needs."""
        if not self._program.in_list(value):
            return self._n_out
        following = self._program.steps[value.steps]
        return padded(following.n_out) if following.to_list else following.n_out

    def _shared(self, value: Value, every: Iterable[Part]) -> tuple[Table, ...]:
        """Tables of all units of a layer that serve several members: the parent's own, and the most common weights.

        Rows of a list must be those of such a table, and no unit may be in it that is not read.
        """
        if self._row_step(value) != self._n_out:
            return ()
        parts = [part for part in every if part.layer == value.layer and self._may_share(part)]
        tables = tuple(self._parents(value.layer))
        rest = [part for part in parts if not any(agrees(part, table) for table in tables)]
        if rest:
            common = common_weights(rest, self._parent[value.layer].width)
            served = {part.weights.tobytes(): len(part.weights) for part in rest if agrees(part, common)}
            tables += (common,) if sum(served.values()) > len(common) else ()
        return tables

    def _parents(self, layer: int) -> Iterator[Table]:
        """The tables ``[width, n_out]`` by which steps of the parent read a layer."""
        for step in self._program.steps:
            dense = self._parent[step.layer]
            if step.kind is not Kind.DENSE or not isinstance(dense, Dense) or step.to_list:
                continue
            if (dense.source, dense.width) == (layer, self._n_out):
                yield np.ascontiguousarray(dense.weight.T)

    def _may_share(self, part: Part) -> bool:
        """Whether a table of all units may serve a part: other units of the layer are not seen."""
        return part.alone or not self._program.in_list(self._program.value_of(part.layer))

    def _table_of(self, part: Part) -> Table | None:
        """The shared table that serves a part; None for numbers of its own."""
        tables = self._tables[part.layer] if self._may_share(part) else ()
        return next((table for table in tables if agrees(part, table)), None)


def _mask_place(units: tuple[int, ...], width: int, masks: bytearray) -> int:
    """The place of a mask among masks, to which it is added if it does not stand there."""
    bits = np.zeros(width, np.bool_)
    bits[list(units)] = True
    mask = np.packbits(bits, bitorder="little").tobytes()
    place = masks.find(mask)
    if place < 0:
        place = len(masks)
        masks += mask
    return place
