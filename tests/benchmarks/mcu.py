"""Instructions per inference on an emulated Cortex-M4F or M3: a family and its parent by the same kernels.

    python -m tests.benchmarks.mcu BUNDLE --board M4F --points 1000

Without a bundle: a random network 5-50x6-5 alone. Instruction counts of QEMU (`-icount shift=0`), not cycles.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np

from dispatcher.boards import COUNTING, Board, count_instructions
from dispatcher.emit_c99 import Layout, c_sources, emit_c99, parent_family, table_sizes
from dispatcher.load import load_bundle
from dispatcher.plan import Family
from dispatcher.vectors import random_points
from tests.dispatcher.network_samples import chain

LEVELS = ("-Os", "-O2", "-O3")


@dataclass(frozen=True)
class Instructions:
    """Instructions per inference over some points."""

    mean: float
    least: int
    most: int


def main(argv: Sequence[str] | None = None) -> None:
    """Print the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path, nargs="?")
    parser.add_argument("--board", choices=COUNTING, default="M4F")
    parser.add_argument("--points", type=int, default=1000)
    parser.add_argument("--layouts", nargs="+", choices=get_args(Layout), default=get_args(Layout))
    options = parser.parse_args(argv)
    board = COUNTING[options.board]
    programs = _programs(options.bundle, options.layouts)
    points = random_points(programs["parent"][0], options.points, np.random.default_rng(0))
    print(f"{board.name}, {len(points)} points: instructions per inference, routing included; mean (least to most)")
    for name, (family, layout) in programs.items():
        flash = f"{table_sizes(family, layout).flash:,} bytes of tables"
        for level in LEVELS:
            with tempfile.TemporaryDirectory() as directory:
                count = instructions(board, family, points, Path(directory) / "count", level, layout)
            print(f"{name} {level}: {count.mean:,.0f} ({count.least:,} to {count.most:,}), {flash}")


def _programs(bundle: Path | None, layouts: Sequence[Layout]) -> dict[str, tuple[Family, Layout]]:
    """What to count: the parent alone, and the family in these layouts."""
    if bundle is None:
        corner = np.ones(5, np.float32)
        return {"parent": (parent_family(chain([5, *[50] * 6, 5]), -corner, corner), "packed")}
    family = load_bundle(bundle).family
    parent = parent_family(family.parent, family.lower, family.upper)
    return {"parent": (parent, "packed")} | {layout: (family, layout) for layout in layouts}


def instructions(
    board: Board, family: Family, points: np.ndarray, directory: Path, level: str = "-Os", layout: Layout = "packed"
) -> Instructions:
    """Instructions per inference over points ``[n, n_in]``, in steps of 40; works in the directory, which is made."""
    files = c_sources(emit_c99(family, "0" * 64, directory / "net", "net", layout))
    counts, _ = count_instructions(board, files, "net", points, directory, level, "-ffp-contract=off")
    return Instructions(float(counts.mean()), int(counts.min()), int(counts.max()))


if __name__ == "__main__":
    main()
