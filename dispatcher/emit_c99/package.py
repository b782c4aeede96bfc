"""The code of a C package, from templates and tables."""

from __future__ import annotations

from dispatcher.emit_c99 import text
from dispatcher.emit_c99.provenance import Provenance
from dispatcher.emit_c99.readme import readme
from dispatcher.emit_c99.tables import Tables
from dispatcher.emit_c99.templates import Part, code_text, rename, template


def package_files(tables: Tables, prefix: str, provenance: Provenance) -> dict[str, str]:
    """The files that a firmware compiles, by name, headers first, and the README."""
    header = template("netslicer.h").replace("/* @SIZES@ */", text.size_lines(tables, provenance))
    types = template("netslicer_data.h").replace("/* @TYPES@ */", text.data_lines(tables))
    types = types.replace("/* @CHUNKS@ */", text.chunk_declarations(tables))
    headers = {"masked.h": tables.live, "readout.h": tables.readout, "affine.h": tables.affine}
    layout = "".join(template(name) for name, there in headers.items() if there is not None)
    types = types.replace("/* @LAYOUT@ */", layout)
    parts: list[Part] = ["READOUT"] if tables.readout else []
    parts += ["AFFINE"] if tables.affine else []
    code = code_text("netslicer.c", "masked" if tables.live else "packed", parts)
    files = {"netslicer.h": header, "netslicer_data.h": types, "netslicer.c": code} | _data_files(tables)
    head = provenance.banner()
    renamed = {rename(name, prefix): rename(head + content, prefix) for name, content in files.items()}
    return renamed | {"README.md": readme(tables, prefix, provenance, sorted(renamed))}


def _data_files(tables: Tables) -> dict[str, str]:
    """The tables: everything and the first chunk of numbers in one file, one more file for every further chunk."""
    include = '#include "netslicer_data.h"\n\n'
    files = {"netslicer_data.c": "\n".join([include[:-1], *text.small_tables(tables), text.chunk_table(tables, 0)])}
    for index in range(1, len(tables.chunks)):
        files[f"netslicer_data_{index}.c"] = include + text.chunk_table(tables, index)
    return files
