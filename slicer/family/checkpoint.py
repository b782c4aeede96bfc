"""Finished cells on disk, so that a run that was cut short goes on where it stopped.

``OUT.partial/`` lies beside the bundle's destination ``OUT`` until the bundle is complete::

    run       one line with the format; locked by the run that works here
    cells/    one file per finished block of cells, named by its key and the number of cells
    parts/    one file per cell that was carved into parts
    new/      files that are being written
    bundle/   the bundle in the making (`slicer.family.bundle`)

A block's key is the sha256 of everything that its result depends on, so what a file holds for a key is right for every
run that asks for this key. Files are written under another name and renamed; each begins with the sha256 of the rest.
That is verified when it is read, so a file that is damaged, cut short by a crash or does not belong to its name counts
as missing and its cells are searched again; nothing has to be flushed to the disk. What is read is what a run wrote,
and runs write only what the rigorous checker has accepted (`slicer.family.cell`), so it is not checked a second time.
This guards against accidents, not against somebody who may write to the folder and forges digests: he could as well
change the bundle, and the audit of the bundle is what answers that.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import IO, Any

import numpy as np

import dispatcher
import slicer
from dispatcher.encode import canonical_json, digest
from dispatcher.errors import UnusableInput
from dispatcher.literal import hex_text
from slicer.box import Box
from slicer.family.bundle import tool_versions, writing
from slicer.family.counts import CellCounts, CellResult
from slicer.partition import Block
from slicer.search.carve import Parts

PARTIAL_FORMAT = b"netslicer-partial/1\n"
_DIGEST_LENGTH = 64


def partial_folder(out: Path) -> Path:
    """Where the finished cells of an incomplete bundle are."""
    return out.with_name(f"{out.name}.partial")


@cache
def tool_digest() -> str:
    """Sha256 of all that may change a cell's result besides its options: versions, and the tool's own source code."""
    state = hashlib.sha256(canonical_json(tool_versions()))
    for package in (slicer, dispatcher):
        root = Path(str(package.__file__)).parent
        for path in sorted(root.rglob("*.py")):
            state.update(f"{path.relative_to(root)} {digest(path.read_bytes())}\n".encode())
    return state.hexdigest()


class _Files:
    """Files named by keys, each found whole and under its own name, or not at all."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._new = folder / name, folder / "new"
        with writing(folder):
            self._folder.mkdir(exist_ok=True)
            self._new.mkdir(exist_ok=True)

    def read(self, key: str) -> bytes | None:
        """What was written for a key; None if it is missing or damaged."""
        try:
            content = (self._folder / key).read_bytes()
        except OSError:
            return None
        name, rest = f"{key}\n".encode(), content[_DIGEST_LENGTH:]
        good = digest(rest).encode() == content[:_DIGEST_LENGTH] and rest.startswith(name)
        return rest[len(name) :] if good else None

    def write(self, key: str, content: bytes) -> None:
        """Keep content for a key.

        Raises
        ------
        UnusableInput
            If it cannot be written.
        """
        rest = f"{key}\n".encode() + content
        with writing(self._folder / key):
            try:
                (self._new / key).write_bytes(digest(rest).encode() + rest)
            except OSError:
                (self._new / key).unlink(missing_ok=True)  # what there is of it takes the room that others need
                raise
            (self._new / key).rename(self._folder / key)


class CellStore:
    """The finished cells of one parent searched in one way; ``reused`` counts those that were found.

    Parameters
    ----------
    parent:
        The digest of the parent network.
    search:
        All options on which a cell's result depends.
    """

    def __init__(self, folder: Path, parent: str, search: Mapping[str, object]) -> None:
        self._files, self.reused = _Files(folder, "cells"), 0
        self._common = _common("netslicer-block/1", parent, search)

    def read(self, block: Block) -> list[CellResult] | None:
        """What an earlier run found; None if it is missing or damaged."""
        content = self._files.read(self._key(block))
        results = None if content is None else _parse(content)
        self.reused += len(results or ())
        return results

    def write(self, block: Block, results: Sequence[CellResult]) -> None:
        """Keep the finished cells of a block.

        Raises
        ------
        UnusableInput
            If they cannot be written.
        """
        self._files.write(self._key(block), _content(results))

    def _key(self, block: Block) -> str:
        """The name of a block's file. The cells' numbers are in their certificates, and start the sampling."""
        settled = [str(one) for one in block.settled]
        own = {"first": block.first, "boxes": [_corners(box) for box in block.boxes], "settled": settled}
        return f"{digest(canonical_json(self._common | own))}-{len(block.boxes)}"


