"""Sizes of tables as the linker sees them."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

from dispatcher.emit_c99 import TableSizes
from tests.emit_c99.host import HERE, Compiler, sources

_MEMBERS = ("programs", "choices", "readings", "stages", "readouts", "affine")
_POINTER = struct.calcsize("P")


def compiled_tables(compiler: Compiler, package: Path) -> TableSizes:
    """Sizes of the tables of a package (prefix net) compiled for this machine; pointers counted as four bytes each."""
    objects = []
    for source in sources(package):
        objects.append(package / f"{source.stem}.o")
        assert compiler("-c", source, "-o", objects[-1]).returncode == 0
    program = compiler.build(package / "sizes", f"-I{package}", HERE / "scratch_size.c")
    sizes = table_bytes("nm", *objects)
    return TableSizes(
        numbers=sizes.numbers,
        indices=sizes.indices,
        steps=sizes.steps,
        members=sizes.members,
        live=sizes.live,
        cells=sizes.cells,
        tree=sizes.tree,
        domain=sizes.domain,
        pointers=sizes.pointers * 4 // _POINTER,
        ram=int(compiler.run(program)[1]),
    )


def table_bytes(nm: str, *objects: Path) -> TableSizes:
    """Sizes of the tables in object files, from their symbols; RAM, of which they say nothing, as 0."""
    listing = subprocess.run(
        [nm, "--print-size", "--defined-only", *objects], capture_output=True, text=True, check=True
    )
    sizes: dict[str, int] = {}
    for line in listing.stdout.splitlines():
        match line.split():
            case [_, size, kind, name] if kind in "RrDd":  # constants, also those that need relocation
                sizes[name.removeprefix("net_")] = int(size, 16)
    return TableSizes(
        numbers=sum(size for name, size in sizes.items() if name.startswith("floats_")),
        indices=sizes["indices"],
        steps=sizes["steps"],
        members=sum(sizes.get(name, 0) for name in _MEMBERS),
        live=sum(sizes.get(name, 0) for name in ("slots", "live_of_step", "masks", "special_sets", "specials")),
        cells=sizes["cells"],
        tree=sizes["splits"],
        domain=sizes["lower"] + sizes["upper"],
        pointers=sizes["floats"],
        ram=0,
    )
