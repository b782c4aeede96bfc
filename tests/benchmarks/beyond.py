"""What is left to compute where only the decision counts, or outputs may differ, beside families that keep every bit.

    python -m tests.benchmarks.beyond MODEL… --domain DOMAIN --decision argmin --cells 256 1024 --effort 200
    python -m tests.benchmarks.beyond MODEL… --domain DOMAIN --add --epsilon 0.1% 1% --cells 256 1024 --effort 200

writes ``beyond.json`` and ``beyond.md`` (or ``--name``) to ``artifacts/benchmarks`` after every run; with ``--add`` to what
an earlier command left there. Families that keep every bit are taken from ``family.json`` where they were measured with the
same cells and effort, else compressed here.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import slicer
from dispatcher.cost import cost
from dispatcher.emit_c99 import masked_macs, parent_family, table_sizes
from dispatcher.interpret import eval32
from dispatcher.load import load
from dispatcher.plan import member_layers
from dispatcher.vectors import border_points, random_points
from slicer.family.options import PARTS
from slicer.summary import largest_share, summarize
from tests.benchmarks.record import machine, write_record

POINTS = 200_000  # random ones, at which decisions are compared; and 16 beside every border


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    options = _options(argv)
    record = {"commands": [], "machine": machine(), "runs": []}
    if options.add:
        record = json.loads((options.out / f"{options.name}.json").read_text())
    record["commands"].append(_command(options))
    for cells, model, claim in itertools.product(options.cells, options.model, _claims(options)):
        record["runs"].append(_run(model, cells, claim, options))
        write_record(options.out, options.name, record, page(record))
        print(_row(record["runs"][-1]), file=sys.stderr, flush=True)
    return 0 if all(run["accepted"] and not run["different"] for run in record["runs"]) else 1


def _claims(options: argparse.Namespace) -> list[dict]:
    """What is asked for, as options of `slicer.Options`."""
    decisions = [{"mode": "decision", "decision": options.decision}] if options.decision else []
    return decisions + [{"mode": "epsilon", "epsilon": epsilon} for epsilon in options.epsilon]


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, nargs="+")
    parser.add_argument("--domain", required=True, help="of these models")
    parser.add_argument("--decision", choices=["argmax", "argmin"])
    parser.add_argument("--epsilon", nargs="+", default=[], help="as slicer compress takes it")
    parser.add_argument("--cells", type=int, nargs="+", default=[256])
    parser.add_argument("--parts", type=int, default=PARTS, help="of each cell, on average")
    parser.add_argument("--effort", type=int, default=slicer.Options().effort)
    parser.add_argument("--jobs", type=int, default=-1)
    parser.add_argument("--add", action="store_true", help="keep the runs of the record that is there")
    parser.add_argument("--name", default="beyond")
    parser.add_argument("--out", type=Path, default=Path("artifacts/benchmarks"))
    return parser.parse_args(argv)


def _command(options: argparse.Namespace) -> str:
    """The command that reproduces the runs, with file names only."""
    words = [model.name for model in options.model] + ["--domain", Path(options.domain).name]
    words += ["--decision", options.decision] if options.decision else []
    words += ["--epsilon", *options.epsilon] if options.epsilon else []
    words += ["--add"] if options.add else []
    words += ["--cells", *map(str, options.cells), "--parts", str(options.parts), "--effort", str(options.effort)]
    return f"python -m tests.benchmarks.beyond {' '.join(words)}"


def _run(model: Path, cells: int, claim: dict, options: argparse.Namespace) -> dict:
    """One family: compressed, audited, measured, compared with its parent."""
    choice = slicer.Options(**claim, cells=cells, parts=options.parts, effort=options.effort, jobs=options.jobs)
    with tempfile.TemporaryDirectory() as directory:
        start = time.monotonic()
        bundle = slicer.compress(model, options.domain, Path(directory) / "bundle", choice)
        seconds = time.monotonic() - start
        accepted = slicer.audit(bundle.path).accepted
        different, points, used = _differences(bundle)
    family, summary = bundle.family, summarize(bundle)
    macs = np.array([cost(member_layers(family.parent, member)).mac for member in family.members])
    cells_of = list(family.cells)
    parent = table_sizes(parent_family(family.parent, family.lower, family.upper)).flash
    return {
        "model": model.stem,
        "claim": str(claim.get("decision", claim.get("epsilon"))),
        "mode": claim["mode"],
        "cells": cells,
        "leaves": len(family.cells),
        "effort": options.effort,
        "accepted": accepted,
        "points": points,
        "different": different,
        "used": used,
        "seconds": seconds,
        "free": summary["decided"] + summary["affine"],
        "readout": summary["readout"],
        "rounding": largest_share(summary["rounding"], summary["epsilon"] or ()),
        "free_cells": sum(count.classes == 1 or count.affine for count in bundle.counts),
        "members": summary["members"],
        "parent_mac": summary["parent_mac"],
        "bitwise_mac": _bitwise_mac(model, cells, options),
        "mac_mean": float(macs[cells_of] @ bundle.measures),
        "mac_max": int(macs.max()),
        "flash": table_sizes(family, "packed").flash / parent,
    } | _masked(bundle, parent)


def _masked(bundle: slicer.Bundle, parent: int) -> dict:
    """The family in layout ``masked``."""
    macs = masked_macs(bundle.family)[list(bundle.family.cells)]
    flash = table_sizes(bundle.family, "masked").flash / parent
    return {"masked_mac_mean": float(macs @ bundle.measures), "masked_flash": flash}


def _bitwise_mac(model: Path, cells: int, options: argparse.Namespace) -> float:
    """Mean multiply-accumulates of packed members that keep every bit, with the same cells and effort."""
    measured = options.out / "family.json"
    if measured.exists():
        for run in json.loads(measured.read_text())["runs"]:
            same = (run["model"], run["cells"], run["cuts"], run["effort"])
            if same == (model.stem, cells, "adaptive", options.effort):
                return float(run["layouts"]["packed"]["mac_mean"])
    choice = slicer.Options(cells=cells, effort=options.effort, jobs=options.jobs)
    with tempfile.TemporaryDirectory() as directory:
        return float(summarize(slicer.compress(model, options.domain, Path(directory) / "bundle", choice))["mac_mean"])


def _differences(bundle: slicer.Bundle) -> tuple[int, int, float | None]:
    """At how many points the family breaks its claim, how many were asked, and the largest share of a bound in use."""
    family, served, rng = bundle.family, load(bundle.path), np.random.default_rng(5)
    batches = [random_points(family, POINTS, rng), *border_points(family, 16, rng)]
    points = np.concatenate(batches)
    expected = eval32(family.parent, points)
    if family.epsilon is not None:
        share = np.abs(served.predict(points) - expected.astype(np.float64)) / family.epsilon
        return int((share > 1).any(axis=1).sum()), len(points), float(share.max())
    winner = np.argmax if family.decision == "argmax" else np.argmin
    return int((served.decide(points) != winner(expected, axis=1)).sum()), len(points), None


def page(record: dict) -> list[str]:
    """The record as a table."""
    runs = sorted(
        record["runs"], key=lambda run: (run["model"], run["cells"], run["effort"], run["claim"], _leaves(run))
    )
    points = sum(run["points"] for run in runs)
    different = sum(run["different"] for run in runs)
    return [
        "# Beyond the same bits",
        "",
        *(f"`{command}`  " for command in record["commands"]),
        "",
        f"{record['machine']}. MAC are multiply-accumulates per inference, mean over the domain's volume (and largest); "
        "*bitwise* those of a packed family that keeps every bit, with as many adaptive cells (before they are divided "
        "into parts) and the same effort. *Cells*: so many, divided into so many; runs without --parts in their command "
        "are older, had undivided cells, and half the effort for settling a whole one. Flash: "
        "the tables of the emitted C, in times the parent's. "
        + ("Every bundle was audited. " if all(run["accepted"] for run in runs) else "NOT ALL WERE ACCEPTED. ")
        + f"At {points:,} points, random and beside borders, {different:,} outcomes are not as proved.",
        "",
        "## Decisions",
        "",
        "*Decided*: share of the volume in cells where one output always wins, so that nothing is computed.",
        "",
        "| model | decision | cells | effort | decided (cells) | packed: mean (max) | x dense | x bitwise | flash | masked: mean | flash |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
        *(_row(run) for run in runs if run["mode"] == "decision"),
        "",
        "## Tolerances",
        "",
        "ε in shares of each output's range. *Affine*: share of the volume in cells that an affine function serves. *Read off*: in cells whose outputs are read off hidden units. *Rounding*: what it takes of a bound at most, by the proofs. "
        "*Used*: the largest difference seen at these points, in shares of ε. –: an older run, which did not measure it, and had no readouts of hidden units.",
        "",
        "| model | ε | cells | effort | affine (cells) | read off | packed: mean (max) | x dense | x bitwise | flash | masked: mean | flash | rounding | used |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|",
        *(_row(run) for run in runs if run["mode"] == "epsilon"),
    ]


def _leaves(run: dict) -> int:
    """Number of cells in the bundle; the oldest runs had undivided ones only."""
    return run.get("leaves", run["cells"])


def _row(run: dict) -> str:
    """One family."""
    masked = "– | –"
    if "masked_flash" in run:
        masked = f"{run['masked_mac_mean']:,.0f} | {run['masked_flash']:.2f}"
    read, used = "", ""
    if run["used"] is not None:
        read = f"{run['readout']:.1%} | " if "readout" in run else "– | "
        used = (f" {run['rounding']:.2%} |" if "rounding" in run else " – |") + f" {run['used']:.2f} |"
    return (
        f"| {run['model']} | {run['claim']} | {run['cells']:,} ({_leaves(run):,}) | {run['effort']:,} | {run['free']:.1%} ({run['free_cells']:,}) | {read}"
        f"{run['mac_mean']:,.0f} ({run['mac_max']:,}) | {run['parent_mac'] / run['mac_mean']:.2f} | "
        f"{run['bitwise_mac'] / run['mac_mean']:.2f} | {run['flash']:.2f} | {masked} |{used}"
    )


if __name__ == "__main__":
    sys.exit(main())