class PartStore:
    """The parts of cells that were carved in one way; parameters as those of `CellStore`."""

    def __init__(self, folder: Path, parent: str, search: Mapping[str, object]) -> None:
        self._files, self._common = _Files(folder, "parts"), _common("netslicer-parts/1", parent, search)

    def read(self, box: Box) -> Parts | None:
        """What an earlier run found; None if it is missing or damaged."""
        content = self._files.read(self._key(box))
        return None if content is None else Parts(*map(np.array, json.loads(content)))

    def write(self, box: Box, parts: Parts) -> None:
        """Keep a cell's parts; Python writes and reads float64 numbers without loss.

        Raises
        ------
        UnusableInput
            If they cannot be written.
        """
        rows = [getattr(parts, name).tolist() for name in Parts.__dataclass_fields__]
        self._files.write(self._key(box), json.dumps(rows).encode())

    def _key(self, box: Box) -> str:
        """The name of a cell's file."""
        return digest(canonical_json(self._common | {"box": _corners(box)}))


def _common(name: str, parent: str, search: Mapping[str, object]) -> dict[str, object]:
    """What all keys of a store have in common."""
    return {"format": name, "parent": parent, "search": dict(search), "tool": tool_digest()}


def _corners(box: Box) -> list[list[str]]:
    """A box in a key."""
    return [[hex_text(x) for x in corner] for corner in (box.lower, box.upper)]


def _content(results: Sequence[CellResult]) -> bytes:
    """A block's results: a line that says what follows, then certificates and members in turns."""
    sizes = [[len(result.certificate), len(result.member)] for result in results]
    head = {"sizes": sizes, "counts": [asdict(result.counts) for result in results]}
    return canonical_json(head) + b"".join(result.certificate + result.member for result in results)


def _parse(content: bytes) -> list[CellResult]:
    """The results in what `_content` wrote."""
    start = content.index(b"\n") + 1
    head = json.loads(content[:start])
    results = []
    for (certificate, member), counts in zip(head["sizes"], head["counts"], strict=True):
        middle, end = start + certificate, start + certificate + member
        results.append(CellResult(content[start:middle], content[middle:end], _counts(counts)))
        start = end
    return results


def _counts(record: dict[str, Any]) -> CellCounts:
    """Counts from their JSON object, in which tuples are lists."""
    return CellCounts(**record | {key: tuple(map(tuple, record[key])) for key in ("witnesses", "parts")})


@contextmanager
def working_folder(out: Path, *, resume: bool) -> Iterator[Path]:
    """``OUT.partial/``, for this run alone. It stays if the block fails and there are finished cells in it, or parts.

    Raises
    ------
    UnusableInput
        If it holds finished cells and ``resume`` is not asked for, if it is something else than such a folder, or if
        another run works in it.
    """
    folder = partial_folder(out)
    with _locked(folder):
        if finished_cells(folder) and not resume:
            fix = f"go on with --resume, or remove {folder} to start afresh"
            raise UnusableInput("an unfinished run left its cells here", where=str(folder), fix=fix)
        _remove(folder / "new")
        try:
            yield folder
        except BaseException:
            _remove(folder / "bundle" if finished_cells(folder) or carved_cells(folder) else folder)
            raise
        _remove(folder)


def finished_cells(folder: Path) -> int:
    """How many finished cells the folder holds, as the names of its files say."""
    numbers = (name.rpartition("-")[2] for name in _names(folder / "cells"))
    return sum(int(number) for number in numbers if number.isdigit())


def carved_cells(folder: Path) -> int:
    """How many cells were carved whose parts the folder holds."""
    return len(_names(folder / "parts"))


def _names(folder: Path) -> list[str]:
    """The names of a folder's files; none if it is not there."""
    try:
        return os.listdir(folder)  # noqa: PTH208 - names are enough, there may be many
    except OSError:
        return []


def _remove(folder: Path) -> None:
    """Remove a folder as far as that is possible."""
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """The folder, made or found, locked until the end of the block, also if that is the end of the process."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()) and not (folder / "run").is_file():
            raise UnusableInput("expected the folder of an unfinished run, got another", where=str(folder))
        file = (folder / "run").open("a+b")
    except OSError as error:
        raise UnusableInput(f"cannot write there: {error.strerror}", where=str(folder)) from error
    with file:
        _take(file, folder)
        yield


def _take(file: IO[bytes], folder: Path) -> None:
    """Lock the open file, and make sure that the folder's format is known."""
    if sys.platform != "win32":
        import fcntl  # noqa: PLC0415 - there is none on Windows, where two runs at a time are not told apart

        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UnusableInput("another run is working here", where=str(folder)) from error
    file.seek(0)
    found = file.read()
    if not found:
        with writing(folder / "run"):
            file.write(PARTIAL_FORMAT)
            file.flush()
    elif found != PARTIAL_FORMAT:
        what = f"expected the format {PARTIAL_FORMAT.decode().strip()}, got {found[:40]!r}"
        raise UnusableInput(what, where=str(folder / "run"), fix=f"remove {folder} to start afresh")
