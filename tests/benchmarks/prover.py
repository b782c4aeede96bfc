"""How many candidates the search decides against the CPU time it takes, with the baselines on the same page.

    python -m tests.benchmarks.prover MODEL… --domain DOMAIN --cells 32 1024 --count 32 64 --effort 1 10 100 1000 4000 16000

writes ``prover.json``, ``prover.md`` and ``prover.png`` (or ``--name``) to ``artifacts/benchmarks``. Every effort is a run of its own from the
start. ``--runs`` adds records of earlier runs to the page; ``--baselines`` and ``--ideas`` those of
`tests.benchmarks.baselines` and `tests.benchmarks.ideas`.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dispatcher.files import read_network
from slicer.bounds.linear import Prepared
from slicer.box import Box
from slicer.family.pipeline import spread
from slicer.network import Network
from slicer.search.cell import search_cell
from slicer.search.verdict import Open, Proved, Refuted
from tests.benchmarks.baselines import NAMES
from tests.benchmarks.baselines_record import page as baselines_page
from tests.benchmarks.ideas import page as ideas_page
from tests.benchmarks.prover_cells import CellSet, add_arguments, cell_sets, command_part
from tests.benchmarks.record import machine, write_record


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    options = _options(argv)
    earlier = [json.loads(path.read_text()) for path in options.runs]
    runs = [run for record in earlier for run in record["runs"]]
    for cells in cell_sets(options):
        for effort in options.effort:
            runs.append(_run(cells, effort, options.jobs))
            print(json.dumps(runs[-1]), file=sys.stderr, flush=True)
    runs.sort(key=lambda run: (run["set"], run["effort"]))
    baselines, ideas = (
        [json.loads(path.read_text()) for path in paths] for paths in (options.baselines, options.ideas)
    )
    commands = [command for record in earlier for command in record["commands"]]
    commands += [_command(options)] if options.model or options.digits else []
    record = {"commands": commands, "machine": machine(), "runs": runs, "baselines": baselines, "ideas": ideas}
    options.out.mkdir(parents=True, exist_ok=True)
    _plot(runs, baselines, options.out / f"{options.name}.png")
    write_record(options.out, options.name, record, [*_page(record, options.name), *_further(record)])
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--effort", type=int, nargs="+", default=[1, 10, 100, 1000, 4000, 16000])
    for name in ("runs", "baselines", "ideas"):
        parser.add_argument(f"--{name}", type=Path, nargs="+", default=[], help="records to show on the page too")
    parser.add_argument("--jobs", type=int, default=-1)
    parser.add_argument("--name", default="prover")
    parser.add_argument("--out", type=Path, default=Path("artifacts/benchmarks"))
    return parser.parse_args(argv)


def _command(options: argparse.Namespace) -> str:
    """The command that reproduces the record, with file names only."""
    effort = " ".join(map(str, options.effort))
    return f"python -m tests.benchmarks.prover {command_part(options)} --effort {effort} --name {options.name}"


def _run(cells: CellSet, effort: int, jobs: int) -> dict:
    """All cells of a set with one effort."""
    content = cells.network.content
    tasks = [(content, number, box, effort) for number, box in zip(cells.numbers, cells.boxes, strict=True)]
    rows = sorted(spread(_cell, tasks, jobs), key=lambda row: row["cell"])
    decided = sum(row["proved"] + row["refuted"] for row in rows)
    return {
        "set": cells.name,
        "effort": effort,
        "cells": len(rows),
        "closure": float(np.mean([row["closure"] for row in rows])),
        "lowest": min(row["closure"] for row in rows),
        "cells_closed": sum(row["open"] == 0 for row in rows),
        "candidates": sum(row["proved"] + row["refuted"] + row["open"] for row in rows),
        "proved": sum(row["proved"] for row in rows),
        "refuted": sum(row["refuted"] for row in rows),
        "boxes": float(np.mean([row["boxes"] for row in rows])),
        "cpu_seconds": float(np.mean([row["cpu_seconds"] for row in rows])),
        "cpu_seconds_longest": max(row["cpu_seconds"] for row in rows),
        "cpu_seconds_per_decided": sum(row["cpu_seconds"] for row in rows) / max(1, decided),
        "worker_mib": max(row["worker_mib"] for row in rows),
    }


def _cell(content: bytes, number: int, box: Box, effort: int) -> dict:
    """One cell, in a worker; the CPU time is that of falsification and search."""
    prepared = Prepared(Network(read_network(content)))
    start = time.process_time()
    found = search_cell(prepared, box, effort, np.random.default_rng([0, number]))
    seconds = time.process_time() - start
    verdicts = list(found.verdicts.values())
    count = {kind: sum(isinstance(verdict, kind) for verdict in verdicts) for kind in (Proved, Refuted, Open)}
    return {
        "cell": number,
        "proved": count[Proved],
        "refuted": count[Refuted],
        "open": count[Open],
        "closure": 1 - count[Open] / max(1, len(verdicts)),
        "boxes": found.boxes,
        "cpu_seconds": seconds,
        "worker_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _plot(runs: Sequence[dict], baselines: Sequence[dict], path: Path) -> None:
    """Closure against CPU seconds, a line for each set; baselines as points."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 5))
    for name in dict.fromkeys(run["set"] for run in runs):
        own = [run for run in runs if run["set"] == name]
        axes.plot([run["cpu_seconds"] for run in own], [run["closure"] for run in own], marker=".", label=name)
    for point in _baseline_points(baselines):
        axes.plot(point["cpu_seconds"], point["closure"], "x", label=f"{point['method']}: {point['set']}")
    axes.set_xscale("log")
    axes.set_xlabel("CPU seconds per cell")
    axes.set_ylabel("mean closure: candidates proved or refuted")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7)
    figure.savefig(path, dpi=120, metadata={"Software": None})


