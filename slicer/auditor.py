"""`audit`: one or two checkers over a bundle, and the tie between the source model and ``family/parent.json``.

A bundle is accepted only if everything asked for accepts: every checker in every cell, and the source model; and only
if nothing in it rests on a solver's word, else it is rejected, or attested where solvers are trusted.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from dispatcher.errors import UnusableInput
from dispatcher.files import PARENT_FILE
from dispatcher.manifest import MANIFEST_FILE, read_manifest
from slicer.certificate.exact import audit_exactly
from slicer.certificate.rigorous import audit_directory
from slicer.certificate.verdict import Accepted, AuditResult, CellOutcome, Rejected, Verdict
from slicer.family.pipeline import spread
from slicer.family.workers import LokyWorkers
from slicer.readers import read_network_bytes

MANY_CELLS = 64  # for a process at a time: opening a bundle costs about as much as checking some cells,
PARTS = 4  # but no more parts for a process than these: opening a bundle of many cells costs more
FEW_CELLS = 16  # are checked in this process: starting another one, with one BLAS thread, would cost more


@dataclass(frozen=True, slots=True)
class Finding:
    """One rejection: who says it (``rigorous``, ``exact`` or ``source``), and of which cell (None: of the bundle)."""

    checker: str
    cell: int | None
    verdict: Rejected


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A place where only one checker rejects: a cell, or the bundle as a whole (None)."""

    cell: int | None
    rejecting: str


@dataclass(frozen=True, slots=True)
class Audit:
    """The outcome of an audit.

    Attributes
    ----------
    rigorous:
        What the rigorous float64 checker found out.
    source:
        Whether reading the source model gives the parent again; None if the bundle was rejected before that.
    exact:
        What the exact checker found out; None if it was not asked.
    """

    rigorous: AuditResult
    source: Verdict | None
    exact: AuditResult | None = None

    @property
    def checkers(self) -> dict[str, AuditResult]:
        """The results by the checkers' names."""
        return {"rigorous": self.rigorous} | ({} if self.exact is None else {"exact": self.exact})

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Every rejection: bundle, source model, cells; the rigorous checker's first."""
        found = [Finding("source", None, self.source)] if isinstance(self.source, Rejected) else []
        for name, result in self.checkers.items():
            verdicts = [(None, result.bundle), *((outcome.cell, outcome.verdict) for outcome in result.cells)]
            found += [Finding(name, cell, verdict) for cell, verdict in verdicts if isinstance(verdict, Rejected)]
        return tuple(found)

    @property
    def rejections(self) -> tuple[Rejected, ...]:
        """The verdicts of all findings."""
        return tuple(finding.verdict for finding in self.findings)

    @property
    def disagreements(self) -> tuple[Disagreement, ...]:
        """Where one checker rejects what the other accepts: a fault in one of them, or a bundle made to mislead one."""
        if self.exact is None:
            return ()
        good = [_accepts(result) for result in (self.rigorous, self.exact)]
        places = sorted(good[0].keys() & good[1].keys(), key=lambda cell: -1 if cell is None else cell)
        return tuple(
            Disagreement(cell, "exact" if good[0][cell] else "rigorous")
            for cell in places
            if good[0][cell] != good[1][cell]
        )

    @property
    def complete(self) -> bool:
        """Whether every checker that was asked checked every cell, and the source model was compared."""
        return all(result.complete for result in self.checkers.values()) and isinstance(self.source, Accepted)

    @property
    def accepted(self) -> bool:
        """Whether the bundle is accepted: complete, nobody rejects anything, nothing rests on a solver's word."""
        return self.complete and not self.findings and not self.attested

    @property
    def attested(self) -> int:
        """Number of removals that rest on a solver's word: 0 unless solvers are trusted."""
        return self.rigorous.attested

    @property
    def cells(self) -> tuple[CellOutcome, ...]:
        """The rigorous checker's verdicts on cells."""
        return self.rigorous.cells

    @property
    def total(self) -> int:
        """Number of cells of the bundle, 0 if it could not be found out."""
        return self.rigorous.total

    @property
    def seconds(self) -> float:
        """Wall time of all checkers."""
        return sum(result.seconds for result in self.checkers.values())

    def count(self, what: str) -> int:
        """Sum over the cells that the rigorous checker accepts of ``nodes``, ``closings`` or ``removed``."""
        return self.rigorous.count(what)


