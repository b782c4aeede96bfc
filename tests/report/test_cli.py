"""``slicer audit --html --json --exact``: files, exit codes, and refusals before any work is done."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from slicer import cli
from slicer.cli import main
from tests.report.kit import Page, without_proof


@pytest.fixture
def folder(tmp_path, monkeypatch, bundle, copy) -> Path:
    copy(bundle, "b")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_page_and_record(folder, capsys):
    assert main(["audit", "b", "--html", "audit.html", "--json", "audit.json", "--exact", "--jobs", "1"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("ACCEPTED  5 of 5 cells")
    assert "by both checkers" in out
    record = json.loads((folder / "audit.json").read_text("utf-8"))
    page = Page((folder / "audit.html").read_text("utf-8"))
    assert record["verdict"] == "accepted"
    assert record["identity"]["bundle"] in page.words["identity"]
    assert "--exact" in page.words["repeat"]


def test_a_rejected_bundle_has_both_files_too(folder, capsys):
    without_proof(folder / "b", 1)
    assert main(["audit", "b", "--quiet", "--html", "audit.html", "--json", "audit.json"]) == 1
    assert "REJECTED" in capsys.readouterr().out
    assert json.loads((folder / "audit.json").read_text("utf-8"))["verdict"] == "rejected"
    assert Page((folder / "audit.html").read_text("utf-8")).words["body"].startswith("REJECTED")


def test_standard_output(folder, capsys):
    assert main(["audit", "b", "--quiet", "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["accepted"] is True
    assert main(["audit", "b", "--quiet", "--html", "-"]) == 0
    assert capsys.readouterr().out.startswith("<!DOCTYPE html>")
    assert main(["audit", "b", "--quiet", "--json", "audit.json"]) == 0
    assert capsys.readouterr().out.startswith("ACCEPTED")


@pytest.mark.parametrize("option", ["--html", "--json"])
@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("b/report", "outside the bundle"),
        ("b", "outside the bundle"),
        ("b/family/../x", "outside the bundle"),
        ("link/report", "outside the bundle"),
        ("none/report", "in a directory that exists"),
        ("other", "in a directory that exists"),
    ],
)
def test_files_that_must_not_be_written_are_refused_at_once(folder, option, target, words, capsys, monkeypatch):
    (folder / "link").symlink_to(folder / "b", target_is_directory=True)
    (folder / "other").mkdir()
    monkeypatch.setattr(cli, "audit", None)  # calling it would be an error
    assert main(["audit", "b", option, target]) == 2
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1
    assert not (folder / "b" / "report").exists()


def test_a_disagreement_is_told_first(folder, capsys, monkeypatch):
    """An exact checker that finds something in cell 2 alone."""
    program = folder / "check.py"
    finding = {"cell": 2, "where": "certificates/000002.json", "why": "expected more"}
    report = {"format": "netslicer-check/1", "outcome": "rejected", "bundle": None, "cells": 5, "checked": 5}
    report |= {"accepted": 4, "rejected": 1, "attested": [], "findings": [finding]}
    write = f"json.dump({report!r}, open(sys.argv[sys.argv.index('--json') + 1], 'w')); sys.exit(1)"
    program.write_text(f"import json, sys\n{write}\n")
    monkeypatch.setattr("slicer.certificate.exact.CHECKER", program)
    assert main(["audit", "b", "--quiet", "--exact"]) == 1
    out = capsys.readouterr().out
    assert "exact: certificates/000002.json: expected more" in out
    assert "THE CHECKERS DISAGREE about cell 2" in out
    assert out.splitlines()[-1].startswith("REJECTED")
