"""Tables as C text: the one place that knows how a row is spelled. Numbers become text in `dispatcher.literal` only."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from dispatcher.emit_c99.affine import AffineTable
from dispatcher.emit_c99.live import LiveTables
from dispatcher.emit_c99.provenance import Provenance
from dispatcher.emit_c99.readout import ReadoutTables
from dispatcher.emit_c99.sizes import scratch_bytes
from dispatcher.emit_c99.tables import Tables
from dispatcher.literal import c99_text

FLOATS_A_LINE = 6
INTEGERS_A_LINE = 16


def size_lines(tables: Tables, provenance: Provenance) -> str:
    """The part of ``netslicer.h`` that differs between families."""
    defines: list[tuple[str, object]] = [
        ("PARENT_DIGEST", f'"{provenance.parent}"'),
        ("ATTESTED_REMOVALS", f"{provenance.attested.removals} /* on a solver's word, not on a proof */"),
        ("INPUTS", tables.lower.size),
        ("OUTPUTS", tables.outputs),
        ("CELLS", len(tables.cells)),
        ("MEMBERS", tables.members),
        ("SCRATCH_FLOATS", tables.scratch_floats),
        ("LIST_UNITS", tables.list_units),
        ("SCRATCH_BYTES", scratch_bytes(tables)),
    ]
    if tables.parent is not None:
        defines.append(("PARENT_MEMBER", tables.parent))
    if provenance.bundle is not None:
        defines.insert(0, ("BUNDLE_DIGEST", f'"{provenance.bundle}"'))
    types = f"typedef uint{tables.index_bits}_t netslicer_index;\ntypedef uint{tables.row_bits}_t netslicer_row;"
    return f"{_defines(defines)}\n{types}"


def data_lines(tables: Tables) -> str:
    """The part of ``netslicer_data.h`` that differs between families, before the types."""
    defines = [
        ("SPLITS", len(tables.splits)),
        ("PROGRAMS", len(tables.programs)),
        ("STEPS", len(tables.steps)),
        ("INDICES", tables.indices.size),
        ("CHUNKS", len(tables.chunks)),
        ("CHUNK_BITS", tables.chunk_bits),
        *(_live_counts(tables.live) if tables.live else []),
        *(_readout_counts(tables.readout) if tables.readout else []),
        *(_affine_counts(tables.affine) if tables.affine else []),
    ]
    return _defines(defines) + f"\ntypedef uint{tables.place_bits}_t netslicer_place;"


def chunk_declarations(tables: Tables) -> str:
    """Declarations of the data files' numbers."""
    return "\n".join(f"extern const float {_chunk_name(i)}[{c.size}];" for i, c in enumerate(tables.chunks))


def small_tables(tables: Tables) -> Iterator[str]:
    """Definitions of all tables but the numbers."""
    yield _array("float", "lower", "NETSLICER_INPUTS", float_lines(tables.lower))
    yield _array("float", "upper", "NETSLICER_INPUTS", float_lines(tables.upper))
    splits = (f"{{{c99_text(row.threshold)}, {row.axis}, {row.low}}}" for row in tables.splits)
    yield _array("netslicer_split", "splits", "NETSLICER_SPLITS", splits)
    yield _array("netslicer_index", "cells", "NETSLICER_CELLS", integer_lines(tables.cells))
    programs = (f"{{{row.first_step}, {row.steps}, {row.input}, {row.output}}}" for row in tables.programs)
    yield _array("netslicer_program", "programs", "NETSLICER_PROGRAMS", programs)
    steps = (
        f"{{{row.table}, {row.source}, {row.second}, {row.target}, {row.n_in}, {row.n_out}, "
        f"NETSLICER_{row.kind.name}, {row.flags}}}"
        for row in tables.steps
    )
    yield _array("netslicer_step", "steps", "NETSLICER_STEPS", steps)
    yield _array("netslicer_index", "indices", "NETSLICER_INDICES", integer_lines(tables.indices.tolist()))
    if tables.live is not None:
        yield from _live_tables(tables.live)
    if tables.readout is not None:
        yield from _readout_tables(tables.readout)
    if tables.affine is not None:
        places = integer_lines(tables.affine.places)
        yield _array("netslicer_place", "affine", "NETSLICER_AFFINE_MEMBERS", places)
    names = (_chunk_name(index) for index in range(len(tables.chunks)))
    yield _array("float *const", "floats", "NETSLICER_CHUNKS", names)


def _live_counts(live: LiveTables) -> list[tuple[str, int]]:
    """Lengths of the tables of live units."""
    return [
        ("SLOTS", len(live.slots)),
        ("CHOICES", live.choices.size),
        ("MASK_BYTES", live.masks.size),
        ("SPECIAL_SETS", len(live.special_sets)),
        ("SPECIALS", len(live.specials)),
    ]


def _readout_counts(readout: ReadoutTables) -> list[tuple[str, int]]:
    """Lengths of the tables of members that read hidden units."""
    return [
        ("READOUTS", len(readout.readouts)),
        ("STAGES", len(readout.stages)),
        ("READINGS", len(readout.readings)),
    ]


