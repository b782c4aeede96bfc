"""The comparison of provers runs, small, and is loud where two of them disagree."""

from __future__ import annotations

import json

import numpy as np
import pytest

from slicer.search.solvers.advice import Hint
from slicer.search.verdict import Open, Proved, Refuted
from tests.benchmarks import baselines
from tests.benchmarks.baselines_record import CellResult, Result, disagreements, set_record, table
from tests.benchmarks.prover_cells import around_digits, halved
from tests.onnx_files import write_onnx
from tests.random_networks import chain


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_onnx(tmp_path_factory.mktemp("model") / "tiny.onnx", chain(np.random.default_rng(1), [3, 12, 12, 2]))


def test_all_methods_on_a_tiny_network(model, tmp_path):
    pytest.importorskip("maraboupy", reason="maraboupy has no wheel for this Python")
    arguments = ["--domain", "0:1", "--cells", "1", "4", "--count", "1", "2", "--claims", "3", "--effort", "1", "200"]
    assert baselines.main([str(model), *arguments, "--joint", "10", "--name", "tiny", "--out", str(tmp_path)]) == 0
    record = json.loads((tmp_path / "tiny.json").read_text())
    assert [len(found["cells"]) for found in record["sets"]] == [1, 2]
    for found in record["sets"]:
        assert 0 < found["sample"] <= found["claims"] <= found["candidates"]
        assert len(found["verdicts"]) == found["claims"]
        assert found["disagreements"] == []
        rows = {row["method"]: row for row in found["rows"]}
        assert list(rows) == ["ours 1", "ours 200", "marabou", "joint", "layers", "milp"]
        assert rows["marabou"]["asked"] == rows["milp"]["asked"] == found["sample"]
        assert rows["joint"]["asked"] == rows["layers"]["asked"] == rows["ours 1"]["asked"] == found["claims"]
        assert rows["ours 1"]["share"] <= rows["ours 200"]["share"]
        for method in ("marabou", "joint", "layers", "milp"):  # a small network is easy for every solver
            assert rows[method]["share"] == rows[method]["sample_share"] == 1
            assert rows[method]["cpu_seconds"] > 0
    page = (tmp_path / "tiny.md").read_text()
    assert "No disagreements." in page
    assert str(tmp_path) not in page + (tmp_path / "tiny.json").read_text()


def _cell(**verdicts) -> CellResult:
    """A cell with one claim, unit 4 inactive."""
    results = {method: Result({4: verdict}, 1.0) for method, verdict in verdicts.items()}
    return CellResult(7, 1, {4: -1}, (4,), results)


WITNESS = np.float32([0.5, 0.1])


def test_a_witness_against_our_proof_is_unsound():
    cell = _cell(ours=Proved(-1), marabou=Refuted(WITNESS), milp=Open("time limit"))
    (found,) = disagreements(cell)
    assert found["unsound"] and found["wrong"] == ["ours"]
    assert [float.fromhex(x) for x in found["witnesses"]["marabou"]] == WITNESS.tolist()
    assert "**UNSOUND** cell 7, unit 4, phase -1: ours" in "\n".join(table(set_record("set", [cell])))


def test_a_witness_against_a_hint_shows_a_solver_wrong():
    (found,) = disagreements(_cell(ours=Refuted(WITNESS), marabou=Hint("marabou", -1), milp=Refuted(WITNESS)))
    assert not found["unsound"]
    assert (found["wrong"], list(found["witnesses"])) == (["marabou"], ["ours", "milp"])


def test_a_record_counts_what_solvers_add_to_ours():
    cell = _cell(ours=Open("effort spent"), marabou=Refuted(WITNESS), milp=Open("time limit"))
    rows = {row["method"]: row for row in set_record("set", [cell])["rows"]}
    assert [row["left_open_by_us"] for row in rows.values()] == [1, 1, 1]
    assert [row["of_these_decided"] for row in rows.values()] == [0, 1, 0]
    assert [row["share"] for row in rows.values()] == [0, 1, 0]
    assert (rows["marabou"]["cpu_per_decided"], rows["milp"]["cpu_per_decided"]) == (1.0, None)
    lines = "\n".join(table(set_record("set", [cell])))
    assert "| (a) Marabou, one query per unit | 1 | 0 | 1 | 100.0% | 100.0% | 1 | 1.00 | 1 | – |" in lines
    assert "| (c) MILP, one per unit | 1 | 0 | 0 | 0.0% | 0.0% | 0 | 1.00 | – | – |" in lines


def test_open_claims_disagree_with_nobody():
    assert disagreements(_cell(ours=Open("effort spent"), marabou=Refuted(WITNESS), milp=Open("time limit"))) == []
    assert disagreements(_cell(ours=Proved(-1), marabou=Hint("marabou", -1))) == []


def test_unsoundness_is_the_exit_code(model, tmp_path, monkeypatch):
    cell = _cell(ours=Proved(-1), marabou=Refuted(WITNESS))
    monkeypatch.setattr(baselines, "run", lambda *_: [cell])
    arguments = ["--domain", "0:1", "--cells", "1", "--count", "1", "--out", str(tmp_path)]
    assert baselines.main([str(model), *arguments]) == 1


def test_sets_of_cells_are_seeded_parts_of_a_domain(model):
    few, many = halved(model, "0:1", 16, 3), halved(model, "0:1", 16, 100)
    assert few.numbers == many.numbers[:3]
    assert sorted(many.numbers) == list(range(16))
    assert sum(box.volume for box in many.boxes) == pytest.approx(1)
    assert halved(model, "0:1", 16, 3, seed=1).numbers != few.numbers


def test_boxes_around_digits_stay_in_the_domain():
    pytest.importorskip("sklearn")
    found = around_digits(4, 0.05)
    assert len(found.boxes) == 4
    for box in found.boxes:
        assert (box.lower >= 0).all() and (box.upper <= 16).all()
        width = box.upper - box.lower
        assert (width >= 0.8 - 1e-6).all() and (width <= 1.6 + 1e-6).all()
