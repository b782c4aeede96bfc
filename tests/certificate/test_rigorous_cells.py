"""Certificates that must be accepted, and a table of lies: each is rejected, for its reason."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rigorous_example as example
from rigorous_example import LOWER, UPPER, Mutation, Record
from rigorous_kit import F32, canonical, certificate, chain, network_bytes, random_layers, sha

import slicer.certificate
from dispatcher.layers import Input, Relu, dense
from slicer.certificate.rigorous import PRODUCER_MARGIN, Checker, Refusal
from slicer.certificate.verdict import Accepted, Rejected, Verdict


def verdict(record: Record, member: bytes, margin: float = 0.0) -> Verdict:
    return example.checker().check_cell(0, LOWER, UPPER, canonical(record), member, margin=margin)


def test_the_example_is_accepted_by_audit_and_gate() -> None:
    for margin in (0.0, PRODUCER_MARGIN):
        assert verdict(*example.example(), margin) == Accepted(nodes=7, closings=7, removed=2)


def test_the_least_margin_is_reported() -> None:
    """The closest call of the example: f ≤ 0 where x₁ is in [½, 1], by 1/10."""
    accepted = verdict(*example.example())
    assert isinstance(accepted, Accepted)
    assert accepted.margin == pytest.approx(0.1, abs=1e-5)


def test_the_gate_wants_more_room_than_the_audit() -> None:
    """With a margin of 10⁶ N the closings of f, which hold by 0.1 and more, leave too little room."""
    rejected = verdict(*example.example(), 1e6)
    assert isinstance(rejected, Rejected)
    assert (4, 0) in {closing[1:] for closing in rejected.unproved}


def test_one_box_does_not_show_it() -> None:
    """The splits of the example are needed, so that what they prove is a theorem about the tree."""
    record, member = example.example()
    record["tree"] = [{"inactive": [[2, [0]], [4, [0]]]}]
    rejected = verdict(record, member)
    assert isinstance(rejected, Rejected)
    assert rejected.unproved == ((0, 4, 0),)
    assert "got a bound 0.5" in rejected.why


def test_closings_below_rest_on_their_facts_and_a_false_fact_is_found_where_it_is_asserted() -> None:
    """relu(x) − 1/8 on [−1, ¼] is not inactive, but it would be if x ≤ 0."""
    first, second = dense(0, np.eye(1)), dense(2, np.eye(1), np.array([-0.125]))
    checker = Checker(network_bytes((Input(1), first, Relu(1, 1), second, Relu(3, 1))))
    box = np.array([-1], F32), np.array([0.25], F32)
    split = {"axis": 0, "threshold": (-0.5).hex()}
    below = [{"inactive": [[4, [0]]]}, {"inactive": [[4, [0]]]}]
    for root, unproved in ((split, ((2, 4, 0),)), (split | {"inactive": [[2, [0]]]}, ((0, 2, 0),))):
        record, member = certificate(checker, box, {4: [0]}, [root, *below])
        rejected = checker.check_cell(0, *box, canonical(record), member)
        assert isinstance(rejected, Rejected)
        assert rejected.unproved == unproved


def drop(*path: Any) -> Mutation:
    def mutate(record: Record) -> None:
        place: Any = record
        for key in path[:-1]:
            place = place[key]
        del place[path[-1]]

    return mutate


def put(*path: Any) -> Mutation:
    """Set the place given by all but the last argument to the last."""

    def mutate(record: Record) -> None:
        place: Any = record
        for key in path[:-2]:
            place = place[key]
        place[path[-2]] = path[-1]

    return mutate


NEXT = float(np.nextafter(F32(-1), F32(0))).hex()
LIES: dict[str, tuple[Mutation, str]] = {
    # what the certificate is about
    "another format": (put("format", "netslicer-certificate/1"), "expected netslicer-certificate/2"),
    "another mode": (put("mode", "epsilon"), "expected bitwise"),
    "another cell": (put("cell", 1), "expected 0"),
    "a boolean for a cell": (put("cell", False), "expected 0"),
    "another parent": (put("parent", "0" * 64), "expected "),
    "another member": (put("member", "0" * 64), "expected "),
    "a key more": (put("comment", "trust me"), "expected an object with the keys"),
    "a key less": (drop("mode"), "expected an object with the keys"),
    "a box one ulp smaller": (put("box", "lower", 0, NEXT), "expected the box of the cell"),
    "a box of one input": (drop("box", "lower", 1), "expected two corners of 2 numbers"),
    "a box turned round": (put("box", {"lower": [(1.0).hex()] * 2, "upper": [(-1.0).hex()] * 2}), "lower ≤ upper"),
    "an infinite box": (put("box", "upper", 0, "inf"), "expected a finite float32"),
    "a box of NaN": (put("box", "upper", 0, "nan"), "expected a finite float32"),
    "a corner that is no float32": (put("box", "upper", 0, (1 + 2.0**-40).hex()), "expected a finite float32"),
    "a corner beyond float32": (put("box", "upper", 0, (2.0**128).hex()), "expected a finite float32"),
    "a corner beyond float64": (put("box", "upper", 0, "0x1.0p+9999"), "expected a finite float32"),
    "a corner spelled shorter": (put("box", "upper", 0, "0x1p+0"), "expected a finite float32"),
    "a corner as an integer": (put("box", "upper", 0, 1), "expected a text"),
    # the removed units
    "a removal not claimed": (drop("removed", 1), "expected another member"),
    "a removal not closed": (put("removed", 0, 1, [0, 1]), "all removed units closed"),
    "an active unit removed": (put("removed", 0, 1, [0, 3]), "expected another member"),
    "a removal of a dense layer": (put("removed", 0, 0, 1), "expected the position of a relu layer"),
    "a removal of a negative layer": (put("removed", 0, 0, -4), "expected the position of a relu layer"),
    "a removal of layer true": (put("removed", 0, 0, True), "expected the position of a relu layer"),
    "a removal of a unit that is not there": (put("removed", 1, 1, [2]), "expected integers from 0 to 1"),
    "a removal of a negative unit": (put("removed", 1, 1, [-1]), "expected integers from 0 to 1"),
    "a removal of unit false": (put("removed", 1, 1, [False]), "expected integers from 0 to 1"),
    "a removal twice": (put("removed", 0, 1, [0, 0]), "strictly increasing"),
    "removed units out of order": (put("removed", 0, 1, [1, 0]), "strictly increasing"),
    "removed layers out of order": (put("removed", [[4, [0]], [2, [0]]]), "strictly increasing"),
    "a removed layer twice": (put("removed", [[2, [0]], [2, [1]], [4, [0]]]), "strictly increasing"),
    "an empty list of removed units": (put("removed", 0, 1, []), "no empty list"),
    "a row of three": (put("removed", 0, [2, [0], 1]), "expected rows"),
    "removed as an object": (put("removed", {}), "expected a list"),
    # the tree
    "no node": (put("tree", []), "too few nodes"),
    "a leaf dropped": (drop("tree", 6), "too few nodes"),
    "a leaf too many": (lambda record: record["tree"].append({}), "expected the end"),
    "a node that is a list": (put("tree", 3, []), "expected an object"),
    "a node with multipliers": (put("tree", 3, "alpha", []), "expected an object with the keys"),
    "a leaf that closes nothing": (put("tree", 3, {}), "all removed units closed"),
    "a leaf that closes another unit": (put("tree", 3, {"inactive": [[2, [1]]]}), "all removed units closed"),
    "a removed unit closed active": (put("tree", 3, {"active": [[4, [0]]]}), "all removed units closed"),
    "an axis without a threshold": (drop("tree", 1, "threshold"), "axis, inactive, threshold"),
    "a threshold without an axis": (drop("tree", 1, "axis"), "axis, inactive, threshold"),
    "an axis that is not there": (put("tree", 1, "axis", 2), "expected an integer from 0 to 1"),
    "a negative axis": (put("tree", 1, "axis", -1), "expected an integer from 0 to 1"),
    "a threshold above the box": (put("tree", 0, "threshold", (1.5).hex()), "inside the node's box"),
    "a threshold below the child's box": (put("tree", 4, "threshold", (-0.25).hex()), "inside the node's box"),
    "a threshold that is no float32": (put("tree", 1, "threshold", (-1 / 3).hex()), "expected a finite float32"),
    "an empty list of closings": (put("tree", 2, {"inactive": [], "active": [[4, [0]]]}), "no empty list"),
    "a closing of a dense layer": (put("tree", 2, {"inactive": [[3, [0]]]}), "expected the position of a relu layer"),
    "a closing of the relu before": (put("tree", 2, {"inactive": [[2, [4]]]}), "expected integers from 0 to 3"),
    "a closing that an ancestor has": (put("tree", 2, {"inactive": [[2, [0]], [4, [0]]]}), "nor an ancestor closes"),
    "a closing both ways": (put("tree", 2, {"active": [[4, [0]]], "inactive": [[4, [0]]]}), "neither this node"),
    # what is not so
    "a fact asserted at the root": (put("tree", 0, "inactive", [[2, [0, 1]]]), "unit 1 of relu layer 2, got a bound"),
    "an active unit closed inactive": (put("tree", 0, "inactive", [[2, [0, 3]]]), "neither this node"),
    "an inactive unit closed active": (
        put("tree", 0, {**example.tree()[0], "active": [[2, [0]]]}),
        "neither this node",
    ),
    "a threshold moved too far": (put("tree", 4, "threshold", (0.125).hex()), "unit 0 of relu layer 4, got a bound"),
    "a closing moved to the root": (put("tree", 0, "inactive", [[2, [0]], [4, [0]]]), "nor an ancestor closes"),
    "splits along the wrong input": (put("tree", 1, {"axis": 0, "threshold": (0.0).hex()}), "unit 0 of relu layer 4"),
    "a unit index off by one": (put("tree", 0, "active", [[2, [2]], [4, [1]]]), "unit 2 of relu layer 2, got a bound"),
}


@pytest.mark.parametrize("name", LIES)
def test_lies_are_rejected_with_their_reason(name: str) -> None:
    mutate, why = LIES[name]
    record, member = example.example()
    before = copy.deepcopy(record)
    mutate(record)
    assert record != before or repr(record) != repr(before), "the mutation must change something"
    rejected = verdict(record, member)
    assert isinstance(rejected, Rejected)
    assert rejected.where.startswith("certificates/000000.json")
    assert why in rejected.why


SPELLINGS: dict[str, tuple[bytes, bytes]] = {
    "white space": (b'"cell":0', b'"cell": 0'),
    "a key that stands twice": (b'"cell":0', b'"cell":0,"cell":0'),
    "keys out of order": (
        b'"cell":0,"format":"netslicer-certificate/2"',
        b'"format":"netslicer-certificate/2","cell":0',
    ),
    "no newline at the end": (b"]}\n", b"]}"),
    "two newlines": (b"]}\n", b"]}\n\n"),
    "a floating-point literal": (b'"cell":0', b'"cell":0.0'),
    "an exponent": (b'"cell":0', b'"cell":0e0'),
    "NaN": (b'"cell":0', b'"cell":NaN'),
    "minus zero": (b'"cell":0', b'"cell":-0'),
    "a leading zero": (b'"cell":0', b'"cell":00'),
    "an escape that nobody needs": (b'"mode"', b'"\\u006dode"'),
    "a byte that is not ASCII": (b'"mode"', b'"m\xc3\xb6de"'),
    "a number of 5000 digits": (b'"cell":0', b'"cell":' + b"7" * 5000),
    "100 levels": (b'"cell":0', b'"cell":' + b"[" * 100 + b"]" * 100),
    "100000 levels": (b'"cell":0', b'"cell":' + b"[" * 100000 + b"]" * 100000),
    "half of it": (b'"parent"', b""),
    "nothing": (b"{", b""),
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_other_spellings_are_rejected(name: str) -> None:
    record, member = example.example()
    content = canonical(record)
    old, new = SPELLINGS[name]
    changed = content.replace(old, new, 1) if name not in ("half of it", "nothing") else content[: content.index(old)]
    assert changed != content
    rejected = example.checker().check_cell(0, LOWER, UPPER, changed, member)
    assert isinstance(rejected, Rejected)
    assert re.search("canonical JSON|expected 0, got", rejected.why)  # 100 levels are just not the number expected


def test_a_member_with_one_bit_flipped_is_rejected() -> None:
    record, member = example.example()
    for place in range(0, len(member), 7):
        flipped = bytearray(member)
        flipped[place] ^= 1
        record["member"] = sha(bytes(flipped))
        rejected = verdict(record, bytes(flipped))
        assert isinstance(rejected, Rejected)
        assert "another member" in rejected.why


def test_all_failures_of_a_cell_are_listed() -> None:
    """So that a producer can drop exactly these."""
    record, member = example.example()
    record["tree"][0]["inactive"] = [[2, [0, 1]]]
    record["tree"][0]["active"] = [[2, [2, 3]], [4, [1]]]
    rejected = verdict(record, member)
    assert isinstance(rejected, Rejected)
    assert rejected.unproved[:2] == ((0, 2, 1), (0, 2, 2))
    assert rejected.where.endswith("tree[0]")


def test_facts_that_contradict_each_other_prove_nothing() -> None:
    """x ≤ 0 and x ≥ 0 cannot both be closed; the node below is refused even if its bounds are an empty interval."""
    layers = (
        Input(1),
        dense(0, np.array([[1], [1], [1]]), np.array([0, 0.5, -0.5])),
        Relu(1, 3),
        dense(2, np.ones((1, 3))),
    )
    checker = Checker(network_bytes(layers))
    box = np.array([-1], F32), np.array([1], F32)
    tree = [{"inactive": [[2, [1]]], "active": [[2, [2]]], "axis": 0, "threshold": (0.75).hex()}]
    tree += [{"inactive": [[2, [0]]]}, {"inactive": [[2, [0]]]}]  # type: ignore[list-item] # nodes of both shapes
    record, member = certificate(checker, box, {2: [0]}, tree)  # type: ignore[arg-type] # nodes of both shapes
    rejected = checker.check_cell(0, *box, canonical(record), member)
    assert isinstance(rejected, Rejected)
    assert {closing[0] for closing in rejected.unproved} >= {0}


def document_blocks() -> list[str]:
    document = Path(slicer.certificate.__file__).with_name("CERTIFICATE.md").read_text("utf-8")
    section = document.split("### Worked example")[1].split("\n## ")[0]
    blocks = re.findall(r"(?:^    .*\n)+", section, re.MULTILINE)
    return [re.sub(r"\s+", "", block) for block in blocks]


def test_the_worked_example_of_the_document() -> None:
    """The document's certificate and member, with the digests that it leaves out, are accepted as they stand."""
    certificate_text, member_text = document_blocks()
    layers = (
        Input(2),
        dense(0, np.array([[1, 0.25]]), np.array([-2])),
        Relu(1, 1),
        dense(2, np.array([[0.5]]), np.array([3])),
    )
    checker = Checker(network_bytes(layers))
    member = member_text.replace("…", checker.parent.digest).encode() + b"\n"
    content = certificate_text.replace('"member":"…"', f'"member":"{sha(member)}"')
    content = content.replace('"parent":"…"', f'"parent":"{checker.parent.digest}"')
    got = checker.check_cell(0, LOWER, UPPER, content.encode() + b"\n", member, margin=PRODUCER_MARGIN)
    assert got == Accepted(nodes=1, closings=1, removed=1)


