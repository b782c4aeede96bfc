"""False and forged bundles, sealed with right digests: every edit is named by what is wrong, and rejected for that."""

from __future__ import annotations

import copy
import struct

import pytest

from tests.exact.drafts import finding, report, write

ONE, NAN, INFINITE = "3f800000", "7fc00000", "7f800000"
HALF = (0.5).hex()


def split(axis: object = 0, threshold: object = HALF) -> dict:
    return {"axis": axis, "threshold": threshold}


def bump(text: str, number: int, ulps: int = 1) -> str:
    """A vector text with one number moved by some ulps."""
    words = list(struct.iter_unpack(">I", bytes.fromhex(text)))
    words[number] = (words[number][0] + ulps,)
    return b"".join(struct.pack(">I", word) for (word,) in words).hex()


def first(draft, key: str) -> dict:
    """The first node of cell 0's proof that closes something in this phase."""
    return next(node for node in draft.certificates[0]["tree"] if key in node)


def leaf(draft) -> dict:
    return next(node for node in reversed(draft.certificates[0]["tree"]) if "axis" not in node)


def set_in(value, path: str, new) -> None:
    """Set a value by a path such as ``tree.0.axis``; a new value of None deletes it."""
    *way, last = [int(key) if key.isdigit() else key for key in path.split(".")]
    for key in way:
        value = value[key]
    if new is None:
        del value[last]
    else:
        value[last] = new


def edit(part: str, path: str, new):
    """An edit of the parent, the family, or cell 0's certificate or member."""

    def apply(draft) -> None:
        values = {"parent": draft.parent, "family": draft.family}
        values |= {"certificate": draft.certificates[0], "member": draft.members[0]}
        set_in(values[part], path, new)

    return apply


def layer(kind: str, **fields: object):
    """Put this layer in the place of the parent's layer 2."""
    return edit("parent", "layers.2", {"kind": kind, "name": ""} | fields)


def negate_a_removed_unit(draft) -> None:
    """The parent's removed unit becomes its negative, with every digest right."""
    layer, units = draft.certificates[0]["removed"][0]
    source = draft.parent["layers"][draft.parent["layers"][layer]["source"]]
    for unit in units:
        for holder, key in ((source["weight"], unit), (source, "bias")):
            data = bytearray.fromhex(holder[key])
            for k in range(0, len(data), 4) if key != "bias" else [4 * unit]:
                data[k] ^= 0x80
            holder[key] = data.hex()


def claim_one_more_removal(draft) -> None:
    removed = draft.certificates[0]["removed"]
    removed[0][1] = sorted({*removed[0][1], next(k for k in range(6) if k not in removed[0][1])})


def flip_phase(draft) -> None:
    node = first(draft, "inactive")
    node["active"] = node.pop("inactive")


def close_another_unit(draft) -> None:
    node = first(draft, "inactive")
    layer, units = node["inactive"][0]
    node["inactive"][0] = [layer, [next(k for k in range(6) if k not in units)]]


def drop_closings_of_a_leaf(draft) -> None:
    for node in draft.certificates[0]["tree"]:
        if "axis" not in node:
            node.pop("inactive", None)


def swap_certificates(draft) -> None:
    one, other = draft.certificates[:2]
    draft.certificates[:2] = [other | {"cell": 0}, one | {"cell": 1}]


def close_twice(draft) -> None:
    tree = draft.certificates[0]["tree"]
    tree.insert(0, split(0, "-0x1.0000000000000p-1") | {"inactive": [[2, [0]]], "active": [[2, [0]]]})


def one_more_node(draft) -> None:
    draft.certificates[0]["tree"].append({})


def one_node_less(draft) -> None:
    draft.certificates[0]["tree"].pop()


def double_member(draft) -> None:
    draft.members[1] = copy.deepcopy(draft.members[0])


def unused_member(draft) -> None:
    draft.members.append(copy.deepcopy(draft.members[0]) | {"layers": []})


def certificate_without_cell(draft) -> None:
    draft.certificates.append(copy.deepcopy(draft.certificates[0]) | {"cell": 4})


def cell_without_certificate(draft) -> None:
    draft.certificates.pop()


