"""Readouts of hidden units through the whole pipeline: found, proved, served alike by every target, and reported."""

from __future__ import annotations

import csv
import importlib.util
import json
import subprocess
import sys
from importlib.resources import files

import numpy as np
import onnxruntime
import pytest
from jsonschema import Draft202012Validator

import dispatcher
import slicer
from dispatcher.cli import main as dispatcher_main
from dispatcher.cost import cost
from dispatcher.files import read_member
from dispatcher.host import host_compiler
from dispatcher.interpret import eval32
from dispatcher.load import load_bundle
from dispatcher.plan import Member, member_layers
from dispatcher.vectors import border_points, corner_points, random_points
from slicer.box import Box
from slicer.certificate.verdict import Accepted
from slicer.cli import main
from slicer.family.block import search_block
from slicer.family.cell import CellWorker
from slicer.family.checkpoint import CellStore
from slicer.family.claim import Claim
from slicer.family.ending import Endings
from slicer.family.options import LAYOUTS, Options
from slicer.family.terms import Terms
from slicer.partition import Block
from slicer.summary import summarize
from tests.certificates.both import judge
from tests.certificates.truth import doubts
from tests.emit_c99.host import Compiler, bits, build_runner, run_points
from tests.emit_onnx.any_order import enclosure
from tests.onnx_files import write_onnx
from tests.random_networks import chain

NETWORK = chain(np.random.default_rng(3), [5, 12, 12, 12, 1])  # as the battery estimator, narrower
OPTIONS = Options(mode="epsilon", epsilon="2%", cells=8, parts=2, effort=60, jobs=1)
WORDS = ["--mode", "epsilon", "--epsilon", "2%", "--cells", "8", "--parts", "2", "--effort", "60"]
DOMAIN = "0:0.5"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_onnx(tmp_path_factory.mktemp("readouts") / "model.onnx", NETWORK)


@pytest.fixture(scope="module")
def bundle(model, tmp_path_factory):
    return slicer.compress(model, DOMAIN, tmp_path_factory.mktemp("readouts") / "bundle", OPTIONS)


@pytest.fixture(scope="module")
def points(bundle) -> np.ndarray:
    """All over the domain, corners, and on and beside every threshold."""
    rng = np.random.default_rng(0)
    borders = border_points(bundle.family, 20, rng)
    return np.concatenate([random_points(bundle.family, 500, rng), corner_points(bundle.family, 32, rng), *borders])


@pytest.fixture(scope="module")
def expected(bundle, points) -> np.ndarray:
    """Of every point its member, packed, in the declared order ``[m, n_out]``."""
    family, cells = bundle.family, dispatcher.load(bundle.path).route(points)
    outputs = np.empty((len(points), NETWORK.n_out), np.float32)
    for cell in np.unique(cells):
        layers = member_layers(family.parent, family.members[family.cells[cell]])
        outputs[cells == cell] = eval32(layers, points[cells == cell])
    return outputs


def hidden(member: Member) -> bool:
    """Whether a member reads hidden units."""
    return member.readout is not None and not member.readout.affine


def test_readouts_of_hidden_units_are_found_behind_removed_ones(bundle):
    family = bundle.family
    served = [family.members[member] for member in family.cells]
    reads = [count.readout for count in bundle.counts]
    assert [read > 0 for read in reads] == [hidden(member) for member in served]
    assert sum(read > 0 for read in reads) > 4
    assert any(count.readout and count.removed for count in bundle.counts)
    assert any(len(member.readout.reads) > 2 for member in served if hidden(member))
    deepest = max(member.readout.reads[-1][0] for member in served if hidden(member))
    assert any(not member.layers[-1].units for member in served if hidden(member))
    assert deepest < len(NETWORK.layers) - 1
    for member, read in zip(served, reads, strict=True):
        if hidden(member):
            assert sum(len(units) for place, units in member.readout.reads if place) == read