def test_special_shapes_are_accepted() -> None:
    """No hidden layer; a relu at the input and at the output; a relu of a relu; a cell of width zero."""
    point = np.array([0.5], F32)
    shapes: list[tuple[Any, dict[int, list[int]], list[Record]]] = [
        ((Input(1), dense(0, np.eye(1))), {}, [{}]),
        ((Input(1), Relu(0, 1)), {}, [{"active": [[1, [0]]]}]),
        ((Input(1), dense(0, -np.eye(1)), Relu(1, 1)), {2: [0]}, [{"inactive": [[2, [0]]]}]),
        ((Input(1), Relu(0, 1), Relu(1, 1)), {}, [{"active": [[1, [0]], [2, [0]]]}]),
        ((Input(1), dense(0, -np.eye(1)), Relu(1, 1), Relu(2, 1)), {3: [0]}, [{"inactive": [[3, [0]]]}]),
    ]
    for layers, removed, tree in shapes:
        checker = Checker(network_bytes(layers))
        record, member = certificate(checker, (point, point), removed, tree)
        got = checker.check_cell(0, point, point, canonical(record), member, margin=PRODUCER_MARGIN)
        assert isinstance(got, Accepted), got


def test_two_relus_over_one_source_share_their_facts() -> None:
    """z ≤ 0 closed through one relu decides the other: §5 speaks of the source unit."""
    layers = (Input(1), dense(0, np.eye(1)), Relu(1, 1), Relu(1, 1), dense(3, np.eye(1)))
    checker = Checker(network_bytes(layers))
    box = np.array([-1], F32), np.array([1], F32)
    half = {"axis": 0, "threshold": (-0.5).hex()}
    tree = [half, {"inactive": [[2, [0]]], **half}, {"inactive": [[3, [0]]]}, {"inactive": [[3, [0]]]}, {}]
    record, member = certificate(checker, box, {}, tree)
    assert checker.check_cell(0, *box, canonical(record), member) == Accepted(nodes=5, closings=3, removed=0)


