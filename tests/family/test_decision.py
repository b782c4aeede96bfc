"""Mode ``decision``: members decide as the parent does, both checkers accept the proof, nothing else is promised."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dispatcher
import slicer
from dispatcher.cli import main as dispatcher_main
from dispatcher.errors import UnusableInput
from dispatcher.interpret import eval32
from dispatcher.layers import Dense, Elementwise, freeze
from dispatcher.plan import Constant
from slicer.cli import main
from slicer.family.options import Options
from slicer.network import Network
from slicer.reduce.classes import fixed_outputs
from slicer.reduce.member import build_member
from slicer.report.collect import collect
from slicer.search.contest import Contest, with_margins
from tests.certificates.graph_onnx import graph_bytes
from tests.onnx_files import write_onnx
from tests.random_networks import chain

WINNER = {"argmax": np.argmax, "argmin": np.argmin}


def network(seed: int = 5, outputs: int = 4) -> Network:
    """Scores that are far enough apart for one to win in many cells."""
    made = chain(np.random.default_rng(seed), [2, 10, 10, outputs])
    last = made.layers[-1]
    assert isinstance(last, Dense)
    return Network((*made.layers[:-1], replace(last, bias=(last.bias + 0.3 * np.arange(outputs)).astype(np.float32))))


@pytest.fixture(scope="module", params=["argmax", "argmin"])
def bundle(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    model = write_onnx(folder / "model.onnx", network())
    options = Options(mode="decision", decision=request.param, cells=16, effort=100, jobs=1)
    return slicer.compress(model, "-1:1", folder / "bundle", options)


def points(count: int = 20_000) -> np.ndarray:
    corners = np.array(np.meshgrid([-1, 1], [-1, 1]), np.float32).reshape(2, -1).T
    return np.concatenate([corners, np.random.default_rng(1).uniform(-1, 1, (count, 2)).astype(np.float32)])


def test_members_decide_as_the_parent_does(bundle):
    served, decision = dispatcher.load(bundle.path), bundle.family.decision
    expected = WINNER[decision](eval32(network().layers, points()), axis=1)
    assert len(set(expected)) > 1
    assert np.array_equal(served.decide(points()), expected)
    assert np.array_equal(WINNER[decision](served.predict(points()), axis=1), expected)


def test_both_checkers_accept(bundle):
    assert slicer.audit(bundle.path, exact=True).accepted


def test_some_cells_need_no_network_and_some_do(bundle):
    """A cell in which one output always wins has a member without a single term."""
    classes = [count.classes for count in bundle.counts]
    assert 1 in classes
    assert max(classes) > 1
    for cell, number in enumerate(classes):
        layers = bundle.family.members[bundle.family.cells[cell]].layers
        assert (not any(entry.units for entry in layers[1:-1])) == (number == 1)
        assert len(layers[-1].constants) == (4 if number == 1 else 4 - number)


def test_outputs_that_may_win_keep_their_bits(bundle):
    served, routes = dispatcher.load(bundle.path), dispatcher.load(bundle.path).route(points())
    parent, member = eval32(network().layers, points()), served.predict(points())
    for cell in range(len(bundle.family.cells)):
        classes = json.loads((bundle.path / f"certificates/{cell:06d}.json").read_bytes())["classes"]
        if len(classes) > 1:
            rows = routes == cell
            assert (member[rows][:, classes] == parent[rows][:, classes]).all()


def test_the_report_states_the_decision(bundle):
    report = collect(bundle.path, slicer.audit(bundle.path))
    assert report.contents is not None
    assert report.contents.decision == bundle.family.decision
    word = {"argmax": "largest", "argmin": "smallest"}[bundle.family.decision]
    assert f"their {word} output in the same place" in report.statement.claim
    assert {len(cell.classes) for cell in report.contents.cells} == {count.classes for count in bundle.counts}


def test_a_member_of_another_class_is_rejected(bundle, tmp_path):
    """Swapping two constants lets another output win: the removals and classes do not give this member."""
    copy = tmp_path / "bundle"
    shutil.copytree(bundle.path, copy)
    record = json.loads((copy / "certificates/000000.json").read_bytes())
    record["classes"] = [(record["classes"][0] + 1) % 4]
    content = json.dumps(record, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    (copy / "certificates/000000.json").write_bytes(content)
    assert not slicer.audit(copy, exact=True).accepted


def test_the_command_line_writes_which_output_wins(bundle, tmp_path):
    inputs, outputs = tmp_path / "inputs.csv", tmp_path / "outputs.csv"
    np.savetxt(inputs, points(20), delimiter=",")
    assert dispatcher_main(["run", str(bundle.path), str(inputs), "--output", str(outputs)]) == 0
    expected = dispatcher.load(bundle.path).decide(points(20))
    assert outputs.read_text().split() == [str(number) for number in expected]


def test_inspection_covers_classes_that_cannot_win(bundle, tmp_path):
    """Vectors for a deployed copy are made, and the family's own answers to them are accepted."""
    vectors, answers = tmp_path / "vectors.npy", tmp_path / "answers.npy"
    assert dispatcher_main(["inspect-vectors", str(bundle.path), "-n", "50", "--output", str(vectors)]) == 0
    np.save(answers, dispatcher.load(bundle.path).predict(np.load(vectors)))
    assert dispatcher_main(["verify-outputs", str(bundle.path), str(vectors), str(answers)]) == 0


