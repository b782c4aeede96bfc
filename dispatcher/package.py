"""How emitted files get to disk: all of them or none."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from dispatcher.errors import UnusableInput


def write_package(files: Mapping[str, str | bytes], out: Path) -> list[Path]:
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


def _write_all(files: Mapping[str, str | bytes], out: Path) -> None:
    """Write into a temporary directory and rename it."""
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        for name, content in files.items():
            (temporary / name).parent.mkdir(parents=True, exist_ok=True)
            (temporary / name).write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
        temporary.chmod(0o755)  # mkdtemp makes private directories
        if out.exists():
            out.rmdir()  # it is empty; Windows renames onto nothing that exists
        temporary.rename(out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
