"""The benchmark runs, small: it clears accepted bundles, and shows what it finds in forged ones."""

from __future__ import annotations

import json

import numpy as np
import pytest

from dispatcher.host import host_compiler
from tests.attack.forge import draft_of, write_draft
from tests.attack.forgeries import FORGERIES
from tests.attack.hunt import KINDS
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