def audit(
    bundle: str | Path,
    cells: Sequence[int] | None = None,
    progress: Callable[[int, int], None] | None = None,
    *,
    exact: bool = False,
    jobs: int | None = None,
    trust_solver: bool = False,
) -> Audit:
    """Check a bundle with the rigorous checker, read its source model again and compare; on request ask the exact one.

    Parameters
    ----------
    cells:
        Cells whose certificates are checked; all if None (only then can the bundle be accepted as a whole).
    progress:
        Called with (cells done, cells in all) by the rigorous checker.
    exact:
        Whether to ask the exact checker too, see `audited_exactly`.
    jobs:
        Processes of each checker; None for one per core.
    trust_solver:
        Whether units may be removed on a solver's word (CERTIFICATE.md §6): such a bundle is attested, not accepted.

    Raises
    ------
    UnusableBundleFile
        If there is no bundle to judge.
    """
    path = Path(bundle)
    _check_jobs(jobs)
    result = _rigorous(path, cells, progress, -1 if jobs is None else jobs, trust_solver=trust_solver)
    done = Audit(result, None if isinstance(result.bundle, Rejected) else _source_verdict(path))
    return audited_exactly(done, path, cells, jobs, trust_solver=trust_solver) if exact else done


def _rigorous(
    path: Path,
    cells: Sequence[int] | None,
    progress: Callable[[int, int], None] | None,
    jobs: int,
    *,
    trust_solver: bool,
) -> AuditResult:
    """The rigorous checker's result; all but few cells are for other processes, which open the bundle themselves."""
    start = time.monotonic()
    opened = audit_directory(path, cells=[])
    chosen = list(range(opened.total)) if cells is None else sorted(set(cells))
    if isinstance(opened.bundle, Rejected) or len(chosen) < FEW_CELLS or not set(chosen) <= set(range(opened.total)):
        return audit_directory(path, cells=cells, progress=progress, trust_solver=trust_solver)
    check = partial(audit_directory, trust_solver=trust_solver)
    size = max(MANY_CELLS, math.ceil(len(chosen) / (PARTS * LokyWorkers(jobs).count)))
    parts = [chosen[first : first + size] for first in range(0, len(chosen), size)]
    outcomes: list[CellOutcome] = []
    for result in spread(check, [(path, part) for part in parts], jobs):
        if isinstance(result.bundle, Rejected) or result.digest != opened.digest:
            why = "expected a bundle that stays as it is during the audit"
            return replace(result, bundle=Rejected(MANIFEST_FILE, why), cells=())
        outcomes += result.cells
        if progress:
            progress(len(outcomes), len(chosen))
    outcomes.sort(key=lambda outcome: outcome.cell)
    return replace(opened, cells=tuple(outcomes), seconds=time.monotonic() - start)


def audited_exactly(
    done: Audit,
    bundle: str | Path,
    cells: Sequence[int] | None = None,
    jobs: int | None = None,
    *,
    show_progress: bool = False,
    trust_solver: bool = False,
) -> Audit:
    """The audit with the exact checker's verdicts beside the others.

    Parameters
    ----------
    jobs:
        The exact checker's processes; None for one per core.
    trust_solver:
        As in `audit`.
    """
    _check_jobs(jobs)
    shown, trusted = show_progress, trust_solver
    result = audit_exactly(Path(bundle), cells, jobs or os.cpu_count() or 1, show_progress=shown, trust_solver=trusted)
    seen = {result.digest, done.rigorous.digest} - {""}
    if isinstance(result.bundle, Accepted) and len(seen) > 1:
        why = f"expected a bundle that stays as it is during the audit, got the digests {' and '.join(sorted(seen))}"
        result = replace(result, bundle=Rejected(MANIFEST_FILE, why))
    return replace(done, exact=result)


def _check_jobs(jobs: int | None) -> None:
    """Refuse a number of processes that is none."""
    if jobs is not None and jobs < 1:
        raise UnusableInput(f"expected at least 1, got {jobs}", where="--jobs")


def _source_verdict(bundle: Path) -> Verdict:
    """Whether reading the source model gives ``family/parent.json`` byte for byte."""
    manifest = read_manifest((bundle / MANIFEST_FILE).read_bytes())
    source = manifest.source
    try:
        network = read_network_bytes((bundle / source).read_bytes(), source, scores=manifest.mode == "decision")
    except (OSError, UnusableInput) as error:
        return Rejected(source, f"expected a readable model: {error}")
    if network.content != (bundle / PARENT_FILE).read_bytes():
        return Rejected(source, f"expected a model that reads as {PARENT_FILE}, got another network")
    return Accepted()


def _accepts(result: AuditResult) -> dict[int | None, bool]:
    """Whether a checker accepts the bundle as a whole (None) and each of the cells that it checked."""
    verdicts: dict[int | None, Verdict] = {outcome.cell: outcome.verdict for outcome in result.cells}
    return {place: isinstance(verdict, Accepted) for place, verdict in ({None: result.bundle} | verdicts).items()}


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
