"""What routing by the signs of first-layer units would bring on the digits example, at its best.

    python -m tests.benchmarks.halfspaces --cells 32

writes ``halfspaces.json`` and ``halfspaces.md`` to ``artifacts/benchmarks``. A routing tree whose nodes test signs of
first-layer pre-activations is grown best-first over the images; on every leaf linear programs (HiGHS, which here needs
no proof) say which units stay inactive: the first layer's exactly, the second layer's by the triangle relaxation. So
the figures are better than what proofs with rounding could give: what does not pay here does not pay at all.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import highspy
import numpy as np
from numpy.typing import NDArray

import slicer
from dispatcher.layers import Dense, Layers
from tests.benchmarks.prover_cells import DIGITS
from tests.benchmarks.record import machine, write_record

Array = NDArray[np.float64]
Signs = tuple[tuple[int, int], ...]  # unit of the first layer, -1 (at most 0) or +1
SLACK = 1e-9  # a maximum this small counts as 0: in favour of halfspaces


@dataclass(frozen=True, eq=False)
class Net:
    """Three dense layers with ReLUs between, weights ``[n_out, n_in]``, over inputs in ``[0, 1]``."""

    weights: tuple[Array, Array, Array]
    biases: tuple[Array, Array, Array]

    @staticmethod
    def of(layers: Layers) -> Net:
        """The dense layers of a network whose inputs are only scaled before."""
        dense = [layer for layer in layers if isinstance(layer, Dense)]
        return Net(*(tuple(np.float64(getattr(d, name)) for d in dense) for name in ("weight", "bias")))

    def links(self, first: NDArray[np.bool_], second: NDArray[np.bool_]) -> int:
        """Non-zero weights among live units of the two hidden layers."""
        one, two, three = (weight != 0 for weight in self.weights)
        first = first & two[second].any(axis=0)
        return int(one[first].sum() + two[np.ix_(second, first)].sum() + three[:, second].sum())


@dataclass(frozen=True, eq=False)
class Leaf:
    """A leaf: the signs on its route, its images, bounds of the first layer, upper bounds of the second."""

    signs: Signs
    images: NDArray[np.bool_]
    lower: Array
    upper: Array
    second: Array

    def work(self, net: Net) -> tuple[int, int]:
        """Non-zero multiply-accumulates of the member, and with those that only the route needs."""
        live = self.upper > SLACK
        member = net.links(live, self.second > SLACK)
        return member, member + sum(int((net.weights[0][u] != 0).sum()) for u, _ in self.signs if not live[u])


class Program:
    """The images' box cut by signs of the first layer, as a linear program."""

    def __init__(self, net: Net, signs: Signs) -> None:
        self.net, self.highs = net, highspy.Highs()
        self.highs.setOptionValue("output_flag", False)
        for _ in range(net.weights[0].shape[1]):
            self.highs.addVar(0.0, 1.0)
        for unit, sign in signs:
            bias = -net.biases[0][unit]
            self._row(net.weights[0][unit], (), *((bias, np.inf) if sign > 0 else (-np.inf, bias)))

    def relax(self, lower: Array, upper: Array) -> None:
        """Add the first layer's outputs by the triangle relaxation."""
        inputs = self.highs.numVariables
        for low, high in zip(lower, upper, strict=True):
            self.highs.addVar(max(low, 0.0), max(high, 0.0))
        for unit in np.flatnonzero(upper > 0):
            weight, bias, own = self.net.weights[0][unit], self.net.biases[0][unit], ((inputs + unit, 1.0),)
            self._row(-weight, own, bias, np.inf)
            slope = 1.0 if lower[unit] >= 0 else upper[unit] / (upper[unit] - lower[unit])
            self._row(-slope * weight, own, -np.inf, slope * (bias - min(lower[unit], 0.0)))

    def maximum(self, gain: Array) -> float:
        """The largest value of a linear function of the variables; NaN if there is no point."""
        for column, coefficient in enumerate(gain):
            self.highs.changeColCost(column, -coefficient)
        self.highs.run()
        good = self.highs.getModelStatus() == highspy.HighsModelStatus.kOptimal
        return -self.highs.getInfo().objective_function_value if good else np.nan

    def _row(self, weight: Array, further: Sequence[tuple[int, float]], lower: float, upper: float) -> None:
        used = np.flatnonzero(weight)
        columns = np.array([*used, *(column for column, _ in further)], np.int32)
        values = np.array([*weight[used], *(value for _, value in further)])
        self.highs.addRow(lower, upper, len(columns), columns, values)


