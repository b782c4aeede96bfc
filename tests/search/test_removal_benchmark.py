"""The comparison with removal by queries within a tolerance asks what it says, and explains every disagreement."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import assume, given, settings

import slicer
from dispatcher.interpret import evaluate_layer
from dispatcher.layers import Input, Relu, dense
from slicer.bounds.linear import Prepared
from slicer.box import Box
from slicer.network import Network
from slicer.search.evaluate import evaluate
from slicer.search.solvers.marabou import ask_marabou, installed
from slicer.search.solvers.milp import ask_milp
from slicer.search.verdict import TIME, UNCONFIRMED
from tests.benchmarks import removal
from tests.benchmarks.removal_page import _claims, _row, scaled, shares, why_kept
from tests.benchmarks.removal_probes import ask_solver, effect_probe, phase_probe, try_points
from tests.onnx_files import write_onnx
from tests.random_networks import chain, networks, random_box, seeds

TOLERANCE = 1e-4
SOLVER = "marabou" if installed() else "milp"
ASK = ask_marabou if installed() else ask_milp
CUBE = Box(np.float32([-1, -1]), np.float32([1, 1]))


def _network(outgoing=(1.0, 1.0, 1e-6, 1.0), biases=(-2.5, -1.99995, 0.0, 0.0)):
    """Units x₀ + x₁ + bias: inactive, active by 5e-5 at most, hardly read by the output, one that counts."""
    layers = (Input(2), dense(0, np.ones((4, 2)), np.array(biases)), Relu(1, 4), dense(2, np.array([outgoing])))
    return Network(layers)


def _settle(probe, box=CUBE):
    """The word for a probe."""
    seen = try_points(probe, box, np.random.default_rng(0))
    return seen if seen.at is not None else ask_solver(probe, box, ASK, 10.0, seen)


def _last_values(probe, points):
    """What the probe's last layer reads, at points ``[m, n_in]``."""
    return evaluate(probe.prepared, points)[-2]


@given(networks(), seeds)
@settings(deadline=None, max_examples=40)
def test_a_phase_probe_is_the_pre_activation_less_the_tolerance(network, seed):
    rng = np.random.default_rng(seed)
    points = random_box(rng, network.n_in, 1.0).sample(8, rng).astype(np.float64)
    values = evaluate(Prepared(network), points)
    assume(network.relu_layers)
    relu = int(rng.choice(network.relu_layers))
    unit = int(rng.integers(network.layers[relu].width))
    for sign in (1, -1):
        probe = phase_probe(network, (relu, unit), sign, TOLERANCE, np.zeros(network.relu_units, np.int8))
        expected = sign * values[network.layers[relu].sources[0]][:, unit] - TOLERANCE
        np.testing.assert_allclose(_last_values(probe, points)[:, 0], expected, atol=1e-9)


def _outputs(network, points, removed=None):
    """Outputs ``[m, n_out]``, without a unit (relu layer, unit)."""
    values = []
    for position, layer in enumerate(network.layers):
        values.append(evaluate_layer(layer, [values[s] for s in layer.sources]) if position else points.T.copy())
        if removed is not None and position == removed[0]:
            values[-1][removed[1]] = 0
    return values[-1].T.astype(np.float64)


@given(networks(), seeds)
@settings(deadline=None, max_examples=60)
def test_an_effect_probe_is_the_difference_that_the_unit_makes(network, seed):
    assume(network.relu_layers)
    rng, tolerance = np.random.default_rng(seed), 0.5
    points = random_box(rng, network.n_in, 1.0).sample(8, rng)
    relu = int(rng.choice(network.relu_layers))
    place = relu, int(rng.integers(network.layers[relu].width))
    outputs = _outputs(network, points)
    difference = outputs - _outputs(network, points, place)
    probe = effect_probe(network, place, tolerance, np.zeros(network.relu_units, np.int8))
    expected = np.concatenate([difference, -difference], axis=1) - tolerance
    np.testing.assert_allclose(
        _last_values(probe, points.astype(np.float64)), expected, atol=1e-4 * (1 + abs(outputs).max())
    )


def test_facts_of_the_copy_are_not_taken_from_the_parent():
    network = chain(np.random.default_rng(0), [2, 4, 4, 1])
    facts = np.full(8, -1, np.int8)
    assert effect_probe(network, (2, 0), TOLERANCE, facts).facts.tolist() == [-1] * 8 + [0] * 6
    assert phase_probe(network, (4, 1), 1, TOLERANCE, facts).facts.tolist() == [-1] * 4 + [0]


