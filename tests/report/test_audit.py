"""Two checkers as one audit: both must accept, a disagreement is a rejection, and a checker that fails rejects."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import slicer
from dispatcher.errors import UnusableInput
from slicer.auditor import Audit, Disagreement, audited_exactly, parse_cells
from slicer.certificate import exact
from slicer.certificate.exact import audit_exactly, cells_text
from slicer.certificate.verdict import Accepted, AuditResult, CellOutcome, Rejected, Verdict
from tests.report.kit import forge, forge_manifest, without_proof

YES, NO = Accepted(), Rejected("here", "expected this, got that")


def result(*cells: Verdict, bundle: Verdict = YES, total: int = 2) -> AuditResult:
    """One checker's result."""
    return AuditResult(bundle, tuple(CellOutcome(cell, verdict) for cell, verdict in enumerate(cells)), total, 1.0)


GOOD = result(YES, YES)
# What an audit of these results is: accepted, complete, and where the checkers disagree.
OUTCOMES: dict[str, tuple[Audit, bool, bool, list[Disagreement]]] = {
    "one checker": (Audit(GOOD, YES), True, True, []),
    "two checkers": (Audit(GOOD, YES, GOOD), True, True, []),
    "another model": (Audit(GOOD, NO, GOOD), False, False, []),
    "model not examined": (Audit(GOOD, None), False, False, []),
    "both reject": (Audit(result(YES, NO), YES, result(YES, NO)), False, True, []),
    "only the exact one": (Audit(GOOD, YES, result(YES, NO)), False, True, [Disagreement(1, "exact")]),
    "only the rigorous one": (Audit(result(NO, YES), YES, GOOD), False, True, [Disagreement(0, "rigorous")]),
    "about the bundle": (Audit(GOOD, YES, result(bundle=NO)), False, False, [Disagreement(None, "exact")]),
    "too few cells": (Audit(GOOD, YES, result(YES)), False, False, []),
}


@pytest.mark.parametrize("name", OUTCOMES)
def test_what_makes_an_audit(name):
    audit, accepted, complete, disagreements = OUTCOMES[name]
    assert (audit.accepted, audit.complete) == (accepted, complete)
    assert list(audit.disagreements) == disagreements
    assert not disagreements or audit.findings
    assert [finding.verdict for finding in audit.findings] == list(audit.rejections)


def test_findings_say_who_and_where():
    audit = Audit(result(YES, NO), NO, result(NO, YES))
    assert [(found.checker, found.cell) for found in audit.findings] == [
        ("source", None),
        ("rigorous", 1),
        ("exact", 0),
    ]


def test_the_checkers_agree_on_real_bundles(bundle, reasons, line, untouched, copy):
    broken = copy(bundle)
    without_proof(broken, 2)
    for path in (bundle, reasons, line, untouched, broken):
        audit = slicer.audit(path, exact=True, jobs=1)
        assert audit.disagreements == ()
        assert audit.exact is not None
        assert audit.exact.digest == audit.rigorous.digest
        assert audit.accepted == (path is not broken)
        assert audit.complete


def test_some_cells_only(bundle):
    audit = slicer.audit(bundle, cells=[1, 3], exact=True, jobs=1)
    assert audit.exact is not None
    assert [outcome.cell for outcome in audit.exact.cells] == [1, 3]
    assert not audit.findings
    assert not audit.complete


def test_cells_that_are_not_there(bundle):
    audit = slicer.audit(bundle, cells=[99], exact=True, jobs=1)
    assert {found.checker for found in audit.findings} == {"rigorous", "exact"}


@given(st.sets(st.integers(0, 60), min_size=1))
@settings(deadline=None, max_examples=100)
def test_cells_as_text_and_back(cells):
    assert parse_cells(cells_text(cells)) == sorted(cells)


def test_a_bundle_that_changes_between_the_checkers(bundle, copy):
    changing = copy(bundle)
    audit = slicer.audit(changing)
    forge_manifest(changing, options={"cells": 6})
    both = audited_exactly(audit, changing, jobs=1)
    assert not both.accepted
    assert "stays as it is" in str(both.findings[0].verdict)


