"""`audit`: the rigorous checker over a bundle, and the tie between the source model and ``family/parent.json``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from dispatcher.errors import UnusableInput
from dispatcher.files import PARENT_FILE
from dispatcher.manifest import MANIFEST_FILE, read_manifest
from slicer.certificate.rigorous import audit_directory
from slicer.certificate.verdict import AuditResult, Rejected
from slicer.readers import read_network_bytes


def audit(
    bundle: str | Path, cells: Sequence[int] | None = None, progress: Callable[[int, int], None] | None = None
) -> AuditResult:
    """Check a bundle with the rigorous checker, then read its source model again and compare.

    Parameters
    ----------
    cells:
        Cells whose certificates are checked; all if None (only then can the bundle be accepted as a whole).
    progress:
        Called with (cells done, cells in all).

    Raises
    ------
    UnusableBundleFile
        If there is no bundle to judge.
    """
    path = Path(bundle)
    result = audit_directory(path, cells=None if cells is None else list(cells), progress=progress)
    if isinstance(result.bundle, Rejected):
        return result
    problem = _source_problem(path)
    return result if problem is None else replace(result, bundle=problem)


def _source_problem(bundle: Path) -> Rejected | None:
    """Why the source model is not the parent; None if reading it gives ``family/parent.json`` byte for byte."""
    source = read_manifest((bundle / MANIFEST_FILE).read_bytes()).source
    try:
        network = read_network_bytes((bundle / source).read_bytes(), source)
    except (OSError, UnusableInput) as error:
        return Rejected(source, f"expected a readable model: {error}")
    if network.content != (bundle / PARENT_FILE).read_bytes():
        return Rejected(source, f"expected a model that reads as {PARENT_FILE}, got another network")
    return None


def parse_cells(text: str) -> list[int]:
    """Cells of a specification such as ``0-9,17``, ascending.

    Raises
    ------
    UnusableInput
        If the text is none.
    """
    cells: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise UnusableInput(f"expected numbers and ranges such as 0-9,17, got {text[:60]!r}", where="--cells")
        cells.update(range(int(first), int(last if dash else first) + 1))
    return sorted(cells)


def audit_record(result: AuditResult) -> dict[str, object]:
    """The result with stable keys, for ``--json``."""
    return {
        "accepted": result.accepted,
        "complete": result.complete,
        "cells": result.total,
        "cells_checked": len(result.cells),
        "removed": result.count("removed"),
        "bounds_verified": result.count("closings"),
        "nodes": result.count("nodes"),
        "rejections": [{"where": rejection.where, "why": rejection.why} for rejection in result.rejections],
        "seconds": round(result.seconds, 3),
    }
