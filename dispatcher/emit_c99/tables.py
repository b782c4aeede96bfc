"""The tables of a family as they are emitted: programs placed in scratch memory, numbers pooled, integers sized.

Everything that ends up in flash is in a `Tables` object, row by row as in ``netslicer_data.h``; text and sizes are
both made from it. Equal tables of numbers are stored once, whichever members use them.

Layout ``packed``: every member is a program with its own dense matrices. Layout ``masked``: the parent is the only
program, and every member says which units of its layers are live; one that reads hidden units has weights for these
besides (`dispatcher.emit_c99.readout`), and an affine one numbers of its own instead (`dispatcher.emit_c99.affine`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from dispatcher.emit_c99.affine import AffineTable, affine_step
from dispatcher.emit_c99.blocks import padded
from dispatcher.emit_c99.live import LiveTables, live_tables
from dispatcher.emit_c99.numbering import masked_program, number
from dispatcher.emit_c99.pools import FloatPool, IndexPool
from dispatcher.emit_c99.program import compile_network
from dispatcher.emit_c99.readout import Readouts, ReadoutTables
from dispatcher.emit_c99.scratch import Placement, place
from dispatcher.emit_c99.steps import Kind, Program, Step
from dispatcher.errors import UnusableInput
from dispatcher.plan import Family, Member, member_layers, whole_member
from dispatcher.tree import Leaf, Split, Tree

CHUNK_BITS = 19  # floats of one data file: 2^19 compile in under a second and 140 MB (GCC 12)

HAS_START, HAS_RELU, FROM_LIST, TO_LIST = 1, 2, 4, 8

Layout = Literal["packed", "masked"]


@dataclass(frozen=True, slots=True)
class SplitRow:
    """A routing test; ``low`` is the number of cells below the low child."""

    threshold: float
    axis: int
    low: int


@dataclass(frozen=True, slots=True)
class ProgramRow:
    """A program's steps, and the offsets of its input and output in the scratch."""

    first_step: int
    steps: int
    input: int
    output: int


@dataclass(frozen=True, slots=True)
class StepRow:
    """A step with offsets into the scratch instead of buffers, and the place of its numbers."""

    table: int
    source: int
    second: int
    target: int
    n_in: int
    n_out: int
    kind: Kind
    flags: int


@dataclass(frozen=True, eq=False)
class Tables:
    """All tables of one package.

    Attributes
    ----------
    lower, upper:
        The domain, float32 ``[n_in]``.
    outputs:
        Number of outputs.
    members:
        Number of members that serve cells.
    parent:
        The number of the member that is the whole parent, one further or one of those; None if there is none.
    splits, cells, programs, steps:
        Rows as in ``netslicer_data.h``.
    live:
        Live units of the members; None in layout ``packed``.
    readout:
        Members that read hidden units in layout ``masked``, where they are numbered first; None if there are none.
    affine:
        Affine members in layout ``masked``, where they are numbered last; None if there are none.
    indices:
        Pooled indices of Gather steps.
    chunks, chunk_bits:
        Pooled numbers: place p is element ``p mod 2^chunk_bits`` of chunk ``p div 2^chunk_bits``.
    scratch_floats, list_units:
        Elements of the caller's scratch memory, and of each of the two lists in it.
    index_bits, place_bits, row_bits:
        Width of the unsigned integers for scratch offsets and counts, for places in tables (never the narrower), and
        for the rows of a dense layer's weights.
    """

    lower: NDArray[np.float32]
    upper: NDArray[np.float32]
    outputs: int
    members: int
    parent: int | None
    splits: tuple[SplitRow, ...]
    cells: tuple[int, ...]
    programs: tuple[ProgramRow, ...]
    steps: tuple[StepRow, ...]
    indices: NDArray[np.int64]
    chunks: tuple[NDArray[np.float32], ...]
    chunk_bits: int
    scratch_floats: int
    list_units: int
    index_bits: int
    place_bits: int
    row_bits: int
    live: LiveTables | None
    readout: ReadoutTables | None
    affine: AffineTable | None


