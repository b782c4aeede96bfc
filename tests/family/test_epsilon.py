"""Mode ``epsilon``: members are within their bounds of the parent, both checkers accept that, and nothing beyond it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

import dispatcher
import slicer
from dispatcher.cli import main as dispatcher_main
from dispatcher.emit_c99 import masked_macs, table_sizes
from dispatcher.errors import UnusableBundle, UnusableInput
from dispatcher.files import family_files, read_family
from dispatcher.host import host_compiler
from dispatcher.interpret import eval32
from dispatcher.layers import Input, Relu, dense
from dispatcher.plan import Member, Readout
from dispatcher.tree import cell_shares
from slicer.box import Box
from slicer.cli import main
from slicer.family.checkpoint import CellStore
from slicer.family.options import LAYOUTS, Options
from slicer.family.tolerance import bounds
from slicer.network import Network
from slicer.report.collect import collect
from slicer.report.json_text import report_json
from slicer.search.readout import all_inputs, fit, has_errors, with_errors
from tests.emit_c99.host import Compiler, bits, build_runner, run_points
from tests.onnx_files import write_onnx
from tests.random_networks import chain

NETWORK = chain(np.random.default_rng(1), [2, 12, 6, 3])  # its cells have members of all kinds
PLAIN = chain(np.random.default_rng(6), [2, 12, 6, 3])  # its cells have no readouts of hidden units
LOOSE = Options(mode="epsilon", epsilon="3%", cells=16, parts=2, effort=100, jobs=1)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("epsilon")
    return slicer.compress(write_onnx(folder / "model.onnx", NETWORK), "-1:1", folder / "bundle", LOOSE)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """Of members that are affine or keep every bit."""
    folder = tmp_path_factory.mktemp("plain")
    made = slicer.compress(write_onnx(folder / "model.onnx", PLAIN), "-1:1", folder / "bundle", LOOSE)
    assert not any(count.readout for count in made.counts)
    return made


def points(count: int = 20_000) -> np.ndarray:
    corners = np.array(np.meshgrid([-1, 1], [-1, 1]), np.float32).reshape(2, -1).T
    return np.concatenate([corners, np.random.default_rng(1).uniform(-1, 1, (count, 2)).astype(np.float32)])


def affine_alone(member: Member) -> bool:
    """Whether an affine function of the input is all that a member is."""
    return member.readout is not None and member.readout.affine


def test_members_are_within_their_bounds(bundle):
    served = dispatcher.load(bundle.path)
    difference = np.abs(served.predict(points()).astype(np.float64) - eval32(NETWORK.layers, points()))
    assert (difference <= bundle.family.epsilon).all()
    assert difference.max() > bundle.family.epsilon.min() / 10, "bounds are used"


def test_both_checkers_accept(bundle):
    assert slicer.audit(bundle.path, exact=True).accepted


def test_some_members_are_affine_and_the_others_keep_every_bit(bundle):
    members = bundle.family.members
    affine, close = (
        np.array(found)[list(bundle.family.cells)]
        for found in ([affine_alone(member) for member in members], [member.readout is not None for member in members])
    )
    assert affine.any()
    assert not close.all()
    assert [count.affine for count in bundle.counts] == affine.tolist()
    assert [count.readout > 0 for count in bundle.counts] == (close & ~affine).tolist()
    served = dispatcher.load(bundle.path)
    exact = ~close[served.route(points())]
    assert (served.predict(points())[exact] == eval32(NETWORK.layers, points())[exact]).all()


def test_cells_kept_for_other_bounds_are_not_used(tmp_path, monkeypatch):
    """A share of the range is another number over another domain, though the cell and all options are the same."""
    found: list[dict] = []
    init = CellStore.__init__
    monkeypatch.setattr(CellStore, "__init__", lambda self, *given: (found.append(given[-1]), init(self, *given))[1])
    model = write_onnx(tmp_path / "model.onnx", NETWORK)
    options = Options(mode="epsilon", epsilon="10%", cells=1, effort=1, jobs=1)
    for index, domain in enumerate(("-1:1", "-2:2")):
        slicer.compress(model, domain, tmp_path / str(index), options)
    assert found[0]["epsilon"] == found[1]["epsilon"]
    assert found[0]["bounds"] != found[1]["bounds"]


def test_a_bound_too_small_for_rounding_leaves_exact_members(tmp_path):
    model = write_onnx(tmp_path / "model.onnx", NETWORK)
    options = Options(mode="epsilon", epsilon=1e-30, cells=4, effort=20, jobs=1)
    made = slicer.compress(model, "-1:1", tmp_path / "bundle", options)
    assert slicer.audit(made.path, exact=True).accepted
    assert not any(member.readout for member in made.family.members)


def test_the_report_states_the_bounds(bundle):
    report = collect(bundle.path, slicer.audit(bundle.path))
    assert report.contents is not None
    assert report.identity is not None
    assert report.identity.mode == "epsilon"
    assert "differs from the parent network's by at most its bound: " in report.statement.claim
    assert f"{float(str(bundle.family.epsilon[0])):.9g}" in report.statement.claim
    assert "returns the same result" not in report.statement.claim
    assert [report.contents.members[cell.member].affine for cell in report.contents.cells] == [
        count.affine for count in bundle.counts
    ]
    schema = json.loads(files("slicer.report").joinpath("audit.schema.json").read_bytes())
    Draft202012Validator(schema).validate(json.loads(report_json(report)))


def lie(bundle, folder, change) -> slicer.Audit:
    """The audit of a copy in which the first affine cell's numbers are changed, all digests made to fit."""
    from tests.certificates.opened import open_bundle, store

    opened = open_bundle(bundle.path)
    cell = next(index for index, one in enumerate(opened.certificates) if "readout" in one)
    change(opened, cell)
    shutil.rmtree(folder, ignore_errors=True)
    store(opened.written(), folder)
    return slicer.audit(folder, exact=True)


