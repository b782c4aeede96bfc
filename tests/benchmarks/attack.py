"""The semantic attack: a hunt for float32 inputs at which an accepted bundle and its parent differ.

    python -m tests.benchmarks.attack BUNDLE… --points 100000000

runs points of every kind (`tests.attack.hunt`) through the compiled C of parent and family, then forges each bundle in
every way that it offers (`tests.attack.forgeries`) and shows that the same hunt finds what was planted and that the
checkers reject it. In mode ``epsilon`` it says how much of its bounds each cell uses, as far as the hunt saw it. Writes
``attack.json`` and ``attack.md`` to ``artifacts/benchmarks``. Exit status 0 if the bundles are accepted and nothing was
found in them, and every forgery was found and rejected; else 1.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

import slicer
from dispatcher.host import host_compiler
from dispatcher.interpret import eval32
from dispatcher.load import load
from dispatcher.manifest import MANIFEST_FILE
from tests.attack.closings import attack_closings
from tests.attack.forge import Draft, draft_of, sealed, write_draft
from tests.attack.forgeries import OTHER_PARENT, exact_reason, offered, rigorous_reason
from tests.attack.forgery import Forgery
from tests.attack.hunt import UNIFORM, hunt
from tests.attack.judge import Finding, HostJudge
from tests.attack.promise import bounds_of, differing
from tests.attack.target import Target, open_target
from tests.benchmarks.attack_page import attack_page
from tests.benchmarks.attack_tightness import tightness
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
        f"--each {options.each} --seed {options.seed} --jobs {options.jobs} --name {options.name}",
        "machine": machine(),
        "bundles": bundles,
    }
    write_record(options.out, options.name, record, attack_page(record))
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
    parser.add_argument(
        "--each", type=int, default=1, help="forgeries of each kind, of which the first is hunted (default 1)"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="judges at work (default: one per core)")
    parser.add_argument("--name", default="attack", help="of the record and the page (default attack)")
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
        "tightness": tightness(target, found),
        "kinds": {kind: _finding_record(target, finding) for kind, finding in found.items()},
        "closings": _closings_record(target, max(1, options.points // CLOSINGS_SHARE), options.seed),
    }
    print(json.dumps(record, indent=1), file=sys.stderr, flush=True)
    forgeries = list(_forgery_records(draft_of(target), options)) if options.forged else []
    made = {row["name"] for row in forgeries}
    not_made = [name for name in offered(target.bundle.family.mode) if name not in made]
    return record | {"forgeries": forgeries, "not_made": not_made}


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
    """The number, or None for an infinite one (nothing was seen, or no difference was allowed), as JSON has none."""
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
    if finding.shares is not None:
        record["share"] = _finite(finding.shares.largest)
    if finding.different:
        record["witness"] = [float(number).hex() for number in finding.witness]
        record["confirmed"] = _confirmed(target, finding.witness[None])
    return record


def _confirmed(target: Target, point: np.ndarray) -> bool:
    """Whether the reference interpreter sees the difference too."""
    family, served = target.bundle.family, load(target.bundle.path)
    bounds = bounds_of(family)[served.route(point)]
    return bool(differing(family.decision, served.predict(point), eval32(target.network.layers, point), bounds).any())


def _forgery_records(draft: Draft, options: argparse.Namespace) -> Iterator[dict[str, object]]:
    """Every kind of forgery that the bundle offers."""
    for name, forge in offered(draft.family.mode).items():
        made = _different(forge(draft, np.random.default_rng(options.seed + more)) for more in range(options.each))
        if not made:
            continue
        rows = [_verdicts(forged) for forged in made]
        with tempfile.TemporaryDirectory() as directory:
            record = rows[0] | _forgery_record(made[0], Path(directory) / "forged", options)
        other = forge in OTHER_PARENT
        caught = all(bool(row["rigorous"]) and (bool(row["exact"]) or other) for row in rows)
        counts = {
            "made": len(made),
            "shown": sum(forged.witness is not None for forged in made),
            **{f"{checker}_rejects": sum(bool(row[checker]) for row in rows) for checker in ("rigorous", "exact")},
        }
        yield {"name": name, "caught": caught, "other_parent": other, **counts, **record}
        print(json.dumps({"name": name, **counts, **record}), file=sys.stderr, flush=True)


def _different(made: Iterable[Forgery | None]) -> list[Forgery]:
    """The forgeries that differ from each other."""
    found = [forged for forged in made if forged is not None]
    return list({sealed(forged.draft)[MANIFEST_FILE]: forged for forged in reversed(found)}.values())[::-1]


def _verdicts(forged: Forgery) -> dict[str, object]:
    """Why each checker rejects a forged bundle; empty where it does not."""
    with tempfile.TemporaryDirectory() as directory:
        path = write_draft(forged.draft, Path(directory) / "forged")
        return {"rigorous": rigorous_reason(path, forged.cells), "exact": exact_reason(path, forged.cells)}


def _forgery_record(forged: Forgery, path: Path, options: argparse.Namespace) -> dict[str, object]:
    """What the hunt makes of one forged bundle, with directed points and as many uniform ones."""
    write_draft(forged.draft, path)
    target = open_target(path)
    found = _hunt(target, options, 2 * options.forged, directed=options.forged)
    limit = sys.maxsize if forged.false_fact else max(1, options.forged // 5)  # no output shows a false fact: try all
    closings = attack_closings(target, limit, options.seed)
    directed = [finding for kind, finding in found.items() if kind != UNIFORM]
    different = sum(finding.different for finding in directed)
    return {
        "found": _as_forged(forged, different) and closings.violated >= forged.false_fact,
        "differs": forged.witness is not None,
        "needle": forged.needle,
        "directed": sum(finding.points for finding in directed),
        "directed_different": different,
        "uniform": found[UNIFORM].points,
        "uniform_different": found[UNIFORM].different,
        "closings": closings.closings,
        "closings_different": closings.violated,
        "found_by": {kind: finding.different for kind, finding in found.items() if finding.different},
    }


def _as_forged(forged: Forgery, different: int) -> bool:
    """Whether a hunt that saw so many differences found what an input shows, and no more."""
    return forged.needle or (different > 0) == (forged.witness is not None)


if __name__ == "__main__":
    sys.exit(main())
