"""Advisers in `compress`: witnesses are kept, a trusted solver's word removes units, and no audit accepts that."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest

import dispatcher
import slicer
from dispatcher.errors import UnusableInput
from dispatcher.files import read_member
from dispatcher.interpret import eval32, evaluate_all
from dispatcher.literal import bits_value
from dispatcher.load import load_bundle
from dispatcher.plan import member_layers
from slicer.box import Box
from slicer.certificate.verdict import Accepted, Rejected
from slicer.cli import main
from slicer.family import cell as cell_module
from slicer.family.cell import CellWorker
from slicer.family.terms import Terms
from slicer.report import collect, report_html, report_json
from slicer.search import advised
from slicer.search.advisers import Advising
from slicer.search.cell import search_cell
from slicer.search.solvers import marabou
from tests.onnx_files import onnx_bytes
from tests.random_networks import chain

BOX = Box(np.float32([-1, -1, -1]), np.float32([1, 1, 1]))
EFFORT = 3  # boxes: leaves some candidates open
ADVISED = {"cells": 2, "cuts": "uniform", "effort": EFFORT, "adviser": "milp", "adviser_seconds": 20.0, "jobs": 1}
SCHEMA = json.loads((Path(slicer.__file__).parent / "report" / "audit.schema.json").read_text())


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A network with candidates that a few boxes do not decide, and that a solver does."""
    path = tmp_path_factory.mktemp("model") / "model.onnx"
    path.write_bytes(onnx_bytes(chain(np.random.default_rng(9), [3, 12, 12, 12, 2])))
    return path


@pytest.fixture(scope="module")
def attested(model, tmp_path_factory):
    """A bundle with removals on HiGHS' word."""
    out = tmp_path_factory.mktemp("attested") / "bundle"
    bundle = slicer.compress(model, BOX, out, slicer.Options(**ADVISED, trust="solver"))
    assert sum(count.attested for count in bundle.counts) > 0, "nothing to test"
    return bundle


def test_a_certified_run_removes_nothing_on_a_solvers_word(model, tmp_path):
    bundle = slicer.compress(model, BOX, tmp_path / "bundle", slicer.Options(**ADVISED))
    assert sum(count.attested for count in bundle.counts) == 0
    assert slicer.audit(bundle.path, exact=True).accepted


def test_an_attested_bundle_is_rejected_unless_solvers_are_trusted_and_then_attested(attested):
    doubted = slicer.audit(attested.path, exact=True)
    assert not doubted.accepted
    cells = {count.cell for count in attested.counts if count.attested}
    assert {finding.cell for finding in doubted.findings} == cells
    assert {finding.checker for finding in doubted.findings} == {"rigorous", "exact"}
    trusted = slicer.audit(attested.path, exact=True, trust_solver=True)
    assert not trusted.accepted
    assert not trusted.findings
    assert trusted.complete
    assert trusted.attested == trusted.exact.attested == sum(count.attested for count in attested.counts)


def test_who_serves_the_bundle_knows(attested):
    loaded = load_bundle(attested.path)
    assert loaded.manifest.options["trust"] == "solver"
    assert loaded.attested.removals == sum(count.attested for count in attested.counts)
    assert loaded.attested.cells == sum(count.attested > 0 for count in attested.counts)


def test_what_the_solver_said_is_true_here(attested):
    """The units are inactive at many points, and the members equal the parent."""
    loaded = slicer.audit(attested.path, trust_solver=True)
    assert loaded.complete
    family, rng = attested.family, np.random.default_rng(0)
    points = np.concatenate([BOX.sample(20_000, rng), rng.choice(np.float32([-1, 0, 1]), (2000, 3))])
    np.testing.assert_array_equal(dispatcher.load(attested.path).predict(points), eval32(family.parent, points))


def test_the_report_of_an_attested_bundle_says_so_and_has_the_schemas_form(attested):
    report = collect(attested.path, slicer.audit(attested.path, exact=True, trust_solver=True))
    record = json.loads(report_json(report))
    jsonschema.validate(record, SCHEMA)
    assert record["verdict"] == "attested"
    assert record["accepted"] is False
    units = [unit for cell in record["contents"]["cells"] for row in cell["removals"] for unit in row["attested"]]
    assert len(units) == record["attested"] > 0
    assert {one["verdict"] for one in record["checkers"]} == {"attested"}
    assert any("--trust solver" in command["line"] for command in record["commands"])
    page = report_html(report)
    assert "ATTESTED" in page
    assert "on a solver" in page


