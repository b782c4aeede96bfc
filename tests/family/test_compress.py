"""`compress` writes complete, deterministic, accepted bundles whose family returns the parent's bits."""

from __future__ import annotations

import json
import os
import tracemalloc
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import dispatcher
import slicer
from dispatcher.errors import UnusableInput
from dispatcher.interpret import eval32
from dispatcher.plan import Leaf
from dispatcher.vectors import border_points, corner_points, random_points
from slicer.family import compress
from slicer.family.kept import Keeper
from tests.onnx_files import write_onnx
from tests.random_networks import chain

OPTIONS = slicer.Options(cells=5, effort=60, jobs=2)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    network = chain(np.random.default_rng(11), [3, 16, 16, 2])
    return write_onnx(tmp_path_factory.mktemp("model") / "net.onnx", network)


@pytest.fixture(scope="module")
def bundle(model, tmp_path_factory) -> slicer.Bundle:
    return slicer.compress(model, "0:1", tmp_path_factory.mktemp("out") / "bundle", OPTIONS)


def test_the_audit_accepts_and_something_was_removed(bundle):
    result = slicer.audit(bundle.path)
    assert result.accepted, result.rejections
    assert result.count("removed") > 0
    assert len(result.cells) == 5


def test_the_family_returns_the_parent_s_bits(bundle, model):
    rng = np.random.default_rng(0)
    family = bundle.family
    points = np.concatenate([
        random_points(family, 5000, rng), corner_points(family, 64, rng), *border_points(family, 200, rng)
    ])  # fmt: skip
    loaded = dispatcher.load(bundle.path)
    expected = eval32(slicer.read_network(model).layers, points)
    np.testing.assert_array_equal(loaded.predict(points), expected)
    assert set(loaded.route(points)) == set(range(5))


def test_any_number_of_jobs_gives_the_same_digest(bundle, model, tmp_path):
    for jobs in (1, 3):
        options = slicer.Options(cells=5, effort=60, jobs=jobs)
        assert slicer.compress(model, "0:1", tmp_path / f"jobs{jobs}", options).digest == bundle.digest


def test_the_seed_and_the_effort_are_recorded(bundle):
    manifest = json.loads((bundle.path / "manifest.json").read_bytes())
    assert manifest["options"] == {
        "mode": "bitwise",
        "decision": "none",
        "epsilon": "none",
        "cells": 5,
        "cuts": "adaptive",
        "parts": 1,
        "members": "any",
        "flash": "any",
        "layout": "packed",
        "samples": "none",
        "effort": 60,
        "seed": 0,
        "time-limit": "none",
        "adviser": "none",
        "trust": "certified",
    }
    assert manifest["truncated"] is False
    assert manifest["source"] == "parent.onnx"


def test_more_effort_never_removes_less(bundle, model, tmp_path):
    removed = {}
    for effort in (1, 20):
        result = slicer.compress(model, "0:1", tmp_path / str(effort), slicer.Options(cells=2, effort=effort, jobs=2))
        removed[effort] = sum(count.removed for count in result.counts)
        assert all(count.boxes <= effort for count in result.counts)
    assert removed[20] >= removed[1] > 0


def test_a_time_limit_is_a_recorded_safety_stop(model, tmp_path):
    options = slicer.Options(cells=4, effort=10_000, time_limit=1e-6, jobs=2)
    result = slicer.compress(model, "0:1", tmp_path / "late", options)
    assert result.truncated
    assert json.loads((result.path / "manifest.json").read_bytes())["truncated"] is True
    assert slicer.audit(result.path).accepted


def test_an_existing_destination_is_left_alone(model, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("precious")
    with pytest.raises(UnusableInput, match="expected a directory that does not exist yet"):
        slicer.compress(model, "0:1", tmp_path / "mine", OPTIONS)
    assert (tmp_path / "mine" / "file").read_text() == "precious"


def test_a_failure_before_the_first_cell_leaves_nothing_behind(model, tmp_path, monkeypatch):
    def fail(*_arguments: object) -> None:
        raise RuntimeError("disk on fire")

    monkeypatch.setattr(compress, "Staging", fail)
    with pytest.raises(RuntimeError, match="disk on fire"):
        slicer.compress(model, "0:1", tmp_path / "bundle", OPTIONS)
    assert list(tmp_path.iterdir()) == []


class _Bulky:
    """Workers whose certificates are large."""

    def __init__(self, parent: bytes, size: int) -> None:
        self.keeper, self.size = Keeper(parent), size

    def run(self, job, places):
        for place in places:
            block, _ = job.entry(place)
            kept = self.keeper.result(block.first, block.boxes[0])
            yield place, [replace(kept, certificate=os.urandom(self.size))]


def test_memory_grows_by_the_tables_and_not_by_the_certificates(model, tmp_path, monkeypatch):
    parent = slicer.read_network(model).content

    def peak(cells: int) -> int:
        monkeypatch.setattr(compress, "_workers", lambda _options: nullcontext(_Bulky(parent, 50_000)))
        tracemalloc.start()
        try:
            slicer.compress(model, "0:1", tmp_path / str(cells), slicer.Options(cells=cells, cuts="uniform"))
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    # Boxes, tree, counts and digests take about 4.5 kB a cell in this process.
    assert peak(200) - peak(20) < 180 * 15_000


def test_a_time_limit_that_stops_the_choice_of_cuts_is_recorded(model, tmp_path, monkeypatch):
    monkeypatch.setattr(compress, "CUTTING", 0.0)
    options = slicer.Options(cells=4, effort=20, time_limit=60, jobs=2)
    result = slicer.compress(model, "0:1", tmp_path / "late", options)
    assert result.truncated
    assert not any(count.truncated for count in result.counts)
    uniform = slicer.compress(model, "0:1", tmp_path / "halves", replace(options, cuts="uniform"))
    assert {node for node in result.family.tree if isinstance(node, Leaf)} == set(map(Leaf, range(4)))
    assert result.family.tree == uniform.family.tree


def test_options_that_are_none_are_refused():
    with pytest.raises(UnusableInput, match="--cuts: expected adaptive, uniform, got 'wild'"):
        slicer.Options(cuts="wild")
