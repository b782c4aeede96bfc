"""The seeded sets of cells on which provers are measured: halved domains, boxes around samples, a property's box.

A smaller count gives the first cells of the same seeded order, so a short run measures a part of a long one.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import slicer
from slicer.box import Box
from slicer.network import Network
from slicer.partition import halve, leaves

DIGITS = Path(__file__).parents[2] / "examples" / "digits"


@dataclass(frozen=True, eq=False)
class CellSet:
    """Some cells of a network; ``numbers`` are their places in the partition or among the samples."""

    name: str
    network: Network
    numbers: tuple[int, ...]
    boxes: tuple[Box, ...]


def halved(model: Path, domain: str, cells: int, count: int, seed: int = 0) -> CellSet:
    """Seeded cells of a domain halved into ``cells`` (all of them if ``count`` is no less); 1: the domain itself."""
    network = slicer.read_network(model)
    boxes = leaves(halve(slicer.read_domain(domain, network.n_in), cells))
    numbers = seeded(len(boxes), count, seed)
    name = f"{model.stem}, {cells:,} cell{'s' * (cells > 1)}"
    return CellSet(name, network, numbers, tuple(boxes[number] for number in numbers))


def around_digits(count: int, radius: float, seed: int = 0) -> CellSet:
    """Boxes around seeded images of the digits example, ``radius`` in ranges of a pixel, cut to the domain."""
    from sklearn.datasets import load_digits

    network = slicer.read_network(DIGITS / "digits.onnx")
    domain = slicer.read_domain(DIGITS / "domain.csv", network.n_in)
    images = load_digits().data
    numbers = seeded(len(images), count, seed)
    reach = radius * (domain.upper.astype(np.float64) - domain.lower)
    boxes = [
        Box.outward(np.maximum(images[number] - reach, domain.lower), np.minimum(images[number] + reach, domain.upper))
        for number in numbers
    ]
    return CellSet(f"digits, ± {radius:g} of a pixel's range", network, numbers, tuple(boxes))


def seeded(size: int, count: int, seed: int) -> tuple[int, ...]:
    """The first ``count`` of a seeded order of 0 … size − 1."""
    return tuple(np.random.default_rng(seed).permutation(size)[:count].tolist())


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that `cell_sets` reads."""
    parser.add_argument("model", type=Path, nargs="*")
    parser.add_argument("--domain", default="", help="of all models: lo:hi, a .csv or a .vnnlib file")
    parser.add_argument(
        "--cells", type=int, nargs="+", default=[1024], help="numbers of cells to halve the domain into"
    )
    parser.add_argument("--count", type=int, nargs="+", default=[64], help="cells measured, one for each of --cells")
    parser.add_argument("--digits", type=int, default=0, help="boxes around so many samples of the digits example")
    parser.add_argument("--radius", type=float, default=0.05, help="of these boxes, in ranges of a pixel")
    parser.add_argument("--seed", type=int, default=0)


def cell_sets(options: argparse.Namespace) -> Iterator[CellSet]:
    """The sets that the command line asks for."""
    for model in options.model:
        for cells, count in zip(options.cells, options.count, strict=True):
            yield halved(model, options.domain, cells, count, options.seed)
    if options.digits:
        yield around_digits(options.digits, options.radius, options.seed)


def command_part(options: argparse.Namespace) -> str:
    """The same options as text, with file names only."""
    parts = [model.name for model in options.model]
    if options.model:
        cells, count = " ".join(map(str, options.cells)), " ".join(map(str, options.count))
        parts.append(f"--domain {Path(options.domain).name} --cells {cells} --count {count}")
    if options.digits:
        parts.append(f"--digits {options.digits} --radius {options.radius:g}")
    return " ".join([*parts, f"--seed {options.seed}"])
