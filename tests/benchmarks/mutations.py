"""The mutation table: what became of thousands of lies about honest bundles, by kind.

    python -m tests.benchmarks.mutations --out artifacts/benchmarks

Every mutant is judged by both checkers. It must be rejected by both, each for what is wrong with it; or rejected by
`slicer audit`, which reads the source model again; or be shown true without the checkers. Anything else is an error.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.record import write_record
from tests.certificates.bases import BASES
from tests.certificates.mutations.engine import KINDS, Tally, run

ATTEMPTS = 40
COMMAND = "python -m tests.benchmarks.mutations --out artifacts/benchmarks"


def measure(attempts: int, kinds: int | None = None) -> dict[str, object]:
    """Run the engine over all kinds, or the first few."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        bases = Path(folder) / "bases"
        bases.mkdir()
        tallies = []
        for kind in KINDS[:kinds]:
            tallies.append(run(kind, Path(folder), bases, attempts))
            sys.stderr.write(f"{tallies[-1].instances:5} {kind.name}\n")
    return {
        "attempts": attempts,
        "bases": list(BASES),
        "kinds": len(tallies),
        **{
            key: sum(getattr(tally, key) for tally in tallies)
            for key in ("instances", "rejected", "source", "harmless")
        },
        "topics": _topics(tallies),
        "seconds": round(time.monotonic() - start, 1),
        "by_kind": [vars(tally) | {"topics": dict(tally.topics)} for tally in tallies],
    }


def _topics(tallies: Sequence[Tally]) -> dict[str, int]:
    """What rejections were about, in all."""
    total: Counter[str] = Counter()
    for tally in tallies:
        total.update(tally.topics)
    return dict(total.most_common())


def page(record: dict) -> list[str]:
    """The record as Markdown."""
    lines = [
        "# Lies told to both checkers",
        "",
        f"`{COMMAND}`",
        "",
        f"{record['instances']:,} mutants of {len(record['bases'])} honest bundles, in {record['kinds']} kinds, all different: {record['rejected']:,} rejected by "
        f"both checkers; {record['source']:,} rejected by `slicer audit`, as they are consistent bundles of another network than the source model's; "
        f"{record['harmless']:,} accepted by both and shown true. Disagreements: 0. Accepted and not shown true: 0. {record['seconds']:.0f} s in one process.",
        "",
        "A rejected mutant has, from each checker, a reason of a topic that belongs to its kind; the last column counts the topics of all reasons. *Shown true* means, without the checkers: "
        "every closing proved again by the reference method in exact rational numbers, coverage walked, the member rebuilt by the producer's rules and run against the parent.",
        "",
        "| what was changed | mutants | rejected by both | by the source model | shown true | rejections are about |",
        "|---|---:|---:|---:|---:|---|",
    ]
    for row in record["by_kind"]:
        about = ", ".join(
            f"{topic} {count}" for topic, count in sorted(row["topics"].items(), key=lambda item: -item[1])
        )
        lines.append(
            f"| {row['kind']} | {row['instances']} | {row['rejected']} | {row['source']} | {row['harmless']} | {about} |"
        )
    return lines


def main(argv: Sequence[str] | None = None) -> int:
    """Write ``mutations.json`` and ``mutations.md``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("artifacts/benchmarks"))
    parser.add_argument("--attempts", type=int, default=ATTEMPTS, help="mutants tried for each kind and base")
    parser.add_argument("--kinds", type=int, help="only the first kinds, for a try")
    arguments = parser.parse_args(argv)
    record = measure(arguments.attempts, arguments.kinds)
    write_record(arguments.out, "mutations", record, page(record))
    return 0


if __name__ == "__main__":
    sys.exit(main())
