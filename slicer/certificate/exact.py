"""Run the exact checker in a process of its own, and read its report with suspicion.

The checker is the installed ``check.py``, never the copy in the bundle: that one is for people without our packages.
Whatever does not read as a consistent report is a rejection; the exit code alone decides nothing.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from slicer.certificate.verdict import Accepted, AuditResult, CellOutcome, Rejected, Verdict

CHECKER = Path(__file__).with_name("check.py")
REPORT_FORMAT = "netslicer-check/1"
_WHERE = "exact checker"


def audit_exactly(
    bundle: Path,
    cells: Collection[int] | None = None,
    jobs: int = 1,
    *,
    show_progress: bool = False,
    trust_solver: bool = False,
) -> AuditResult:
    """What the exact checker says about a bundle on disk.

    Parameters
    ----------
    cells:
        Cells to check; all if None.
    jobs:
        Processes.
    show_progress:
        Let the checker write its progress to stderr.
    trust_solver:
        Let units be removed on a solver's word (CERTIFICATE.md §6).

    Returns
    -------
    AuditResult
        Counts and times of single cells are not reported. A checker that gives no usable report rejects.
    """
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "report.json"
        command = [sys.executable, "-I", "-S", str(CHECKER), str(bundle.resolve()), "--jobs", str(jobs)]
        command += ["--json", str(target)] + ([] if cells is None else ["--cells", cells_text(cells)])
        command += ["--trust", "solver"] if trust_solver else []
        errors = None if show_progress else subprocess.PIPE
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=errors, check=False)  # noqa: S603 - our own
        content = target.read_bytes() if target.is_file() else b""
    seconds = time.monotonic() - start
    try:
        return _read(json.loads(content), done.returncode, cells, seconds)
    except (ValueError, KeyError, TypeError) as error:
        said = (done.stderr or b"").decode("utf-8", "replace").strip().splitlines()[-1:] or [str(error)]
        why = f"expected a report and exit code 0 or 1, got exit code {done.returncode}: {said[0][:300]}"
        return AuditResult(Rejected(_WHERE, why), (), 0, seconds)


def cells_text(cells: Collection[int]) -> str:
    """Cells as a specification such as ``0-9,17``."""
    parts = []
    for _, run in itertools.groupby(enumerate(sorted(set(cells))), lambda pair: pair[1] - pair[0]):
        numbers = [cell for _, cell in run]
        parts.append(f"{numbers[0]}-{numbers[-1]}" if len(numbers) > 1 else f"{numbers[0]}")
    return ",".join(parts)


def _read(report: dict[str, Any], code: int, cells: Collection[int] | None, seconds: float) -> AuditResult:
    """The report as a result; a ValueError, KeyError or TypeError if it contradicts itself."""
    total = int(report["cells"])
    chosen = list(range(total)) if cells is None else sorted(set(cells))
    findings = [(found["cell"], Rejected(str(found["where"]), str(found["why"]))) for found in report["findings"]]
    of_bundle = [finding for cell, finding in findings if cell is None]
    of_cells = {int(cell): finding for cell, finding in reversed(findings) if cell is not None}
    verdict: Verdict = of_bundle[0] if of_bundle else Accepted()
    checked: Sequence[int] = [] if of_bundle else chosen
    complete = checked == list(range(total))
    attested = {int(cell): int(units) for cell, units in report["attested"]}
    good = "attested" if attested else "accepted"
    outcome = "rejected" if findings else good if complete else "no objection"
    expected = {
        "format": REPORT_FORMAT,
        "outcome": outcome,
        "checked": len(checked),
        "rejected": len(of_cells),
        "accepted": len(checked) - len(of_cells),
    }
    wrong = [key for key, value in expected.items() if report[key] != value]
    if wrong or code != int(outcome == "rejected") or not of_cells.keys() | attested.keys() <= set(checked):
        raise ValueError(f"a report that contradicts itself at {wrong or 'its exit code or cells'}")
    outcomes = tuple(
        CellOutcome(cell, of_cells.get(cell, Accepted(attested=attested.get(cell, 0)))) for cell in checked
    )
    return AuditResult(verdict, outcomes, total, seconds, str(report["bundle"] or ""))
