"""Answers of a deployed copy: a table of outputs, or a device's log.

A table (``.csv``, ``.npy``) has a row per input, in their order: the outputs, or the cell and then the outputs. In a
log, any other text file, every line with ``answer INDEX CELL WORD WORD …`` counts, whatever stands before it: the
input's index from 0, the cell in decimal, and each output's IEEE-754 bits in eight hex digits. Other lines do not
count; of several answers to one input the last does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dispatcher.errors import UnusableInput
from dispatcher.points import FORMATS, read_table

_LINE = re.compile(r"\banswer +([0-9]{1,9}) +(-?[0-9]{1,9})((?: +[0-9a-fA-F]{8})+)\s*$", re.MULTILINE)


@dataclass(frozen=True, eq=False)
class Answers:
    """Outputs float32 ``[n, n_out]`` and cells ``[n]`` (None if they were not reported)."""

    outputs: NDArray[np.float32]
    cells: NDArray[np.int64] | None


def read_answers(path: Path, inputs: int, outputs: int) -> Answers:
    """The answers to a number of inputs in a file.

    Raises
    ------
    UnusableInput
        If the file cannot be read, or does not answer every input with as many outputs.
    """
    if path.suffix.lower() in FORMATS:
        return _from_table(path, inputs, outputs)
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise UnusableInput(f"cannot read it: {error.strerror}", where=str(path)) from error
    return _from_log(text, inputs, outputs, str(path))


def _from_table(path: Path, inputs: int, outputs: int) -> Answers:
    """Answers of a table."""
    table = np.atleast_2d(read_table(path))
    if table.dtype.kind not in "fiu" or table.shape not in ((inputs, outputs), (inputs, outputs + 1)):
        raise UnusableInput(
            f"expected {inputs} rows of {outputs} outputs, or of a cell and {outputs} outputs, "
            f"got {table.dtype} {list(table.shape)}",
            where=str(path),
        )
    cells = None if table.shape[1] == outputs else np.nan_to_num(table[:, 0], nan=-1.0).astype(np.int64)
    with np.errstate(over="ignore"):
        return Answers(table[:, -outputs:].astype(np.float32), cells)


def _from_log(text: str, inputs: int, outputs: int, where: str) -> Answers:
    """Answers of a log."""
    words = np.zeros((inputs, outputs), np.uint32)
    cells = np.full(inputs, -1, np.int64)
    missing = set(range(inputs))
    for match in _LINE.finditer(text):
        index, row = int(match.group(1)), [int(word, 16) for word in match.group(3).split()]
        if index >= inputs or len(row) != outputs:
            raise UnusableInput(
                f"expected an answer to one of {inputs} inputs with {outputs} outputs, got {match.group(0)[:80]!r}",
                where=where,
            )
        words[index], cells[index] = row, int(match.group(2))
        missing.discard(index)
    if missing:
        raise UnusableInput(
            f"expected answers to {inputs} inputs, got none to {len(missing)}, the first of them input {min(missing)}",
            where=where,
            fix="lines read: answer INDEX CELL BITS BITS …",
        )
    return Answers(words.view(np.float32), cells)