def test_decide_is_for_mode_decision(tmp_path):
    model = write_onnx(tmp_path / "model.onnx", network())
    made = slicer.compress(model, "-1:1", tmp_path / "bundle", Options(cells=1, effort=1, jobs=1))
    with pytest.raises(UnusableInput, match="decide: expected a bundle of mode decision, got bitwise"):
        dispatcher.load(made.path).decide([[0.0, 0.0]])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"parts": 0}, "--parts: expected at least 1, got 0"),
        ({"decision": "median"}, "--decision: expected argmax, argmin, got 'median'"),
    ],
)
def test_options_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(UnusableInput, match=message):
        Options(mode="decision", **changes)


def test_a_decision_without_its_mode_is_refused():
    with pytest.raises(UnusableInput, match="--decision: expected it in mode decision only"):
        Options(decision="argmin")


def test_one_output_decides_nothing(tmp_path):
    model = write_onnx(tmp_path / "model.onnx", network(outputs=1))
    with pytest.raises(UnusableInput, match="--mode decision: expected 2 to 64 outputs to decide between, got 1"):
        slicer.compress(model, "-1:1", tmp_path / "bundle", Options(mode="decision"))


def test_a_last_layer_that_is_not_dense_is_followed_by_one(tmp_path):
    """Scores are scaled at the end in many models; the audit reads them in the same way."""
    made = network()
    scaled = Elementwise(len(made.layers) - 1, "mul", freeze(np.array([2, 2, 2, 2]), np.float32), "scale")
    whole = Network((*made.layers, scaled))
    model = tmp_path / "model.onnx"
    model.write_bytes(graph_bytes(whole))
    bundle = slicer.compress(model, "-1:1", tmp_path / "bundle", Options(mode="decision", cells=8, effort=50, jobs=1))
    assert slicer.audit(bundle.path, exact=True).accepted
    assert isinstance(bundle.family.parent[-1], Dense)
    same = eval32(bundle.family.parent, points()) == eval32(whole.layers, points())
    assert same.all()


def test_the_summary_says_how_much_is_decided(tmp_path, capsys):
    model = write_onnx(tmp_path / "model.onnx", network())
    out = str(tmp_path / "bundle")
    options = ["--domain", "-1:1", "--mode", "decision", "--cells", "8", "--effort", "50", "--jobs", "1", "--out", out]
    assert main(["compress", str(model), *options]) == 0
    assert "of inputs: one output always wins" in capsys.readouterr().out


@given(st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=50)
def test_margins_are_differences_of_outputs(seed):
    rng = np.random.default_rng(seed)
    made = chain(rng, [2, 4, 3])
    x = rng.uniform(-1, 1, (5, 2)).astype(np.float32)
    y = eval32(made.layers, x)
    for decision, sign in (("argmax", 1), ("argmin", -1)):
        margins = eval32(with_margins(made, decision).layers[:-1], x).reshape(5, 3, 3)
        assert np.array_equal(margins, sign * (y[:, :, None] - y[:, None, :]))


@given(st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=200)
def test_every_class_left_out_loses_to_one_that_is_not(seed):
    """Whatever is closed, as long as it can be true: closings of an order among outputs."""
    rng = np.random.default_rng(seed)
    n, own = 4, 5
    order = rng.permutation(n)
    true = order[:, None] < order[None, :]
    closed = np.concatenate([np.zeros(own, bool), (true & (rng.random((n, n)) < 0.6)).reshape(-1)])
    classes, lost = Contest(own + n * n, n).classes(closed)
    assert closed[lost].all()
    pairs = [divmod(int(unit) - own, n) for unit in lost]
    assert sorted([k for k, _ in pairs] + classes) == list(range(n))
    assert all(against in classes for _, against in pairs)
    assert int(order.argmax()) in classes


def test_a_fixed_output_is_a_constant_of_the_member():
    made = network()
    lost = np.finfo(np.float32).max
    member = build_member(made, {}, fixed_outputs("argmin", 4, [1, 2]))
    assert member.layers[-1].constants == (Constant(0, lost), Constant(3, lost))
    assert build_member(made, {}, fixed_outputs("argmax", 4, [2])).layers[-1].constants == (
        Constant(0, -lost),
        Constant(1, -lost),
        Constant(2, np.float32(0)),
        Constant(3, -lost),
    )
