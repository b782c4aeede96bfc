"""Tables of numbers on disk: CSV and NumPy's ``.npy``, for `dispatcher run`.

CSV numbers are read as float64, which `predict` rounds to float32; what is written is the shortest decimal that reads
back as the same float32.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dispatcher.errors import UnusableInput
from dispatcher.literal import short_text

FORMATS = (".csv", ".npy")


def table_format(path: Path, formats: Sequence[str] = FORMATS) -> str:
    """One of the formats, from the file's name."""
    suffix = path.suffix.lower()
    if suffix not in formats:
        raise UnusableInput(f"expected a file name that ends with {' or '.join(formats)}", where=str(path))
    return suffix


def read_table(path: Path) -> NDArray[Any]:
    """The numbers of a file: ``[rows, columns]``; from ``.npy`` whatever array it holds.

    Raises
    ------
    UnusableInput
        If the file is missing, truncated, or no table of numbers; naming the line of a CSV file.
    """
    try:
        return _read_csv(path) if table_format(path) == ".csv" else _read_npy(path)
    except OSError as error:
        raise UnusableInput(f"cannot read it: {error.strerror}", where=str(path)) from error


def _read_npy(path: Path) -> NDArray[Any]:
    """The array of a ``.npy`` file; mapped, so that a header that promises more than the file holds is refused."""
    try:
        array: NDArray[Any] = np.lib.format.open_memmap(path, mode="r")
    except ValueError as error:
        raise UnusableInput(f"expected a .npy file of numbers: {error}", where=str(path)) from error
    return array


def _read_csv(path: Path) -> NDArray[np.float64]:
    """Rows of numbers; a first line without any number is a header."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            lines = [(reader.line_num, fields) for fields in reader if fields]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UnusableInput(f"expected comma-separated numbers: {error}", where=str(path)) from error
    if not lines:
        raise UnusableInput("expected rows of numbers, got an empty file", where=str(path))
    columns = len(lines[0][1])
    if all(_number(field) is None for field in lines[0][1]):
        lines = lines[1:]
    rows = [_row(fields, columns, f"{path}: line {number}") for number, fields in lines]
    return np.array(rows, np.float64).reshape(len(rows), columns)


def _row(fields: list[str], columns: int, where: str) -> list[float]:
    """The numbers of one line."""
    if len(fields) != columns:
        raise UnusableInput(f"expected {columns} numbers as in the first line, got {len(fields)}", where=where)
    values = []
    for column, field in enumerate(fields):
        value = _number(field)
        if value is None:
            raise UnusableInput(f"expected a number, got {field[:40]!r}", where=f"{where}, column {column + 1}")
        values.append(value)
    return values


def _number(text: str) -> float | None:
    """The number that a field holds, if it holds one."""
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return None


def table_bytes(values: NDArray[np.float32] | NDArray[np.int64], form: str) -> bytes:
    """A file's content, ``".csv"`` (one line per row) or ``".npy"``, for float32 or whole ``[rows, columns]``."""
    if form == ".npy":
        buffer = io.BytesIO()
        np.save(buffer, values, allow_pickle=False)
        return buffer.getvalue()
    text = str if values.dtype.kind == "i" else short_text
    lines = (",".join(text(value) for value in row) for row in np.atleast_2d(values))
    return "".join(f"{line}\n" for line in lines).encode("ascii")
