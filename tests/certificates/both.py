"""`judge`: both checkers on one bundle. They must agree, on the bundle and on every cell, or the test fails.

The exact checker is loaded by its path, as a bundle carries it, and asked through its command line in this process:
thousands of bundles do not pay for thousands of processes. `judge_outside` does start one.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import io
import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import slicer.certificate
from slicer.certificate.rigorous import audit_directory
from slicer.certificate.verdict import Accepted, Rejected, UnusableBundleFile

CHECKER = Path(slicer.certificate.__file__).with_name("check.py")
ACCEPTED, ATTESTED, REJECTED, UNUSABLE = "accepted", "attested", "rejected", "unusable"


class Disagreement(AssertionError):
    """One checker accepts what the other rejects, or one of them crashes: a fault in one of them."""


@dataclass(frozen=True)
class Finding:
    """One rejection; ``cell`` is None if it concerns the bundle as a whole."""

    cell: int | None
    where: str
    why: str

    def __str__(self) -> str:
        return f"{self.where}: {self.why}"


@dataclass(frozen=True)
class Opinion:
    """What one checker says: accepted, attested, rejected with findings, or unusable (no bundle at all) with one.

    ``attested`` has the number of units on a solver's word of every cell that has any.
    """

    outcome: str
    findings: tuple[Finding, ...] = ()
    attested: tuple[tuple[int, int], ...] = ()

    @property
    def accepted(self) -> bool:
        return self.outcome in (ACCEPTED, ATTESTED)

    @property
    def cells(self) -> set[int] | None:
        """The rejected cells; None if the bundle as a whole is rejected."""
        cells = {finding.cell for finding in self.findings}
        return None if None in cells else {cell for cell in cells if cell is not None}

    def __str__(self) -> str:
        return "\n".join([self.outcome, *map(str, self.findings)])


@dataclass(frozen=True)
class Judgement:
    """The opinions of both checkers, which agree."""

    rigorous: Opinion
    exact: Opinion

    @property
    def accepted(self) -> bool:
        return self.rigorous.accepted

    @property
    def opinions(self) -> dict[str, Opinion]:
        return {"rigorous": self.rigorous, "exact": self.exact}


def judge(bundle: Path, *, trust: bool = False) -> Judgement:
    """What both checkers say of the bundle in a directory; ``trust``: solvers' words count.

    Raises
    ------
    Disagreement
        If only one accepts it; if both check the cells and reject different ones; if one raises or gives no reason.
    """
    return _agreed(bundle, rigorous_opinion(bundle, trust=trust), exact_opinion(bundle, trust=trust))


def judge_outside(bundle: Path, checker: Path = CHECKER) -> Judgement:
    """The same, with the exact checker (or a bundle's own copy of it) in an isolated process."""
    return _agreed(bundle, rigorous_opinion(bundle), exact_opinion_outside(bundle, checker))


def _agreed(bundle: Path, rigorous: Opinion, exact: Opinion) -> Judgement:
    """The two opinions, if they agree and say why."""
    both = f"{bundle}:\nrigorous: {rigorous}\nexact: {exact}"
    if rigorous.accepted != exact.accepted:
        raise Disagreement(f"one checker accepts what the other rejects: {both}")
    if None not in (rigorous.cells, exact.cells) and rigorous.cells != exact.cells:
        raise Disagreement(f"the checkers reject different cells: {both}")
    if (rigorous.outcome, rigorous.attested) != (exact.outcome, exact.attested) and rigorous.accepted:
        raise Disagreement(f"the checkers attest different cells: {both}")
    for opinion in (rigorous, exact):
        if opinion.accepted == bool(opinion.findings) or not all(f.where and f.why for f in opinion.findings):
            raise Disagreement(f"a rejection without a reason: {both}")
    return Judgement(rigorous, exact)


def rigorous_opinion(bundle: Path, *, trust: bool = False) -> Opinion:
    """What the rigorous float64 checker says."""
    try:
        result = audit_directory(bundle, trust_solver=trust)
    except UnusableBundleFile as error:
        return Opinion(UNUSABLE, (Finding(None, error.where, error.what),))
    except Exception as error:
        raise Disagreement(f"{bundle}: the rigorous checker crashed: {error!r}") from error
    verdicts = [(None, result.bundle), *((outcome.cell, outcome.verdict) for outcome in result.cells)]
    found = tuple(Finding(cell, v.where, v.why) for cell, v in verdicts if isinstance(v, Rejected))
    counts = {
        outcome.cell: outcome.verdict.attested for outcome in result.cells if isinstance(outcome.verdict, Accepted)
    }
    attested = tuple((cell, units) for cell, units in counts.items() if units)
    assert result.accepted == (not found and not attested), "the sum of the verdicts is the result"
    return Opinion(REJECTED if found else ATTESTED if attested else ACCEPTED, found, attested)


@cache
def exact_checker() -> ModuleType:
    """The exact checker as a module, found by its path alone."""
    spec = importlib.util.spec_from_file_location("exact_checker_under_test", CHECKER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def exact_opinion(bundle: Path, *, trust: bool = False) -> Opinion:
    """What the exact checker says, run in this process by its command line."""
    module = exact_checker()
    for value in vars(module).values():  # it keeps an open bundle, as a process checks just one
        if hasattr(value, "cache_clear"):
            value.cache_clear()
    output, errors, report = io.StringIO(), io.StringIO(), _scratch() / "report.json"
    report.unlink(missing_ok=True)
    try:
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
            words = ["--trust", "solver"] if trust else []
            code = module.main([str(bundle), "--jobs", "1", "--json", str(report), *words])
    except (Exception, SystemExit) as error:
        raise Disagreement(f"{bundle}: the exact checker crashed: {error!r}") from error
    return _reported(bundle, code, report.read_bytes() if report.exists() else b"", errors.getvalue())


@cache
def _scratch() -> Path:
    """Where this process's reports go; creating a folder for each takes longer than many a check."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def exact_opinion_outside(bundle: Path, checker: Path = CHECKER) -> Opinion:
    """What the exact checker says, run as users do: isolated, without any installed package."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-I", "-S", str(checker), str(bundle), "--json", str(report)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
        return _reported(bundle, done.returncode, report.read_bytes() if report.exists() else b"", done.stderr)


def _reported(bundle: Path, code: int, report: bytes, errors: str) -> Opinion:
    """The exact checker's opinion from its exit status and its report, which must not contradict each other."""
    if code == 2 and "Traceback" not in errors:
        return Opinion(UNUSABLE, (Finding(None, bundle.name, errors.strip()),))
    if code not in (0, 1) or not report:
        raise Disagreement(f"{bundle}: the exact checker crashed with exit status {code}: {errors}")
    record: dict[str, Any] = json.loads(report)
    found = tuple(Finding(entry["cell"], entry["where"], entry["why"]) for entry in record["findings"])
    assert code == int(bool(found)), f"exit status {code} and findings {found}"
    attested = tuple(
        (cell, units) for cell, units in record.get("attested", [])
    )  # a bundle may carry an older check.py
    assert record["outcome"] == (REJECTED if found else ATTESTED if attested else ACCEPTED), record["outcome"]
    return Opinion(record["outcome"], found, attested)