def test_the_command_line_tells_attested_from_accepted(attested, capsys):
    path = str(attested.path)
    assert main(["audit", path, "--quiet"]) == 1
    assert "a solver's word counts only where solvers are trusted" in capsys.readouterr().out
    assert main(["audit", path, "--quiet", "--exact", "--trust", "solver"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("ATTESTED, ")
    assert "ACCEPTED" not in out


def test_witnesses_contradict_their_candidates(attested):
    layers = attested.family.parent
    cells = json.loads((attested.path / "search.json").read_bytes())["cells"]
    rows = [row for cell in cells for row in cell["witnesses"]]
    assert len(rows) == sum(cell["refuted"] for cell in cells) > 0
    for layer, unit, phase, text in rows:
        values = evaluate_all(layers, bits_value(text)[None])
        assert phase * values[layers[layer].sources[0]][0, unit] < 0


def test_a_lie_that_is_trusted_is_told_by_every_audit(monkeypatch):
    """Trust is the user's risk: the member differs from its parent then. Nobody accepts it who does not trust."""

    def lied_to(*arguments, **options):
        found = search_cell(*arguments, **options)
        return replace(found, hinted=np.flatnonzero(found.phases == 0)[-4:])  # seen active and inactive

    monkeypatch.setattr(cell_module, "search_cell", lied_to)
    worker = CellWorker(chain(np.random.default_rng(9), [3, 12, 12, 12, 2]).content)
    result = worker.run(0, BOX, Terms(EFFORT, 0, advising=Advising("milp", 1.0, trusted=True)))
    assert result.counts.attested == 4
    corners = BOX.lower, BOX.upper
    refused = worker.gate.checker.check_cell(0, *corners, result.certificate, result.member)
    assert isinstance(refused, Rejected)
    trusted = worker.gate.checker.check_cell(0, *corners, result.certificate, result.member, trust_solver=True)
    assert isinstance(trusted, Accepted)
    assert trusted.attested == 4
    layers, points = worker.network.layers, BOX.sample(20_000, np.random.default_rng(0))
    member = read_member(result.member, layers, worker.network.digest, "member")
    assert (eval32(member_layers(layers, member), points) != eval32(layers, points)).any()
    certified = worker.run(0, BOX, Terms(EFFORT, 0, advising=Advising("milp", 1.0)))
    assert certified.counts.attested == 0


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({"trust": "solver"}, "--trust solver"),
        ({"trust": "nobody"}, "--trust"),
        ({"adviser": "oracle"}, "--adviser"),
        ({"adviser": "milp", "adviser_seconds": 0.0}, "--adviser-seconds"),
        ({"adviser": "milp", "adviser_seconds": float("inf")}, "--adviser-seconds"),
    ],
)
def test_options_that_fit_no_solver_are_refused(options, where):
    with pytest.raises(UnusableInput) as refusal:
        slicer.Options(**options)
    assert refusal.value.where == where


def test_a_solver_that_is_not_installed_is_one_clear_error(monkeypatch):
    monkeypatch.setattr(marabou, "_core", lambda: None)
    with pytest.raises(UnusableInput, match="not installed") as refusal:
        slicer.Options(adviser="marabou")
    assert refusal.value.where == "--adviser"


def test_a_cell_that_cannot_be_put_to_a_solver_keeps_what_is_open(monkeypatch):
    def unusable(*_arguments):
        raise UnusableInput("expected finite intervals", where="encoding")

    monkeypatch.setattr(advised, "encode", unusable)
    worker = CellWorker(chain(np.random.default_rng(9), [3, 12, 12, 12, 2]).content)
    asked = worker.run(0, BOX, Terms(EFFORT, 0, advising=Advising("milp", 1.0, trusted=True)))
    assert asked.counts.open > 0
    assert asked == worker.run(0, BOX, Terms(EFFORT, 0))
