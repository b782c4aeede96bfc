"""What reduction and rounding take of bounds, as the rigorous checker says it of cells with readouts."""

from __future__ import annotations

import json
from fractions import Fraction
from operator import mul
from pathlib import Path

import numpy as np
import pytest
from rigorous_kit import F32, canonical, chain, network_bytes, sample, sha

import slicer
from dispatcher.files import member_bytes
from dispatcher.interpret import eval32
from dispatcher.layers import Concat, Dense, Gather, Input, Layers, Relu, dense, freeze
from dispatcher.load import load
from dispatcher.plan import Member, MemberLayer, Readout, member_layers
from slicer.certificate.rigorous import Checker
from slicer.certificate.verdict import Accepted
from slicer.network import Network
from slicer.report.collect import collect
from slicer.summary import summarize, summary_lines
from tests.certificates.graph_onnx import graph_bytes


def exact(layers: Layers, point: np.ndarray) -> list[Fraction]:
    """Outputs of a network of dense layers and relus in real arithmetic."""
    values = [[Fraction(float(x)) for x in point]]
    for layer in layers[1:]:
        given = [values[source] for source in layer.sources]
        match layer:
            case Dense():
                rows = zip(layer.weight.tolist(), layer.bias.tolist(), strict=True)
                values.append([sum(map(mul, map(Fraction, row), given[0]), Fraction(bias)) for row, bias in rows])
            case Relu():
                values.append([max(value, Fraction(0)) for value in given[0]])
            case Gather():
                values.append([given[0][index] for index in layer.indices])
            case _:
                assert isinstance(layer, Concat)
                values.append([value for part in given for value in part])
    return values[-1]


def accepted(layers: Layers, readout: Readout, epsilon: float, box: tuple[float, float]) -> Accepted:
    """The verdict on one cell of one input, all errors closed at the root."""
    parent = network_bytes(layers)
    keep = [MemberLayer((0,)), *[MemberLayer(())] * (len(layers) - 1)]
    member = member_bytes(Member(tuple(keep), readout), sha(parent))
    record = {
        "format": "netslicer-certificate/2",
        "mode": "epsilon",
        "cell": 0,
        "box": {"lower": [box[0].hex()], "upper": [box[1].hex()]},
        "parent": sha(parent),
        "member": sha(member),
        "removed": [],
        "readout": json.loads(member)["readout"],
        "tree": [{"inactive": [[len(layers) + 3, [0, 1]]]}],
    }
    verdict = Checker(parent, epsilon=[epsilon]).check_cell(
        0, np.array([box[0]]), np.array([box[1]]), canonical(record), member
    )
    assert isinstance(verdict, Accepted), verdict
    return verdict


@pytest.mark.parametrize("shift", [0.25, -0.25, 0.0])
def test_a_shift_is_reduction_and_the_rest_is_rounding(shift: float) -> None:
    """The output 3x, read as 3x + shift on [0, 1]: of the bound ½ reduction takes the shift, rounding a few ulp."""
    readout = Readout(((0, (0,)),), freeze(np.array([[3.0]]), F32), freeze(np.array([shift]), F32))
    ((reduction, rounding),) = accepted((Input(1), dense(0, np.array([[3.0]]))), readout, 0.5, (0.0, 1.0)).parts
    assert abs(shift) <= reduction <= abs(shift) + 1e-12
    assert 3 * 2.0**-24 < rounding < 60 * 2.0**-24


@pytest.mark.parametrize("seed", range(4))
def test_parts_hold_in_real_arithmetic_and_in_float32(seed: int, tmp_path: Path) -> None:
    """In every cell: real numbers are off by the first part at most, float32 numbers by the sum; both within bounds."""
    rng = np.random.default_rng(seed)
    layers = chain(rng, 2, 6, 6, 2)
    model = tmp_path / "model.onnx"
    model.write_bytes(graph_bytes(Network(layers)))
    options = slicer.Options(mode="epsilon", epsilon="20%", cells=4, effort=60, jobs=1)
    bundle = slicer.compress(model, "-1:1", tmp_path / "bundle", options)
    family, audit = bundle.family, slicer.audit(bundle.path).rigorous
    served = load(bundle.path)
    assert family.epsilon is not None
    points = sample(rng, -np.ones(2), np.ones(2), 150).astype(F32)
    largest = np.zeros(2)
    for point, cell in zip(points, served.route(points), strict=True):
        verdict = audit.cells[cell].verdict
        assert isinstance(verdict, Accepted)
        member = member_layers(family.parent, family.members[family.cells[cell]])
        off = [abs(a - b) for a, b in zip(exact(member, point), exact(family.parent, point), strict=True)]
        ours, theirs = (eval32(one, point[None])[0].astype(float) for one in (member, family.parent))
        assert bool(verdict.parts) == (family.members[family.cells[cell]].readout is not None)
        for output, (reduction, rounding) in enumerate(verdict.parts):
            assert off[output] <= reduction <= family.epsilon[output]
            assert abs(ours[output] - theirs[output]) <= reduction + rounding
            largest[output] = max(largest[output], off[output] / reduction)
    assert (largest > 0.2).all()  # the first part is no mere excuse
    summary = summarize(bundle)
    assert list(audit.parts) == list(zip(summary["reduction"], summary["rounding"], strict=True))
    assert any(line.startswith("bounds used up") for line in summary_lines(summary))
    report = collect(bundle.path, slicer.audit(bundle.path))
    assert [(one.reduction, one.rounding) for one in report.parts] == list(audit.parts)
    told = [text for text in report.statement.arithmetic if "reduction takes at most" in text]
    assert all(f"{part:.3g}" in told[0] for parts in audit.parts for part in parts)


def test_without_readouts_there_are_no_parts(tmp_path: Path) -> None:
    """Nothing is taken of the least bounds, and of none in mode bitwise."""
    model = tmp_path / "model.onnx"
    model.write_bytes(graph_bytes(Network(chain(np.random.default_rng(0), 2, 6, 6, 2))))
    for options in (slicer.Options(mode="epsilon", epsilon=1e-30, cells=2, effort=20, jobs=1), slicer.Options(cells=2)):
        bundle = slicer.compress(model, "-1:1", tmp_path / options.mode, options)
        assert slicer.audit(bundle.path).rigorous.parts == ()
        assert summarize(bundle)["reduction"] == []
