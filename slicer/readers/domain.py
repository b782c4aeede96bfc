"""`read_domain`: the box of inputs, from ``lo:hi``, a list per input, a CSV file or a VNN-LIB property.

The float32 box always contains the box that was written down: decimals are rounded outward, so a bound may move by less
than one float32 step, never inward.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from dispatcher.errors import UnusableInput
from slicer.box import Box
from slicer.readers.decimals import parse_decimal
from slicer.readers.files import decode, located, read_bytes
from slicer.readers.interval import Bound, Interval, enclosing_box
from slicer.readers.vnnlib import read_vnnlib

_FORMS = "expected lo:hi, 'lo,hi;lo,hi;…' with one pair per input, or a .csv or .vnnlib file"


def read_domain(text_or_path: str | Path, inputs: int) -> Box:
    """The domain as a closed float32 box.

    Parameters
    ----------
    text_or_path:
        ``"0:1"`` (the same bounds for every input), ``"0,1;-1,1"`` (lower and upper bound of each input), or the path
        of a file: ``.csv`` with the header ``lower,upper`` and one row per input, or ``.vnnlib``.
    inputs:
        Number of inputs of the network.

    Raises
    ------
    UnusableInput
        Naming the input, and the line of the file, whose bounds are missing, NaN, infinite or lower > upper.
    """
    path = Path(text_or_path)
    reader = _FILE_READERS.get(path.suffix.lower())
    if reader is not None:
        content = read_bytes(path)
        with located(str(path)):
            return enclosing_box(reader(decode(content), inputs))
    if isinstance(text_or_path, Path):
        raise UnusableInput(f"{_FORMS}, got this path", where=str(path))
    with located(f"domain {text_or_path[:60]!r}"):
        return enclosing_box(_read_text(text_or_path, inputs))


def _read_text(text: str, inputs: int) -> list[Interval]:
    """Bounds given on the command line."""
    if ":" in text and "," not in text and ";" not in text:
        return [_interval(text.split(":"), "")] * inputs
    if "," not in text:
        raise UnusableInput(f"{_FORMS}, got something else")
    pairs = text.split(";")
    if len(pairs) != inputs:
        raise UnusableInput(f"expected bounds of {inputs} inputs separated by ';', got {len(pairs)}")
    return [_interval(pair.split(","), f"input {index}") for index, pair in enumerate(pairs)]


def _read_csv(text: str, inputs: int) -> list[Interval]:
    """Rows of a CSV file; empty lines at its end do not count."""
    lines = text.rstrip().splitlines()
    header = [name.strip() for name in lines[0].split(",")] if lines else []
    if header != ["lower", "upper"]:
        raise UnusableInput(f"expected the header 'lower,upper', got {','.join(header)[:40]!r}", where="line 1")
    rows = lines[1:]
    if len(rows) != inputs:
        raise UnusableInput(f"expected {inputs} rows below the header, one per input, got {len(rows)}")
    return [_interval(row.split(","), f"line {index + 2}: input {index}") for index, row in enumerate(rows)]


def _interval(fields: list[str], where: str) -> Interval:
    """One lower and one upper bound."""
    with located(where):
        if len(fields) != 2:
            raise UnusableInput(f"expected two numbers, lower and upper, got {len(fields)}")
        lower, upper = (Bound(parse_decimal(field), where) for field in fields)
    return Interval(lower, upper)


_FILE_READERS: dict[str, Callable[[str, int], list[Interval]]] = {".csv": _read_csv, ".vnnlib": read_vnnlib}
