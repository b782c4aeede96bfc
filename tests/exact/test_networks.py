"""Bundles of networks of every layer kind: the search's certificates and members are accepted, false claims are not."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slicer.box import Box
from slicer.certificate import check
from slicer.family.cell import CellWorker
from slicer.family.terms import Terms
from tests.exact.drafts import Draft, finding, one_cell, report, write
from tests.exact.reference import Reference
from tests.random_networks import chain, mixed, networks, random_box, seeds

KINDS = ("add", "concat", "dense", "elementwise", "gather", "input", "relu")


def corners(box: Box) -> check.Box:
    return tuple(map(float, box.lower)), tuple(map(float, box.upper))


def searched(network, box: Box, effort: int = 30) -> Draft:
    """A bundle of one cell with what the real search proves."""
    result = CellWorker(network.content).run(0, box, Terms(effort, 0))
    certificate = json.loads(result.certificate)
    draft = one_cell(network.content, corners(box), certificate["removed"], certificate["tree"])
    assert check.canonical(draft.members[0]) == result.member  # two rebuildings of one member
    return draft


def test_searched_bundles_of_all_layer_kinds_are_accepted(tmp_path):
    kinds, removed = set(), 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        network = mixed(rng, blocks=3)
        draft = searched(network, random_box(rng, network.n_in, 0.5))
        kinds |= {layer["kind"] for layer in draft.parent["layers"]}
        result = report(write(draft.sealed(), tmp_path / str(seed)))
        assert result["outcome"] == "accepted", result["findings"]
        removed += result["removed"]
    assert kinds == set(KINDS)
    assert removed > 20


@settings(deadline=None, max_examples=25)
@given(networks(), seeds, st.sampled_from([0.0, 0.01, 1.0]))
def test_members_are_rebuilt_as_the_pipeline_builds_them(network, seed, width):
    searched(network, random_box(np.random.default_rng(seed), network.n_in, width), effort=1)


@settings(deadline=None, max_examples=25)
@given(networks(), seeds)
def test_removing_a_unit_that_is_active_somewhere_is_rejected(tmp_path_factory, network, seed):
    """A point of the box with a positive value refutes every proof: closings without splits, or at the point's leaf."""
    rng = np.random.default_rng(seed)
    box = random_box(rng, network.n_in)
    reference = Reference.of(network.content)
    point = [Fraction(float(x)) for x in box.lower]
    exact = reference.bounds(point, point)
    relus = [k for k, layer in enumerate(reference.layers) if layer["kind"] == "relu"]
    units = [(k, i) for k in relus for i in range(exact.width(k)) if exact.interval[k, i][0] > 0]
    if not units:
        return
    place, unit = units[int(rng.integers(len(units)))]
    closed, corner = {"inactive": [[place, [unit]]]}, corners(box)[0]
    cut = [{"axis": axis, "threshold": x.hex()} for axis, x in enumerate(corner)]  # the low leaf is the point itself
    for k, tree in enumerate(([closed], [*cut, *([closed] * (len(cut) + 1))])):
        draft = one_cell(network.content, corners(box), [[place, [unit]]], tree)
        path = write(draft.sealed(), tmp_path_factory.mktemp("false") / str(k))
        assert f"inactive: relu layer {place} unit {unit}: expected an upper bound <= 0" in finding(path)


@pytest.mark.parametrize("width", [0.0, 2.0**-20, 1e-5])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e4])
def test_narrow_boxes_and_extreme_weights(tmp_path, width, scale):
    """Boxes that are points, an ulp or 1e-5 wide, where solvers have been seen to answer wrongly."""
    rng = np.random.default_rng(7)
    network = chain(rng, [3, 8, 8, 2], scale=scale)
    lower = np.float32([0.5, -0.25, 0.125]).astype(float)
    draft = searched(network, Box.outward(lower, lower + width))
    result = report(write(draft.sealed(), tmp_path / "bundle"))
    assert result["outcome"] == "accepted"
    assert result["removed"] > 3


def layer(kind: str, **fields: object) -> dict:
    return {"kind": kind, "name": ""} | fields


