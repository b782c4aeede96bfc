"""Test programs for emulated microcontrollers."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dispatcher.boards import Board, points_header
from tests.emit_c99.host import STRICT, sources

MCU = Path(__file__).parent / "mcu"


def build_with_vectors(board: Board, main: str, points: np.ndarray, directory: Path, *flags: str) -> Path:
    """A program of the folder ``mcu`` with the package in ``directory / "net"`` and points ``[n, n_in]`` in flash."""
    (directory / "vectors.h").write_text(points_header(points, "net"))
    includes = (f"-I{directory / 'net'}", f"-I{directory}")
    files = (MCU / main, *sources(directory / "net"))
    return board.build(directory / "program.elf", *STRICT, *flags, *includes, *files)
