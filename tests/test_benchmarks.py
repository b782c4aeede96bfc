"""The benchmarks run, small: what they report on a tiny network is complete and says that everything agreed."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

from dispatcher.host import host_compiler
from slicer.family.options import PARTS
from tests.benchmarks import acasxu, baselines, beyond, family, halfspaces, ideas, prover
from tests.onnx_files import write_onnx
from tests.random_networks import chain


@pytest.mark.skipif(host_compiler() is None, reason="no C compiler on this machine")
def test_the_whole_way_benchmark(tmp_path, capsys):
    model = write_onnx(tmp_path / "tiny.onnx", chain(np.random.default_rng(1), [3, 12, 12, 2]))
    arguments = [
        "--domain",
        "0:1",
        "--cells",
        "1",
        "6",
        "--effort",
        "40",
        "--points",
        "20000",
        "--rounding-boxes",
        "50",
    ]
    assert acasxu.main([str(model), *arguments, "--name", "tiny", "--out", str(tmp_path)]) == 0
    record = json.loads((tmp_path / "tiny.json").read_text())
    one, six = record["runs"]
    for run in (one, six):
        assert run["accepted"] is True
        assert run["different"] == run["failed"] == 0
        assert run["points"] >= 20_000
        assert run["family_skipping_mac"] <= run["mac_mean"]
    assert six["mac_mean"] <= one["mac_mean"] <= one["parent_mac"]
    rounding = record["rounding"]
    proved = [rounding[name] for name in ("proved_there", "affine_refined", "affine_domain", "worst_case")]
    assert 0 < rounding["seen"] <= proved[0]
    assert proved == sorted(proved)
    page = (tmp_path / "tiny.md").read_text()
    assert "outputs that differ; calls that failed | 0; 0 | 0; 0 |" in page
    assert str(tmp_path) not in page


def test_the_beyond_benchmark(tmp_path):
    model = write_onnx(tmp_path / "tiny.onnx", chain(np.random.default_rng(5), [2, 10, 10, 4]))
    arguments = ["--domain=-1:1", "--decision", "argmin", "--epsilon", "3%", "--cells", "8", "--effort", "50"]
    assert beyond.main([str(model), *arguments, "--jobs", "1", "--name", "tiny", "--out", str(tmp_path)]) == 0
    record = json.loads((tmp_path / "tiny.json").read_text())
    decision, epsilon = record["runs"]
    for run in (decision, epsilon):
        assert run["different"] == 0
        assert 0 < run["free"] < 1
        assert run["mac_mean"] < run["bitwise_mac"] < run["parent_mac"]
        assert 8 < run["leaves"] <= 8 * PARTS
        assert run["mac_mean"] <= run["masked_mac_mean"] < run["parent_mac"]
        assert run["masked_flash"] < run["flash"]
    assert 0 < epsilon["used"] <= 1
    masked = f"{epsilon['masked_mac_mean']:,.0f} | {epsilon['masked_flash']:.2f}"
    assert 0 < epsilon["readout"] <= 1 - epsilon["free"] + 1e-9
    assert 0 < epsilon["rounding"] < 0.01
    last = f"{epsilon['flash']:.2f} | {masked} | {epsilon['rounding']:.2%} | {epsilon['used']:.2f} |"
    assert last in (tmp_path / "tiny.md").read_text()
    assert f"| tiny | argmin | 8 ({decision['leaves']}) | 50 |" in (tmp_path / "tiny.md").read_text()
    new = ("masked_", "readout", "rounding")
    older = {key: value for key, value in epsilon.items() if not key.startswith(new)}
    page = "\n".join(beyond.page({**record, "runs": [decision, older]}))
    assert f"{epsilon['flash']:.2f} | – | – | – | {epsilon['used']:.2f} |" in page


def test_a_halfspace_leaf_bounds_every_input_with_its_signs():
    """Otherwise the figures that speak against such routing would be too good, or too bad."""
    rng = np.random.default_rng(0)
    sizes = [6, 8, 5, 2]
    weights = tuple(rng.normal(size=(n, m)) for m, n in itertools.pairwise(sizes))
    net = halfspaces.Net(weights, tuple(rng.normal(size=n) * 0.3 for n in sizes[1:]))
    points = rng.random((20_000, 6))
    first = points @ weights[0].T + net.biases[0]
    unit = int(np.abs((first > 0).mean(axis=0) - 0.5).argmin())
    for sign in (-1, 1):
        chosen = np.where(first[:, unit] > 0, 1, -1) == sign
        found = halfspaces.leaf(net, ((unit, sign),), chosen)
        second = np.maximum(first[chosen], 0) @ weights[1].T + net.biases[1]
        tolerance = 1e-6
        assert (found.lower - tolerance <= first[chosen].min(axis=0)).all()
        assert (found.upper + tolerance >= first[chosen].max(axis=0)).all()
        assert (found.second + tolerance >= second.max(axis=0)).all()
        decided = found.upper[unit] if sign < 0 else found.lower[unit]
        assert decided == pytest.approx(0, abs=tolerance)


def test_the_provers_page_shows_earlier_runs_solvers_and_ideas(tmp_path):
    model = write_onnx(tmp_path / "net.onnx", chain(np.random.default_rng(1), [2, 6, 6, 1]))
    cells = [str(model), "--domain", "0:1", "--cells", "2", "--count", "1", "--out", str(tmp_path)]
    assert prover.main([*cells, "--effort", "1", "--jobs", "1", "--name", "first"]) == 0
    assert baselines.main([*cells, "--methods", "milp", "--effort", "5", "--deadline", "2"]) == 0
    assert (
        ideas.main(
            [str(model), "--domain", "0:1", "--cells", "2", "--count", "1", "--effort", "5", "--out", str(tmp_path)]
        )
        == 0
    )
    shown = {"runs": "first", "baselines": "baselines", "ideas": "ideas"}
    further = [word for name, file in shown.items() for word in (f"--{name}", str(tmp_path / f"{file}.json"))]
    assert prover.main([*cells, *further, "--effort", "20", "--jobs", "1"]) == 0
    page = (tmp_path / "prover.md").read_text()
    assert [run["effort"] for run in json.loads((tmp_path / "prover.json").read_text())["runs"]] == [1, 20]
    assert page.count("`python -m tests.benchmarks.prover ") == 2
    assert "## The prover and solvers on the same claims" in page
    assert "## Ideas for the search" in page
    assert str(tmp_path) not in page
    assert (tmp_path / "prover.png").stat().st_size > 1000


def test_the_family_benchmark(tmp_path, capsys):
    model = write_onnx(tmp_path / "tiny.onnx", chain(np.random.default_rng(1), [3, 12, 12, 2]))
    words = [str(model), "--domain", "0:1", "--effort", "20", "--jobs", "2", "--name", "tiny", "--out", str(tmp_path)]
    assert family.main([*words, "--cells", "6"]) == 0
    assert family.main([*words, "--cells", "6", "3", "--cuts", "adaptive", "--add"]) == 0
    record = json.loads((tmp_path / "tiny.json").read_text())
    assert [(run["cells"], run["cuts"]) for run in record["runs"]] == [
        (6, "uniform"), (6, "adaptive"), (3, "adaptive")
    ]  # fmt: skip
    for run in record["runs"]:
        assert run["accepted"] is True
        packed, masked, chosen = run["layouts"]["packed"], run["layouts"]["masked"], run["joined"]["chosen"]
        assert packed["mac_mean"] <= min(run["parent_mac"], masked["mac_mean"])
        assert chosen["flash"] <= 2 * run["parent_flash"]
        assert chosen["mac_mean"] >= packed["mac_mean"]
    page = (tmp_path / "tiny.md").read_text()
    assert page.count("| tiny | 20 | 6 | adaptive |") == 2
    assert str(tmp_path) not in page
    assert (tmp_path / "tiny.png").stat().st_size > 0