def moved(opened, cell, by: float) -> None:
    """Move the first output of an affine member, in its certificate and its own file."""
    member = opened.members[opened.family["cells"][cell]]
    bias = np.frombuffer(bytes.fromhex(opened.certificates[cell]["readout"]["bias"]), ">f4").copy()
    bias[0] += by
    opened.certificates[cell]["readout"]["bias"] = member["readout"]["bias"] = bias.tobytes().hex()


def test_a_function_that_is_too_far_off_is_rejected_by_both(bundle, tmp_path):
    epsilon = float(bundle.family.epsilon[0])
    audit = lie(bundle, tmp_path / "lie", lambda opened, cell: moved(opened, cell, 2 * epsilon))
    assert {finding.checker for finding in audit.findings} == {"rigorous", "exact"}


def test_smaller_bounds_are_not_what_was_proved(bundle, tmp_path):
    def change(opened, _):
        opened.family["epsilon"] = [(float.fromhex(text) / 1024).hex() for text in opened.family["epsilon"]]

    audit = lie(bundle, tmp_path / "lie", change)
    assert {finding.checker for finding in audit.findings} == {"rigorous", "exact"}


@pytest.mark.parametrize(
    "change",
    [
        lambda opened, cell: opened.certificates[cell].pop("readout"),
        lambda opened, cell: opened.certificates[cell].update(tree=[{}]),
        lambda opened, cell: opened.certificates[cell]["readout"]["weight"].pop(),
        lambda opened, cell: opened.certificates[cell]["readout"].update(bias="7f800000" * 3),
        lambda opened, cell: opened.certificates[cell]["readout"].update(more=0),
        lambda opened, _: opened.family["epsilon"].pop(),
        lambda opened, _: opened.family.update(epsilon=["-0x1.0000000000000p-3"] * 3),
        lambda opened, _: opened.family.pop("epsilon"),
        lambda opened, _: opened.family.update(decision="argmax"),
        lambda opened, _: opened.manifest.update(mode="bitwise"),
        lambda opened, cell: opened.certificates[cell].update(mode="bitwise"),
        lambda opened, cell: opened.members[opened.family["cells"][cell]]["layers"][1].update(units=[0]),
    ],
)
def test_what_does_not_fit_is_rejected_by_both(bundle, tmp_path, change):
    audit = lie(bundle, tmp_path / "lie", change)
    assert {finding.checker for finding in audit.findings} >= {"rigorous", "exact"}


def test_one_error_left_open_is_rejected_by_both(bundle, tmp_path):
    def change(opened, cell):
        for node in opened.certificates[cell]["tree"]:
            rows = [[layer, [unit for unit in units if unit]] for layer, units in node.get("inactive", [])]
            node["inactive"] = [row for row in rows if row[1]]
            if not node["inactive"]:
                del node["inactive"]

    audit = lie(bundle, tmp_path / "lie", change)
    assert {finding.checker for finding in audit.findings} == {"rigorous", "exact"}
    assert all("all errors of the readout closed" in str(finding.verdict) for finding in audit.findings)


