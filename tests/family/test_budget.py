"""Budgets: what is written keeps them, by measure; joined cells still have proofs of their own; the summary says so."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

import slicer
from dispatcher.cli import main as dispatcher_main
from dispatcher.emit_c99 import table_sizes
from dispatcher.errors import UnusableInput
from dispatcher.interpret import eval32
from dispatcher.load import load
from dispatcher.vectors import border_points, random_points
from slicer.box import Box
from slicer.cli import main
from slicer.family.cell import CellWorker
from slicer.family.checkpoint import partial_folder
from slicer.family.gate import Gate, Gone
from slicer.family.proof import read_proof
from slicer.family.terms import Terms
from slicer.report.budget_chart import budget_svg
from slicer.summary import summarize, summary_lines
from tests.family.runs import kill, start, until_cells
from tests.onnx_files import write_onnx
from tests.random_networks import chain

CELLS = 12


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    network = chain(np.random.default_rng(11), [3, 24, 24, 2])
    return write_onnx(tmp_path_factory.mktemp("model") / "net.onnx", network)


def _compress(model: Path, out: Path, **options) -> slicer.Bundle:
    return slicer.compress(model, "0:1", out, slicer.Options(cells=CELLS, effort=60, jobs=2, **options))


@pytest.fixture(scope="module")
def free(model, tmp_path_factory) -> slicer.Bundle:
    return _compress(model, tmp_path_factory.mktemp("free") / "bundle")


@pytest.fixture(scope="module")
def three(model, tmp_path_factory) -> slicer.Bundle:
    return _compress(model, tmp_path_factory.mktemp("three") / "bundle", members=3)


def test_without_a_budget_every_live_set_is_a_member_and_none_is_chosen(free):
    assert free.budget is None
    assert free.layout == "packed"
    assert len(free.family.members) > 6


def test_joined_cells_are_accepted_and_return_the_parent_s_bits(three, model):
    family = three.family
    assert len(family.members) == 3
    assert len(family.cells) == CELLS
    rng = np.random.default_rng(0)
    points = np.concatenate([random_points(family, 3000, rng), *border_points(family, 100, rng)])
    parent = slicer.read_network(model).layers
    np.testing.assert_array_equal(load(three.path).predict(points), eval32(parent, points))
    result = slicer.audit(three.path)
    assert result.accepted, result.rejections
    assert result.count("removed") == sum(count.removed for count in three.counts)


def test_a_certificate_claims_what_all_cells_of_its_member_can_and_proves_no_more(free, three):
    removed = {}
    for bundle in (free, three):
        files = sorted((bundle.path / "certificates").iterdir())
        records = [json.loads(file.read_bytes()) for file in files]
        removed[bundle] = {
            record["cell"]: {(layer, unit) for layer, units in record["removed"] for unit in units}
            for record in records
        }
    assert free.family.tree == three.family.tree
    for cell, units in removed[three].items():
        mates = [mate for mate in range(CELLS) if three.family.cells[mate] == three.family.cells[cell]]
        assert units == set.intersection(*(removed[free][mate] for mate in mates))
    size = {bundle: sum(file.stat().st_size for file in (bundle.path / "certificates").iterdir()) for bundle in removed}
    assert size[three] < size[free]
    assert len(list((three.path / "family" / "members").iterdir())) == 3


def test_joining_costs_work_and_saves_flash_as_the_summary_says(free, three):
    before, after = summarize(free), summarize(three)
    assert after["mac_mean"] > before["mac_mean"]
    assert table_sizes(free.family).flash > table_sizes(three.family).flash == three.budget.chosen.flash
    assert after["mac_mean"] == pytest.approx(three.budget.chosen.mac_mean)
    assert after["mac_max"] == three.budget.chosen.mac_max
    assert three.budget.binding == ("--members",)
    lines = summary_lines(after)
    assert any("--members binds" in line for line in lines)
    assert any(line.split()[:2] == ["layout", "packed"] for line in lines)
    assert sum(line.lstrip().startswith("* packed") for line in lines) == 1
    json.dumps(after)


def test_steps_are_a_front_with_the_chosen_family_on_it(three):
    steps = three.budget.steps
    assert three.budget.chosen in steps
    assert [step.flash for step in steps] == sorted(step.flash for step in steps)
    others = [step.mac_mean for step in steps if step != three.budget.chosen]
    assert others == sorted(others, reverse=True)
    assert steps[-1].members == CELLS or steps[-1].mac_mean <= three.budget.chosen.mac_mean


@pytest.mark.parametrize("layout", ["auto", "packed", "masked"])
def test_flash_is_a_measured_limit(free, model, tmp_path, layout):
    budget = (table_sizes(free.family).flash + 3 * table_sizes(free.family, "masked").flash) // 4
    bundle = _compress(model, tmp_path / "bundle", flash=budget, layout=layout)
    assert table_sizes(bundle.family, bundle.layout).flash <= budget
    assert layout in ("auto", bundle.layout)
    assert ("--flash" in bundle.budget.binding) == (bundle.layout == "packed" or layout == "auto")
    larger = [step for step in bundle.budget.steps if step.mac_mean < bundle.budget.chosen.mac_mean]
    assert all(step.flash > budget for step in larger)
    options = json.loads((bundle.path / "manifest.json").read_bytes())["options"]
    assert (options["layout"], options["flash"], options["members"]) == (bundle.layout, budget, "any")
    assert slicer.audit(bundle.path).accepted


def test_the_chosen_layout_is_what_emit_writes(model, tmp_path, capsys):
    bundle = _compress(model, tmp_path / "bundle", layout="masked")
    assert bundle.layout == "masked"
    for name, words in {"chosen": [], "masked": ["--layout", "masked"], "packed": ["--layout", "packed"]}.items():
        assert (
            dispatcher_main(["emit", str(bundle.path), "--target", "c99", "--out", str(tmp_path / name), *words]) == 0
        )
    data = {name: (tmp_path / name / "family_data.c").read_bytes() for name in ("chosen", "masked", "packed")}
    assert data["chosen"] == data["masked"] != data["packed"]
    capsys.readouterr()
    assert dispatcher_main(["report", str(bundle.path)]) == 0
    assert "layout masked was chosen" in capsys.readouterr().out


def test_a_budget_that_nothing_keeps_is_one_clear_error_and_keeps_the_cells(model, tmp_path):
    with pytest.raises(UnusableInput, match=r"--flash: expected a larger budget than 100 bytes \(.* bytes are enough"):
        _compress(model, tmp_path / "bundle", flash=100)
    assert len(list((partial_folder(tmp_path / "bundle") / "cells").iterdir())) == CELLS
    options = slicer.Options(cells=CELLS, effort=60, jobs=2, members=2)
    bundle = slicer.compress(model, "0:1", tmp_path / "bundle", options, resume=True)
    assert bundle.reused == CELLS
    assert len(bundle.family.members) == 2


def test_a_killed_run_ends_in_the_same_joined_bundle(three, model, tmp_path):
    out = tmp_path / "bundle"
    process = start(model, out, "--cells", str(CELLS), "--effort", "60", "--members", "3", "--jobs", "2")
    until_cells(process, out, 4)
    kill(process)
    options = slicer.Options(cells=CELLS, effort=60, jobs=1, members=3)
    assert slicer.compress(model, "0:1", out, options, resume=True).digest == three.digest


def test_the_command_prints_the_table_and_writes_it_as_json(model, tmp_path, capsys):
    words = ["compress", str(model), "--domain=0:1", "--cells", "4", "--effort", "20", "--jobs", "1", "--quiet"]
    assert main([*words, "--members", "1", "--out", str(tmp_path / "b"), "--json", str(tmp_path / "record.json")]) == 0
    record = json.loads((tmp_path / "record.json").read_text())
    assert record["members"] == 1
    assert record["budget"]["chosen"] in record["budget"]["steps"]
    assert record["budget"]["binding"] == ["--members"]
    assert "flash, bytes" in capsys.readouterr().out


def test_the_plot_has_every_step_and_marks_the_chosen_one(model, tmp_path, capsys):
    words = ["compress", str(model), "--domain=0:1", "--cells", "4", "--effort", "20", "--jobs", "1", "--quiet"]
    files = ["--json", str(tmp_path / "record.json"), "--plot", str(tmp_path / "plot.svg")]
    assert main([*words, "--members", "2", "--out", str(tmp_path / "b"), *files]) == 0
    budget = json.loads((tmp_path / "record.json").read_text())["budget"]
    shapes = ET.parse(tmp_path / "plot.svg").getroot().findall(".//{http://www.w3.org/2000/svg}rect")
    assert len(budget["steps"]) > 1

    def centres(name: str) -> list[tuple[float, float]]:
        own = [shape.attrib for shape in shapes if shape.get("class") == name]
        return [tuple(float(one[at]) + float(one["width"]) / 2 for at in "xy") for one in own]

    mean, largest = centres("mean"), centres("max")
    assert len(mean) == len(largest) == len(budget["steps"])
    place = budget["steps"].index(budget["chosen"])
    assert sorted(centres("chosen")) == sorted([mean[place], largest[place]])
    assert [x for x, _ in mean] == sorted(x for x, _ in mean)  # more flash is further right
    heights = {step["mac_mean"]: -y for step, (_, y) in zip(budget["steps"], mean, strict=True)}
    assert sorted(heights.values()) == [heights[mac] for mac in sorted(heights)]  # more work is higher up
    capsys.readouterr()


def test_one_family_alone_can_be_drawn():
    step = {"layout": "packed", "members": 1, "flash": 10, "mac_mean": 0.0, "mac_max": 0}
    assert budget_svg({"chosen": step, "binding": [], "steps": [step]}).count('class="chosen"') == 2


@pytest.mark.parametrize(("words", "what"), [([], "--plot: expected --members or --flash"), (["--members", "1"], "b/")])
def test_a_plot_that_cannot_be_drawn_is_refused_before_the_work(model, tmp_path, capsys, words, what):
    """Without a budget there is nothing to draw; the bundle holds its own files only."""
    given = ["compress", str(model), "--domain=0:1", *words, "--out", str(tmp_path / "b")]
    assert main([*given, "--plot", str(tmp_path / "b/plot.svg")]) == 2
    assert what in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "value"), [("members", 0), ("flash", 0), ("layout", "sparse")])
def test_unusable_budgets_are_refused(name, value):
    with pytest.raises(UnusableInput, match=f"--{name}: expected"):
        slicer.Options(**{name: value})


BOX = Box(np.full(4, 0.1, np.float32), np.full(4, 0.5, np.float32))


@pytest.fixture(scope="module")
def worker() -> CellWorker:
    return CellWorker(chain(np.random.default_rng(5), [4, 20, 20, 20, 3]).content)


def test_any_part_of_a_claim_can_be_claimed_alone(worker):
    whole = worker.run(0, BOX, Terms(300, 0))
    proof = read_proof(whole.certificate, worker.prepared.offsets)
    removed, tree = proof.removed, proof.tree
    assert len(removed) == whole.counts.removed > 8
    assert len(tree.nodes) == whole.counts.nodes > 1
    rng = np.random.default_rng(0)
    for _ in range(20):
        part = removed[rng.random(len(removed)) < rng.random()]
        small = worker.shrink(0, BOX, whole, part)
        np.testing.assert_array_equal(read_proof(small.certificate, worker.prepared.offsets).removed, part)
        assert (small.counts.removed, small.counts.candidates) == (len(part), whole.counts.candidates)
        assert len(small.certificate) <= len(whole.certificate)
    again = worker.shrink(0, BOX, whole, removed)
    assert again.certificate == whole.certificate
    assert again.member == whole.member


def test_a_part_that_needs_the_rest_as_facts_keeps_them(worker, monkeypatch):
    whole = worker.run(0, BOX, Terms(300, 0))
    proof = read_proof(whole.certificate, worker.prepared.offsets)
    removed, tree = proof.removed, proof.tree
    refusal = worker.gate.checker.check_cell(0, BOX.lower, BOX.upper, b"{}", whole.member)
    monkeypatch.setattr(Gate, "offer", lambda *_arguments: ((b"", b"", tree), refusal))
    small = worker.shrink(0, BOX, whole, removed[::2])
    again = read_proof(small.certificate, worker.prepared.offsets)
    kept, same = again.removed, again.tree
    np.testing.assert_array_equal(kept, removed[::2])
    assert [node.inactive.tolist() for node in same.nodes] == [node.inactive.tolist() for node in tree.nodes]


def test_what_rests_on_a_solver_s_word_stays_marked(worker):
    whole = worker.run(0, BOX, Terms(300, 0))
    proof = read_proof(whole.certificate, worker.prepared.offsets)
    word, removed = proof.removed[:1], proof.removed
    certificate, member, verdict = worker.gate.checked(
        0, BOX, Gone(removed[1:], word), proof.tree.trim(removed[1:]), worker.prepared.offsets
    )
    assert verdict.attested == 1
    attested = replace(whole, certificate=certificate, member=member)
    for part, marked in ((removed[:4], 1), (removed[1:4], 0)):
        small = worker.shrink(0, BOX, attested, part)
        again = read_proof(small.certificate, worker.prepared.offsets)
        np.testing.assert_array_equal(again.removed, part)
        np.testing.assert_array_equal(again.attested, word[:marked])
        assert small.counts.attested == marked
