"""Ideas for the search, those that lost too: each on the same cells, against the search as it is.

    python -m tests.benchmarks.ideas MODEL --domain DOMAIN --cells 1024 --count 16 --effort 1000 4000

writes ``ideas.json`` and ``ideas.md`` (or ``--name``) to ``artifacts/benchmarks``. An idea replaces one rule: the lower
slopes of unstable ReLUs, the input to split, the candidates to work for, or the number of trees. Only the search runs;
checkers need not know an idea's rule before it has won.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
from threadpoolctl import threadpool_limits

import slicer
from slicer.bounds import backward, reference
from slicer.bounds.backward import Relaxation
from slicer.bounds.linear import Prepared
from slicer.bounds.reference import bound_boxes
from slicer.box import Box
from slicer.partition import halve, leaves
from slicer.search import branch
from slicer.search.branch import Search, best_axis
from slicer.search.cell import search_cell
from slicer.search.verdict import Open
from tests.benchmarks.record import machine, write_record

Slopes = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Idea:
    """What it changes; ``slopes`` gives α from (lower, upper, upper slope) of unstable units."""

    name: str
    search: type[Search] = Search
    slopes: Slopes | None = None
    cost: float = branch.COST


class WidestInput(Search):
    """Split the input that is widest relative to the cell."""

    def _axis(self, bounds, lower, upper):
        self.widths = getattr(self, "widths", np.maximum(upper[0] - lower[0], 1e-300))
        return best_axis((upper - lower) / self.widths, lower, upper)


class OwnBounds(Search):
    """Score an input by the bounds of the candidates only, in the direction that closes them."""

    def _axis(self, bounds, lower, upper):
        score = (upper - lower) * 1e-9
        for tasks, bound in bounds.last:
            own = self.target[_flat(self.prepared, tasks)] == -tasks.sign
            np.add.at(score, tasks.box, own[:, None] * np.abs(bound.slope) * (upper - lower)[tasks.box])
        return best_axis(score, lower, upper)


class TriedInput(Search):
    """Bound the halves of every input, and take the input with most phases proved (strong branching).

    These bounds are counted as work.
    """

    def _axis(self, bounds, lower, upper):
        phases = bounds.proved
        score = np.zeros_like(lower)
        wanted = (phases == 0) & (self.target != 0)
        for axis in range(lower.shape[1]):
            for moved in (0, 1):  # the high half has another lower corner, the low half another upper one
                corners = lower.copy(), upper.copy()
                corners[moved][:, axis] = (lower[:, axis] + upper[:, axis]) / 2
                halves = bound_boxes(self.prepared, *corners, phases, wanted)
                self.boxes += len(lower)
                score[:, axis] += ((halves.proved != 0) & wanted).sum(axis=1)
        return best_axis(score + 1e-9 * (upper - lower), lower, upper)


class EveryCandidate(Search):
    """Work for all candidates at once, whatever they cost."""

    def _focus(self, open_units, budget):
        return open_units.any(axis=0)


class OneAtATime(Search):
    """Work for the cheapest candidate only, then for the next."""

    def _focus(self, open_units, budget):
        return super()._focus(open_units, 0)  # with nothing to spend only the cheapest one remains


def _flat(prepared: Prepared, tasks) -> np.ndarray:
    """Flat numbers of the tasks' units (of the first ReLU layer that reads them)."""
    return prepared.offsets[prepared.relu_sources[tasks.layer][0]] + tasks.unit