@pytest.mark.parametrize("target", ["c99", "python", "onnx"])
def test_every_target_says_the_bounds(bundle, tmp_path, target):
    assert dispatcher_main(["emit", str(bundle.path), "--target", target, "--out", str(tmp_path / "out")]) == 0
    text = b"".join(path.read_bytes() for path in sorted((tmp_path / "out").rglob("*")) if path.is_file())
    assert f"differ by at most {bundle.family.epsilon[0]:.9g}".encode() in text


@pytest.mark.skipif(host_compiler() is None, reason="no C compiler on this machine")
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ["plain", "bundle"])
def test_the_c_of_each_layout_returns_the_bits_of_the_runtime(name, layout, request, tmp_path):
    """Without and with readouts of hidden units."""
    made = request.getfixturevalue(name)
    assert any(count.readout for count in made.counts) == (name == "bundle")
    command = ["emit", str(made.path), "--target", "c99", "--layout", layout, "--prefix", "net"]
    assert dispatcher_main([*command, "--out", str(tmp_path / "net")]) == 0
    answers = run_points(build_runner(Compiler(host_compiler()), tmp_path / "net", "-O2"), points(), 3)
    served = dispatcher.load(made.path)
    assert (answers.codes == 0).all()
    assert (answers.routes == served.route(points())).all()
    assert (bits(answers.outputs) == bits(served.predict(points()))).all()


def test_the_masked_layout_is_counted_as_the_others(plain, capsys):
    family = plain.family
    assert dispatcher_main(["report", str(plain.path), "--json", "-"]) == 0
    c99 = json.loads(capsys.readouterr().out)["c99"]
    shares = cell_shares(family.tree, family.lower, family.upper)
    for layout in LAYOUTS:
        assert c99[layout]["flash_bytes"] == table_sizes(family, layout).flash
    macs = masked_macs(family)
    affine = np.array([affine_alone(member) for member in family.members])
    assert set(macs[affine]) == {2 * 3}
    assert macs[~affine].min() > 2 * 3
    assert c99["masked"]["mac_mean"] == pytest.approx(shares @ macs[list(family.cells)])
    assert (c99["masked"]["mac_min"], c99["masked"]["mac_max"]) == (6, macs.max())
    assert c99["masked"]["flash_bytes"] < c99["packed"]["flash_bytes"] / 2


def test_readouts_of_hidden_units_are_counted_in_the_masked_layout(bundle, capsys):
    assert dispatcher_main(["report", str(bundle.path), "--json", "-"]) == 0
    family, masked = bundle.family, json.loads(capsys.readouterr().out)["c99"]["masked"]
    shares, macs = cell_shares(family.tree, family.lower, family.upper), masked_macs(family)[list(family.cells)]
    assert masked["mac_mean"] == pytest.approx(shares @ macs)
    assert (masked["mac_min"], masked["mac_max"]) == (macs.min(), macs.max())
    assert masked["flash_bytes"] == table_sizes(family, "masked").flash


def test_the_layout_that_was_asked_for_is_recorded_and_emitted(tmp_path, capsys):
    model = write_onnx(tmp_path / "model.onnx", PLAIN)
    options = [
        "--domain=-1:1",
        "--mode",
        "epsilon",
        "--epsilon",
        "3%",
        "--cells",
        "16",
        "--parts",
        "2",
        "--effort",
        "100",
        "--jobs",
        "1",
    ]
    for layout, chosen in (("auto", "packed"), ("packed", "packed"), ("masked", "masked")):
        out, made = tmp_path / layout, tmp_path / f"{layout}.c99"
        assert main(["compress", str(model), *options, "--layout", layout, "--out", str(out)]) == 0
        assert any(line.split()[:2] == ["layout", chosen] for line in capsys.readouterr().out.splitlines())
        assert json.loads((out / "manifest.json").read_text())["options"]["layout"] == chosen
        assert dispatcher_main(["emit", str(out), "--target", "c99", "--out", str(made)]) == 0
        assert f"Layout: {chosen}." in (made / "README.md").read_text()
        assert json.loads((made / "report.json").read_text())["layout"] == chosen


def test_the_family_file_keeps_bounds_and_functions(bundle):
    again = read_family(family_files(bundle.family))
    assert (again.epsilon == bundle.family.epsilon).all()
    for one, other in zip(again.members, bundle.family.members, strict=True):
        assert (one.readout is None) == (other.readout is None)
        if one.readout is not None:
            assert one.readout.reads == other.readout.reads
            assert (one.readout.weight == other.readout.weight).all()
            assert (one.readout.bias == other.readout.bias).all()


