"""What the emitted tables occupy: flash for constants, RAM for the caller's scratch. Code is not counted."""

from __future__ import annotations

from dataclasses import dataclass

from dispatcher.emit_c99.live import LiveTables
from dispatcher.emit_c99.readout import ReadoutTables
from dispatcher.emit_c99.tables import Layout, Tables, build_tables
from dispatcher.plan import Family

FLOAT = 4


@dataclass(frozen=True, slots=True)
class TableSizes:
    """Bytes of each constant table, and of the scratch memory, on targets that align integers and floats naturally.

    Attributes
    ----------
    numbers:
        Weights, biases, accumulator starts and element-wise constants.
    indices:
        Unit indices of Gather steps.
    steps:
        Steps of the programs.
    members:
        Where each member's program begins; in layout ``masked``, which sets of live units it chooses, and where the
        numbers of its readout stand.
    live:
        The sets of live units, and of those that readouts read, and the numbers of special units; layout ``masked``
        only.
    cells:
        The member of each cell.
    tree:
        Routing tests.
    domain:
        Bounds of the inputs.
    pointers:
        Addresses of the data files' numbers, on a target with 32-bit pointers.
    ram:
        The scratch memory of one call.
    """

    numbers: int
    indices: int
    steps: int
    members: int
    live: int
    cells: int
    tree: int
    domain: int
    pointers: int
    ram: int

    @property
    def flash(self) -> int:
        """All constant tables together."""
        tables = self.numbers + self.indices + self.steps + self.members + self.live
        return tables + self.cells + self.tree + self.domain + self.pointers


def table_sizes(family: Family, layout: Layout = "packed") -> TableSizes:
    """Sizes of the tables that `emit_c99` writes for a family."""
    return sizes_of(build_tables(family, layout))


def sizes_of(tables: Tables) -> TableSizes:
    """Sizes of tables that are already built; struct sizes as a C compiler pads the types of ``netslicer_data.h``."""
    index, place = tables.index_bits // 8, tables.place_bits // 8
    choices = 0 if tables.live is None else index * tables.live.choices.size
    readouts = 0 if tables.readout is None else _readout_bytes(tables.readout, index, place)
    affine = 0 if tables.affine is None else place * len(tables.affine.places)
    return TableSizes(
        numbers=FLOAT * sum(chunk.size for chunk in tables.chunks),
        indices=index * tables.indices.size,
        steps=len(tables.steps) * _padded(place + 5 * index + 2, place),
        members=len(tables.programs) * _padded(place + 3 * index, place) + choices + readouts + affine,
        live=0 if tables.live is None else _live_bytes(tables.live, index, place),
        cells=index * len(tables.cells),
        tree=len(tables.splits) * _padded(FLOAT + 2 * index, FLOAT),
        domain=2 * FLOAT * tables.lower.size,
        pointers=4 * len(tables.chunks),
        ram=scratch_bytes(tables),
    )


def _live_bytes(live: LiveTables, index: int, place: int) -> int:
    """Slots, the slots of each step, masks, special units."""
    slots = len(live.slots) * _padded(2 * place + 3 * index, place) + 2 * index * len(live.live_of_step)
    specials = place * len(live.special_sets) + _padded(FLOAT + 2 * index, FLOAT) * len(live.specials)
    return slots + live.masks.size + specials


def _readout_bytes(readout: ReadoutTables, index: int, place: int) -> int:
    """Readings, stages, and a row for each member."""
    rows = (len(readout.stages) + len(readout.readouts)) * _padded(2 * place + index, place)
    return rows + len(readout.readings) * _padded(4 * index + 1, index)


def scratch_bytes(tables: Tables) -> int:
    """Size of the scratch struct: values, then two lists of values and rows."""
    return FLOAT * tables.scratch_floats + 2 * tables.list_units * (FLOAT + tables.row_bits // 8)


def _padded(size: int, alignment: int) -> int:
    """The size rounded up to a multiple of the alignment."""
    return -(-size // alignment) * alignment
