"""How many planted faults the inputs of `dispatcher inspect-vectors` find, beside as many random inputs.

    python -m tests.benchmarks.inspection BUNDLE --layout masked --count 64 256 1024 --faults 300

A fault counts as *visible* if it changes an answer to one of the inspection's inputs or of a further sample of random
inputs, 50 in every cell: a flip of the last bit of a weight that is always multiplied by zero changes nothing that anybody
could see, and neither does a member with more units than a cell needs.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dispatcher.emit_c99 import Layout
from dispatcher.inspection import inspection_points
from dispatcher.load import load_bundle
from dispatcher.plan import Family
from dispatcher.vectors import box_points, cell_boxes, random_points
from tests.inspection.faults import FAULTS, copy_of, differs


@dataclass(frozen=True)
class Rate:
    """Shares of the faults of one kind: found by the inspection, by as many random inputs, visible at all."""

    found: float
    random: float
    visible: float


def main(argv: Sequence[str] | None = None) -> None:
    """Print a row for each kind and count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--layout", choices=list(FAULTS), default="packed")
    parser.add_argument("--count", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--faults", type=int, default=300)
    options = parser.parse_args(argv)
    family = load_bundle(options.bundle).family
    print(
        "| fault | inputs | found | found by random inputs | visible | found of the visible |\n|---|--:|--:|--:|--:|--:|"
    )
    for count in options.count:
        for kind, rate in detection(family, count, options.faults, options.layout).items():
            of_visible = f"{rate.found / rate.visible:.1%}" if rate.visible else "-"
            print(
                f"| {kind} | {count} | {rate.found:.1%} | {rate.random:.1%} | {rate.visible:.1%} | {of_visible} |",
                flush=True,
            )


def detection(family: Family, count: int, faults: int, layout: Layout = "packed", seed: int = 0) -> dict[str, Rate]:
    """Detection rates of every kind of fault for a number of inputs."""
    rng = np.random.default_rng(seed)
    original = copy_of(family)
    sample = np.concatenate([box_points(*box, 50, rng) for box in cell_boxes(family)])
    sets = [inspection_points(family, count), random_points(family, count, rng), sample]
    expected = [original.answers(points) for points in sets]
    rates = {}
    for kind, plant in FAULTS[layout].items():
        copies = [plant(original, rng) for _ in range(faults)]
        found = np.array([[differs(copy, *pair) for pair in zip(sets, expected, strict=True)] for copy in copies])
        visible = found[:, 0] | found[:, 2]
        rates[kind] = Rate(float(found[:, 0].mean()), float(found[:, 1].mean()), float(visible.mean()))
    return rates


if __name__ == "__main__":
    main()