def leaf(net: Net, signs: Signs, images: NDArray[np.bool_]) -> Leaf | None:
    """The leaf of some signs; None if no input has them."""
    program, (weight, bias) = Program(net, signs), (net.weights[0], net.biases[0])
    upper = np.array([program.maximum(row) for row in weight]) + bias
    if np.isnan(upper).any():
        return None
    lower = bias - np.array([program.maximum(-row) for row in weight])
    program.relax(lower, upper)
    nothing = np.zeros(weight.shape[1])
    second = np.array([program.maximum(np.concatenate([nothing, row])) for row in net.weights[1]]) + net.biases[1]
    return Leaf(signs, images, lower, upper, second)


def halves(net: Net, parent: Leaf, values: Array) -> Iterator[tuple[Leaf, Leaf]]:
    """The leaf cut by each unit that is undecided on it and divides its images."""
    for unit in np.flatnonzero((parent.lower < 0) & (parent.upper > 0)).tolist():
        active = values[:, unit] > 0
        parts = parent.images & ~active, parent.images & active
        if all(part.any() for part in parts):
            low, high = (leaf(net, (*parent.signs, (unit, s)), p) for s, p in zip((-1, 1), parts, strict=True))
            if low and high:
                yield low, high


def grow(net: Net, images: Array, cells: int) -> list[dict]:
    """Best-first growth by expected work, routing included; one row for each number of cells."""
    values = images @ net.weights[0].T + net.biases[0]
    root = leaf(net, (), np.ones(len(images), bool))
    assert root is not None  # the box has points
    leaves, rows = [root], []
    while True:
        shares = np.array([one.images.mean() for one in leaves])
        work = shares @ np.array([one.work(net) for one in leaves])
        rows.append({"cells": len(leaves), "member": work[0], "with_routing": work[1]})
        if len(leaves) == cells:
            return rows
        widest = leaves.pop(int(shares.argmax()))
        pairs = halves(net, widest, values)
        leaves += min(pairs, key=lambda pair: sum(one.work(net)[1] * one.images.sum() for one in pair))


def skipping(net: Net, images: Array) -> float:
    """Mean non-zero multiply-accumulates of the parent that skips zero activations at run time."""
    first = np.maximum(images @ net.weights[0].T + net.biases[0], 0)
    second = np.maximum(first @ net.weights[1].T + net.biases[1], 0)
    used = [(weight != 0).sum(axis=0) for weight in net.weights]
    return float(used[0].sum() + ((first > 0) @ used[1]).mean() + ((second > 0) @ used[2]).mean())


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    from sklearn.datasets import load_digits

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=32)
    parser.add_argument("--out", type=Path, default=Path("artifacts/benchmarks"))
    options = parser.parse_args(argv)
    net = Net.of(slicer.read_network(DIGITS / "digits.onnx").layers)
    images = load_digits().data / 16
    record = {
        "command": f"python -m tests.benchmarks.halfspaces --cells {options.cells}",
        "machine": machine(),
        "parent": sum(int((weight != 0).sum()) for weight in net.weights),
        "skipping": skipping(net, images),
        "rows": grow(net, images, options.cells),
    }
    write_record(options.out, "halfspaces", record, _page(record))
    return 0


def _page(record: dict) -> list[str]:
    """The record for people."""
    shown = [row for row in record["rows"] if row["cells"] & (row["cells"] - 1) == 0 or row is record["rows"][-1]]
    rows = [f"| {row['cells']} | {row['member']:.1f} | {row['with_routing']:.1f} |" for row in shown]
    return [
        "# Routing by signs of first-layer units: the digits example",
        "",
        f"`{record['command']}`",
        "",
        f"{record['machine']}. Non-zero multiply-accumulates per image (mean over the 1,797 images). Linear programs "
        "without proofs decide what each leaf's member lacks, so this is the best that such routing could bring. "
        f"The parent has {record['parent']:,}; with zero activations skipped at run time it does "
        f"{record['skipping']:.1f}, without any routing.",
        "",
        "| cells | members | members and what only routing needs |",
        "|---|---|---|",
        *rows,
    ]


if __name__ == "__main__":
    sys.exit(main())
