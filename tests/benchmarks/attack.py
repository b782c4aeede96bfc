"""The semantic attack: a hunt for float32 inputs at which an accepted bundle and its parent differ.

    python -m tests.benchmarks.attack BUNDLE… --points 100000000

runs points of every kind (`tests.attack.hunt`) through the compiled C of parent and family, then forges each bundle in
every way that it offers (`tests.attack.forgeries`) and shows that the same hunt finds what was planted and that the
checkers reject it. Writes ``attack.json`` and ``attack.md`` to ``artifacts/benchmarks``. Exit status 0 if the bundles are
accepted and nothing was found in them, and every forgery was found and rejected; else 1.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

import slicer
from dispatcher.host import host_compiler
from dispatcher.interpret import eval32
from dispatcher.load import load
from tests.attack.closings import attack_closings
from tests.attack.forge import Draft, draft_of, write_draft
from tests.attack.forgeries import DECISIONS, FORGERIES, OTHER_PARENT, exact_reason, rigorous_reason
from tests.attack.forgery import Forgery
from tests.attack.hunt import KINDS, UNIFORM, hunt
from tests.attack.judge import Finding, HostJudge
from tests.attack.target import Target, differing, open_target
from tests.benchmarks.record import machine, write_record

DIRECTED_SHARE = 5  # one point in so many is aimed at something
CLOSINGS_SHARE = 100  # one closing for so many points


def main(argv: Sequence[str] | None = None) -> int:
    """Run the attack."""
    options = _options(argv)
    with threadpool_limits(1):  # BLAS threads would compete with the judges for the cores
        bundles = [_bundle_record(path, options) for path in options.bundles]
    record = {
        "command": f"python -m tests.benchmarks.attack BUNDLE… --points {options.points} --forged {options.forged} "
        f"--seed {options.seed} --jobs {options.jobs}",
        "machine": machine(),
        "bundles": bundles,
    }
    write_record(options.out, "attack", record, _page(record))
    return 0 if all(_good(bundle) for bundle in bundles) else 1


def _good(bundle: dict) -> bool:
    """Whether an accepted bundle stood the attack, and its forgeries did not."""
    unhurt = bundle["accepted"] and bundle["clean"] and bundle["closings"]["violated"] == 0
    return unhurt and all(row["caught"] and row["found"] for row in bundle["forgeries"])


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", type=Path, nargs="+", metavar="BUNDLE")
    parser.add_argument("--points", type=int, default=100_000_000, help="per bundle (default 100,000,000)")
    parser.add_argument(
        "--forged", type=int, default=500_000, help="directed points per forged bundle (0: forge nothing)"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="judges at work (default: one per core)")
    parser.add_argument("--out", type=Path, default=Path("artifacts/benchmarks"))
    return parser.parse_args(argv)


def _bundle_record(path: Path, options: argparse.Namespace) -> dict[str, object]:
    """One accepted bundle, and its forgeries."""
    target = open_target(path)
    start = time.monotonic()
    found = _hunt(target, options, options.points)
    seconds = time.monotonic() - start
    points = sum(finding.points for finding in found.values())
    record = {
        "network": target.network.describe(),
        "digest": target.bundle.digest,
        "cells": len(target.cells),
        "removed": int(target.removed.sum()),
        "accepted": slicer.audit(path).accepted,
        "points": points,
        "clean": all(finding.clean for finding in found.values()),
        "seconds": seconds,
        "points_per_second": points / seconds,
        "kinds": {kind: _finding_record(target, finding) for kind, finding in found.items()},
        "closings": _closings_record(target, max(1, options.points // CLOSINGS_SHARE), options.seed),
    }
    print(json.dumps(record, indent=1), file=sys.stderr, flush=True)
    draft = draft_of(target)
    return record | {"forgeries": list(_forgery_records(draft, options)) if options.forged else []}


def _hunt(
    target: Target, options: argparse.Namespace, points: int, *, directed: int | None = None
) -> dict[str, Finding]:
    """What the hunt finds, with the usual share of directed points unless their number is given."""
    compiler = host_compiler()
    assert compiler, "the benchmark needs a C compiler"
    directed = points // DIRECTED_SHARE if directed is None else directed
    with tempfile.TemporaryDirectory() as directory:
        judge = HostJudge(target, Path(directory), compiler, options.jobs)
        return hunt(target, judge, directed, points - directed, options.seed)


def _closings_record(target: Target, limit: int, seed: int) -> dict[str, object]:
    """What the attack on closings found, as JSON."""
    found = attack_closings(target, limit, seed)
    return asdict(found) | {"largest": _finite(found.largest)}


def _finite(value: float) -> float | None:
    """The number, or None for −inf (nothing was seen), as JSON has no infinite numbers."""
    return value if math.isfinite(value) else None


def _finding_record(target: Target, finding: Finding) -> dict[str, object]:
    """What was found with one kind of points, as JSON; a difference with the interpreter's word for it."""
    record: dict[str, object] = {
        "points": finding.points,
        "different": finding.different,
        "active": finding.active,
        "refused": finding.refused,
        "largest": _finite(finding.largest),
        "seconds": finding.seconds,
    }
    if finding.different:
        record["witness"] = [float(number).hex() for number in finding.witness]
        record["confirmed"] = _confirmed(target, finding.witness[None])
    return record


