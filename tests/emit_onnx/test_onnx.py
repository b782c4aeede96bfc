"""The emitted models take the route of the tree and stay within the bound of any order, in two runtimes."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx.reference import ReferenceEvaluator

import slicer
from dispatcher.cli import main
from dispatcher.emit_onnx import OPSETS, emit_onnx
from dispatcher.errors import UnusableInput
from dispatcher.interpret import eval32
from dispatcher.layers import Input
from dispatcher.plan import Family, member_layers
from dispatcher.vectors import random_points
from tests.dispatcher.bundle_samples import make_bundle, make_family
from tests.dispatcher.member_samples import member_of
from tests.dispatcher.network_samples import chain
from tests.emit_c99.families import (
    DIGEST,
    chain_with_prefixes,
    decision_family,
    epsilon_family,
    expected,
    family_with_prefixes,
    hard_points,
    mixed_family,
    mixed_readouts,
    random_family,
    random_member,
    readout_family,
    readouts_behind_prefixes,
    residual_readouts,
    wide_family,
)
from tests.emit_onnx.any_order import enclosure


def constant_outputs() -> Family:
    """A family one of whose members has nothing but constants."""
    parent = chain([2, 5, 5, 3])
    relus = {(place, unit) for place in (2, 4) for unit in range(5)}
    return make_family(parent, 3, lambda cell: member_of(parent, (relus, set(), {(2, 0)})[cell]))


FAMILIES = {
    **{f"random {seed}": random_family(seed) for seed in range(4)},
    "wide": wide_family(0),
    "mixed": mixed_family(0),
    "prefixes": family_with_prefixes(),
    "chain with prefixes": chain_with_prefixes(),
    "decision": decision_family(),
    "affine": epsilon_family(),
    "readouts": readout_family(),
    "residual readouts": residual_readouts(),
    "readouts behind prefixes": readouts_behind_prefixes(),
    **{f"mixed readouts {seed}": mixed_readouts(seed) for seed in range(3)},
    "constants": constant_outputs(),
    "one cell": make_family(chain([2, 3, 1])),
    "identity": make_family((Input(3),), 4),
}


def onnxruntime_outputs(path, points) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {"inputs": points})


def reference_outputs(path, points) -> list[np.ndarray]:
    return ReferenceEvaluator(onnx.load(path)).run(None, {"inputs": points})


RUNTIMES = pytest.mark.parametrize("run", [onnxruntime_outputs, reference_outputs])


def assert_within_bound(layers, points, outputs):
    """Both these outputs and those of the declared order lie in the enclosure of all orders, which is narrow."""
    centre, radius = enclosure(layers, points)
    for values in (outputs, eval32(layers, points)):
        assert (np.abs(values - centre) <= radius).all()
    assert (radius <= 1e-2 * (1 + np.abs(centre))).all()


@RUNTIMES
@pytest.mark.parametrize("name", FAMILIES)
def test_same_route_and_outputs_within_the_bound_of_any_order(name, run, tmp_path):
    family = FAMILIES[name]
    path, *_ = emit_onnx(family, DIGEST, tmp_path / "net", "net")
    points = hard_points(family, np.random.default_rng(0), 50)
    outputs, cells = run(path, points)
    assert (cells == expected(family, points)[0]).all()
    assert outputs.dtype == np.float32
    for cell in np.unique(cells):
        layers = member_layers(family.parent, family.members[family.cells[cell]])
        assert_within_bound(layers, points[cells == cell], outputs[cells == cell])


@RUNTIMES
def test_members_alone(run, tmp_path):
    family = mixed_family(1)
    points = random_points(family, 40, np.random.default_rng(0))
    _, *paths = emit_onnx(family, DIGEST, tmp_path / "net", "net")
    assert len(paths) == len(family.members)
    for path, member in zip(paths, family.members, strict=True):
        (outputs,) = run(path, points)
        assert_within_bound(member_layers(family.parent, member), points, outputs)


@RUNTIMES
@pytest.mark.parametrize("batch", [0, 1, 2])
def test_every_size_of_batch(batch, run, tmp_path):
    family = FAMILIES["wide"]
    path, *_ = emit_onnx(family, DIGEST, tmp_path / "net", "net")
    outputs, cells = run(path, random_points(family, batch, np.random.default_rng(0)))
    assert (outputs.shape, cells.shape) == ((batch, 3), (batch,))


@RUNTIMES
def test_outside_the_domain_there_are_no_numbers(run, tmp_path):
    family = FAMILIES["wide"]
    path, *_ = emit_onnx(family, DIGEST, tmp_path / "net", "net")
    points = np.zeros((7, 4), np.float32)
    above = np.nextafter(np.float32(1), np.float32(2))
    points[1:6, 2] = np.nan, np.inf, -np.inf, above, -above
    outputs, cells = run(path, points)
    assert np.isnan(outputs[1:6]).all()
    assert np.isfinite(outputs[[0, 6]]).all()
    assert (cells[1:6] == -1).all()
    assert (cells[[0, 6]] >= 0).all()


@pytest.mark.parametrize("opset", OPSETS)
def test_every_operator_set_is_valid_and_gives_the_same(opset, tmp_path):
    for name in ("mixed", "chain with prefixes", "constants"):
        family = FAMILIES[name]
        paths = emit_onnx(family, DIGEST, tmp_path / name, "net", opset)
        for path in paths:
            model = onnx.load(path)
            onnx.checker.check_model(model, full_check=True)
            assert (model.ir_version, model.opset_import[0].version) == (8, opset)
            assert {entry.key: entry.value for entry in model.metadata_props}["bundle"] == DIGEST
        points = hard_points(family, np.random.default_rng(0), 20)
        assert (onnxruntime_outputs(paths[0], points)[1] == expected(family, points)[0]).all()


def test_a_member_reads_back_as_the_member(tmp_path):
    """Our own reader makes of a model the network that it was made from, bit for bit."""
    rng, parent = np.random.default_rng(0), chain([4, 20, 20, 3])
    family = make_family(parent, 4, lambda _: random_member(parent, rng))
    _, *paths = emit_onnx(family, DIGEST, tmp_path / "net", "net")
    points = random_points(family, 50, rng)
    for path, member in zip(paths, family.members, strict=True):
        layers = member_layers(family.parent, member)
        assert (eval32(slicer.read_network(path).layers, points) == eval32(layers, points)).all()


def test_negative_and_large_integers_in_the_wire_format(tmp_path):
    family = make_family(chain([2, 3, 1]), 300)
    path, *_ = emit_onnx(family, DIGEST, tmp_path / "net", "net")
    constants = [onnx.numpy_helper.to_array(one) for one in onnx.load(path).graph.initializer]
    assert any((one == -1).any() for one in constants if one.dtype == np.int64)
    assert max(one.max() for one in constants if one.dtype == np.int64 and one.size) > 500


def test_the_same_family_gives_the_same_bytes(tmp_path):
    first, second = (emit_onnx(FAMILIES["mixed"], DIGEST, tmp_path / name, "net") for name in "ab")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_the_command_line_writes_the_models(tmp_path, capsys):
    bundle = make_bundle(tmp_path / "bundle", FAMILIES["one cell"])
    words = [
        "emit",
        str(bundle),
        "--target",
        "onnx",
        "--opset",
        "13",
        "--prefix",
        "net",
        "--out",
        str(tmp_path / "out"),
    ]
    assert main(words) == 0
    names = [str(tmp_path / "out" / name) for name in ("net.onnx", "members/net_000000.onnx")]
    assert capsys.readouterr().out.split() == names
    assert onnx.load(names[0]).opset_import[0].version == 13


@pytest.mark.parametrize("opset", [12, 18])
def test_other_operator_sets_are_refused(opset, tmp_path):
    with pytest.raises(UnusableInput, match="opset: expected 13 to 17"):
        emit_onnx(FAMILIES["one cell"], DIGEST, tmp_path / "net", "net", opset)
