"""What the emitted tables occupy: flash for constants, RAM for the caller's scratch. Code is not counted."""

from __future__ import annotations

from dataclasses import dataclass

from dispatcher.emit_c99.tables import Tables, build_tables
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
        The members' programs.
    members:
        Where each member's program begins.
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
    cells: int
    tree: int
    domain: int
    pointers: int
    ram: int

    @property
    def flash(self) -> int:
        """All constant tables together."""
        tables = self.numbers + self.indices + self.steps + self.members
        return tables + self.cells + self.tree + self.domain + self.pointers


def table_sizes(family: Family) -> TableSizes:
    """Sizes of the tables that `emit_c99` writes for a family."""
    return sizes_of(build_tables(family))


def sizes_of(tables: Tables) -> TableSizes:
    """Sizes of tables that are already built; struct sizes as a C compiler pads the types of ``netslicer_data.h``."""
    index, address = tables.index_bits // 8, tables.place_bits // 8
    return TableSizes(
        numbers=FLOAT * sum(chunk.size for chunk in tables.chunks),
        indices=index * tables.indices.size,
        steps=len(tables.steps) * _padded(address + 5 * index + 2, max(address, index)),
        members=len(tables.members) * _padded(address + 3 * index, max(address, index)),
        cells=index * len(tables.cells),
        tree=len(tables.splits) * _padded(FLOAT + 2 * index, FLOAT),
        domain=2 * FLOAT * tables.lower.size,
        pointers=4 * len(tables.chunks),
        ram=scratch_bytes(tables),
    )


def scratch_bytes(tables: Tables) -> int:
    """Size of the scratch struct: floats, then an even number of indices."""
    return FLOAT * tables.scratch_floats + tables.index_bits // 8 * tables.scratch_indices


def _padded(size: int, alignment: int) -> int:
    """The size rounded up to a multiple of the alignment."""
    return -(-size // alignment) * alignment
