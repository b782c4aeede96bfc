"""The worked example of CERTIFICATE.md §6, executed: its texts are read from the document."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from slicer.certificate import check
from tests.exact.drafts import finding, one_cell, report, write

DOCUMENT = Path(check.__file__).with_name("CERTIFICATE.md").read_text(encoding="utf-8")
PARENT = check.canonical({
    "format": "netslicer-network/1",
    "layers": [
        {"kind": "input", "name": "x", "width": 2},
        {"kind": "dense", "name": "z", "source": 0, "weight": ["3f8000003e800000"], "bias": "c0000000"},
        {"kind": "relu", "name": "h", "source": 1},
        {"kind": "dense", "name": "y", "source": 2, "weight": ["3f000000"], "bias": "40400000"},
    ],
})  # fmt: skip


def texts() -> tuple[dict, dict]:
    """Certificate and member of the example, with the digests left out."""
    example = DOCUMENT[DOCUMENT.index("### Worked example") : DOCUMENT.index("## 7.")]
    found = [
        json.loads(re.sub(r"\n\s+", "", text)) for text in re.findall(r"(?s)\n    (\{.*?\})\n\n|\Z", example) if text
    ]
    certificate, member = found
    return certificate, member


@pytest.fixture
def example():
    certificate, _ = texts()
    domain = ((-1.0, -1.0), (1.0, 1.0))
    return one_cell(PARENT, domain, certificate["removed"], certificate["tree"])


def test_it_is_accepted(example, tmp_path):
    certificate, _ = texts()
    sealed = example.certificates[0]
    assert {key: sealed[key] for key in ("box", "cell", "format", "mode", "removed", "tree")} == {
        key: value for key, value in certificate.items() if key not in {"member", "parent"}
    }
    result = report(write(example.sealed(), tmp_path / "bundle"))
    assert (result["outcome"], result["removed"], result["nodes"], result["closings"]) == ("accepted", 1, 1, 1)


def test_the_member_is_the_one_in_the_text(example):
    _, member = texts()
    assert {key: value for key, value in example.members[0].items() if key != "parent"} == {
        key: value for key, value in member.items() if key != "parent"
    }


@pytest.mark.parametrize(("bias", "maximum"), [("bfa00000", 0.0), ("bf9fffff", 2.0**-23)])
def test_a_maximum_of_zero_is_not_enough(tmp_path, bias, maximum):
    """x0 + x1/4 - 5/4 is at most 0 in real arithmetic, but noise may make it positive; with a little more it is."""
    parent = json.loads(PARENT)
    parent["layers"][1]["bias"] = bias
    draft = one_cell(check.canonical(parent), ((-1.0, -1.0), (1.0, 1.0)), [[2, [0]]], [{"inactive": [[2, [0]]]}])
    assert maximum == 1.25 + check.Field(bias, "").vector(1)[0]
    assert "inactive: relu layer 2 unit 0: expected an upper bound <= 0" in finding(
        write(draft.sealed(), tmp_path / "b")
    )


def test_a_split_makes_it_provable(tmp_path):
    """x0 + x1/4 - 1 is at most 0 where x0 <= 1/2; a split at 1/2 closes nothing above it."""
    parent = json.loads(PARENT)
    parent["layers"][1]["bias"] = "bf800000"
    content, domain, removed = check.canonical(parent), ((-1.0, -1.0), (1.0, 1.0)), [[2, [0]]]
    cut = {"axis": 0, "threshold": (0.5).hex()}
    closed = {"inactive": [[2, [0]]]}
    half = one_cell(
        content, ((-1.0, -1.0), (0.5, 1.0)), removed, [{"axis": 1, "threshold": (0.0).hex()}, closed, closed]
    )
    assert report(write(half.sealed(), tmp_path / "half"))["outcome"] == "accepted"
    whole = one_cell(content, domain, removed, [cut, closed, closed])
    assert "tree[2] inactive: relu layer 2 unit 0" in finding(write(whole.sealed(), tmp_path / "whole"))
    open_leaf = one_cell(content, domain, removed, [cut, closed, {}])
    assert "tree[2]: expected all removed units closed" in finding(write(open_leaf.sealed(), tmp_path / "open"))


def test_a_unit_that_is_closed_active_is_not_removed(tmp_path):
    """x0 + x1/4 + 2 is active: a true closing, but no reason to remove it."""
    parent = json.loads(PARENT)
    parent["layers"][1]["bias"] = "40000000"
    content, domain, tree = check.canonical(parent), ((-1.0, -1.0), (1.0, 1.0)), [{"active": [[2, [0]]]}]
    assert report(write(one_cell(content, domain, [], tree).sealed(), tmp_path / "true"))["outcome"] == "accepted"
    forged = one_cell(content, domain, [[2, [0]]], tree)
    assert "tree[0]: expected all removed units closed" in finding(write(forged.sealed(), tmp_path / "forged"))
