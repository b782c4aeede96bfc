"""Searches with a fault, for worker processes to run instead of the real one."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from slicer.family.counts import CellResult
from slicer.family.pipeline import _Search
from slicer.partition import Block

POISONED = frozenset({1})


@dataclass(frozen=True, slots=True)
class Crashing(_Search):
    """Some cells crash the process, as native code may."""

    def __call__(self, block: Block, end: float | None) -> list[CellResult]:
        if block.first in POISONED:
            os.kill(os.getpid(), signal.SIGSEGV)
        return _Search.__call__(self, block, end)


@dataclass(frozen=True, slots=True)
class Raising(_Search):
    """Some cells raise an exception."""

    def __call__(self, block: Block, end: float | None) -> list[CellResult]:
        if block.first in POISONED:
            raise RuntimeError(f"cell {block.first} is not for me\nand more")
        return _Search.__call__(self, block, end)


@dataclass(frozen=True, slots=True)
class Killing(_Search):
    """Some cells lose their process once: the number of the cell in a folder says that it was there."""

    folder: Path
    cells: frozenset[int]

    def __call__(self, block: Block, end: float | None) -> list[CellResult]:
        if block.first in self.cells and _first_time(self.folder / str(block.first)):
            os.kill(os.getpid(), signal.SIGKILL)
        return _Search.__call__(self, block, end)


def _first_time(mark: Path) -> bool:
    """Whether the mark was not there before."""
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def die() -> None:
    """Lose the process."""
    os.kill(os.getpid(), signal.SIGKILL)


def die_if(number: int, *bad: int) -> int:
    """The number, or the death of the process."""
    if number in bad:
        die()
    return number


def die_once(number: int, mark: Path) -> int:
    """The number; the process dies if the mark is not there yet."""
    if _first_time(mark):
        die()
    return number


def die_while_answering(number: int, mark: Path) -> bytes:
    """A long answer of which, the first time, only the first half leaves the process before it dies."""
    if number == 0 and _first_time(mark):
        send = Connection._send

        def half(self: Connection, content: bytes, *arguments: object) -> None:
            if len(content) > 1 << 16:
                send(self, content[: len(content) // 2])
                die()
            send(self, content, *arguments)

        Connection._send = half
    return bytes([number]) * (1 << 18)


def sleep(number: int, seconds: float) -> int:
    """The number, after a while."""
    time.sleep(seconds)
    return number


def fail(number: int) -> int:
    """The number, if it is even."""
    if number % 2:
        raise ValueError(f"{number} is odd")
    return number


def threads(_number: int) -> set[str]:
    """What the BLAS libraries were told about threads."""
    return {os.environ.get(name, "") for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
