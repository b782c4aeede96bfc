"""Counting the instructions of a package's run function, call by call, on an emulated board.

QEMU counts instructions, not cycles; on the Cortex-M boards in steps of 40, from a timer.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dispatcher.boards.board import Board
from dispatcher.errors import UnusableInput
from dispatcher.literal import c99_text

_COUNT = Path(__file__).parent / "count.c"
_SECONDS = 600  # of one run


def count_instructions(
    board: Board, package: Sequence[Path], prefix: str, points: NDArray[np.float32], directory: Path, *flags: str
) -> tuple[NDArray[np.int64], Path]:
    """Instructions ``[n]`` of one call for each of the points ``[n, n_in]``, and the program that counted them.

    Parameters
    ----------
    package:
        The C files of a package with this prefix, whose headers are beside them.
    directory:
        Where the program is built.

    Raises
    ------
    UnusableInput
        If the compiler refuses, or the package refuses a point.
    """
    text = _COUNT.read_text(encoding="ascii").replace("netslicer", prefix).replace("NETSLICER", prefix.upper())
    (directory / "count.c").write_text(text, encoding="ascii")
    (directory / "vectors.h").write_text(points_header(points, prefix), encoding="ascii")
    includes = sorted({f"-I{path.parent}" for path in package})
    program = board.build(directory / "count.elf", *flags, *includes, directory / "count.c", *package)
    code, counts = board.run(program, _SECONDS)
    if code or len(counts) != len(points):
        raise UnusableInput(f"expected {len(points)} counts, got {len(counts)} and exit code {code}", where=board.name)
    return np.array(counts, np.int64), program


def points_header(points: NDArray[np.float32], prefix: str) -> str:
    """The text of ``vectors.h``: points ``[n, n_in]`` as a constant table."""
    rows = "".join(f"    {{{', '.join(map(c99_text, row))}}},\n" for row in points.tolist())
    table = f"static const float vectors[VECTORS][{prefix.upper()}_INPUTS] = {{\n{rows}}};\n"
    return f"#define VECTORS {len(points)}\n{table}"
