"""The cell measure: samples are read with care, and expectations are means over them."""

from __future__ import annotations

import json

import numpy as np
import pytest

import slicer
from dispatcher.cost import cost
from dispatcher.encode import digest
from dispatcher.errors import UnusableInput
from dispatcher.load import load
from dispatcher.plan import member_layers
from slicer.box import Box
from slicer.family.measure import read_samples
from slicer.partition import halve, leaves, routing_tree
from slicer.summary import summarize, summary_lines
from tests.onnx_files import write_onnx
from tests.random_networks import chain

SQUARE = Box(np.zeros(2, np.float32), np.ones(2, np.float32))


def test_the_summary_s_means_are_those_over_the_samples(tmp_path):
    model = write_onnx(tmp_path / "net.onnx", chain(np.random.default_rng(11), [3, 16, 16, 2]))
    samples = np.random.default_rng(0).beta(1, 6, (500, 3)).astype(np.float32)
    np.save(tmp_path / "samples.npy", samples)
    options = slicer.Options(cells=6, effort=60, jobs=2, samples=tmp_path / "samples.npy")
    bundle = slicer.compress(model, "0:1", tmp_path / "bundle", options)
    found, family = summarize(bundle), bundle.family
    routes = load(bundle.path).route(samples)
    macs = [cost(member_layers(family.parent, family.members[family.cells[cell]])).mac for cell in routes]
    assert found["mac_mean"] == pytest.approx(np.mean(macs))
    assert found["weighted_by"] == "samples"
    assert any("weighted by samples" in line for line in summary_lines(found))
    assert bundle.measures.sum() == pytest.approx(1)
    recorded = json.loads((bundle.path / "manifest.json").read_bytes())["options"]["samples"]
    assert recorded == digest((tmp_path / "samples.npy").read_bytes())
    assert slicer.audit(bundle.path).accepted


def test_uniform_cuts_halve_whatever_the_samples_are(tmp_path):
    model = write_onnx(tmp_path / "net.onnx", chain(np.random.default_rng(11), [2, 8, 2]))
    (tmp_path / "samples.csv").write_text("x,y\n0.1,0.2\n0,1\n")
    options = slicer.Options(cells=4, effort=5, jobs=1, cuts="uniform", samples=tmp_path / "samples.csv")
    bundle = slicer.compress(model, "0:1", tmp_path / "bundle", options)
    assert bundle.family.tree == routing_tree(halve(SQUARE, 4))
    assert len(leaves(halve(SQUARE, 4))) == len(bundle.measures)
    assert sorted(bundle.measures) == [0, 0, 0.5, 0.5]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("0.5,0.5\n0.5,1.5\n", "expected samples of the domain, from 0.0 to 1.0, got 1.5 (row 1, input 1)"),
        ("0.5,nan\n", "expected a number, got nan (row 0, input 1)"),
        ("0.5\n", "expected an array of shape [batch, 2] or [2], got [1, 1] (inputs)"),
        ("x,y\n", "expected rows of samples, got an array of shape [0, 2]"),
    ],
)
def test_unusable_samples_are_one_clear_error(tmp_path, content, message):
    path = tmp_path / "samples.csv"
    path.write_text(content)
    with pytest.raises(UnusableInput) as error:
        read_samples(path, SQUARE)
    assert str(error.value) == f"{path}: {message}"


def test_a_list_of_numbers_is_no_table(tmp_path):
    np.save(tmp_path / "samples.npy", np.zeros(2, np.float32))
    with pytest.raises(UnusableInput, match="expected rows of samples, got an array of shape"):
        read_samples(tmp_path / "samples.npy", SQUARE)