def test_readouts_belong_to_mode_epsilon(bundle):
    files = dict(family_files(bundle.family))
    record = json.loads(files["family/family.json"])
    record["mode"] = "bitwise"
    del record["epsilon"]
    files["family/family.json"] = json.dumps(record, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    with pytest.raises(UnusableBundle, match="expected no readouts"):
        read_family(files)


@pytest.mark.parametrize("epsilon", ["0", "-1", "nan", "inf", "1e39", "x", "%", ""])
def test_bounds_that_are_none_are_refused(epsilon):
    with pytest.raises(UnusableInput, match="--epsilon: expected a positive number"):
        bounds(epsilon, NETWORK, Box(np.float32([-1, -1]), np.float32([1, 1])))


def test_bounds_are_rounded_down_and_relative_to_the_range_seen():
    box = Box(np.float32([-1, -1]), np.float32([1, 1]))
    assert all(0 < bound <= 0.1 for bound in bounds("0.1", NETWORK, box))
    outputs = eval32(NETWORK.layers, points(200_000)).astype(np.float64)
    share = np.array(bounds("1%", NETWORK, box)) / (outputs.max(axis=0) - outputs.min(axis=0))
    assert (share <= 0.0101).all()
    assert (share > 0.009).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mode": "epsilon"}, "--epsilon: expected it in mode epsilon"),
        ({"epsilon": 0.1}, "--epsilon: expected it in mode epsilon"),
    ],
)
def test_options_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(UnusableInput, match=message):
        Options(**changes)


def test_the_summary_says_how_many_inputs_have_a_function(tmp_path, capsys):
    model = write_onnx(tmp_path / "model.onnx", NETWORK)
    options = [
        "--domain=-1:1",
        "--mode",
        "epsilon",
        "--epsilon",
        "10%",
        "--cells",
        "8",
        "--effort",
        "50",
        "--jobs",
        "1",
    ]
    assert main(["compress", str(model), *options, "--out", str(tmp_path / "bundle")]) == 0
    assert "of inputs: an affine function serves them" in capsys.readouterr().out


@given(st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=50)
def test_errors_are_what_a_function_is_off_beyond_its_bounds(seed):
    rng = np.random.default_rng(seed)
    made = chain(rng, [2, 4, 3])
    x = rng.uniform(-1, 1, (50, 2)).astype(np.float32)
    outputs = eval32(made.layers, x).astype(np.float64)
    found = fit(all_inputs(made), x.astype(np.float64), outputs)
    epsilon = rng.uniform(0, 1, 3).astype(np.float32)
    errors = eval32(with_errors(made, found.readout, epsilon).layers[:-1], x)
    left = outputs - (x.astype(np.float64) @ found.readout.weight.T + found.readout.bias)
    assert np.allclose(errors, np.concatenate([left, -left], axis=1) - np.tile(epsilon, 2), atol=1e-5)
    assert (np.abs(left).max(axis=0) <= found.distance + 1e-12).all()


def test_a_slope_that_overflows_is_no_fit(tmp_path):
    """In a box as narrow as subnormal numbers the cell keeps its bits, and nothing stops the run."""
    steep = Network((Input(1), dense(0, [[1e38], [-1e38]]), Relu(1, 2), dense(2, [[1e37, 0.5]])))
    points = np.array([[0.0], [1e-45], [2e-45]])
    assert not np.isfinite(fit(all_inputs(steep), points, points * 1e75).distance).any()
    options = Options(mode="epsilon", epsilon=1.0, cells=1, effort=5, jobs=1)
    made = slicer.compress(write_onnx(tmp_path / "model.onnx", steep), "0:1e-43", tmp_path / "bundle", options)
    assert slicer.audit(made.path, exact=True).accepted
    assert not any(count.gate.startswith("given up") for count in made.counts)


def test_networks_with_very_many_outputs_keep_their_bits():
    assert has_errors(NETWORK)
    assert not has_errors(Network((Input(1), dense(0, np.ones((1000, 1))))))


def test_a_member_is_a_function_or_a_part_of_the_parent():
    function = Readout(((0, (0,)),), np.zeros((1, 1), np.float32), np.zeros(1, np.float32))
    assert Member(()).readout is None
    assert Member((), function).readout.affine
    assert not replace(function, reads=((0, (0,)), (2, (1,)))).affine