def build_tables(
    family: Family, layout: Layout = "packed", least_bits: int = CHUNK_BITS, *, with_parent: bool = False
) -> Tables:
    """The tables of a family.

    A data file holds at most ``2^least_bits`` numbers, or as many as the largest layer needs. ``with_parent`` makes
    sure that the whole parent is there, as one member more unless it is one already.

    Raises
    ------
    UnusableInput
        If the layout is none, or there are more numbers than 32-bit places can name.
    """
    if layout not in get_args(Layout):
        raise UnusableInput(f"expected {' or '.join(get_args(Layout))}, got {layout!r}", where="layout")
    whole, members = whole_member(family.parent), family.members
    if with_parent and whole not in members:
        members = (*members, whole)
    parent = members.index(whole) if whole in members else None
    if layout == "packed":
        return _packed(family, members, parent, least_bits)
    return _masked(family, members, parent, least_bits)


def _packed(family: Family, members: Sequence[Member], parent: int | None, least_bits: int) -> Tables:
    """A program for each member."""
    programs = [compile_network(member_layers(family.parent, member)) for member in members]
    builder = _Builder(chunk_bits([step.floats.size for program in programs for step in program.steps], least_bits))
    for program in programs:
        builder.append(program)
    return builder.tables(family, family.cells, parent)


def _masked(family: Family, members: Sequence[Member], parent: int | None, least_bits: int) -> Tables:
    """One program, and numbers of members that end in readouts; members as `Numbering` has them."""
    numbering = number(members)
    program = masked_program(family.parent, numbering)
    steps = [affine_step(family.parent, member) for member in numbering.affine]
    readouts = Readouts(family.parent, numbering.readouts, program)
    sizes = [step.floats.size for step in (*program.steps, *steps)]
    builder = _Builder(chunk_bits([*sizes, readouts.largest()], least_bits))
    placement = builder.append(program)
    live = live_tables(family.parent, numbering.masked, program)
    readout = None
    if numbering.readouts:
        masks = bytearray(live.masks.tobytes())
        readout = builder.append_readouts(readouts, program, placement, masks)
        live = replace(live, masks=np.frombuffer(bytes(masks), np.uint8))
    places = tuple(builder.append_affine(step) for step in steps)
    return builder.tables(
        family,
        cells=tuple(numbering.numbers[member] for member in family.cells),
        parent=None if parent is None else numbering.numbers[parent],
        live=live,
        readout=readout,
        affine=AffineTable(numbering.first, places) if places else None,
    )


def chunk_bits(sizes: Sequence[int], least: int) -> int:
    """The least number of bits, ``least`` or more, such that vectors of these sizes fit a chunk each."""
    return max(least, (max(sizes, default=1) - 1).bit_length())