def _baseline_points(baselines: Sequence[dict]) -> list[dict]:
    """Closure and CPU seconds per cell of every solver; of those asked about a sample, scaled to all claims."""
    points = []
    for found in (found for record in baselines for found in record["sets"]):
        for row in (row for row in found["rows"] if row["method"] in NAMES):
            decided = found["candidates"] - found["claims"] + row["share"] * found["claims"]
            seconds = row["cpu_per_cell"] * found["claims"] / max(1, row["asked"])
            name = {"set": found["name"], "method": NAMES[row["method"]]}
            points.append(name | {"closure": decided / found["candidates"], "cpu_seconds": seconds})
    return points


def _page(record: dict, name: str) -> list[str]:
    """The record as a table."""
    rows = [
        f"| {run['set']} | {run['effort']:,} | {run['closure']:.1%} | {run['lowest']:.1%} | {run['cells_closed']} of {run['cells']} | "
        f"{run['proved']:,} / {run['refuted']:,} of {run['candidates']:,} | {run['boxes']:,.0f} | {run['cpu_seconds']:.2f} | {run['cpu_seconds_longest']:.2f} | "
        f"{1000 * run['cpu_seconds_per_decided']:.1f} | {run['worker_mib']:.0f} |"
        for run in record["runs"]
    ]
    return [
        "# What the prover decides",
        "",
        *(line for command in record["commands"] for line in (f"`{command}`", "")),
        f"{record['machine']}; workers with one BLAS thread each. A candidate is a unit whose phase never changed over the falsifier's points; closure is the share of "
        "them that are proved, or refuted by a float32 input that eval32 confirms. CPU seconds are those of falsification and search, per cell; memory is the largest "
        "resident size of a worker so far.",
        "",
        f"![closure against CPU seconds]({name}.png)",
        "",
        "| cells | effort | mean closure | lowest | cells fully decided | proved / refuted | boxes | CPU s | longest | CPU ms per decision | worker MiB |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
        *rows,
    ]


def _further(record: dict) -> list[str]:
    """The pages of baselines and ideas, one level down."""
    pages = [*map(baselines_page, record["baselines"]), *map(ideas_page, record["ideas"])]
    return ["", *(f"#{line}" if line.startswith("#") else line for page in pages for line in [*page, ""])]


if __name__ == "__main__":
    sys.exit(main())