def _confirmed(target: Target, point: np.ndarray) -> bool:
    """Whether the reference interpreter sees the difference too."""
    outputs, expected = load(target.bundle.path).predict(point), eval32(target.network.layers, point)
    return bool(differing(target.bundle.family.decision, outputs, expected).any())


def _forgery_records(draft: Draft, options: argparse.Namespace) -> Iterator[dict[str, object]]:
    """Every forgery that the bundle offers, hunted with directed points and with as many uniform ones."""
    for name, forge in (FORGERIES | (DECISIONS if draft.family.decision else {})).items():
        forged = forge(draft, np.random.default_rng(options.seed))
        if forged is None:
            continue
        with tempfile.TemporaryDirectory() as directory:
            record = _forgery_record(forged, Path(directory) / "forged", options)
        other = forge in OTHER_PARENT
        caught = bool(record["rigorous"]) and (bool(record["exact"]) or other)
        yield {"name": name, "caught": caught, "other_parent": other, **record}
        print(json.dumps({"name": name, **record}), file=sys.stderr, flush=True)


def _forgery_record(forged: Forgery, path: Path, options: argparse.Namespace) -> dict[str, object]:
    """What the checkers and the hunt make of one forged bundle."""
    write_draft(forged.draft, path)
    target = open_target(path)
    found = _hunt(target, options, 2 * options.forged, directed=options.forged)
    limit = sys.maxsize if forged.false_fact else max(1, options.forged // 5)  # no output shows a false fact: try all
    closings = attack_closings(target, limit, options.seed)
    directed = [finding for kind, finding in found.items() if kind != UNIFORM]
    different = sum(finding.different for finding in directed)
    return {
        "found": (different > 0) == (forged.witness is not None) and closings.violated >= forged.false_fact,
        "differs": forged.witness is not None,
        "rigorous": rigorous_reason(path, forged.cells),
        "exact": exact_reason(path, forged.cells),
        "directed": sum(finding.points for finding in directed),
        "directed_different": different,
        "uniform": found[UNIFORM].points,
        "uniform_different": found[UNIFORM].different,
        "closings": closings.closings,
        "closings_different": closings.violated,
        "found_by": {kind: finding.different for kind, finding in found.items() if finding.different},
    }


def _page(record: dict) -> list[str]:
    """The record as Markdown."""
    lines = [
        "# Semantic attack",
        "",
        f"`{record['command']}`",
        "",
        f"{record['machine']}. Points are float32 inputs at which the compiled C of family and parent were compared (`==`, in mode decision by what they decide). *Largest value*: of the "
        "parent's pre-activation of any unit that is removed in the point's cell; it must not be positive. Time: processor seconds in parent and family.",
    ]
    for bundle in record["bundles"]:
        lines += ["", *_bundle_lines(bundle)]
        if bundle["forgeries"]:
            lines += ["", *_forgery_lines(bundle["forgeries"])]
    return lines


def _bundle_lines(bundle: dict) -> list[str]:
    """An accepted bundle's table."""
    verdict = "accepted" if bundle["accepted"] else "NOT ACCEPTED"
    lines = [
        f"## {bundle['network']}: {bundle['cells']:,} cells, {bundle['removed']:,} removals",
        "",
        f"Bundle {bundle['digest'][:16]}, {verdict} by `slicer audit`. {bundle['points']:,} points in {bundle['seconds']:,.0f} s "
        f"({bundle['points_per_second']:,.0f} per second).",
        "",
        "| kind of point | points | differences | removed units active | largest value | s |",
        "|---|---|---|---|---|---|",
    ]
    for kind, row in bundle["kinds"].items():
        largest = "–" if row["largest"] is None else f"{row['largest']:.3g}"
        numbers = f"{row['points']:,} | {row['different'] + row['refused']:,} | {row['active']:,} | {largest} | {row['seconds']:,.1f}"
        lines.append(f"| {kind}: {KINDS[kind]} | {numbers} |")
    row = bundle["closings"]
    lines += [
        "",
        f"Closings of the proof trees, each at the worst of a sample of its own box and after an ascent: {row['closings']:,} attacked, "
        f"{row['violated']:,} violated.",
    ]
    return lines


def _forgery_lines(rows: list[dict]) -> list[str]:
    """The table of a bundle's forgeries."""
    lines = [
        "### Forged",
        "",
        "Digests and form are right, the meaning is not. The exact checker reads no source models: that a parent is its source model is outside its claim.",
        "",
        "| what was forged | an input shows it | `slicer audit` | `check.py` | differences at directed points | at uniform points | closings violated |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        shows = "yes" if row["differs"] else "no"
        verdicts = ["rejects" if row[name] else "accepts" for name in ("rigorous", "exact")]
        if row["other_parent"] and not row["exact"]:
            verdicts[1] = "(reads no models)"
        numbers = [f"{row[f'{kind}_different']:,} of {row[kind]:,}" for kind in ("directed", "uniform", "closings")]
        lines.append("| " + " | ".join([row["name"], shows, *verdicts, *numbers]) + " |")
    return lines


if __name__ == "__main__":
    sys.exit(main())
