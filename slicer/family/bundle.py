"""Writing a bundle: a directory that appears complete or not at all.

Files go to a staging directory on the destination's file system; the manifest is written last, then one rename makes
the bundle appear. A staging directory has no manifest until that moment, so no reader takes it for a bundle.
"""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from dispatcher.encode import digest
from dispatcher.errors import UnusableInput
from dispatcher.manifest import MANIFEST_FILE, FileEntry, Manifest, manifest_bytes

FLUSHES = 16  # files flushed at a time: the file system makes one commit of them
QUEUED = 16 * FLUSHES


class Staging:
    """A bundle in the making: files are added one by one, `finish` makes it appear.

    What an earlier run left in the directory is removed.

    Raises
    ------
    UnusableInput
        From every method that writes, if that is impossible, for instance because the disk is full.
    """

    def __init__(self, directory: Path, destination: Path) -> None:
        self.directory = directory
        self.destination = destination
        self._files: dict[str, FileEntry] = {}
        with writing(directory):
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir()

    def add(self, path: str, content: bytes) -> None:
        """Write one file; adding the same path again with the same content does nothing."""
        entry = FileEntry.of(content)
        if path in self._files:
            assert self._files[path] == entry, path  # content-addressed files cannot differ
            return
        target = self.directory / path
        with writing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        self._files[path] = entry

    def remove(self, path: str) -> None:
        """Remove a file that was added."""
        del self._files[path]
        with writing(self.directory / path):
            (self.directory / path).unlink()

    def read(self, path: str) -> bytes:
        """The content of a file that was added."""
        content = (self.directory / path).read_bytes()
        assert FileEntry.of(content) == self._files[path], path
        return content

    def finish(self, *, mode: str, source: str, options: Mapping[str, object], truncated: bool) -> str:
        """Write the manifest and move the bundle to its destination; returns the bundle's digest."""
        manifest = manifest_bytes(Manifest(mode, source, options, tool_versions(), truncated, self._files))
        with writing(self.destination):
            (self.directory / MANIFEST_FILE).write_bytes(manifest)
            _sync(self.directory)
            self.directory.rename(self.destination)
            _sync_file(self.destination.parent)
        return digest(manifest)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the failure to write a file of a run into one clear error."""
    try:
        yield
    except OSError as error:
        fix = "the cells that are done are kept: make room, then go on with --resume"
        raise UnusableInput(f"cannot write: {error.strerror}", where=str(path), fix=fix) from error


def tool_versions() -> dict[str, str]:
    """Versions that may influence the result."""
    try:
        own = version("netslicer")
    except PackageNotFoundError:
        own = "unknown"
    return {"netslicer": own, "numpy": np.__version__, "python": platform.python_version()}


def _sync(directory: Path) -> None:
    """Flush the directory's files before the rename, so that a crash cannot leave a bundle with empty files."""
    with ThreadPoolExecutor(FLUSHES) as threads:
        for folder, _, names in os.walk(directory):
            for start in range(0, len(names), QUEUED):  # a queue of all files would need more memory than the manifest
                for _ in threads.map(_sync_file, [Path(folder, name) for name in names[start : start + QUEUED]]):
                    pass
            _sync_file(Path(folder))


def _sync_file(path: Path) -> None:
    """Flush a file, or the names in a directory."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