@pytest.mark.parametrize("jobs", [0, -1])
def test_jobs_are_at_least_one(bundle, jobs):
    with pytest.raises(UnusableInput, match="at least 1"):
        slicer.audit(bundle, exact=True, jobs=jobs)


@pytest.fixture
def checker(tmp_path, monkeypatch):
    """A function that puts a program in the exact checker's place."""

    def replaced(body: str) -> None:
        program = tmp_path / "check.py"
        program.write_text("import json, sys\n" + textwrap.dedent(body))
        monkeypatch.setattr(exact, "CHECKER", program)

    return replaced


def honest(**changes: Any) -> str:
    """A checker that accepts two cells, with changes to its report; ``code`` is its exit code."""
    code = changes.pop("code", 0)
    report = {"format": "netslicer-check/1", "outcome": "accepted", "bundle": "0" * 64, "cells": 2, "checked": 2}
    report |= {"accepted": 2, "rejected": 0, "attested": [], "findings": []} | changes
    return f"json.dump({report!r}, open(sys.argv[sys.argv.index('--json') + 1], 'w')); sys.exit({code})"


FINDING = {"cell": 1, "where": "certificates/000001.json", "why": "expected more"}


def test_an_honest_report(checker, tmp_path):
    checker(honest())
    found = audit_exactly(tmp_path)
    assert found.complete
    assert not found.rejections
    assert found.digest == "0" * 64
    checker(honest(outcome="rejected", accepted=1, rejected=1, findings=[FINDING], code=1))
    found = audit_exactly(tmp_path)
    assert [outcome.verdict for outcome in found.cells] == [YES, Rejected(FINDING["where"], FINDING["why"])]


BROKEN = {
    "no report": "pass",
    "a crash": "raise SystemError('out of luck')",
    "killed": "import os; os.kill(os.getpid(), 9)",
    "an empty report": "open(sys.argv[sys.argv.index('--json') + 1], 'w')",
    "another value": "json.dump([], open(sys.argv[sys.argv.index('--json') + 1], 'w'))",
    "exit code 1 without finding": honest(code=1),
    "exit code 2": honest(code=2),
    "exit code 0 with a finding": honest(outcome="rejected", accepted=1, rejected=1, findings=[FINDING]),
    "accepted with a finding": honest(findings=[FINDING], code=1),
    "accepted, but too few cells": honest(checked=1, accepted=1),
    "a cell that was not checked": honest(
        outcome="rejected", accepted=1, rejected=1, findings=[FINDING | {"cell": 7}], code=1
    ),
    "another format": honest(format="netslicer-check/9"),
    "no number of cells": honest(cells=None),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_checker_that_fails_rejects(name, checker, tmp_path):
    checker(BROKEN[name])
    found = audit_exactly(tmp_path)
    assert isinstance(found.bundle, Rejected)
    assert found.cells == ()
    assert not found.complete
    assert "exit code" in found.bundle.why


def test_the_reason_of_a_crash_is_told(checker, tmp_path):
    checker(BROKEN["a crash"])
    verdict = audit_exactly(tmp_path).bundle
    assert isinstance(verdict, Rejected)
    assert "out of luck" in verdict.why


def test_the_checker_in_the_bundle_is_never_run(bundle, copy):
    """A bundle cannot bring its own judge."""
    lying = copy(bundle)
    without_proof(lying, 1)
    marker = lying.parent / "executed"
    program = f"open({str(marker)!r}, 'w')\nprint('accepted')\n".encode()
    forge(lying, "check.py", program)
    assert not slicer.audit(lying, exact=True, jobs=1).accepted
    assert not marker.exists()


def test_the_checker_sees_no_environment(checker, tmp_path, monkeypatch):
    """``-I -S``: neither the current directory nor PYTHONPATH nor site-packages."""
    (tmp_path / "json.py").write_text("raise SystemError('not the standard library')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    checker("assert sys.flags.isolated and sys.flags.no_site\n" + honest())
    assert audit_exactly(tmp_path).complete


def test_names_that_look_like_options(bundle, copy, monkeypatch):
    named = copy(bundle, "--jobs")
    monkeypatch.chdir(named.parent)
    assert slicer.audit(Path("--jobs"), exact=True, jobs=1).accepted
