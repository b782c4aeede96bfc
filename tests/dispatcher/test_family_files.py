"""Files of networks, members and families: what is written is read back, and every malformed field has its reason."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.encode import canonical_json, digest
from dispatcher.errors import UnusableBundle
from dispatcher.files import (
    FAMILY_FILE,
    MAX_WIDTH,
    PARENT_FILE,
    SharedLayers,
    family_files,
    member_bytes,
    member_file,
    network_bytes,
    read_family,
    read_member,
    read_network,
)
from dispatcher.interpret import evaluate_all
from dispatcher.layers import Input, Relu, dense, freeze
from dispatcher.plan import Constant, Member, MemberLayer, Prefix, Readout, whole_member
from tests.dispatcher.bundle_samples import make_family
from tests.dispatcher.member_samples import inactive_units, member_of
from tests.dispatcher.network_samples import random_network, random_points


def reduced_member(parent, seed: int) -> Member:
    values = evaluate_all(parent, random_points(parent, 2, seed))
    return member_of(parent, inactive_units(parent, values))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_networks_round_trip(seed):
    parent = random_network(seed)
    content = network_bytes(parent)
    read = read_network(content)
    assert network_bytes(read) == content
    points = random_points(parent, 3, seed)
    pairs = zip(evaluate_all(parent, points), evaluate_all(read, points), strict=True)
    assert all(first.tobytes() == second.tobytes() for first, second in pairs)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_members_round_trip(seed):
    parent = random_network(seed)
    member = reduced_member(parent, seed)
    content = member_bytes(member, "p" * 64)
    assert read_member(content, parent, "p" * 64, "m") == member


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 12))
def test_families_round_trip(seed, cells):
    parent = random_network(seed)
    choice = [reduced_member(parent, seed), whole_member(parent)]
    family = make_family(parent, cells, lambda cell: choice[cell % 3 == 0])
    files = family_files(family)
    read = read_family(files)
    assert family_files(read) == files
    assert (read.tree, read.cells, read.members) == (family.tree, family.cells, family.members)
    assert np.array_equal(read.lower, family.lower)
    assert read_family(files.__getitem__).cells == family.cells


def test_members_hold_equal_lists_of_units_once():
    parent = (Input(2), dense(0, np.ones((3, 2))), Relu(1, 3), dense(2, np.ones((2, 3))))
    whole = whole_member(parent)
    constants = [Constant(0, np.float32(zero)) for zero in (0.0, -0.0)]  # equal numbers with other bits
    layers = [MemberLayer((0, 1, 2), constants=(constant,)) for constant in constants]
    members = [whole, *(Member((whole.layers[0], layer, *whole.layers[2:])) for layer in layers)]
    contents = [member_bytes(member, "p") for member in members]
    shared: SharedLayers = {}
    read = [read_member(content, parent, "p", "m", shared) for content in contents]
    assert read == members
    assert [member_bytes(member, "p") for member in read] == contents
    assert len({id(entry.units) for member in read for entry in member.layers}) == 2  # (0, 1) and (0, 1, 2)
    assert len({id(member.layers[2]) for member in read}) == 1


def test_the_bytes_of_a_small_family():
    family = make_family((Input(1, "x"), dense(0, [[1.5]], [-1], name="y")), 2)
    files = family_files(family)
    one, three_halves = "bf800000", "3fc00000"
    parent = (
        '{"format":"netslicer-network/1","layers":[{"kind":"input","name":"x","width":1},'
        f'{{"bias":"{one}","kind":"dense","name":"y","source":0,"weight":["{three_halves}"]}}]}}\n'
    ).encode()
    layer = '{"constants":[],"prefixes":[],"units":[0]}'
    member = f'{{"format":"netslicer-member/1","layers":[{layer},{layer}],"parent":"{digest(parent)}"}}\n'.encode()
    plan = (
        '{"cells":[0,0],"domain":{"lower":["-0x1.0000000000000p+0"],"upper":["0x1.0000000000000p+0"]},'
        f'"format":"netslicer-family/1","members":["{digest(member)}"],"mode":"bitwise","parent":"{digest(parent)}",'
        '"tree":[{"axis":0,"high":2,"low":1,"threshold":"0x0.0p+0"},{"cell":0},{"cell":1}]}\n'
    ).encode()
    assert files == {PARENT_FILE: parent, FAMILY_FILE: plan, member_file(digest(member)): member}


def test_the_worked_example_of_the_certificate_document():
    parent = (Input(2), dense(0, [[1, 0.25]], [-2]), Relu(1, 1), dense(2, [[0.5]], [3]))
    content = json.loads(member_bytes(member_of(parent, {(2, 0)}), "…"))
    assert content["layers"] == [
        {"constants": [], "prefixes": [], "units": [0, 1]},
        {"constants": [], "prefixes": [], "units": []},
        {"constants": [], "prefixes": [], "units": []},
        {"constants": [[0, "40400000"]], "prefixes": [], "units": [0]},
    ]


def test_a_packed_member_is_no_parent():
    with pytest.raises(ValueError, match="no constant prefixes"):
        network_bytes((Input(1), dense(0, [[1]], start=[1])))


# ------------------------------------------------------------------------------------------------- malformed networks

NETWORK = {
    "format": "netslicer-network/1",
    "layers": [
        {"kind": "input", "name": "", "width": 2},
        {"kind": "dense", "name": "", "source": 0, "weight": ["3f8000003f800000"], "bias": "3f800000"},
        {"kind": "relu", "name": "", "source": 1},
        {"kind": "elementwise", "name": "", "source": 2, "op": "div", "constant": "3f800000"},
        {"kind": "gather", "name": "", "source": 3, "indices": [0, 0]},
        {"kind": "concat", "name": "", "sources": [0, 4]},
        {"kind": "add", "name": "", "sources": [5, 5]},
    ],
}

NETWORK_CHANGES = {
    "format": (["format"], "netslicer-network/2", "expected format netslicer-network/1"),
    "unknown key": (["more"], 1, "unknown key 'more'"),
    "layers no list": (["layers"], {}, "layers: expected a list"),
    "no layers": (["layers"], [], "expected a network whose layer 0 is its input"),
    "no input": (["layers", 0], {"kind": "relu", "name": "", "source": 0}, r"layers\[0\]: expected exactly one input"),
    "second input": (["layers", 2], {"kind": "input", "name": "", "width": 1}, "expected exactly one input"),
    "width zero": (["layers", 0, "width"], 0, r"layers\[0\]: width: expected 1 to"),
    "width huge": (["layers", 0, "width"], MAX_WIDTH + 1, r"layers\[0\]: width: expected 1 to"),
    "width too small": (["layers", 0, "width"], 1, "expected 1 rows of 1 float32"),
    "unknown kind": (["layers", 2, "kind"], "softmax", "unknown layer kind 'softmax'"),
    "name no text": (["layers", 2, "name"], 1, "name: expected a text"),
    "layer key": (["layers", 2, "slope"], 1, "unknown key 'slope'"),
    "source ahead": (["layers", 2, "source"], 2, "source: expected 0 to 1, got 2"),
    "source negative": (["layers", 2, "source"], -1, "source: expected 0 to 1, got -1"),
    "row short": (["layers", 1, "weight"], ["3f800000"], "weight: expected 1 rows of 2"),
    "rows missing": (["layers", 1, "weight"], [], "weight: expected 1 rows of 2"),
    "row no hex": (["layers", 1, "weight"], ["3f8000003f80000x"], "weight: expected 8 lower-case hex digits"),
    "row no text": (["layers", 1, "weight"], [1], "weight: expected a list of texts"),
    "weight nan": (["layers", 1, "weight"], ["3f8000007fc00000"], "expected finite numbers"),
    "bias infinite": (["layers", 1, "bias"], "7f800000", "expected finite numbers"),
    "bias odd": (["layers", 1, "bias"], "3f80000", "bias: expected 8 lower-case hex digits"),
    "start given": (["layers", 1, "start"], "00000000", "unknown key 'start'"),
    "op": (["layers", 3, "op"], "sub", "op: expected add, mul or div, got 'sub'"),
    "constant width": (["layers", 3, "constant"], "3f8000003f800000", "shape mismatch"),
    "divisor zero": (["layers", 3, "constant"], "80000000", "expected divisors of at least"),
    "divisor subnormal": (["layers", 3, "constant"], "00000001", "expected divisors of at least"),
    "index": (["layers", 4, "indices"], [0, 1], "indices: expected integers from 0 to 0"),
    "sources ahead": (["layers", 5, "sources"], [0, 5], "sources: expected integers from 0 to 4"),
    "add of three": (["layers", 6, "sources"], [5, 5, 5], "expected two sources, got 3"),
    "add of unequal": (["layers", 6, "sources"], [5, 4], "shape mismatch"),
}


def changed(record, path, value):
    """A copy of a JSON value with one place replaced."""
    record = copy.deepcopy(record)
    place = record
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return record


def test_the_network_to_be_changed_is_good():
    assert [layer.width for layer in read_network(canonical_json(NETWORK))] == [2, 1, 1, 1, 2, 4, 4]


@pytest.mark.parametrize(("path", "value", "reason"), NETWORK_CHANGES.values(), ids=NETWORK_CHANGES)
def test_malformed_networks_are_refused(path, value, reason):
    with pytest.raises(UnusableBundle, match=reason):
        read_network(canonical_json(changed(NETWORK, path, value)))


def test_concatenations_that_double_a_width_are_refused_before_memory_is_asked_for():
    doubling = [{"kind": "concat", "name": "", "sources": [i, i]} for i in range(60)]
    record = {"format": NETWORK["format"], "layers": [{"kind": "input", "name": "", "width": 1000}, *doubling]}
    with pytest.raises(UnusableBundle, match=r"layers\[15\]: expected at most 16777216 units in a layer"):
        read_network(canonical_json(record))


def test_many_wide_layers_are_refused():
    relu = [{"kind": "relu", "name": "", "source": i} for i in range(4)]
    record = {"format": NETWORK["format"], "layers": [{"kind": "input", "name": "", "width": MAX_WIDTH}, *relu]}
    with pytest.raises(UnusableBundle, match=r"layers\[4\]: expected at most .* in all"):
        read_network(canonical_json(record))


# -------------------------------------------------------------------------------------------------- malformed members

PARENT = read_network(canonical_json(NETWORK))
WHOLE = json.loads(member_bytes(whole_member(PARENT), "p"))

MEMBER_CHANGES = {
    "format": (["format"], "netslicer-member/0", "expected format netslicer-member/1"),
    "parent": (["parent"], "q", "parent: expected the bundle's parent"),
    "unknown key": (["mode"], "bitwise", "unknown key 'mode'"),
    "layer missing": (["layers"], WHOLE["layers"][:-1], "expected 7 layers, got 6"),
    "layer key": (["layers", 1, "weight"], [], "unknown key 'weight'"),
    "unit beyond": (["layers", 1, "units"], [1], "units: expected integers from 0 to 0"),
    "units unordered": (["layers", 0, "units"], [1, 0], "units: expected strictly increasing"),
    "input incomplete": (["layers", 0, "units"], [0], "all inputs and all outputs"),
    "output incomplete": (["layers", 6, "units"], [0, 1, 2], "all inputs and all outputs"),
    "source of relu gone": (["layers", 1, "units"], [], r"layers\[2\]: .* sources of kept units"),
    "source of elementwise gone": (["layers", 2, "units"], [], r"layers\[3\]: .* sources of kept units"),
    "source of gather gone": (["layers", 3, "units"], [], r"layers\[4\]: .* sources of kept units"),
    "source of concat gone": (["layers", 4, "units"], [0], r"layers\[5\]: .* sources of kept units"),
    "source of add gone": (["layers", 5, "units"], [0, 1, 2], r"layers\[6\]: .* sources of kept units"),
    "prefix of relu": (["layers", 2, "prefixes"], [[0, 1, "3f800000"]], "of distinct kept Dense units"),
    "constant of relu": (["layers", 2, "constants"], [[0, "3f800000"]], "of distinct kept Dense units"),
    "constant of a unit not kept": (["layers", 1, "constants"], [[1, "3f800000"]], "of distinct kept Dense units"),
    "prefix at the start": (["layers", 1, "prefixes"], [[0, 0, "3f800000"]], "prefixes that end inside"),
    "prefix of everything": (["layers", 1, "prefixes"], [[0, 2, "3f800000"]], "prefixes that end inside"),
    "prefix short": (["layers", 1, "prefixes"], [[0, "3f800000"]], "prefixes: expected rows of 2 integers"),
    "prefix negative": (["layers", 1, "prefixes"], [[0, -1, "3f800000"]], "prefixes: expected rows of 2 integers"),
    "prefix true": (["layers", 1, "prefixes"], [[0, True, "3f800000"]], "prefixes: expected rows of 2 integers"),
    "constant long": (["layers", 1, "constants"], [[0, "3f8000003f800000"]], "constants: expected rows of 1 integers"),
    "constant no row": (["layers", 1, "constants"], [0], "constants: expected rows of 1 integers"),
    "constant no hex": (["layers", 1, "constants"], [[0, "3F800000"]], "constants: expected 8 lower-case hex"),
    "constant nan": (["layers", 1, "constants"], [[0, "7fc00000"]], "constants: expected finite numbers"),
    "constant twice": (["layers", 1, "constants"], [[0, "3f800000"]] * 2, "constants: expected strictly increasing"),
}


@pytest.mark.parametrize(("path", "value", "reason"), MEMBER_CHANGES.values(), ids=MEMBER_CHANGES)
def test_malformed_members_are_refused(path, value, reason):
    with pytest.raises(UnusableBundle, match=reason):
        read_member(canonical_json(changed(WHOLE, path, value)), PARENT, "p", "m")


def test_a_unit_with_both_prefix_and_constant_is_refused():
    both = MemberLayer((0,), (Prefix(0, 1, np.float32(1)),), (Constant(0, np.float32(1)),))
    entries = whole_member(PARENT).layers
    content = member_bytes(Member((entries[0], both, *entries[2:])), "p")
    with pytest.raises(UnusableBundle, match="of distinct kept Dense units"):
        read_member(content, PARENT, "p", "m")


# ------------------------------------------------------------------------------------------------- malformed readouts

N_OUT = PARENT[-1].width
NUMBERS = [np.full((N_OUT, 3), [1, 2, 3]), np.full(N_OUT, 5)]
READOUT = Readout(((0, (0, 1)), (2, (0,))), *(freeze(values, np.float32) for values in NUMBERS))
READING = json.loads(member_bytes(member_of(PARENT, set(), READOUT), "p"))
ROW, BIAS = READING["readout"]["weight"][0], READING["readout"]["bias"]
READ, WEIGHT = ["readout", "reads"], ["readout", "weight"]
ORDER, BEFORE, UNITS = (
    "units of strictly increasing layers",
    "layers before the last",
    "strictly increasing units of",
)
ROWS = r"rows \[layer, \[unit"

READOUT_CHANGES = {
    "unknown key": (["readout", "source"], 0, "unknown key 'source'"),
    "no object": (["readout"], [], "expected"),
    "no reads": (READ, [], ORDER),
    "reads null": (READ, None, "expected"),
    "row null": (READ, [None], ROWS),
    "row of one": (READ, [[0]], ROWS),
    "row of three": (READ, [[0, [0], [1]]], ROWS),
    "no units": (READ, [[0, [0, 1]], [2, []]], ROWS),
    "units a number": (READ, [[0, 1]], ROWS),
    "layers out of order": (READ, [[2, [0]], [0, [0, 1]]], ORDER),
    "layer twice": (READ, [[0, [0]], [0, [1]], [2, [0]]], ORDER),
    "last layer": (READ, [[0, [0, 1]], [6, [0]]], BEFORE),
    "layer beyond": (READ, [[0, [0, 1]], [7, [0]]], BEFORE),
    "layer negative": (READ, [[-1, [0, 1, 2]]], BEFORE),
    "layer true": (READ, [[0, [0, 1]], [True, [0]]], BEFORE),
    "layer a text": (READ, [["0", [0, 1]], [2, [0]]], BEFORE),
    "unit beyond": (READ, [[0, [0, 2]], [2, [0]]], UNITS),
    "unit negative": (READ, [[0, [-1, 0]], [2, [0]]], UNITS),
    "unit true": (READ, [[0, [0, True]], [2, [0]]], UNITS),
    "unit twice": (READ, [[0, [0, 0]], [2, [0]]], UNITS),
    "units out of order": (READ, [[0, [1, 0]], [2, [0]]], UNITS),
    "unit less": (READ, [[0, [0, 1]]], "rows of 2 numbers"),
    "unit that is not kept": (["layers", 2, "units"], [], r"layers\[2\]: .*units that are read to be kept"),
    "row less": (WEIGHT, [ROW] * (N_OUT - 1), "rows of 3 numbers"),
    "row longer": (WEIGHT, [ROW + ROW[:8]] * N_OUT, "rows of 3 numbers"),
    "row a number": (WEIGHT, [1], "expected"),
    "weight in upper case": (WEIGHT, [ROW.replace("3f", "3F")] * N_OUT, "lower-case hex"),
    "weight nan": (WEIGHT, ["7fc00000" + ROW[8:]] * N_OUT, "expected finite numbers"),
    "bias short": (["readout", "bias"], BIAS[8:], "rows of 3 numbers"),
    "bias infinite": (["readout", "bias"], "7f800000" + BIAS[8:], "expected finite numbers"),
    "input incomplete": (["layers", 0, "units"], [0], "all inputs"),
}


@pytest.mark.parametrize(("path", "value", "reason"), READOUT_CHANGES.values(), ids=READOUT_CHANGES)
def test_malformed_readouts_are_refused(path, value, reason):
    with pytest.raises(UnusableBundle, match=reason):
        read_member(canonical_json(changed(READING, path, value)), PARENT, "p", "m")


def test_members_with_readouts_round_trip():
    """Without outputs, as these are not needed."""
    content = canonical_json(READING)
    member = read_member(content, PARENT, "p", "m")
    assert member_bytes(member, "p") == content
    assert member.layers[-1].units == ()
    assert member.readout.reads == READOUT.reads
    assert member.readout.weight.tolist() == [[1, 2, 3]] * N_OUT
    assert member.readout.bias.tolist() == [5] * N_OUT


# ------------------------------------------------------------------------------------------------- malformed families

FILES = family_files(make_family(PARENT, 2))
FAMILY = json.loads(FILES[FAMILY_FILE])
ONE = "0x1.0000000000000p+0"

FAMILY_CHANGES = {
    "format": (["format"], "netslicer-family/9", "expected format netslicer-family/1"),
    "mode": (["mode"], "top-1", "mode: expected bitwise or decision or epsilon, got 'top-1'"),
    "parent": (["parent"], "0" * 64, "parent: expected the bundle's parent"),
    "unknown key": (["weights"], [], "unknown key 'weights'"),
    "domain short": (["domain", "lower"], [ONE], "domain: expected a domain of 2 inputs"),
    "domain exchanged": (["domain", "upper"], ["-0x1.8000000000000p+0"] * 2, "finite corners with lower ≤ upper"),
    "domain decimal": (["domain", "upper"], ["1.0", ONE], "domain: upper: expected the canonical hex float"),
    "domain infinite": (["domain", "upper"], ["inf", ONE], "domain: upper: expected the canonical hex float"),
    "domain of numbers": (["domain", "upper"], [1, 1], "domain: upper: expected a list of texts"),
    "domain key": (["domain", "middle"], [], "unknown key 'middle'"),
    "no tree": (["tree"], [], "tree: node 0: expected a binary tree"),
    "axis": (["tree", 0, "axis"], 2, "axis: expected 0 to 1"),
    "threshold outside": (["tree", 0, "threshold"], ONE, "tree: node 0: expected a float32 threshold inside"),
    "threshold decimal": (["tree", 0, "threshold"], "0.5", "threshold: expected the canonical hex float"),
    "threshold double": (["tree", 0, "threshold"], (0.1).hex(), "threshold: expected the canonical hex float"),
    "child": (["tree", 0, "low"], 3, "low: expected 0 to 2"),
    "leaf key": (["tree", 1, "member"], 0, "unknown key 'member'"),
    "split key": (["tree", 0, "member"], 0, "unknown key 'member'"),
    "split and leaf": (["tree", 0, "cell"], 0, "unknown key 'axis'"),
    "cell": (["tree", 1, "cell"], 1, "tree: node 1: expected cell 0, got 1"),
    "cells short": (["cells"], [0], "expected 3 nodes and 1 cells"),
    "cells beyond": (["cells"], [0, 1], "cells: expected integers from 0 to 0"),
    "no members": (["members"], [], "cells: expected every member to be used"),
    "member twice": (["members"], FAMILY["members"] * 2, "members: expected distinct sha256"),
    "member of no file": (["members"], ["0" * 64], "family/members/0+.json: expected this file, got nothing"),
    "member path": (["members"], ["../parent"], "members: expected distinct sha256"),
    "member number": (["members"], [0], "members: expected a list of texts"),
}


@pytest.mark.parametrize(("path", "value", "reason"), FAMILY_CHANGES.values(), ids=FAMILY_CHANGES)
def test_malformed_families_are_refused(path, value, reason):
    with pytest.raises(UnusableBundle, match=reason):
        read_family(FILES | {FAMILY_FILE: canonical_json(changed(FAMILY, path, value))})


@pytest.mark.parametrize("path", sorted(FILES))
def test_missing_files_are_refused(path):
    with pytest.raises(UnusableBundle, match="expected this file, got nothing") as caught:
        read_family({name: content for name, content in FILES.items() if name != path})
    assert caught.value.where == path


def test_a_member_under_another_name_is_refused():
    name = FAMILY["members"][0]
    other = canonical_json(changed(WHOLE, ["parent"], digest(FILES[PARENT_FILE])) | {"more": 1})
    with pytest.raises(UnusableBundle, match="expected a member named by its sha256"):
        read_family(FILES | {member_file(name): other})