IDEAS = (
    Idea("as it is"),
    Idea("slope 0 or 1 by area: 1 where u >= -l (the rule before)", slopes=lambda lower, upper, _: upper >= -lower),
    Idea("slope 1 where u >= -1.5 l", slopes=lambda lower, upper, _: upper >= -1.5 * lower),
    Idea("slope 1 where u >= -2 l", slopes=lambda lower, upper, _: upper >= -2 * lower),
    Idea("slope 1 where u >= -4 l", slopes=lambda lower, upper, _: upper >= -4 * lower),
    Idea("slope from 0 at u = -l to 1 at u = -3 l, linear in u/l", slopes=lambda lower, upper, _: np.clip((upper / -lower - 1) / 2, 0, 1)),
    Idea("slope of the upper line", slopes=lambda lower, upper, slope: slope),
    Idea("slope 0", slopes=lambda lower, upper, _: np.zeros_like(lower)),
    Idea("slope 1", slopes=lambda lower, upper, _: np.ones_like(lower)),
    Idea("split the widest input", search=WidestInput),
    Idea("score inputs by the candidates' bounds only", search=OwnBounds),
    Idea("strong branching, counted as work", search=TriedInput),
    Idea("work for every candidate", search=EveryCandidate),
    Idea("one candidate at a time", search=OneAtATime),
    Idea("cost exponent 1", cost=1.0),
    Idea("cost exponent 4", cost=4.0),
)  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    options = _options(argv)
    network = slicer.read_network(options.model)
    domain = slicer.read_domain(options.domain, network.n_in)
    boxes = leaves(halve(domain, options.cells))
    chosen = np.random.default_rng(options.seed).choice(len(boxes), min(options.count, len(boxes)), replace=False)
    prepared = Prepared(network)
    with threadpool_limits(1):
        rows = [
            _row(idea, prepared, [boxes[cell] for cell in chosen], effort)
            for effort in options.effort
            for idea in IDEAS
        ]
    record = {"model": options.model.name, "command": _command(options), "machine": machine(), "rows": rows}
    write_record(options.out, options.name, record, page(record))
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--domain", required=True)
    parser.add_argument("--cells", type=int, default=1024)
    parser.add_argument("--count", type=int, default=16)
    parser.add_argument("--effort", type=int, nargs="+", default=[1000])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--name", default="ideas")
    parser.add_argument("--out", type=Path, default=Path("artifacts/benchmarks"))
    return parser.parse_args(argv)


def _command(options: argparse.Namespace) -> str:
    """The command that reproduces the record, with file names only."""
    effort, domain = " ".join(map(str, options.effort)), Path(options.domain).name
    return (
        f"python -m tests.benchmarks.ideas {options.model.name} --domain {domain} --cells {options.cells} "
        f"--count {options.count} --effort {effort} --seed {options.seed} --name {options.name}"
    )


def _row(idea: Idea, prepared: Prepared, boxes: Sequence[Box], effort: int) -> dict:
    """Mean closure and cost of an idea over some cells."""
    start = time.process_time()
    with patch.object(reference, "relax", _relax(idea)), patch.object(branch, "COST", idea.cost):
        found = [
            search_cell(prepared, box, effort, np.random.default_rng([0, cell]), strategy=idea.search)
            for cell, box in enumerate(boxes)
        ]
    seconds = time.process_time() - start
    closure = [
        1 - sum(isinstance(v, Open) for v in cell.verdicts.values()) / max(1, len(cell.verdicts)) for cell in found
    ]
    return {
        "idea": idea.name,
        "effort": effort,
        "closure": float(np.mean(closure)),
        "lowest": min(closure),
        "inactive": float(np.mean([len(cell.inactive) for cell in found])),
        "boxes": float(np.mean([cell.boxes for cell in found])),
        "cpu_seconds": seconds / len(boxes),
    }  # fmt: skip


def _relax(idea: Idea) -> Callable[[np.ndarray, np.ndarray], Relaxation]:
    """The relaxation with an idea's lower slopes."""
    if idea.slopes is None:
        return backward.relax

    def relax(lower: np.ndarray, upper: np.ndarray) -> Relaxation:
        lines = backward.relax(lower, upper)
        unstable = (lower < 0) & (upper > 0)
        alpha = idea.slopes(np.where(unstable, lower, -1.0), np.where(unstable, upper, 1.0), lines.slope)
        return replace(lines, alpha=np.where(unstable, alpha, lines.alpha).astype(np.float64))

    return relax


def page(record: dict) -> list[str]:
    """The record as a table."""
    rows = [
        f"| {row['idea']} | {row['effort']:,} | {row['closure']:.1%} | {row['lowest']:.1%} | {row['inactive']:.1f} | {row['boxes']:,.0f} | {row['cpu_seconds']:.2f} |"
        for row in record["rows"]
    ]
    return [
        f"# Ideas for the search: {record['model']}",
        "",
        f"`{record['command']}`",
        "",
        f"{record['machine']}. Means per cell; closure is the share of candidates that are proved or refuted.",
        "",
        "| idea | effort | closure | lowest | units inactive | boxes | CPU s |",
        "|---|---|---|---|---|---|---|",
        *rows,
    ]


if __name__ == "__main__":
    sys.exit(main())