def two_cells_of_one_leaf(draft) -> None:
    draft.family["tree"][-1] = {"cell": 2}


def keep_a_removed_unit(draft) -> None:
    layer, units = draft.certificates[0]["removed"][0]
    draft.members[0]["layers"][layer]["units"] = sorted({*draft.members[0]["layers"][layer]["units"], units[0]})


def huge_weights(draft) -> None:
    for layer in draft.parent["layers"]:
        if layer["kind"] == "dense":
            layer["weight"] = ["7f000000" * (len(row) // 8) for row in layer["weight"]]


def double_for_ever(draft) -> None:
    layers = [{"kind": "concat", "name": "", "sources": [k, k]} for k in range(40)]
    draft.parent["layers"] = [{"kind": "input", "name": "", "width": 9}, *layers]


MEANING = {
    "removed unit negated in the parent": (negate_a_removed_unit, "expected an upper bound <= 0"),
    "one more removal than closings": (claim_one_more_removal, "expected the member that the removals"),
    "inactive called active": (flip_phase, "expected a lower bound >= 0"),
    "another unit closed": (close_another_unit, "expected an upper bound <= 0"),
    "a leaf without closings": (drop_closings_of_a_leaf, "expected all removed units closed on the path"),
    "certificates of two cells swapped": (swap_certificates, "expected the box that the routing tree gives"),
    "a unit closed twice": (close_twice, "expected no unit closed twice on one path"),
    "a node after the last leaf": (one_more_node, "expected no node after the last leaf"),
    "a split without high child": (one_node_less, "expected both children of every split"),
    "a member twice": (double_member, "expected every member once, used"),
    "a member of no cell": (unused_member, "expected every member once, used"),
    "a certificate without a cell": (certificate_without_cell, "expected a certificate for each cell"),
    "a cell without certificate": (cell_without_certificate, "expected a certificate for each cell"),
    "a cell number twice": (two_cells_of_one_leaf, "expected 3"),
    "a removed unit kept in the member": (keep_a_removed_unit, "expected the member that the removals"),
    "sums overflow on the domain": (huge_weights, "expected sums of at most 2^126"),
    "cell's box moved": (edit("certificate", "box.upper.0", HALF), "expected the box that the routing tree gives"),
    "cell's box wider": (edit("certificate", "box.upper.0", (1.0).hex()), "expected the box that the routing tree"),
    "another mode": (edit("certificate", "mode", "epsilon"), "expected 'bitwise'"),
    "another cell": (edit("certificate", "cell", 1), "expected 0"),
    "another format": (edit("certificate", "format", "netslicer-certificate/1"), "expected 'netslicer-certificate/2'"),
    "removals not listed": (edit("certificate", "removed", []), "expected the member that the removals"),
    "a removal of no relu layer": (edit("certificate", "removed", [[1, [0]]]), "expected a relu layer"),
    "a removal of no layer": (edit("certificate", "removed", [[6, [0]]]), "expected an integer from 0 to 5"),
    "a removal of no unit": (edit("certificate", "removed", [[2, [6]]]), "expected an integer from 0 to 5"),
    "removals not increasing": (edit("certificate", "removed", [[2, [1, 0]]]), "expected an integer from 2 to 5"),
    "a removal twice": (edit("certificate", "removed", [[2, [1, 1]]]), "expected an integer from 2 to 5"),
    "a layer twice": (edit("certificate", "removed", [[2, [1]], [2, [2]]]), "expected an integer from 3 to 5"),
    "an empty list of removals": (edit("certificate", "removed", [[2, []]]), "expected at least one unit"),
    "a list of three": (edit("certificate", "removed", [[2, [1], []]]), "expected a list (2)"),
    "an unknown key": (edit("certificate", "note", "trust me"), "expected the keys"),
    "no tree": (edit("certificate", "tree", None), "expected the keys"),
    "an empty tree": (edit("certificate", "tree", []), "expected both children of every split"),
    "a node that is a list": (edit("certificate", "tree.0", []), "expected an object"),
    "a node with an unknown key": (edit("certificate", "tree.0.slope", ONE), "expected the keys"),
    "a split without threshold": (edit("certificate", "tree", [{"axis": 0}, {}, {}]), "expected the keys"),
    "a threshold without axis": (edit("certificate", "tree", [{"threshold": HALF}]), "expected the keys"),
    "an axis that is true": (edit("certificate", "tree", [split(True), {}, {}]), "expected an integer from 0 to 1"),
    "an axis too many": (edit("certificate", "tree", [split(2), {}, {}]), "expected an integer from 0 to 1"),
    "an axis below 0": (edit("certificate", "tree", [split(-1), {}, {}]), "expected an integer from 0 to 1"),
    "a threshold outside the box": (edit("certificate", "tree", [split(0, (1.5).hex()), {}, {}]), "in the node's box"),
    "a threshold that is no float32": (edit("certificate", "tree", [split(0, (-0.1).hex())]), "a float32 number"),
    "a threshold that is no number": (edit("certificate", "tree", [split(0, "nan"), {}, {}]), "expected a text like"),
    "a threshold that is an integer": (edit("certificate", "tree", [split(0, 0), {}, {}]), "expected a text like"),
    "another parent's family": (edit("family", "mode", "decision"), "expected 'bitwise'"),
    "family of another format": (edit("family", "format", "netslicer-family/2"), "expected 'netslicer-family/1'"),
    "domain upside down": (edit("family", "domain.lower.0", (2.0).hex()), "expected lower <= upper"),
    "domain of one input": (edit("family", "domain.lower", [HALF]), "expected a list (2)"),
    "domain beyond float32": (edit("family", "domain.upper.0", (2.0**128).hex()), "expected a float32 number"),
    "domain too large": (edit("family", "domain.upper.0", (2.0**127).hex()), "expected corners of at most 2^126"),
    "domain larger than cells": (edit("family", "domain.upper.0", (2.0).hex()), "the box that the routing tree gives"),
    "threshold at the upper end": (edit("family", "tree.0.threshold", (1.0).hex()), "not its upper end"),
    "threshold below the box": (edit("family", "tree.0.threshold", (-2.0).hex()), "not its upper end"),
    "threshold moved": (edit("family", "tree.0.threshold", (2.0**-20).hex()), "the box that the routing tree gives"),
    "low child elsewhere": (edit("family", "tree.0.low", 4), "expected 1"),
    "high child elsewhere": (edit("family", "tree.0.high", 3), "expected this node where its parent says"),
    "high child outside": (edit("family", "tree.0.high", 99), "expected an integer from 2 to 7"),
    "children exchanged": (edit("family", "tree.0", split() | {"low": 4, "high": 1}), "expected 1, got 4"),
    "a node that is leaf and split": (edit("family", "tree.2", split() | {"cell": 0}), "expected the keys"),
    "no routing node": (edit("family", "tree", []), "expected both children of every split"),
    "cells exchanged": (edit("family", "cells", [1, 0, 2, 3]), "expected an integer from 0 to 0"),
    "cells of another number": (edit("family", "cells", [0, 1, 2]), "expected a list (4)"),
    "a cell's position that is true": (edit("family", "cells", [0, True, 2, 3]), "expected an integer from 0 to 1"),
    "cells sharing a false member": (edit("family", "cells", [0, 0, 1, 2]), "expected every member once, used"),
    "member's prefix added": (edit("member", "layers.3.prefixes", [[0, 1, ONE]]), "expected the member that"),
    "member's constant added": (edit("member", "layers.5.constants", [[0, ONE]]), "expected the member that"),
    "member's layer missing": (edit("member", "layers.5", None), "expected the member that the removals"),
}  # fmt: skip
NETWORK = {
    "no layers": (edit("parent", "layers", []), "expected at least one layer"),
    "another format": (edit("parent", "format", "netslicer-network/2"), "expected 'netslicer-network/1'"),
    "an unknown kind": (edit("parent", "layers.2.kind", "softmax"), "expected a layer of one of the kinds"),
    "a kind that is a list": (edit("parent", "layers.2.kind", ["relu"]), "expected a layer of one of the kinds"),
    "a layer that is a number": (edit("parent", "layers.2", 3), "expected a layer of one of the kinds"),
    "no input first": (edit("parent", "layers.0", None), "expected an input as first layer"),
    "a second input": (layer("input", width=6), "expected an input as"),
    "a width that is true": (edit("parent", "layers.0.width", True), "expected an integer from 1"),
    "a width of 0": (edit("parent", "layers.0.width", 0), "expected an integer from 1"),
    "a name that is a number": (edit("parent", "layers.2.name", 2), "expected a text"),
    "a source that comes later": (edit("parent", "layers.2.source", 3), "expected an integer from 0 to 1"),
    "a layer that is its own source": (edit("parent", "layers.2.source", 2), "expected an integer from 0 to 1"),
    "a source that is a text": (edit("parent", "layers.2.source", "1"), "expected an integer from 0 to 1"),
    "an unknown key": (edit("parent", "layers.2.slope", ONE), "expected the keys"),
    "a missing key": (edit("parent", "layers.1.bias", None), "expected the keys"),
    "a row too short": (edit("parent", "layers.1.weight.0", ONE), "expected a text like"),
    "a bias too long": (edit("parent", "layers.1.bias", ONE * 7), "expected a text like"),
    "upper-case digits": (edit("parent", "layers.1.bias", "3F800000" * 6), "expected a text like"),
    "a weight that is NaN": (edit("parent", "layers.1.weight.0", ONE + NAN), "expected finite numbers"),
    "a bias that is infinite": (edit("parent", "layers.1.bias", INFINITE * 6), "expected finite numbers"),
    "a dense layer of no unit": (layer("dense", source=0, weight=[], bias=""), "expected at least one unit"),
    "division by a subnormal": (layer("elementwise", source=0, op="div", constant="0000000100800000"), "divisors of"),
    "division by zero": (layer("elementwise", source=0, op="div", constant="8000000000800000"), "divisors of at least"),
    "an unknown operation": (layer("elementwise", source=0, op="sub", constant=ONE * 2), "expected a text like add"),
    "a sum of three": (layer("add", sources=[1, 1, 1]), "expected two sources of one width"),
    "a sum of two widths": (layer("add", sources=[0, 1]), "expected two sources of one width"),
    "a concatenation of nothing": (layer("concat", sources=[]), "expected at least one source"),
    "a unit gathered that is none": (layer("gather", source=1, indices=[6]), "expected an integer from 0 to 5"),
    "layers that double for ever": (double_for_ever, "less than 1048576 in all"),
}  # fmt: skip


def test_the_draft_itself_is_accepted(draft, tmp_path):
    assert report(write(draft.sealed(), tmp_path / "bundle"))["outcome"] == "accepted"


@pytest.mark.parametrize(("change", "reason"), MEANING.values(), ids=MEANING.keys())
def test_a_forged_bundle_is_rejected(draft, tmp_path, change, reason):
    change(draft)
    assert reason in finding(write(draft.sealed(), tmp_path / "bundle"))


@pytest.mark.parametrize(("change", "reason"), NETWORK.values(), ids=NETWORK.keys())
def test_a_malformed_network_is_rejected(draft, tmp_path, change, reason):
    change(draft)
    assert reason in finding(write(draft.sealed(), tmp_path / "bundle"))


def test_a_moved_split_is_rejected_where_it_matters(draft, tmp_path):
    """Moving the threshold of a proof's split to the end of the box leaves the low child the whole box."""
    tree = draft.certificates[0]["tree"]
    node = next(node for node in tree if "axis" in node)
    node["threshold"] = draft.certificates[0]["box"]["upper"][node["axis"]]
    assert "expected" in finding(write(draft.sealed(), tmp_path / "bundle"))


def test_every_leaf_is_needed(draft, tmp_path):
    """Whatever leaf loses its closings, the bundle is rejected (its trees are trimmed)."""
    for cell, certificate in enumerate(draft.certificates):
        for k, node in enumerate(certificate["tree"]):
            if "axis" in node or not set(node) & {"active", "inactive"}:
                continue
            changed = copy.deepcopy(draft)
            changed.certificates[cell]["tree"][k] = {}
            assert "expected" in finding(write(changed.sealed(), tmp_path / f"{cell}-{k}"))
