"""Routing on emulated boards: the tree as a table that a loop walks, as emitted, against nested comparisons in code.

    python -m tests.benchmarks.tree BUNDLE --boards M4F M3 RV32F M0 --points 1000

prints instructions of whole inferences (masked layout) and bytes of flash for both; the difference is the routing's.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dispatcher.boards import COUNTING
from dispatcher.emit_c99 import emit_c99
from dispatcher.literal import c99_text
from dispatcher.load import Bundle, load_bundle
from dispatcher.plan import Leaf, Tree
from dispatcher.vectors import random_points
from tests.benchmarks.firmware import LEVELS, run_on

_LOOP = re.compile(r"(static size_t net_find_cell\(const float \*in\)\n)\{.*?\n\}\n", re.DOTALL)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--boards", nargs="+", choices=COUNTING, default=["M4F"])
    parser.add_argument("--points", type=int, default=1000)
    options = parser.parse_args(argv)
    bundle = load_bundle(options.bundle)
    points = random_points(bundle.family, options.points, np.random.default_rng(0))
    print("| board | table: instructions | flash | nested: instructions | flash |\n|---|--:|--:|--:|--:|")
    for board in (COUNTING[name] for name in options.boards):
        for level in LEVELS:
            figures = []
            for nested in (False, True):
                with tempfile.TemporaryDirectory() as directory:

                    def write(path: Path, *, nested: bool = nested) -> None:
                        write_package(bundle, path, nested=nested)

                    mean, _, flash = run_on(board, write, points, Path(directory), level)
                    figures.append(f"{mean:,.0f} | {flash:,}")
            print(f"| {board.name} {level} | {' | '.join(figures)} |", flush=True)
    return 0


def write_package(bundle: Bundle, path: Path, *, nested: bool) -> None:
    """The C of a bundle with prefix ``net``, masked, routed by its table or by nested comparisons."""
    emit_c99(bundle.family, bundle.digest, path, "net", "masked")
    if nested:
        source = path / "net.c"
        body = "\n".join(nested_comparisons(bundle.family.tree))
        text, count = _LOOP.subn(lambda match: f"{match[1]}{{\n{body}\n}}\n", source.read_text(encoding="ascii"))
        assert count == 1, "the function that is replaced"
        source.write_text(text, encoding="ascii")


def nested_comparisons(tree: Tree, position: int = 0) -> list[str]:
    """C statements that return the cell of ``in``."""
    node = tree[position]
    if isinstance(node, Leaf):
        return [f"return {node.cell}U;"]
    test = f"if (in[{node.axis}] <= {c99_text(float(np.float32(node.threshold)))}) {{"
    return [test, *nested_comparisons(tree, node.low), "}", *nested_comparisons(tree, node.high)]


if __name__ == "__main__":
    sys.exit(main())
