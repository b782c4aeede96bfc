"""The whole way on one network: compress, audit, emit, compile, compare bits; and how far float32 orders differ.

    python -m tests.benchmarks.acasxu MODEL --domain DOMAIN --cells 32 1024 --points 10000000

writes ``acasxu.json`` and ``acasxu.md`` (or ``--name``) to ``artifacts/benchmarks``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

import slicer
from dispatcher.emit_c99 import emit_c99, table_sizes
from dispatcher.host import build_comparison, compare, host_compiler
from dispatcher.interpret import evaluate_all
from dispatcher.layers import Dense, Layers
from dispatcher.load import load
from dispatcher.plan import Family, member_layers
from dispatcher.vectors import border_points, corner_points, random_points
from slicer.summary import summarize
from tests.benchmarks.record import machine, write_record
from tests.benchmarks.rounding import rounding_record

BATCH = 500_000


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--domain", required=True)
    parser.add_argument("--cells", type=int, nargs="+", default=[32, 1024])
    parser.add_argument("--effort", type=int, default=slicer.Options().effort)
    parser.add_argument("--points", type=int, default=10_000_000)
    parser.add_argument("--rounding-boxes", type=int, default=20_000)
    parser.add_argument("--jobs", type=int, default=-1)
    parser.add_argument("--name", default="acasxu")
    parser.add_argument("--out", type=Path, default=Path("artifacts/benchmarks"))
    options = parser.parse_args(argv)
    runs = []
    with tempfile.TemporaryDirectory() as directory:
        for cells in options.cells:
            runs.append(_run(options, cells, Path(directory) / str(cells)))
            print(json.dumps(runs[-1], indent=1), file=sys.stderr, flush=True)
    network = slicer.read_network(options.model)
    domain = slicer.read_domain(options.domain, network.n_in)
    record = {
        "model": options.model.name,
        "network": network.describe(),
        "command": _command(options),
        "machine": machine(),
        "runs": runs,
        "rounding": rounding_record(options.model, network, domain, options.rounding_boxes),
    }
    write_record(options.out, options.name, record, _page(record))
    return 0 if all(run["accepted"] and run["different"] == run["failed"] == 0 for run in runs) else 1


def _command(options: argparse.Namespace) -> str:
    """The command that reproduces the record, with file names only."""
    cells = " ".join(str(cells) for cells in options.cells)
    domain = Path(options.domain).name
    return (
        f"python -m tests.benchmarks.acasxu {options.model.name} --domain {domain} --cells {cells} "
        f"--effort {options.effort} --points {options.points} --rounding-boxes {options.rounding_boxes} "
        f"--name {options.name}"
    )


def _run(options: argparse.Namespace, cells: int, directory: Path) -> dict[str, object]:
    """One number of cells, from the model to compiled C."""
    choice = slicer.Options(cells=cells, effort=options.effort, jobs=options.jobs)
    start = time.monotonic()
    bundle = slicer.compress(options.model, options.domain, directory / "bundle", choice)
    compress_seconds = time.monotonic() - start
    start = time.monotonic()
    result = slicer.audit(bundle.path)
    audit_seconds = time.monotonic() - start
    start = time.monotonic()
    sources = emit_c99(bundle.family, bundle.digest, directory / "c99", prefix="family")
    emit_seconds = time.monotonic() - start
    certificates = [path.stat().st_size for path in (bundle.path / "certificates").iterdir()]
    removed = sum(count.removed for count in bundle.counts)
    record: dict[str, object] = dict(summarize(bundle))
    record |= {
        "digest": bundle.digest,
        "accepted": result.accepted,
        "compress_seconds": compress_seconds,
        "audit_seconds": audit_seconds,
        "emit_seconds": emit_seconds,
        "bundle_bytes": sum(path.stat().st_size for path in bundle.path.rglob("*") if path.is_file()),
        "certificate_bytes_per_cell": sum(certificates) / len(certificates),
        "certificate_bytes_per_removed_unit": sum(certificates) / max(1, removed),
        "c_bytes": sum(path.stat().st_size for path in sources),
        "flash": table_sizes(bundle.family).flash,
    }
    return record | _skipping(bundle) | _compare(bundle.family, bundle.digest, directory, options.points)


def _skipping(bundle: slicer.Bundle) -> dict[str, object]:
    """Mean MAC if every product with a zero activation is skipped at run time, parent and family, on 20,000 points."""
    family = bundle.family
    points = random_points(family, 20_000, np.random.default_rng(1))
    cells = load(bundle.path).route(points)
    members = np.array(family.cells)[cells]
    total = 0.0
    for member in np.unique(members):
        rows = members == member
        total += skipping_mac(member_layers(family.parent, family.members[member]), points[rows]) * rows.sum()
    return {"parent_skipping_mac": skipping_mac(family.parent, points), "family_skipping_mac": total / len(points)}


def skipping_mac(layers: Layers, points: np.ndarray) -> float:
    """Mean number of products with a non-zero activation per inference."""
    values = evaluate_all(layers, points)
    dense = [layer for layer in layers if isinstance(layer, Dense)]
    return float(sum((values[layer.source] != 0).sum(axis=1).mean() * layer.width for layer in dense))


def _points(family: Family, count: int) -> Iterator[np.ndarray]:
    """Corners, points on and one ulp beside every threshold (a third), and random points (the rest)."""
    rng = np.random.default_rng(2)
    yield corner_points(family, 1024, rng)
    borders = max(1, len(family.cells) - 1)
    yield from border_points(family, max(100, count // (9 * borders)), rng)
    for _ in range(-(-count // BATCH)):
        yield random_points(family, BATCH, rng)


def _compare(family: Family, digest: str, directory: Path, count: int) -> dict[str, object]:
    """The C of the family against the C of the parent, on this machine."""
    compiler = host_compiler()
    assert compiler, "the benchmark needs a C compiler"
    start = time.monotonic()
    program = build_comparison(family, digest, directory, compiler)
    seconds = time.monotonic() - start
    found = compare(program, _points(family, count))
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
    return {
        "compiler": version,
        "compile_seconds": seconds,
        "points": found.points,
        "different": found.different,
        "failed": found.failed,
        "host_speedup": found.parent_seconds / found.family_seconds,
    }


ROWS = (
    ("distinct members", "{members:,}"),
    ("ReLU units removed, mean per cell", "{removed_mean:.1f} of {relu_units}"),
    ("candidates decided (closure)", "{closure:.1%}"),
    ("candidates: proved / refuted / open", "{proved:,} / {refuted:,} / {open:,}"),
    ("MAC of the parent, dense", "{parent_mac:,}"),
    ("MAC of the family, mean (min … max)", "{mac_mean:,.0f} ({mac_min:,} … {mac_max:,})"),
    ("MAC of the parent, zero activations skipped at run time", "{parent_skipping_mac:,.0f}"),
    ("MAC of the family, zero activations skipped at run time", "{family_skipping_mac:,.0f}"),
    ("connections: parent / family mean", "{parent_connections:,} / {connections_mean:,.0f}"),
    ("compress, seconds", "{compress_seconds:.1f}"),
    ("audit, seconds (share of compress)", "{audit_seconds:.1f} ({audit_share:.0%})"),
    ("audit", "accepted: {accepted}"),
    ("effort, bounded boxes", "{boxes:,}"),
    ("cells in which the checker refused something", "{refused_cells}"),
    ("bundle, MB", "{bundle_mb:.1f}"),
    (
        "certificate, bytes per cell / per removed unit",
        "{certificate_bytes_per_cell:,.0f} / {certificate_bytes_per_removed_unit:,.0f}",
    ),
    ("emit, seconds; C source, MB", "{emit_seconds:.1f}; {c_mb:.1f}"),
    ("tables in flash (`packed`), bytes", "{flash:,}"),
    ("points through both C programs", "{points:,}"),
    ("outputs that differ; calls that failed", "{different}; {failed}"),
    ("compile, seconds", "{compile_seconds:.0f}"),
    ("host: family's C faster than the parent's C", "{host_speedup:.2f} x"),
)


def _page(record: dict) -> list[str]:
    """The record as a Markdown page."""
    runs = record["runs"]
    lines = [
        f"# {record['model']}: {record['network']}",
        "",
        f"`{record['command']}`",
        "",
        f"{record['machine']}; {runs[0]['compiler']}. Ratios are from this one run. Points: random ones, all corners of the domain, and a third of them on "
        "a threshold of the routing tree or one ulp on either side.",
        "",
        "| measure | " + " | ".join(f"{run['cells']:,} cells" for run in runs) + " |",
        "|---|" + "---|" * len(runs),
    ]
    for run in runs:
        run["audit_share"] = run["audit_seconds"] / run["compress_seconds"]
        run["bundle_mb"], run["c_mb"] = run["bundle_bytes"] / 1e6, run["c_bytes"] / 1e6
    lines += [f"| {name} | " + " | ".join(form.format(**run) for run in runs) + " |" for name, form in ROWS]
    return [*lines, "", *record["rounding"]["lines"]]


if __name__ == "__main__":
    sys.exit(main())