SHAPES = {
    "an input alone": [layer("input", width=1)],
    "no hidden layer": [layer("input", width=1), layer("dense", source=0, weight=["3f800000"], bias="00000000")],
    "the input's relu": [layer("input", width=1), layer("relu", source=0)],
    "relu of a relu": [layer("input", width=1), layer("relu", source=0), layer("relu", source=1)],
    "a constant output": [layer("input", width=1), layer("dense", source=0, weight=["00000000"], bias="80000000")],
    "an output gathered twice": [layer("input", width=1), layer("gather", source=0, indices=[0, 0])],
    "zero times minus zero": [layer("input", width=1), layer("elementwise", source=0, op="mul", constant="80000000")],
    "division by the largest": [layer("input", width=1), layer("elementwise", source=0, op="div", constant="ff7fffff")],
}


@pytest.mark.parametrize("layers", SHAPES.values(), ids=SHAPES.keys())
def test_unusual_networks_without_removals_are_accepted(tmp_path, layers):
    parent = check.canonical({"format": "netslicer-network/1", "layers": layers})
    draft = one_cell(parent, ((-1.0,), (1.0,)), [], [{}])
    assert report(write(draft.sealed(), tmp_path / "bundle"))["outcome"] == "accepted"


def test_a_relu_of_the_input_is_removed_on_its_half(tmp_path):
    """Facts and claims about an input: x <= -2^-10 without any noise; and -0 counts as zero."""
    parent = check.canonical({"format": "netslicer-network/1", "layers": SHAPES["relu of a relu"]})
    tree = [{"axis": 0, "threshold": (-(2.0**-10)).hex()}, {"inactive": [[1, [0]]]}, {"inactive": [[1, [0]]]}]
    for upper, outcome in ((-(2.0**-10), "accepted"), (-0.0, "accepted"), (0.0, "accepted"), (2.0**-149, "rejected")):
        draft = one_cell(parent, ((-1.0,), (upper,)), [[1, [0]]], tree)
        assert report(write(draft.sealed(), tmp_path / upper.hex()))["outcome"] == outcome


def test_numbers_far_apart_need_the_second_attempt(tmp_path, monkeypatch):
    """x in [2^-100, 1]: y = x is active with a bound of 2^-100, far below the first attempt's unit of 2^-44."""
    layers = [*SHAPES["no hidden layer"], layer("relu", source=1)]
    layers[1] = layers[1] | {"weight": ["3f800000"]}
    layers.insert(1, layer("relu", source=0))
    layers[2], layers[3] = layers[2] | {"source": 1}, layers[3] | {"source": 2}
    parent = check.canonical({"format": "netslicer-network/1", "layers": layers})
    draft = one_cell(parent, ((2.0**-100,), (1.0,)), [], [{"active": [[1, [0]]]}])
    assert report(write(draft.sealed(), tmp_path / "both"))["outcome"] == "accepted"
    forged = one_cell(parent, ((-(2.0**-100),), (1.0,)), [], [{"active": [[1, [0]]]}])
    assert "expected a lower bound >= 0, got -7.88861e-31" in finding(write(forged.sealed(), tmp_path / "forged"))


def test_a_network_beyond_the_slots_is_rejected(tmp_path):
    layers = [layer("input", width=1), *(layer("relu", source=k) for k in range(4200))]
    parent = check.canonical({"format": "netslicer-network/1", "layers": layers})
    draft = one_cell(parent, ((0.0,), (1.0,)), [], [{}])
    assert "expected a network less deep" in finding(write(draft.sealed(), tmp_path / "bundle"))


def test_a_prefix_of_constants_that_cancel_is_recorded_as_zero():
    """§3: a prefix is recorded if a term in it has a constant other than zero, whatever their sum."""
    layers = [
        layer("input", width=1),
        layer("dense", source=0, weight=["00000000", "00000000", "3f800000"], bias="3f8000003f80000000000000"),
        layer("dense", source=1, weight=["3f800000bf8000003f800000"], bias="00000000"),
    ]
    parent = check.read_parent(
        check.read_json(check.canonical({"format": "netslicer-network/1", "layers": layers}), "")
    )
    member = json.loads(check.member_of(parent, "", []))["layers"]
    assert member[1] == {"units": [2], "prefixes": [], "constants": []}
    assert member[2] == {"units": [0], "prefixes": [[0, 2, "00000000"]], "constants": []}
