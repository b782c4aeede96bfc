"""Writing a bundle: a directory that appears complete or not at all.

Files go to a staging directory beside the destination (same file system); the manifest is written last, then one rename
makes the bundle appear. A staging directory has no manifest until that moment, so no reader takes it for a bundle.
"""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from dispatcher.encode import digest
from dispatcher.errors import UnusableInput
from dispatcher.manifest import MANIFEST_FILE, FileEntry, Manifest, manifest_bytes


class Staging:
    """A bundle in the making: files are added one by one, `finish` makes it appear."""

    def __init__(self, directory: Path, destination: Path) -> None:
        self.directory = directory
        self.destination = destination
        self._files: dict[str, FileEntry] = {}

    def add(self, path: str, content: bytes) -> None:
        """Write one file; adding the same path again with the same content does nothing."""
        entry = FileEntry.of(content)
        if path in self._files:
            assert self._files[path] == entry, path  # content-addressed files cannot differ
            return
        target = self.directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        self._files[path] = entry

    def finish(self, *, mode: str, source: str, options: Mapping[str, object], truncated: bool) -> str:
        """Write the manifest and move the bundle to its destination; returns the bundle's digest."""
        manifest = manifest_bytes(Manifest(mode, source, options, tool_versions(), truncated, self._files))
        (self.directory / MANIFEST_FILE).write_bytes(manifest)
        _sync(self.directory)
        self.directory.rename(self.destination)
        return digest(manifest)


@contextmanager
def staging(destination: Path) -> Iterator[Staging]:
    """A staging directory beside the destination, removed if the bundle is not finished.

    Raises
    ------
    UnusableInput
        If the destination exists or its parent cannot be written.
    """
    if destination.exists() or destination.is_symlink():
        raise UnusableInput("expected a directory that does not exist yet", where=str(destination), fix="choose --out")
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        directory = Path(tempfile.mkdtemp(prefix=f".{destination.name}.partial-", dir=destination.parent))
    except OSError as error:
        raise UnusableInput(f"cannot write there: {error.strerror}", where=str(destination.parent)) from error
    try:
        directory.chmod(0o755)
        yield Staging(directory, destination)
    finally:
        if directory.exists():
            shutil.rmtree(directory, ignore_errors=True)


def tool_versions() -> dict[str, str]:
    """Versions that may influence the result."""
    try:
        own = version("netslicer")
    except PackageNotFoundError:
        own = "unknown"
    return {"netslicer": own, "numpy": np.__version__, "python": platform.python_version()}


def _sync(directory: Path) -> None:
    """Flush the directory's files before the rename, so that a crash cannot leave a bundle with empty files."""
    for path in sorted(directory.rglob("*")):
        if path.is_file():
            with path.open("rb") as stream:
                os.fsync(stream.fileno())
