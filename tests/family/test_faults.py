"""A cell whose search crashes keeps its units and is named; everything else is as if nothing had happened."""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path

import numpy as np
import pytest

import slicer
from slicer.box import Box
from slicer.cli import main
from slicer.family import pipeline
from slicer.family.cell import CellWorker
from slicer.family.kept import GIVEN_UP, Keeper
from slicer.family.terms import Terms
from slicer.network import Network
from slicer.summary import summarize, summary_lines
from tests.family import faults
from tests.onnx_files import write_onnx
from tests.random_networks import chain, mixed

OPTIONS = slicer.Options(cells=7, effort=40, jobs=2)


@pytest.fixture(scope="module")
def network() -> Network:
    return chain(np.random.default_rng(11), [3, 16, 16, 2])


@pytest.fixture(scope="module")
def model(network, tmp_path_factory) -> Path:
    return write_onnx(tmp_path_factory.mktemp("model") / "net.onnx", network)


@pytest.fixture(scope="module")
def healthy(model, tmp_path_factory) -> slicer.Bundle:
    return slicer.compress(model, "0:1", tmp_path_factory.mktemp("healthy") / "bundle", OPTIONS)


REASONS = {
    faults.Crashing: "its search killed the worker process twice",
    faults.Raising: r"its search raised RuntimeError at faults.py:\d+: cell \d is not for me$",
}


@pytest.mark.parametrize("fault", REASONS)
def test_a_poisoned_cell_keeps_its_units_and_is_named(model, healthy, fault, tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline, "_Search", fault)
    bundle = slicer.compress(model, "0:1", tmp_path / "bundle", OPTIONS)
    assert not bundle.truncated
    assert slicer.audit(bundle.path).accepted
    for cell, (count, other) in enumerate(zip(bundle.counts, healthy.counts, strict=True)):
        if cell in faults.POISONED:
            assert count.removed == 0 < other.removed
            assert count.gate.startswith(GIVEN_UP)
        else:
            assert count == other
            name = f"certificates/{cell:06d}.json"
            assert (bundle.path / name).read_bytes() == (healthy.path / name).read_bytes()
    summary = summarize(bundle)
    assert set(summary["given_up"]) == {str(cell) for cell in faults.POISONED}
    assert summary["refused_cells"] == summary["truncated_cells"] == 0
    named = [line for line in summary_lines(summary) if line.startswith("given up")]
    for line, cell in zip(named, sorted(faults.POISONED), strict=True):
        assert re.search(rf" {cell}   keeps all units: {REASONS[fault]}", line)
    searched = json.loads((bundle.path / "search.json").read_bytes())["cells"]
    assert {cell["cell"] for cell in searched if cell["gate"] != "accepted"} == faults.POISONED


def test_workers_killed_now_and_then_change_nothing(model, healthy, tmp_path, monkeypatch):
    (tmp_path / "marks").mkdir()
    fault = functools.partial(faults.Killing, folder=tmp_path / "marks", cells=frozenset({0, 5}))
    monkeypatch.setattr(pipeline, "_Search", fault)
    bundle = slicer.compress(model, "0:1", tmp_path / "bundle", OPTIONS)
    assert len(list((tmp_path / "marks").iterdir())) == 2
    assert bundle.digest == healthy.digest


def test_given_up_cells_are_not_kept_for_a_resumed_run(model, healthy, tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline, "_Search", faults.Raising)
    monkeypatch.setattr("slicer.family.compress.Staging.finish", _fail)
    with pytest.raises(RuntimeError, match="on purpose"):
        slicer.compress(model, "0:1", tmp_path / "bundle", OPTIONS)
    monkeypatch.undo()
    bundle = slicer.compress(model, "0:1", tmp_path / "bundle", OPTIONS, resume=True)
    assert bundle.reused == OPTIONS.cells - len(faults.POISONED)
    assert bundle.digest == healthy.digest


def _fail(*_arguments: object, **_options: object) -> None:
    raise RuntimeError("on purpose")


def test_the_command_names_the_cell(model, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(pipeline, "_Search", faults.Raising)
    words = ["compress", str(model), "--domain=0:1", "--cells", "3", "--effort", "5", "--out", str(tmp_path / "b")]
    assert main([*words, "--jobs", "2", "--json", str(tmp_path / "record")]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("given up")]
    assert len(lines) == 1
    assert "keeps all units: its search raised RuntimeError at faults.py:" in lines[0]
    assert list(json.loads((tmp_path / "record").read_text())["given_up"]) == ["1"]


@pytest.mark.parametrize("kind", ["chain", "mixed"])
def test_what_is_kept_is_what_a_search_without_time_leaves(kind, network):
    parent = (network if kind == "chain" else mixed(np.random.default_rng(3))).content
    box = Box(np.full(3, 0.25, np.float32), np.full(3, 0.5, np.float32))
    keeper, worker = Keeper(parent), CellWorker(parent)
    assert keeper.result(5, box) == worker.run(5, box, Terms(10, 0, end=0.0))
    kept = keeper.result(5, box, "of this test")
    assert (kept.counts.gate, kept.counts.truncated) == ("given up: of this test", False)