def test_each_kind_of_unit_is_told_from_the_others():
    network, facts = _network(), np.zeros(4, np.int8)
    silent = [_settle(phase_probe(network, (2, unit), 1, TOLERANCE, facts)) for unit in range(4)]
    assert [found.holds for found in silent] == [True, True, False, False]
    unseen = [_settle(effect_probe(network, (2, unit), TOLERANCE, facts)) for unit in range(4)]
    assert [found.holds for found in unseen] == [True, True, True, False]
    assert unseen[3].word == "point"
    linear = _network(biases=(3.0, 1.99995, 1.9, 0.0))
    active = [_settle(phase_probe(linear, (2, unit), -1, TOLERANCE, facts)) for unit in range(4)]
    assert [found.holds for found in active] == [True, True, False, False]


def test_a_contradicted_claim_comes_with_an_input_that_eval32_confirms():
    found = _settle(phase_probe(_network(), (2, 3), 1, TOLERANCE, np.zeros(4, np.int8)))
    assert found.word == "point"
    assert float(found.at.sum()) > TOLERANCE


@pytest.mark.parametrize(
    ("unit", "active", "effort", "expected"),
    [
        (0, -0.5, 2000, "proves it with effort 2,000"),
        (0, -0.5, None, "leaves it open"),
        (1, 5e-5, None, "it is active, by 5.0e-05"),
    ],
)
def test_reasons(unit, active, effort, expected):
    network, facts, rng = _network(), np.zeros(4, np.int8), np.random.default_rng(0)
    probes = {
        "inactive": phase_probe(network, (2, unit), 1, TOLERANCE, facts),
        "effect": effect_probe(network, (2, unit), TOLERANCE, facts),
    }
    seen = {kind: try_points(probe, CUBE, rng) for kind, probe in probes.items()}
    options = SimpleNamespace(tolerance=TOLERANCE, efforts=[2000])
    assert expected in why_kept("inactive", seen, active, effort, options)


def test_figures_are_extrapolated_within_a_kind():
    words = [
        ("inactive", "solver"),
        ("inactive", "time limit"),
        ("effect", "solver"),
        ("barely", "witness"),
        ("removed", "solver"),
    ]
    claims = [{"kind": kind, "word": word, "seconds": 1.0} for kind, word in words]
    cell = {"live": 40, "removed": 9, "open": {"inactive": 10, "barely": 4, "active": 0}, "claims": claims}
    assert scaled(cell, ("inactive", "effect", "barely"), lambda claim: claim["seconds"]) == 10 + 5 + 4
    assert shares([cell]) == {"inactive": 5 / 40, "all": 10 / 40, "removed": 1.0}


def test_units_that_nobody_was_asked_about_go_as_often_as_the_others():
    places = [(2, unit) for unit in range(8)]
    luck = {place: (place[1] + 0.5) / 8 for place in places}
    known = {(2, 0): False, (2, 5): True, (2, 6): False, (2, 7): False}  # a quarter
    assert removal.going(known, places, luck) == [(2, 1), (2, 5)]
    assert removal.going({}, places, luck) == []


def test_the_page_tells_witnesses_that_nobody_confirms_from_no_answer():
    words = ["bounds", "solver", "solver", "witness", UNCONFIRMED, UNCONFIRMED, UNCONFIRMED, TIME, "point"]
    claims = [{"kind": "barely", "word": word, "seconds": 2.0, "why": ""} for word in words]
    assert (
        _row("kept", 9, 8, _claims([{"claims": claims}], "barely")) == "| kept | 9 | 8 | 8 | 1 | 2 | 1 | 3 | 1 | 2.00 |"
    )


def test_sampling_by_share_takes_large_cells_more_often():
    shares_of = np.array([0.5, 0.25, 0.125, 0.125])
    for seed in range(10):
        assert np.bincount(removal.by_share(shares_of, 8, seed), minlength=4).tolist() == [4, 2, 1, 1]


