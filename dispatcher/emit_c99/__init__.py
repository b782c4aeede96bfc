"""Emit a family as C99: constant tables, handwritten kernels, a routing tree; same bits as the parent's `eval32`.

Layout ``packed``: every member has its own dense matrices. Layout ``masked``: the parent's matrices stand once, and
every member says which of their units are live; members that end in readouts have these besides, affine ones instead.
A program is a short list of layer steps that one interpreter in C walks through; a parent alone is a family of one cell
whose member keeps everything.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dispatcher.attested import NONE_ATTESTED, Attested
from dispatcher.boards import Board
from dispatcher.emit_c99.companions import companion_files
from dispatcher.emit_c99.macs import masked_macs
from dispatcher.emit_c99.measured import measure
from dispatcher.emit_c99.package import package_files
from dispatcher.emit_c99.prefix import check_prefix
from dispatcher.emit_c99.provenance import Provenance
from dispatcher.emit_c99.sizes import TableSizes, table_sizes
from dispatcher.emit_c99.tables import Layout, build_tables
from dispatcher.encode import digest
from dispatcher.files import network_bytes
from dispatcher.layers import Layers
from dispatcher.package import write_package
from dispatcher.plan import Family, Leaf, whole_member
from dispatcher.promise import returned, same

__all__ = [
    "Layout",
    "TableSizes",
    "c_sources",
    "emit_c99",
    "emit_parent_c99",
    "masked_macs",
    "parent_family",
    "table_sizes",
]


def emit_c99(
    family: Family,
    bundle_digest: str,
    out: Path,
    prefix: str = "net",
    layout: Layout = "packed",
    *,
    with_parent: bool = False,
    attested: Attested = NONE_ATTESTED,
    board: Board | None = None,
) -> list[Path]:
    """Write a family as a C99 package.

    Parameters
    ----------
    family:
        The family.
    bundle_digest:
        The bundle's sha256, for the banner of every file and the macro ``PREFIX_BUNDLE_DIGEST``.
    out:
        Directory that appears complete or not at all.
    prefix:
        Begins every name of the package; macros have it in capitals.
    layout:
        ``"packed"`` (fewest instructions, a copy of what is left of the weights for every member) or ``"masked"`` (one
        copy of the parent's weights, and those of readouts). The outputs are the same.
    with_parent:
        Also hold the parent, for the compile-time policy ``PREFIX_PARENT`` on inputs outside the domain.
    attested:
        What rests on a solver's word: banners, README, ``report.json`` and the macro ``PREFIX_ATTESTED_REMOVALS``
        say so.
    board:
        Where to count instructions for ``report.json`` and the README; it takes the board's compiler and QEMU.

    Returns
    -------
    list[Path]
        The code, ``PREFIX.h``, ``PREFIX_data.h``, ``PREFIX.c``, ``PREFIX_data.c``, ``PREFIX_data_1.c`` and so on for
        large families; ``PREFIX_selftest.c`` with its vectors; ``test/PREFIX_test.c``, a program with a ``main`` of its
        own; ``README.md``, ``report.json``, and the files of CMake, Arduino, PlatformIO and Zephyr.

    Raises
    ------
    UnusableInput
        If the prefix is no C identifier, the layout is none, or ``out`` exists and is anything but an empty directory;
        if the board's tools are missing, or it has too little memory for the tables.
    """
    promise = "" if family.mode == "bitwise" else same(family)
    provenance = Provenance(bundle_digest, _digest_of(family.parent), attested, promise, returned(family))
    return _emit(family, provenance, out, prefix, layout, with_parent=with_parent, board=board)


def emit_parent_c99(
    parent: Layers, lower: NDArray[np.float32], upper: NDArray[np.float32], out: Path, prefix: str = "parent"
) -> list[Path]:
    """Write a network alone, on the domain ``[lower, upper]``, by the same kernels; otherwise as `emit_c99`."""
    provenance = Provenance(None, _digest_of(parent))
    return _emit(parent_family(parent, lower, upper), provenance, out, prefix, "packed", with_parent=True, board=None)


def parent_family(parent: Layers, lower: NDArray[np.float32], upper: NDArray[np.float32]) -> Family:
    """The family of one cell whose member is the parent itself."""
    return Family("bitwise", parent, lower, upper, (Leaf(0),), (whole_member(parent),), (0,))


def c_sources(paths: Iterable[Path]) -> list[Path]:
    """Those of a package's files that a firmware compiles: its C files without the test program."""
    return [path for path in paths if path.suffix == ".c" and path.parent.name != "test"]


def _emit(
    family: Family,
    provenance: Provenance,
    out: Path,
    prefix: str,
    layout: Layout,
    *,
    with_parent: bool,
    board: Board | None,
) -> list[Path]:
    """Tables, text, files."""
    check_prefix(prefix)
    tables = build_tables(family, layout, with_parent=with_parent)
    files = package_files(tables, prefix, provenance)
    measured = None if board is None else measure(family, files, prefix, board)
    further = companion_files(family, tables, prefix, provenance, files, measured)
    return write_package(files | further, out)


def _digest_of(parent: Layers) -> str:
    """Sha256 of a network's file in a bundle."""
    return digest(network_bytes(parent))