def test_less_is_computed_than_without_them(monkeypatch):
    """The same cells by a worker that looks for none: each that has a readout takes more there."""
    worker, better = CellWorker(NETWORK.content, Claim(epsilon=(0.02,))), 0
    for cell in range(6):
        corner = np.random.default_rng(cell).uniform(0, 0.4, 5).astype(np.float32)
        box = Box(corner, corner + np.float32(0.2))
        with_readout = worker.run(cell, box, Terms(60, 0, attempts=False))
        with monkeypatch.context() as patch:
            patch.setattr(Endings, "shorter", lambda *_: None)
            without = worker.run(cell, box, Terms(60, 0, attempts=False))
        macs = []
        for result in (with_readout, without):
            verdict = worker.gate.checker.check_cell(cell, box.lower, box.upper, result.certificate, result.member)
            assert isinstance(verdict, Accepted)
            member = read_member(result.member, NETWORK.layers, NETWORK.digest, "member")
            macs.append(cost(member_layers(NETWORK.layers, member)).mac)
        assert not without.counts.readout
        assert macs[0] < macs[1] if with_readout.counts.readout else with_readout.member == without.member
        better += with_readout.counts.readout > 0
    assert better > 2


def test_both_checkers_accept_and_nothing_speaks_against_it(bundle):
    assert judge(bundle.path).accepted
    assert doubts(bundle.path) == []


def test_outputs_are_within_their_bounds_and_use_them(bundle, points, expected):
    off = np.abs(expected.astype(np.float64) - eval32(NETWORK.layers, points))
    assert (off <= bundle.family.epsilon).all()
    assert off.max() > bundle.family.epsilon[0] / 10


def test_the_runtime_has_the_bits_of_the_members(bundle, points, expected):
    assert (bits(dispatcher.load(bundle.path).predict(points)) == bits(expected)).all()


@pytest.mark.skipif(host_compiler() is None, reason="no C compiler on this machine")
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_emitted_c_has_the_bits_of_the_members(bundle, points, expected, layout, tmp_path):
    command = ["emit", str(bundle.path), "--target", "c99", "--layout", layout, "--prefix", "net"]
    assert dispatcher_main([*command, "--out", str(tmp_path / "net")]) == 0
    answers = run_points(build_runner(Compiler(host_compiler()), tmp_path / "net", "-O2"), points, 1)
    assert (answers.codes == 0).all()
    assert (bits(answers.outputs) == bits(expected)).all()


def test_the_emitted_module_has_the_bits_of_the_members_with_numpy_and_without(bundle, points, expected, tmp_path):
    command = ["emit", str(bundle.path), "--target", "python", "--prefix", "net", "--out", str(tmp_path / "out")]
    assert dispatcher_main(command) == 0
    spec = importlib.util.spec_from_file_location("net", tmp_path / "out" / "net.py")
    net = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(net)
    assert (bits(net.predict(points)) == bits(expected)).all()
    some = np.random.default_rng(0).permutation(len(points))[:200]
    code = (
        "import sys, json\nsys.modules['numpy'] = None\nsys.path.insert(0, sys.argv[1])\nimport net\n"
        "assert net.np is None\nprint(json.dumps(net.predict(json.load(sys.stdin))))\n"
    )
    arguments = [sys.executable, "-I", "-S", "-W", "error", "-c", code, str(tmp_path / "out")]
    given = json.dumps(points[some].tolist())
    done = subprocess.run(arguments, input=given, capture_output=True, text=True, check=True)
    assert (bits(np.array(json.loads(done.stdout), np.float32)) == bits(expected[some])).all()


def test_the_emitted_model_is_within_the_bound_of_any_order(bundle, points, expected, tmp_path):
    out, family = tmp_path / "onnx", bundle.family
    assert dispatcher_main(["emit", str(bundle.path), "--target", "onnx", "--prefix", "net", "--out", str(out)]) == 0
    session = onnxruntime.InferenceSession(str(out / "net.onnx"), providers=["CPUExecutionProvider"])
    outputs, cells = session.run(None, {"inputs": points})
    assert (cells == dispatcher.load(bundle.path).route(points)).all()
    for cell in np.unique(cells):
        own = cells == cell
        layers = member_layers(family.parent, family.members[family.cells[cell]])
        centre, radius = enclosure(layers, points[own])
        for values in (outputs[own], expected[own]):
            assert (np.abs(values - centre) <= radius).all()
        assert (radius <= 1e-3 * (1 + np.abs(centre))).all()


def test_the_audit_writes_a_page_and_json_of_its_schema(bundle, tmp_path, capsys):
    page, record = tmp_path / "audit.html", tmp_path / "audit.json"
    assert main(["audit", str(bundle.path), "--exact", "--html", str(page), "--json", str(record)]) == 0
    capsys.readouterr()
    report = json.loads(record.read_text())
    schema = json.loads(files("slicer.report").joinpath("audit.schema.json").read_bytes())
    Draft202012Validator(schema).validate(report)
    members = report["contents"]["members"]
    kinds = [
        (members[cell["member"]]["affine"], members[cell["member"]]["readout"]) for cell in report["contents"]["cells"]
    ]
    assert kinds == [(count.affine, count.affine or count.readout > 0) for count in bundle.counts]
    assert "readout" in page.read_text()