PARENTS: dict[str, tuple[Mutation, str]] = {
    "another format": (put("format", "netslicer-network/2"), "expected netslicer-network/1"),
    "no layers": (put("layers", []), "at least the input"),
    "no input": (drop("layers", 0), "the input at position 0"),
    "two inputs": (put("layers", 1, {"kind": "input", "name": "", "width": 2}), "nowhere else"),
    "an input of width 0": (put("layers", 0, "width", 0), "at least one unit"),
    "a source behind": (put("layers", 1, "source", 1), "from 0 to 0"),
    "an unknown kind": (put("layers", 2, "kind", "tanh"), "expected a kind of layer"),
    "no kind": (drop("layers", 2, "kind"), "expected a kind of layer"),
    "a key of another kind": (put("layers", 2, "op", "add"), "expected an object with the keys"),
    "a NaN weight": (put("layers", 3, "weight", 0, "7fc00000" * 4), "expected finite numbers"),
    "an infinite bias": (put("layers", 3, "bias", "7f80000000000000"), "expected finite numbers"),
    "upper-case digits": (put("layers", 3, "bias", "3F800000C0000000"), "lower-case hex digits"),
    "a short row": (put("layers", 3, "weight", 0, "00000000"), "expected 4 numbers"),
    "a row less": (drop("layers", 3, "weight", 1), "expected 1 numbers"),
    "rows of integers": (put("layers", 3, "weight", [1, 2]), "expected a text"),
    "a divisor of zero": (
        put("layers", 2, {"kind": "elementwise", "name": "", "op": "div", "source": 1, "constant": "0" * 32}),
        "at least 2^-126",
    ),
    "an unknown operation": (
        put("layers", 2, {"kind": "elementwise", "name": "", "op": "sub", "source": 1, "constant": "0" * 32}),
        "expected add, mul or div",
    ),
    "an index that is not there": (
        put("layers", 2, {"kind": "gather", "name": "", "source": 1, "indices": [0, 1, 2, 4]}),
        "from 0 to 3",
    ),
    "a sum of unequal widths": (put("layers", 2, {"kind": "add", "name": "", "sources": [0, 1]}), "of equal width"),
    "a sum of three": (put("layers", 2, {"kind": "add", "name": "", "sources": [1, 1, 1]}), "expected two sources"),
}


@pytest.mark.parametrize("name", PARENTS)
def test_malformed_parents_are_refused(name: str) -> None:
    mutate, why = PARENTS[name]
    record = json.loads(network_bytes(example.layers()))
    mutate(record)
    with pytest.raises(Refusal, match=re.escape(why)):
        Checker(canonical(record))


def test_overflow_is_found_on_the_domain() -> None:
    layers = chain(np.random.default_rng(3), 2, 3, 1)
    huge = np.full(2, 2.0**126, F32)
    assert Checker(network_bytes(layers)).check_overflow([-1, -1], [1, 1]) == Accepted()
    rejected = Checker(network_bytes(layers)).check_overflow(-huge, huge)
    assert isinstance(rejected, Rejected)
    assert "overflow" in rejected.why
    assert rejected.where.startswith("family/parent.json: layers[1]")


def test_bounds_are_one_for_each_output() -> None:
    """A single bound would otherwise stand for all of them."""
    parent = network_bytes(random_layers(np.random.default_rng(1)))
    for wrong in (0.5, [0.5], [0.5] * 3):
        with pytest.raises(Refusal, match="expected a bound for each output"):
            Checker(parent, epsilon=wrong)