class _Builder:
    """Collects the rows of one program after the other."""

    def __init__(self, bits: int) -> None:
        self.floats = FloatPool(bits)
        self.indices = IndexPool()
        self.programs: list[ProgramRow] = []
        self.steps: list[StepRow] = []
        self.scratch_floats = 1
        self.list_units = 1
        self.last_row = 0

    def append(self, program: Program) -> Placement:
        """Add one program; returns where its buffers stand."""
        placement = place(program)
        offsets = placement.offsets
        row = ProgramRow(len(self.steps), len(program.steps), offsets[program.input], offsets[program.output])
        self.programs.append(row)
        self.steps += [self._row(step, placement) for step in program.steps]
        self.scratch_floats = max(self.scratch_floats, placement.floats)
        for step in program.steps:
            self._make_room(step)
        return placement

    def append_readouts(
        self, readouts: Readouts, program: Program, placement: Placement, masks: bytearray
    ) -> ReadoutTables:
        """Add the numbers of members that read hidden units of the one program; their masks are added to ``masks``."""
        self.list_units = max(self.list_units, readouts.list_units())
        self.last_row = max(self.last_row, readouts.last_row())
        for step, row in zip(program.steps, self.steps, strict=True):
            if step.kind is Kind.DENSE and not (step.to_list or step.start):
                self.floats.stands(step.floats[step.n_out :], row.table + step.n_out)  # the weights without the bias
        return readouts.tables(self.floats, placement.offsets, masks)

    def append_affine(self, step: Step) -> int:
        """Add an affine member's numbers; returns their place."""
        self._make_room(step)
        return self.floats.add(step.floats)

    def _make_room(self, step: Step) -> None:
        """See that lists are long enough, and rows wide enough, for a Dense step."""
        if step.kind is Kind.DENSE:
            self.list_units = max(self.list_units, step.n_in)
            self.last_row = max(self.last_row, (step.n_in - 1) * padded(step.n_out))

    def _row(self, step: Step, placement: Placement) -> StepRow:
        """A step with its buffers placed and its numbers pooled."""
        table = self.indices.add(step.indices) if step.kind is Kind.GATHER else self.floats.add(step.floats)
        flags = {HAS_START: step.start, HAS_RELU: step.relu, FROM_LIST: step.from_list, TO_LIST: step.to_list}
        return StepRow(
            table=table,
            source=placement.offsets[step.source] + step.source_shift,
            second=placement.offsets[step.second],
            target=placement.offsets[step.target] + step.target_shift,
            n_in=step.n_in,
            n_out=step.n_out,
            kind=step.kind,
            flags=sum(flag for flag, is_set in flags.items() if is_set),
        )

    def tables(
        self,
        family: Family,
        cells: tuple[int, ...],
        parent: int | None,
        live: LiveTables | None = None,
        readout: ReadoutTables | None = None,
        affine: AffineTable | None = None,
    ) -> Tables:
        """Everything, with integers as wide as the largest value needs. C has no empty arrays: these get a zero row."""
        splits = split_rows(family.tree) or (SplitRow(0.0, 0, 0),)
        steps = tuple(self.steps) or (StepRow(0, 0, 0, 0, 0, 0, Kind.COPY, 0),)
        small = [family.parent[0].width, len(family.members) + 1, self.scratch_floats]
        small += [max(split.axis, split.low) for split in splits] + [row.steps for row in self.programs]
        small += [max(row.n_in, row.n_out) for row in steps] + ([live.largest_index()] if live else [])
        small += [readout.largest_index()] if readout else []
        places = [len(steps), *(row.table for row in steps)] + ([live.largest_place()] if live else [])
        places += [readout.largest_place()] if readout else []
        places += affine.places if affine else ()
        return Tables(
            lower=family.lower,
            upper=family.upper,
            outputs=family.parent[-1].width,
            members=len(family.members),
            parent=parent,
            splits=splits,
            cells=cells,
            programs=tuple(self.programs),
            steps=steps,
            indices=self.indices.values(),
            chunks=self.floats.chunks(),
            chunk_bits=self.floats.chunk_bits,
            scratch_floats=self.scratch_floats,
            list_units=self.list_units,
            index_bits=integer_bits(max(small)),
            place_bits=integer_bits(max(*places, *small)),
            row_bits=integer_bits(self.last_row),
            live=live,
            readout=readout,
            affine=affine,
        )


def split_rows(tree: Tree) -> tuple[SplitRow, ...]:
    """The routing tests in preorder, each with the number of cells below its low child."""
    cells = [0] * len(tree)
    for position in reversed(range(len(tree))):
        node = tree[position]
        cells[position] = 1 if isinstance(node, Leaf) else cells[node.low] + cells[node.high]
    return tuple(SplitRow(node.threshold, node.axis, cells[node.low]) for node in tree if isinstance(node, Split))


def integer_bits(largest: int) -> int:
    """Bits of the C integer type that holds 0 .. largest: 16 or 32.

    Raises
    ------
    UnusableInput
        If 32 bits are too few.
    """
    if largest >= 1 << 32:
        raise UnusableInput("expected tables of less than 2^32 numbers", fix="compress with fewer cells")
    return 16 if largest < 1 << 16 else 32
