"""Instructions of an emitted package, route by route, on an emulated board: opt-in, as it takes a cross compiler."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dispatcher.boards import Board, count_instructions
from dispatcher.plan import Family
from dispatcher.vectors import Points, box_points, cell_boxes

OPTIONS = ("-Os", "-ffp-contract=off")
PER_ROUTE = 16  # inputs
_NUMBERS = 1 << 18  # of the inputs in one program: 1 MiB


@dataclass(frozen=True, eq=False, slots=True)
class Measured:
    """Instructions of one call of the package's run function, routing included.

    Attributes
    ----------
    board, compiler, options:
        Where it ran, and how it was compiled.
    counts:
        For each cell and each of its inputs ``[n_cells, n]``, which are uniform in the cell.
    """

    board: str
    compiler: str
    options: str
    counts: NDArray[np.int64]

    def over_routes(self, shares: NDArray[np.float64]) -> dict[str, float]:
        """Extremes of all inputs, and the mean for an input that is uniform over the domain."""
        mean = float(shares @ self.counts.mean(axis=1))
        return {"min": int(self.counts.min()), "mean": mean, "max": int(self.counts.max())}

    def of_route(self, cell: int) -> dict[str, float]:
        """Extremes and mean of a cell's inputs."""
        counts = self.counts[cell]
        return {"min": int(counts.min()), "mean": float(counts.mean()), "max": int(counts.max())}


def measure(family: Family, files: Mapping[str, str], prefix: str, board: Board) -> Measured:
    """Compile a package's files for a board and count, on the same inputs every time.

    Raises
    ------
    UnusableInput
        If a tool is missing, or the tables are too large for the board.
    """
    board.require()
    points = route_points(family, PER_ROUTE)
    step = max(1, _NUMBERS // points.shape[1])
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        for file, content in files.items():
            (directory / file).write_text(content, encoding="utf-8")
        sources = [directory / file for file in files if file.endswith(".c")]
        parts = [
            count_instructions(board, sources, prefix, points[first : first + step], directory, *OPTIONS)[0]
            for first in range(0, len(points), step)
        ]
    return Measured(board.name, board.version(), " ".join(OPTIONS), np.concatenate(parts).reshape(-1, PER_ROUTE))


def route_points(family: Family, count: int) -> Points:
    """Uniform points of every cell, one cell after the other: ``[n_cells * count, n_in]``."""
    rng = np.random.default_rng(0)
    return np.concatenate([box_points(*box, count, rng) for box in cell_boxes(family)])
