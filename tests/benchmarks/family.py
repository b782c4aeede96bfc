"""What cuts and joined members bring: work and flash of families, uniform against adaptive, packed and masked.

    python -m tests.benchmarks.family MODEL… --domain DOMAIN --examples --cells 32 256 --effort 1000

writes ``family.json``, ``family.md`` and ``family.png`` (or ``--name``) to ``artifacts/benchmarks``, after every run; with
``--add`` to what an earlier command left there.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

import slicer
from dispatcher.cost import cost
from dispatcher.emit_c99 import masked_macs, parent_family, table_sizes
from dispatcher.errors import UnusableInput
from dispatcher.load import certificate_file
from dispatcher.plan import member_layers
from dispatcher.tree import leaf_depths
from slicer.bounds.linear import Prepared
from slicer.family.budget import Cells, Families, choose
from slicer.family.claim import BITWISE
from slicer.family.options import CUTS, LAYOUTS
from slicer.family.proof import read_proof
from slicer.summary import summarize
from tests.benchmarks.acasxu import skipping_mac
from tests.benchmarks.family_page import page, plot
from tests.benchmarks.record import machine, write_record

EXAMPLES = Path(__file__).parents[2] / "examples"
POINTS = 20_000  # seeded, uniform over the domain: means of work with zeros skipped
FLASH = 2.0  # times the parent's: the budget for which members are joined


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    options = _options(argv)
    record = {"commands": [], "machine": machine(), "runs": []}
    if options.add:
        record = json.loads((options.out / f"{options.name}.json").read_text())
    record["commands"].append(_command(options))
    done = {(run["model"], run["cells"], run["cuts"], run["effort"]) for run in record["runs"]}
    for cells in options.cells:
        for model, domain in _models(options):
            for cuts in options.cuts:
                if (model.stem, cells, cuts, options.effort) in done:
                    continue
                record["runs"].append(_run(model, domain, cells, cuts, options))
                print(_line(record["runs"][-1]), file=sys.stderr, flush=True)
                options.out.mkdir(parents=True, exist_ok=True)
                plot(record["runs"], options.out / f"{options.name}.png")
                write_record(options.out, options.name, record, page(record, options.name))
    return 0 if all(run["accepted"] for run in record["runs"]) else 1


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, nargs="*")
    parser.add_argument("--domain", help="of these models")
    parser.add_argument("--examples", action="store_true", help="the three examples too, on their own domains")
    parser.add_argument("--cells", type=int, nargs="+", default=[32, 256])
    parser.add_argument("--cuts", nargs="+", choices=CUTS, default=list(CUTS[::-1]))
    parser.add_argument("--effort", type=int, default=slicer.Options().effort)
    parser.add_argument("--jobs", type=int, default=-1)
    parser.add_argument("--add", action="store_true", help="keep the runs of the record that is there")
    parser.add_argument("--name", default="family")
    parser.add_argument("--out", type=Path, default=Path("artifacts/benchmarks"))
    return parser.parse_args(argv)


def _command(options: argparse.Namespace) -> str:
    """The command that reproduces the runs, with file names only."""
    words = [model.name for model in options.model]
    words += ["--domain", Path(options.domain).name] if options.model else []
    words += ["--examples"] if options.examples else []
    cells, cuts = " ".join(map(str, options.cells)), " ".join(options.cuts)
    words += ["--add"] if options.add else []
    return (
        f"python -m tests.benchmarks.family {' '.join(words)} --cells {cells} --cuts {cuts} --effort {options.effort}"
    )


def _models(options: argparse.Namespace) -> list[tuple[Path, str]]:
    """Models with their domains."""
    own = [(model, options.domain) for model in options.model]
    names = ("collision_avoidance", "digits", "battery") if options.examples else ()
    return own + [(EXAMPLES / name / f"{name}.onnx", str(EXAMPLES / name / "domain.csv")) for name in names]


def _run(model: Path, domain: str, cells: int, cuts: str, options: argparse.Namespace) -> dict:
    """One family: compressed, audited, measured, and joined for a budget of `FLASH` times the parent's flash."""
    choice = slicer.Options(cells=cells, cuts=cuts, effort=options.effort, jobs=options.jobs)
    with tempfile.TemporaryDirectory() as directory:
        start = time.monotonic()
        bundle = slicer.compress(model, domain, Path(directory) / "bundle", choice)
        seconds = time.monotonic() - start
        accepted = slicer.audit(bundle.path).accepted
        families = _families(bundle)
    family, summary = bundle.family, summarize(bundle)
    parent = table_sizes(parent_family(family.parent, family.lower, family.upper)).flash
    points = slicer.Box(family.lower, family.upper).sample(POINTS, np.random.default_rng(1))
    return {
        "model": model.stem,
        "cells": cells,
        "cuts": cuts,
        "effort": options.effort,
        "accepted": accepted,
        "seconds": seconds,
        "members": summary["members"],
        "closure": summary["closure"],
        "parent_mac": summary["parent_mac"],
        "parent_skipping_mac": skipping_mac(family.parent, points),
        "parent_flash": parent,
        "comparisons": float(np.array(leaf_depths(family.tree)) @ bundle.measures),
        "layouts": {layout: _layout(bundle, layout) for layout in LAYOUTS},
        "joined": _joined(families, int(FLASH * parent)),
    }


def _joined(families: Families, flash: int) -> dict | None:
    """What joining leads to; None if not even one member keeps the budget, as the routing tree alone takes it."""
    try:
        return asdict(choose([families], slicer.Options(flash=flash))[0])
    except UnusableInput:
        return None


def _families(bundle: slicer.Bundle) -> Families:
    """What joining can make of a bundle's cells."""
    family, network = bundle.family, slicer.Network(bundle.family.parent)
    prepared = Prepared(network)
    kept = np.ones((len(family.cells), prepared.relu_units + network.n_out), bool)
    for cell in range(len(family.cells)):
        certificate = (bundle.path / certificate_file(cell)).read_bytes()
        kept[cell, read_proof(certificate, prepared.offsets).removed] = False
    cells = Cells(family.tree, bundle.measures, kept, {})
    return Families(network, BITWISE, slicer.Box(family.lower, family.upper), cells)


def _layout(bundle: slicer.Bundle, layout: str) -> dict:
    """Work and flash in a layout."""
    family = bundle.family
    macs = [cost(member_layers(family.parent, member)).mac for member in family.members]
    macs = np.array(macs) if layout == "packed" else masked_macs(family)
    return {
        "flash": table_sizes(family, layout).flash,
        "mac_mean": float(macs[list(family.cells)] @ bundle.measures),
        "mac_max": int(macs.max()),
    }


def _line(run: dict) -> str:
    """A run in a line."""
    packed = run["layouts"]["packed"]
    return (
        f"{run['model']}, {run['cells']:,} cells, {run['cuts']}: {packed['mac_mean']:,.0f} MAC, {run['seconds']:.0f} s"
    )


if __name__ == "__main__":
    sys.exit(main())
