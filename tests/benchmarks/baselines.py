"""Our prover and three baselines on the same candidates of the same cells, and every disagreement between them.

    python -m tests.benchmarks.baselines MODEL --domain DOMAIN --cells 1024 32 --count 8 4 --deadline 5

writes ``baselines.json`` and ``baselines.md`` (or ``--name``) to ``artifacts/benchmarks``. The baselines are (a) one
Marabou query per unit, (b) one mixed-integer program for all units of a cell, and the same layer by layer, (c) one
program per unit. All are given our intervals at the cell: what these fix is linear, what they decide is not asked.
The exit code is 1 if a confirmed witness contradicts a proof of ours.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from slicer.bounds.linear import Prepared
from slicer.box import Box
from slicer.network import Network
from slicer.search.cell import search_cell
from slicer.search.falsify import sample_extremes
from slicer.search.solvers.child import Limit
from slicer.search.solvers.encode import encode
from slicer.search.solvers.joint import ask_milp_for_all
from slicer.search.solvers.marabou import ask_marabou
from slicer.search.solvers.milp import ask_milp
from slicer.search.solvers.query import Encoding
from tests.benchmarks.baselines_record import NAMES, CellResult, Result, page, set_record, table
from tests.benchmarks.prover_cells import CellSet, add_arguments, cell_sets, command_part, seeded
from tests.benchmarks.record import machine, write_record

# A child may take this many times its CPU limit on the clock: the machine may be busy.
PATIENCE = 20
PER_UNIT = {"marabou": ask_marabou, "milp": ask_milp}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    options = _options(argv)
    sets = []
    for cell_set in cell_sets(options):
        cells = run(cell_set, options)
        sets.append(set_record(cell_set.name, cells))
        print("\n".join(table(sets[-1])), file=sys.stderr, flush=True)
    record = {"command": _command(options), "machine": machine(), "sets": sets}
    write_record(options.out, options.name, record, page(record))
    return 1 if any(found["unsound"] for record in sets for found in record["disagreements"]) else 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--methods", nargs="*", default=list(NAMES), choices=list(NAMES))
    parser.add_argument("--effort", type=int, nargs="+", default=[1000], help="of our search; each is a method")
    parser.add_argument("--deadline", type=float, default=5.0, help="CPU seconds for a claim that is asked alone")
    parser.add_argument("--joint", type=float, default=60.0, help="CPU seconds for all claims of a cell asked together")
    parser.add_argument("--claims", type=int, default=0, help="seeded claims per cell that are asked alone; 0: all")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--name", default="baselines")
    parser.add_argument("--out", type=Path, default=Path("artifacts/benchmarks"))
    return parser.parse_args(argv)


def _command(options: argparse.Namespace) -> str:
    """The command that reproduces the record, with file names only."""
    return (
        f"python -m tests.benchmarks.baselines {command_part(options)} --methods {' '.join(options.methods)} "
        f"--effort {' '.join(map(str, options.effort))} --deadline {options.deadline:g} --joint {options.joint:g} "
        f"--claims {options.claims} --name {options.name}"
    )


def run(cell_set: CellSet, options: argparse.Namespace) -> list[CellResult]:
    """All methods on all cells of a set, in order."""
    task = Task(cell_set.network, options)
    cells = zip(cell_set.numbers, cell_set.boxes, strict=True)
    return list(Parallel(options.jobs, batch_size=1)(delayed(task)(number, box) for number, box in cells))


class Task:
    """What is the same for all cells of a set."""

    def __init__(self, network: Network, options: argparse.Namespace) -> None:
        self.network = network
        self.options = options

    def __call__(self, number: int, box: Box) -> CellResult:
        """One cell, on one BLAS thread."""
        with threadpool_limits(1):
            return self._cell(number, box)

    def _cell(self, number: int, box: Box) -> CellResult:
        """All methods on a cell."""
        prepared = Prepared(self.network)
        results = {f"ours {effort}": self._ours(prepared, number, box, effort) for effort in self.options.effort}
        encoding = encode(prepared, box)
        candidates = sorted(set.intersection(*(set(result.verdicts) for result in results.values())))
        # The same seed gives the same points, so this is the phase that the search hoped for.
        phase = sample_extremes(prepared, box, self._rng(number)).phase
        claims = {unit: int(phase[unit]) for unit in candidates if encoding.question(unit, int(phase[unit]))}
        count = self.options.claims or len(claims)
        sample = tuple(list(claims)[place] for place in sorted(seeded(len(claims), count, self.options.seed)))
        for method in self.options.methods:
            results[method] = self._solver(method, prepared, encoding, claims, sample)
        return CellResult(number, len(candidates), claims, sample, results)

    def _rng(self, number: int) -> np.random.Generator:
        """The generator of a cell."""
        return np.random.default_rng([self.options.seed, number])

    def _ours(self, prepared: Prepared, number: int, box: Box, effort: int) -> Result:
        """Our search, whole: sampling, gradients, branch and bound."""
        start = time.process_time()
        found = search_cell(prepared, box, effort, self._rng(number))
        return Result(dict(found.verdicts), time.process_time() - start)

    def _solver(
        self, method: str, prepared: Prepared, encoding: Encoding, claims: dict[int, int], sample: Sequence[int]
    ) -> Result:
        """One baseline: on the sample where it asks one by one, else on all claims."""
        if method in PER_UNIT:
            limit = Limit(PATIENCE * self.options.deadline, self.options.deadline)
            asked = {unit: PER_UNIT[method](prepared, encoding, unit, claims[unit], limit) for unit in sample}
            seconds = sum(advice.seconds for advice in asked.values())
            return Result({unit: advice.verdict for unit, advice in asked.items()}, seconds)
        whole = [list(claims)]
        layers = [list(units) for _, units in groupby(claims, lambda unit: encoding.units[unit].before)]
        verdicts, spent = {}, 0.0
        for units in whole if method == "joint" else layers:
            left = self.options.joint - spent
            some, seconds = ask_milp_for_all(
                prepared, encoding, {unit: claims[unit] for unit in units}, Limit(PATIENCE * left, left)
            )
            verdicts |= some
            spent += seconds
        return Result(verdicts, spent)


if __name__ == "__main__":
    sys.exit(main())