def test_the_reports_count_what_packed_members_compute(bundle, capsys):
    assert dispatcher_main(["report", str(bundle.path), "--json", "-"]) == 0
    report, family = json.loads(capsys.readouterr().out), bundle.family
    macs = [cost(member_layers(family.parent, member)).mac for member in family.members]
    assert [member["cost"]["mac"] for member in report["members"]] == macs
    assert summarize(bundle)["readout"] == pytest.approx(
        sum(measure for measure, count in zip(bundle.measures, bundle.counts, strict=True) if count.readout)
    )


def test_inspection_knows_the_deployed_copy_and_a_wrong_one(bundle, tmp_path, capsys):
    vectors, answers = tmp_path / "vectors.csv", tmp_path / "answers.csv"
    assert dispatcher_main(["inspect-vectors", str(bundle.path), "-n", "60", "--output", str(vectors)]) == 0
    assert dispatcher_main(["run", str(bundle.path), str(vectors), "--output", str(answers)]) == 0
    verify = ["verify-outputs", str(bundle.path), str(vectors), str(answers)]
    assert dispatcher_main(verify) == 0
    rows = list(csv.reader(answers.read_text().splitlines()))
    number = np.float32(rows[-1][-1])
    rows[-1][-1] = str(float(np.nextafter(number, np.float32(np.inf))))
    with answers.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    assert dispatcher_main(verify) == 1
    assert "REJECTED" in capsys.readouterr().out


def test_parts_of_a_cell_share_a_member_that_reads_hidden_units():
    worker = CellWorker(NETWORK.content, Claim(epsilon=(0.02,)))
    ends = [(0.0, 0.1), (0.1, 0.2), (0.2, 0.3)]
    boxes = tuple(
        Box(np.float32([low, 0.2, 0.2, 0.2, 0.2]), np.float32([high, 0.3, 0.3, 0.3, 0.3])) for low, high in ends
    )
    results = search_block(worker, Block(7, boxes, (False, False, False)), Terms(100, 0))
    assert len({result.member for result in results}) == 1
    member = read_member(results[0].member, NETWORK.layers, NETWORK.digest, "member")
    assert hidden(member)
    for place, (result, box) in enumerate(zip(results, boxes, strict=True)):
        record = json.loads(result.certificate)
        assert (record["cell"], record["readout"]["reads"][-1][0]) == (7 + place, member.readout.reads[-1][0])
        verdict = worker.gate.checker.check_cell(7 + place, box.lower, box.upper, result.certificate, result.member)
        assert isinstance(verdict, Accepted)
        assert result.counts.readout
        sample = box.sample(500, np.random.default_rng(place))
        off = eval32(member_layers(NETWORK.layers, member), sample) - eval32(NETWORK.layers, sample).astype(np.float64)
        assert (np.abs(off) <= 0.02).all()


@pytest.mark.parametrize("jobs", [2, 3])
def test_any_number_of_workers_gives_the_same_bundle(model, bundle, jobs, tmp_path, capsys):
    words = [*WORDS, "--jobs", str(jobs), "--out", str(tmp_path / "bundle")]
    assert main(["compress", str(model), f"--domain={DOMAIN}", *words]) == 0
    capsys.readouterr()
    assert load_bundle(tmp_path / "bundle").digest == bundle.digest


def test_a_run_that_was_interrupted_goes_on_to_the_same_bundle(model, bundle, tmp_path, monkeypatch, capsys):
    kept: list[int] = []
    write, command = CellStore.write, ["compress", str(model), f"--domain={DOMAIN}", *WORDS, "--jobs", "1"]

    def written(self, block, results):
        write(self, block, results)
        kept.append(block.cells[0])
        if len(kept) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(CellStore, "write", written)
    assert main([*command, "--out", str(tmp_path / "bundle")]) == 130
    assert not (tmp_path / "bundle").exists()
    assert main([*command, "--out", str(tmp_path / "bundle"), "--resume"]) == 0
    capsys.readouterr()
    assert len(set(kept)) == len(kept) > 3, "no cell was searched twice"
    assert load_bundle(tmp_path / "bundle").digest == bundle.digest
