"""The benchmark runs, small: it clears accepted bundles, and shows what it finds in forged ones."""

from __future__ import annotations

import json

import numpy as np
import pytest

import dispatcher
from dispatcher.host import host_compiler
from dispatcher.interpret import eval32
from tests.attack.forge import draft_of, write_draft
from tests.attack.forgeries import FORGERIES, FUNCTIONS
from tests.attack.hunt import KINDS
from tests.attack.target import open_target
from tests.benchmarks import attack

pytestmark = pytest.mark.skipif(host_compiler() is None, reason="no C compiler on this machine")


def test_an_accepted_bundle_is_cleared_and_all_its_forgeries_are_found(bundles, tmp_path):
    arguments = [str(bundles["sparse"]), "--points", "20000", "--forged", "5000", "--jobs", "2", "--out", str(tmp_path)]
    assert attack.main(arguments) == 0
    record = json.loads((tmp_path / "attack.json").read_text())
    (bundle,) = record["bundles"]
    assert bundle["accepted"] and bundle["clean"]
    assert bundle["points"] == 20_000
    assert list(bundle["kinds"]) == list(KINDS)
    assert all(row["different"] == row["active"] == row["refused"] == 0 for row in bundle["kinds"].values())
    assert bundle["closings"]["closings"] > 0
    assert [row["name"] for row in bundle["forgeries"]] == list(FORGERIES)
    assert all(row["caught"] and row["found"] for row in bundle["forgeries"])
    page = (tmp_path / "attack.md").read_text()
    assert "accepted by `slicer audit`" in page
    assert all(f"| {name} |" in page for name in FORGERIES)
    assert str(tmp_path) not in page + (tmp_path / "attack.json").read_text()


def test_a_bundle_with_affine_members_is_cleared_and_it_is_said_how_much_of_its_bounds_it_uses(bundles, tmp_path):
    arguments = [str(bundles["near"]), "--points", "40000", "--forged", "20000", "--each", "2", "--jobs", "1"]
    assert attack.main([*arguments, "--name", "near", "--out", str(tmp_path)]) == 0
    (bundle,) = json.loads((tmp_path / "near.json").read_text())["bundles"]
    made = {row["name"] for row in bundle["forgeries"]}
    assert {*FUNCTIONS} <= made
    assert {*bundle["not_made"]} == {*FORGERIES} - made
    for row in bundle["forgeries"]:
        assert 1 <= row["made"] <= 2
        assert row["rigorous_rejects"] == row["made"]
        assert row["exact_rejects"] == row["made"] * (not row["other_parent"])
        assert row["shown"] == row["made"] * row["differs"]
    close = bundle["tightness"]
    assert close["readouts"] == len(close["cells"]) == 5
    assert close["exact"] == "no"
    assert 0.5 < close["share"] == max(row["share"] for row in bundle["kinds"].values()) <= 1
    assert close["least"] == min(row["share"] for row in close["cells"])
    worst = close["worst"]
    served, point = dispatcher.load(bundles["near"]), np.float32([[float.fromhex(text) for text in worst["input"]]])
    parent = open_target(bundles["near"]).network.layers
    off = served.predict(point)[0].astype(float) - eval32(parent, point)[0]
    assert served.route(point) == worst["cell"]
    assert off[worst["output"]] == float.fromhex(worst["difference"])
    assert abs(off[worst["output"]]) / served.family.epsilon[worst["output"]].astype(float) == close["share"]
    page = (tmp_path / "near.md").read_text()
    assert f"{close['share']:.6f} of its bound, output {worst['output']} in cell {worst['cell']}" in page
    assert "exact members, no output differs" in page
    assert "promise is broken" not in page


def test_a_function_beyond_its_bounds_is_a_broken_promise(targets, tmp_path):
    forge = FUNCTIONS["an error that all nodes leave open, and a function beyond it"]
    path = write_draft(forge(draft_of(targets["near"]), np.random.default_rng(0)).draft, tmp_path / "bundle")
    assert attack.main([str(path), "--points", "20000", "--forged", "0", "--jobs", "1", "--out", str(tmp_path)]) == 1
    (bundle,) = json.loads((tmp_path / "attack.json").read_text())["bundles"]
    assert not bundle["accepted"] and not bundle["clean"]
    assert 1 < bundle["tightness"]["share"] < 1.2
    assert all(row["confirmed"] for row in bundle["kinds"].values() if row["different"])
    assert "**The promise is broken.**" in (tmp_path / "attack.md").read_text()


def test_a_difference_where_none_is_allowed_is_a_broken_promise(targets, tmp_path):
    forged = FORGERIES["a unit that is active often"](draft_of(targets["near"]), np.random.default_rng(0))
    path = write_draft(forged.draft, tmp_path / "bundle")
    assert attack.main([str(path), "--points", "20000", "--forged", "0", "--jobs", "1", "--out", str(tmp_path)]) == 1
    (bundle,) = json.loads((tmp_path / "attack.json").read_text())["bundles"]
    assert bundle["tightness"]["share"] is None
    assert bundle["tightness"]["exact"] == "some"
    assert "**The promise is broken where no difference is allowed.**" in (tmp_path / "attack.md").read_text()


def test_a_forged_bundle_is_not_cleared(targets, tmp_path):
    forged = FORGERIES["a unit that is active often"](draft_of(targets["dense"]), np.random.default_rng(0))
    path = write_draft(forged.draft, tmp_path / "bundle")
    assert attack.main([str(path), "--points", "5000", "--forged", "0", "--jobs", "1", "--out", str(tmp_path)]) == 1
    (bundle,) = json.loads((tmp_path / "attack.json").read_text())["bundles"]
    assert not bundle["accepted"] and not bundle["clean"]
    found = [row for row in bundle["kinds"].values() if row["different"]]
    assert found
    assert all(row["confirmed"] and row["largest"] > 0 for row in found)
    assert "NOT ACCEPTED" in (tmp_path / "attack.md").read_text()