def _readout_tables(readout: ReadoutTables) -> Iterator[str]:
    """Definitions of the tables of members that read hidden units."""
    readings = (
        f"{{{row.steps}, {row.units}, {row.source}, {row.row_step}, {row.flags:d}}}" for row in readout.readings
    )
    yield _array("netslicer_reading", "readings", "NETSLICER_READINGS", readings)
    stages = (f"{{{row.weights}, {row.mask}, {row.reading}}}" for row in readout.stages)
    yield _array("netslicer_stage", "stages", "NETSLICER_STAGES", stages)
    readouts = (f"{{{row.first}, {row.bias}, {row.stages}}}" for row in readout.readouts)
    yield _array("netslicer_readout", "readouts", "NETSLICER_READOUTS", readouts)


def _affine_counts(affine: AffineTable) -> list[tuple[str, int]]:
    """The number of the first affine member, and how many there are."""
    return [("FIRST_AFFINE", affine.first), ("AFFINE_MEMBERS", len(affine.places))]


def _live_tables(live: LiveTables) -> Iterator[str]:
    """Definitions of the tables of live units."""
    slots = (f"{{{row.masks}, {row.specials}, {row.bytes}, {row.gathered}, {row.plain}}}" for row in live.slots)
    yield _array("netslicer_slot", "slots", "NETSLICER_SLOTS", slots)
    lives = (f"{{{row.source}, {row.target}}}" for row in live.live_of_step)
    yield _array("netslicer_live", "live_of_step", "NETSLICER_STEPS", lives)
    choices = integer_lines(live.choices.ravel().tolist())
    yield _array("netslicer_index", "choices", "NETSLICER_CHOICES", choices)
    yield _array("uint8_t", "masks", "NETSLICER_MASK_BYTES", integer_lines(live.masks.tolist()))
    sets = integer_lines(live.special_sets)
    yield _array("netslicer_place", "special_sets", "NETSLICER_SPECIAL_SETS", sets)
    specials = (f"{{{c99_text(row.value)}, {row.unit}, {row.first}}}" for row in live.specials)
    yield _array("netslicer_special", "specials", "NETSLICER_SPECIALS", specials)


def chunk_table(tables: Tables, index: int) -> str:
    """Definition of one data file's numbers."""
    chunk = tables.chunks[index]
    return _array("float", f"floats_{index}", str(chunk.size), float_lines(chunk))


def vector_tables(inputs: NDArray[np.float32], outputs: NDArray[np.float32], cells: NDArray[np.int64]) -> str:
    """The part of ``netslicer_test_vectors.h`` that differs between families."""
    parts = [
        _defines([("TEST_VECTORS", len(inputs))]),
        _static("float", "test_inputs", "[NETSLICER_INPUTS]", _braced(inputs)),
        _static("float", "test_outputs", "[NETSLICER_OUTPUTS]", _braced(outputs)),
        _static("uint32_t", "test_cells", "", integer_lines(cells.tolist())),
    ]
    return "\n".join(parts)


def _braced(rows: NDArray[np.float32]) -> Iterator[str]:
    """Constants ``[n, m]``, a row a line."""
    return (f"{{{', '.join(map(c99_text, row))}}}" for row in rows.tolist())


def _static(kind: str, name: str, row: str, lines: Iterable[str]) -> str:
    """Definition of a constant array of the file's own, an entry for each vector."""
    body = "".join(f"    {line},\n" for line in lines)
    return f"static const {kind} netslicer_{name}[NETSLICER_TEST_VECTORS]{row} = {{\n{body}}};\n"


def float_lines(values: NDArray[np.float32]) -> Iterator[str]:
    """Constants ``[n]``, a few a line. Each distinct number is spelled once: members repeat their parent's weights."""
    bits, inverse = np.unique(np.ascontiguousarray(values).view(np.uint32), return_inverse=True)
    texts = [c99_text(float(value)) for value in bits.view(np.float32)]
    return _lines((texts[index] for index in inverse.tolist()), FLOATS_A_LINE)


def integer_lines(values: Iterable[int]) -> Iterator[str]:
    """Integers, many a line."""
    return _lines(map(str, values), INTEGERS_A_LINE)


def _lines(texts: Iterable[str], per_line: int) -> Iterator[str]:
    """Comma-separated texts in lines."""
    return (", ".join(line) for line in _batches(texts, per_line))


def _batches(texts: Iterable[str], size: int) -> Iterator[tuple[str, ...]]:
    """Consecutive texts, ``size`` at a time."""
    iterator = iter(texts)
    while batch := tuple(itertools.islice(iterator, size)):
        yield batch


def _array(kind: str, name: str, length: str, lines: Iterable[str]) -> str:
    """Definition of a constant array. Pointers, which a loader may have to relocate, stay out of the section."""
    body = "".join(f"    {line},\n" for line in lines)
    section = "" if "*" in kind else " NETSLICER_SECTION"
    return f"const {kind} netslicer_{name}[{length}]{section} = {{\n{body}}};\n"


def _chunk_name(index: int) -> str:
    return f"netslicer_floats_{index}"


def _defines(pairs: Sequence[tuple[str, object]]) -> str:
    """Macro definitions, one a line."""
    return "\n".join(f"#define NETSLICER_{name} {value}" for name, value in pairs)
