"""The files of a C package, from templates and tables, and how they get to disk: all of them or none."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from dispatcher.emit_c99 import text
from dispatcher.emit_c99.readme import readme
from dispatcher.emit_c99.tables import Tables
from dispatcher.emit_c99.templates import banner, code_text, rename, template
from dispatcher.errors import UnusableInput


def package_files(tables: Tables, prefix: str, bundle_digest: str | None, parent_digest: str) -> dict[str, str]:
    """The files that a firmware compiles, by name, headers first, and the README."""
    header = template("netslicer.h").replace("/* @SIZES@ */", text.size_lines(tables, bundle_digest, parent_digest))
    types = template("netslicer_data.h").replace("/* @TYPES@ */", text.data_lines(tables))
    types = types.replace("/* @CHUNKS@ */", text.chunk_declarations(tables))
    types = types.replace("/* @LAYOUT@ */", template("masked.h") if tables.live else "")
    code = code_text("netslicer.c", "masked" if tables.live else "packed")
    files = {"netslicer.h": header, "netslicer_data.h": types, "netslicer.c": code} | _data_files(tables)
    head = banner(bundle_digest, parent_digest)
    renamed = {rename(name, prefix): rename(head + content, prefix) for name, content in files.items()}
    return renamed | {"README.md": readme(tables, prefix, bundle_digest, parent_digest, sorted(renamed))}


def _data_files(tables: Tables) -> dict[str, str]:
    """The tables: everything and the first chunk of numbers in one file, one more file for every further chunk."""
    include = '#include "netslicer_data.h"\n\n'
    files = {"netslicer_data.c": "\n".join([include[:-1], *text.small_tables(tables), text.chunk_table(tables, 0)])}
    for index in range(1, len(tables.chunks)):
        files[f"netslicer_data_{index}.c"] = include + text.chunk_table(tables, index)
    return files


def write_package(files: Mapping[str, str], out: Path) -> list[Path]:
    """Write all files into a new directory, or nothing: they are written beside it and renamed in one step.

    Raises
    ------
    UnusableInput
        If ``out`` exists and is anything but an empty directory, or cannot be written.
    """
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise UnusableInput("expected no such directory yet, or an empty one", where=str(out), fix="choose another")
    try:
        _write_all(files, out)
    except OSError as error:
        raise UnusableInput(f"cannot write it: {error.strerror}", where=str(out)) from error
    return [out / name for name in files]


def _write_all(files: Mapping[str, str], out: Path) -> None:
    """Write into a temporary directory and rename it."""
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        for name, content in files.items():
            (temporary / name).parent.mkdir(parents=True, exist_ok=True)
            (temporary / name).write_text(content, encoding="ascii", newline="\n")
        temporary.chmod(0o755)  # mkdtemp makes private directories
        if out.exists():
            out.rmdir()  # it is empty; Windows renames onto nothing that exists
        temporary.rename(out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