def test_the_benchmark_on_a_tiny_network(tmp_path):
    model = write_onnx(tmp_path / "tiny.onnx", chain(np.random.default_rng(1), [3, 12, 12, 2]))
    bundle = slicer.compress(model, "0:1", tmp_path / "bundle", slicer.Options(cells=6, effort=1, jobs=1))
    words = ["--count", "2", "--units", "3", "--solver", SOLVER, "--efforts", "500", "--name", "tiny"]
    assert removal.main([str(bundle.path), *words, "--out", str(tmp_path)]) == 0
    record = json.loads((tmp_path / "tiny.json").read_text())
    assert len(record["cells"]) == 2
    for cell in record["cells"]:
        mac, claims = cell["mac"], cell["claims"]
        assert cell["searches"][0]["effort"] == 1 and cell["searches"][1]["removed"] >= cell["removed"]
        assert mac["both_all"] <= mac["both_inactive"] <= mac["ours"] <= record["parent_mac"]
        assert {claim["kind"] for claim in claims} <= {"inactive", "effect", "barely", "active", "removed"}
        confirmed = [claim["word"] for claim in claims if claim["kind"] == "removed"]
        assert len(confirmed) == min(3, cell["removed"]) and set(confirmed) <= {"bounds", "solver"}
        kept = [claim for claim in claims if claim["kind"] != "removed" and claim["word"] in ("bounds", "solver")]
        assert all(claim["why"] for claim in kept)
    page = (tmp_path / "tiny.md").read_text()
    tables = [
        line.count("|") for line in page.split("## Units")[1].split("## Work")[0].splitlines() if line.startswith("|")
    ]
    assert tables == [11] * 7  # a head, its rule, five questions
    assert "it confirms 100.0% in its time" in page
    reasons = sum(
        claim["kind"] != "active" and bool(claim["why"]) for cell in record["cells"] for claim in cell["claims"]
    )
    assert f"Of the units asked about, {reasons} may go by the solver and are kept by us" in page
    assert page.count("| keep | may go") == reasons
    assert str(tmp_path) not in page


def test_units_that_are_hardly_active_or_hardly_seen_are_explained_by_what_eval32_says(tmp_path):
    model = write_onnx(tmp_path / "tiny.onnx", _network())
    bundle = slicer.compress(model, "-1:1", tmp_path / "bundle", slicer.Options(cells=1, effort=50, jobs=1))
    words = ["--count", "1", "--solver", SOLVER, "--efforts", "--name", "hardly", "--out", str(tmp_path)]
    assert removal.main([str(bundle.path), *words]) == 0
    (cell,) = json.loads((tmp_path / "hardly.json").read_text())["cells"]
    whys = {(claim["kind"], claim["unit"][1]): claim["why"] for claim in cell["claims"] if claim["why"]}
    assert set(whys) == {("inactive", 1), ("barely", 2)}
    assert whys["inactive", 1].startswith("it is active, by 5.0e-05 at least, at x = (1, 1) (a pre-activation within")
    assert "; without it an output moves by 5.0e-05 at least" in whys["inactive", 1]
    assert whys["barely", 2].startswith(
        "it is active, by 2.0e+00 at least, at x = (1, 1); without it an output moves by"
    )
    assert "2 are active by little" in (tmp_path / "hardly.md").read_text()


def test_what_a_solver_without_time_would_not_remove_has_a_reason(tmp_path):
    model = write_onnx(tmp_path / "tiny.onnx", chain(np.random.default_rng(1), [3, 12, 12, 2]))
    bundle = slicer.compress(model, "0:1", tmp_path / "bundle", slicer.Options(cells=1, effort=200, jobs=1))
    words = ["--count", "1", "--units", "24", "--solver", SOLVER, "--deadline", "0", "--efforts", "--name", "none"]
    assert removal.main([str(bundle.path), *words, "--out", str(tmp_path)]) == 0
    (cell,) = json.loads((tmp_path / "none.json").read_text())["cells"]
    missed = [claim for claim in cell["claims"] if claim["kind"] == "removed" and claim["word"] != "bounds"]
    assert missed and all(claim["why"] == "no answer after 0 CPU s; we have a proof" for claim in missed)
    assert cell["mac"]["ours"] == cell["mac"]["both_inactive"] < cell["mac"]["solver_inactive"]
    assert "| removed | time limit |" in (tmp_path / "none.md").read_text()


def test_a_removal_that_a_witness_contradicts_is_an_error(tmp_path, monkeypatch):
    model = write_onnx(tmp_path / "tiny.onnx", chain(np.random.default_rng(1), [3, 12, 12, 2]))
    bundle = slicer.compress(model, "0:1", tmp_path / "bundle", slicer.Options(cells=1, effort=1, jobs=1))
    opened = removal.open_target(bundle.path)
    opened.removed[:] = True  # a lie: every unit
    monkeypatch.setattr(removal, "open_target", lambda _: opened)
    words = ["--count", "1", "--units", "24", "--solver", SOLVER, "--efforts", "--name", "lie", "--out", str(tmp_path)]
    assert removal.main([str(bundle.path), *words]) == 1
    assert "**UNSOUND**" in (tmp_path / "lie.md").read_text()
