"""What auditing costs: both checkers against compression, in CPU seconds, and the size of certificates and checkers.

    python -m tests.benchmarks.audit MODEL --domain DOMAIN --cells 32 1024 --sample 100% 10%

writes ``audit.json`` and ``audit.md`` (or ``--name``) to ``artifacts/benchmarks``. ``--sample`` gives the share of cells
that the exact checker checks for each number of cells; its time is scaled to all cells where that is not 100 %.
Commands run as processes of their own; CPU seconds are those of a command and all its workers.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import slicer
from slicer.certificate.exact import CHECKER
from tests.benchmarks.record import machine, write_record

RIGOROUS = CHECKER.parent / "rigorous"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--domain", required=True)
    parser.add_argument("--cells", type=int, nargs="+", default=[32])
    parser.add_argument("--sample", nargs="+", default=["100%"])
    parser.add_argument("--effort", type=int, default=slicer.Options().effort)
    parser.add_argument("--name", default="audit")
    parser.add_argument("--out", type=Path, default=Path("artifacts/benchmarks"))
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as directory:
        runs = [
            _run(options, cells, sample, Path(directory) / f"{cells}")
            for cells, sample in zip(options.cells, options.sample, strict=True)
        ]
    record = {
        "model": options.model.name,
        "command": _command(options),
        "machine": machine(),
        "lines": {"rigorous": _lines(sorted(RIGOROUS.glob("*.py"))), "exact": _lines([CHECKER])},
        "runs": runs,
    }
    write_record(options.out, options.name, record, _page(record))
    return 0 if all(run["rigorous_accepts"] and run["exact_accepts"] for run in runs) else 1


def _command(options: argparse.Namespace) -> str:
    """The command that reproduces the record, with file names only."""
    cells, sample = " ".join(map(str, options.cells)), " ".join(options.sample)
    return (
        f"python -m tests.benchmarks.audit {options.model.name} --domain {Path(options.domain).name} --cells {cells} "
        f"--sample {sample} --effort {options.effort} --name {options.name}"
    )


def _run(options: argparse.Namespace, cells: int, sample: str, bundle: Path) -> dict[str, object]:
    """One number of cells: three commands and what they cost."""
    python, tool = sys.executable, [sys.executable, "-m", "slicer"]
    size = ["--cells", str(cells), "--effort", str(options.effort), "--quiet"]
    made, compress = _cpu(
        [*tool, "compress", str(options.model), f"--domain={options.domain}", *size, "--out", str(bundle)]
    )
    assert made == 0, "compress failed"
    rigorous_code, rigorous = _cpu([*tool, "audit", str(bundle), "--quiet"])
    report = bundle.with_suffix(".json")
    exact_code, exact = _cpu(
        [python, "-I", "-S", str(CHECKER), str(bundle), "--cells", sample, "--jobs", "2", "--json", str(report)]
    )
    found = json.loads(report.read_text())
    certificates = [path.stat().st_size for path in (bundle / "certificates").iterdir()]
    removed = sum(cell["removed"] for cell in json.loads((bundle / "search.json").read_bytes())["cells"])
    return {
        "cells": cells,
        "compress_cpu": compress,
        "rigorous_cpu": rigorous,
        "exact_cpu": exact,
        "exact_checked": found["checked"],
        "exact_scaled": exact * cells / found["checked"],
        "rigorous_accepts": rigorous_code == 0,
        "exact_accepts": exact_code == 0,
        "certificate_bytes_per_cell": sum(certificates) / cells,
        "certificate_bytes_per_removed_unit": sum(certificates) / max(1, removed),
        "bundle_bytes": sum(path.stat().st_size for path in bundle.rglob("*") if path.is_file()),
    }


def _cpu(command: list[str]) -> tuple[int, float]:
    """Exit code and CPU seconds, user and system, of a command and its workers."""
    child = os.posix_spawn(
        command[0], command, os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    )
    _, status, usage = os.wait4(child, 0)
    return os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime


def _lines(files: Sequence[Path]) -> dict[str, int]:
    """Lines of source in all, and those with code (neither blank, comment nor docstring)."""
    total = code = 0
    for path in files:
        text = path.read_text(encoding="utf-8")
        rows = text.splitlines()
        silent = {number for number, row in enumerate(rows, 1) if not row.strip() or row.strip().startswith("#")}
        for node in ast.walk(ast.parse(text)):
            body = getattr(node, "body", None)
            if (
                isinstance(body, list)
                and body
                and isinstance(body[0], ast.Expr)
                and isinstance(body[0].value, ast.Constant)
            ):
                silent |= set(range(body[0].lineno, (body[0].end_lineno or body[0].lineno) + 1))
        total, code = total + len(rows), code + len(rows) - len(silent)
    return {"all": total, "code": code}


ROWS = (
    ("compress (search, gate), CPU seconds", "{compress_cpu:.1f}"),
    ("rigorous audit, CPU seconds (share of compress)", "{rigorous_cpu:.1f} ({rigorous_share:.0%})"),
    ("exact check, CPU seconds; cells checked", "{exact_cpu:.1f}; {exact_checked:,}"),
    ("exact check of all cells against compress", "{exact_ratio:.1f} x"),
    ("rigorous checker accepts / exact checker accepts", "{rigorous_accepts} / {exact_accepts}"),
    (
        "certificate, bytes per cell / per removed unit",
        "{certificate_bytes_per_cell:,.0f} / {certificate_bytes_per_removed_unit:,.0f}",
    ),
    ("bundle, MB", "{bundle_mb:.1f}"),
)


def _page(record: dict) -> list[str]:
    """The record as a Markdown page."""
    runs, lines = record["runs"], record["lines"]
    for run in runs:
        run["rigorous_share"] = run["rigorous_cpu"] / run["compress_cpu"]
        run["exact_ratio"] = run["exact_scaled"] / run["compress_cpu"]
        run["bundle_mb"] = run["bundle_bytes"] / 1e6
    return [
        f"# Auditing {record['model']}",
        "",
        f"`{record['command']}`",
        "",
        f"{record['machine']}. CPU seconds of a command and its workers, so that the number of processes does not matter; ratios are from this one run.",
        "",
        "| measure | " + " | ".join(f"{run['cells']:,} cells" for run in runs) + " |",
        "|---|" + "---|" * len(runs),
        *(f"| {name} | " + " | ".join(form.format(**run) for run in runs) + " |" for name, form in ROWS),
        "",
        "| checker | lines | of these code | depends on |",
        "|---|---|---|---|",
        f"| rigorous (float64 with error bounds) | {lines['rigorous']['all']:,} | {lines['rigorous']['code']:,} | numpy |",
        f"| exact (integers), `check.py` | {lines['exact']['all']:,} | {lines['exact']['code']:,} | the standard library |",
    ]


if __name__ == "__main__":
    sys.exit(main())
