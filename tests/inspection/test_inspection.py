"""Inputs for inspection find planted faults, and answers are judged by cells and bits."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.cli import main
from dispatcher.emit_c99 import emit_c99
from dispatcher.errors import UnusableInput
from dispatcher.inspection import Accepted, Answers, Rejected, inspection_points, judge, read_answers, verdict_json
from dispatcher.inspection.sensitivity import visible_bits
from dispatcher.interpret import eval32, evaluate_all
from dispatcher.layers import Dense, Relu
from dispatcher.load import load_bundle
from dispatcher.plan import whole_member
from dispatcher.route import Router
from dispatcher.runtime import Dispatcher
from tests.benchmarks.inspection import detection
from tests.dispatcher.bundle_samples import make_bundle, make_family
from tests.dispatcher.member_samples import inactive_units, member_of
from tests.dispatcher.network_samples import chain, random_network, random_points
from tests.emit_c99.families import epsilon_family, readout_family
from tests.emit_c99.host import sources
from tests.inspection.faults import (
    copy_of,
    differs,
    flipped_bit,
    flipped_mask,
    flipped_shared_bit,
    moved_threshold,
    wrong_member,
)


def true_family(cells: int = 6, seed: int = 1):
    """A family whose members lack units that no one of many inputs of their cell activates."""
    parent = chain([3, 12, 12, 2], seed)
    whole = make_family(parent, cells)
    points = random_points(parent, 4000, seed)
    where = Router(whole.tree)(points)

    def member(cell):
        return member_of(parent, inactive_units(parent, evaluate_all(parent, points[where == cell])))

    return make_family(parent, cells, member)


FAMILY = true_family()
POINTS = inspection_points(FAMILY, 64)
EXPECTED = copy_of(FAMILY).answers(POINTS)


def test_points_are_of_the_domain_and_the_same_for_the_same_seed():
    assert POINTS.dtype == np.float32
    assert POINTS.shape == (64, 3)
    assert (np.clip(POINTS, FAMILY.lower, FAMILY.upper) == POINTS).all()
    assert (inspection_points(FAMILY, 64) == POINTS).all()
    assert (inspection_points(FAMILY, 64, seed=1) != POINTS).any()
    assert (inspection_points(FAMILY, 20) == POINTS[:20]).all()


def test_every_moved_threshold_is_found_by_its_cell():
    copy, rng = copy_of(FAMILY), np.random.default_rng(0)
    assert all(differs(moved_threshold(copy, rng), POINTS, EXPECTED) for _ in range(40))


def test_every_wrong_member_that_is_visible_is_found():
    """Compared with thousands of random inputs in the cell."""
    copy, rng = copy_of(FAMILY), np.random.default_rng(0)
    many = random_points(FAMILY.parent, 6000, 9)
    expected = copy.answers(many)
    wrong = [wrong_member(copy, rng) for _ in range(30)]
    visible = [one for one in wrong if differs(one, many, expected)]
    assert len(visible) > 15
    assert sum(differs(one, POINTS, EXPECTED, cells=False) for one in visible) >= 0.9 * len(visible)


def test_more_flipped_bits_are_found_than_by_random_inputs():
    rates = detection(FAMILY, 32, 150)
    assert rates["flipped bit"].found > 0.8 * rates["flipped bit"].visible
    assert rates["flipped bit"].found >= rates["flipped bit"].random
    assert rates["moved threshold"].found == 1 > rates["moved threshold"].random


def test_faults_of_masked_copies_are_found():
    """As those of packed ones; weights that no member reads can be flipped unseen."""
    masked = detection(FAMILY, 32, 150, "masked")
    for kind in ("flipped bit", "flipped bit of a mask"):
        assert 0 < masked[kind].visible < 1
        assert masked[kind].found > 0.8 * masked[kind].visible
    assert masked["moved threshold"].found == 1


def test_a_flipped_mask_changes_every_member_that_chooses_it():
    copy, rng = copy_of(FAMILY), np.random.default_rng(0)
    for _ in range(20):
        flipped = flipped_mask(copy, rng)
        widths = [[[layer.width for layer in one] for one in each.members] for each in (copy, flipped)]
        changed = [(old, new) for old, new in zip(*widths, strict=True) if old != new]
        assert changed
        for old, new in changed:
            assert {abs(a - b) for a, b in zip(old, new, strict=True)} == {0, 1}


def test_faults_of_masked_copies_keep_affine_members_apart():
    """A flip of the parent's changes members that keep units, a flip of an affine member's numbers this one alone."""
    family, rng = epsilon_family(), np.random.default_rng(0)
    copy = copy_of(family)
    affine = {index for index, member in enumerate(family.members) if member.readout is not None}
    shared = [changed(copy, flipped_shared_bit(copy, rng)) for _ in range(400)]
    assert all(found <= {1, 4} or (len(found) == 1 and found <= affine) for found in shared)
    assert {index for found in shared for index in found} == set(range(6))
    assert {index for _ in range(40) for index in changed(copy, flipped_mask(copy, rng))} == {1, 4}


def test_faults_of_masked_copies_change_members_that_read_hidden_units():
    """A flip of the parent's may change all but affine members, one of a readout's this one alone; so masks."""
    family, rng = readout_family(), np.random.default_rng(0)
    copy = copy_of(family)
    readouts = {index for index, member in enumerate(family.members) if member.readout is not None}
    affine = {index for index in readouts if family.members[index].readout.affine}
    shared = [changed(copy, flipped_shared_bit(copy, rng)) for _ in range(600)]
    assert all(not found & affine or (len(found) == 1 and found <= affine) for found in shared)
    assert {index for found in shared for index in found} == set(range(len(family.members)))
    assert any(len(found) == 1 and found <= readouts - affine for found in shared)
    masks = [changed(copy, flipped_mask(copy, rng)) for _ in range(200)]
    assert {index for found in masks for index in found} == set(range(len(family.members))) - affine


def changed(copy, other) -> set[int]:
    """The members that are not the same."""
    numbers = [
        [[layer.weight.tobytes() for layer in one if isinstance(layer, Dense)] for one in each.members]
        for each in (copy, other)
    ]
    return {index for index, (old, new) in enumerate(zip(*numbers, strict=True)) if old != new}


def test_a_stale_copy_is_found():
    """The same family of a network that was trained a little longer."""
    copy, rng = copy_of(FAMILY), np.random.default_rng(0)
    stale = tuple(
        tuple(
            replace(layer, weight=layer.weight * np.float32(1 + 1e-5)) if isinstance(layer, Dense) else layer
            for layer in one
        )
        for one in copy.members
    )
    assert differs(replace(copy, members=stale), POINTS, EXPECTED, cells=False)
    assert not differs(copy, POINTS, EXPECTED)
    assert differs(flipped_bit(replace(copy, members=stale), rng), POINTS, EXPECTED)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 1000))
def test_visible_bits_are_those_whose_flip_moves_an_output(seed):
    """A flip that should show by far does, and one that should not show by far does not, for most weights."""
    layers = random_network(seed)
    point = random_points(layers, 1, seed)
    output = eval32(layers, point).astype(np.float64)
    place = np.spacing(np.abs(output).astype(np.float32)).astype(np.float64)
    right = total = 0
    for bits, position in zip(visible_bits(layers, point), dense_places(layers), strict=True):
        for i, j in np.argwhere(layers[position].weight)[:10]:
            weight = layers[position].weight.copy()
            weight[i, j] += weight[i, j] * np.float32(2.0**-8)
            moved = eval32(
                (*layers[:position], replace(layers[position], weight=weight), *layers[position + 1 :]), point
            )
            moves = (np.abs(moved - output) / place).max()
            total += 1
            right += moves > 1 if bits[0, i, j] > 11 else moves < 64 if bits[0, i, j] < 5 else 1
    assert right >= 0.8 * total


def dense_places(layers):
    return [position for position, layer in enumerate(layers) if isinstance(layer, Dense)]


def test_a_network_without_units_to_remove_has_points_too():
    layers = chain([2, 1])
    assert not any(isinstance(layer, Relu) for layer in layers)
    assert inspection_points(make_family(layers, 3), 10).shape == (10, 2)


# ------------------------------------------------------------------------------------------------------------ judging


@pytest.fixture
def dispatcher():
    return Dispatcher(FAMILY)


def test_right_answers_are_accepted(dispatcher):
    cells, outputs = EXPECTED
    assert judge(dispatcher, POINTS, Answers(outputs, cells)) == Accepted(64, with_cells=True)
    assert judge(dispatcher, POINTS, Answers(np.where(outputs == 0, -outputs, outputs), None)) == Accepted(
        64, with_cells=False
    )


def test_one_ulp_or_one_cell_is_rejected(dispatcher):
    cells, outputs = EXPECTED
    wrong = outputs.copy()
    wrong[7, 1] = np.nextafter(wrong[7, 1], np.float32(np.inf))
    verdict = judge(dispatcher, POINTS, Answers(wrong, cells))
    assert isinstance(verdict, Rejected)
    assert (verdict.answers, verdict.different, verdict.cells) == (64, 1, (cells[7],))
    assert verdict.first.startswith("answer 7: output 1: expected ")
    moved = cells.copy()
    moved[3] += 1
    counts = {"answers": 64, "different": 1, "cells": [int(cells[7])]}
    assert json.loads(verdict_json(verdict)) == counts | {"verdict": "rejected", "first": verdict.first}
    assert f"answer 3: cell: expected {cells[3]}, got {cells[3] + 1}" in str(
        judge(dispatcher, POINTS, Answers(outputs, moved))
    )
    assert isinstance(judge(dispatcher, POINTS, Answers(outputs * np.float32(np.nan), None)), Rejected)


def log_of(cells, outputs) -> str:
    """A device's log with other lines around the answers."""
    rows = zip(cells, outputs.view(np.uint32), strict=True)
    lines = [
        f"[{n:05}] I answer {n} {cell} {' '.join(f'{word:08x}' for word in row)}" for n, (cell, row) in enumerate(rows)
    ]
    return "\r\n".join(["boot ok", *reversed(lines), "answered all", ""])


def test_tables_and_logs_hold_the_same_answers(tmp_path):
    cells, outputs = EXPECTED
    np.save(tmp_path / "a.npy", np.concatenate([cells[:, None], outputs], axis=1))
    np.save(tmp_path / "b.npy", outputs)
    (tmp_path / "c.log").write_text(log_of(cells, outputs))
    for name in ("a.npy", "b.npy", "c.log"):
        answers = read_answers(tmp_path / name, 64, 2)
        assert (answers.outputs == outputs).all()
        assert (answers.cells is None) if name == "b.npy" else (answers.cells == cells).all()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "1,2\n", "expected 2 rows of 2 outputs"),
        ("a.csv", "1\n2\n", "got float64 \\[2, 1\\]"),
        ("a.log", "", "got none to 2, the first of them input 0"),
        ("a.log", "answer 0 1 3f800000 3f800000\n", "got none to 1, the first of them input 1"),
        ("a.log", "answer 2 1 3f800000 3f800000\n", "expected an answer to one of 2 inputs"),
        ("a.log", "answer 0 1 3f800000\n", "with 2 outputs"),
        ("a.log", "answer 0 1 3f80000\n", "got none to 2"),
    ],
)
def test_answers_that_cannot_be_judged(name, text, message, tmp_path):
    (tmp_path / name).write_text(text)
    with pytest.raises(UnusableInput, match=message):
        read_answers(tmp_path / name, 2, 2)


def test_no_inputs_are_no_inspection(dispatcher):
    with pytest.raises(UnusableInput, match="at least one input"):
        judge(dispatcher, POINTS[:0], Answers(EXPECTED[1][:0], None))


# -------------------------------------------------------------------------------------------------------- command line


@pytest.fixture
def bundle(tmp_path):
    return str(make_bundle(tmp_path / "bundle", FAMILY))


def test_a_compiled_copy_is_inspected_from_its_log(bundle, compiler, tmp_path, capsys):
    assert main(["inspect-vectors", bundle, "-n", "40", "--output", str(tmp_path / "vectors.csv")]) == 0
    assert main(["inspect-vectors", bundle, "-n", "40", "--output", str(tmp_path / "vectors.h")]) == 0
    loaded = load_bundle(bundle)
    emit_c99(loaded.family, loaded.digest, tmp_path / "net", "net")
    snippet = re.findall(r"^ \*     (.*)$", (tmp_path / "vectors.h").read_text().replace(" */", ""), re.MULTILINE)
    body = "\n".join(snippet).replace("NAME_", "net_").replace("net_OUTPUTS", "NET_OUTPUTS")
    (tmp_path / "main.c").write_text(
        '#include <stdio.h>\n#include "net.h"\n#include "vectors.h"\nint main(void)\n{\nstatic net_scratch scratch;\n'
        f"for (int i = 0; i < INSPECTION_VECTORS; i++) {{\n{body}\n}}\nreturn 0;\n}}\n"
    )
    data = tmp_path / "net" / "net_data.c"
    right = data.read_text()
    threshold = "    {0x0p+0f, 0, 3},"
    assert threshold in right
    for text, code in ((right, 0), (right.replace(threshold, "    {0x1p-149f, 0, 3},"), 1)):
        data.write_text(text)
        program = compiler.build(
            tmp_path / "main", f"-I{tmp_path / 'net'}", tmp_path / "main.c", *sources(tmp_path / "net")
        )
        (tmp_path / "device.log").write_text(compiler.run(program)[1])
        capsys.readouterr()
        assert main(["verify-outputs", bundle, str(tmp_path / "vectors.csv"), str(tmp_path / "device.log")]) == code
        said = capsys.readouterr().out
        assert said.startswith("REJECTED answer " if code else "ACCEPTED: 40 answers, cells and outputs equal")


def test_local_outputs_are_verified(bundle, tmp_path, capsys):
    vectors, answers = str(tmp_path / "v.npy"), str(tmp_path / "a.csv")
    assert main(["inspect-vectors", bundle, "-n", "9", "--seed", "3", "--output", vectors]) == 0
    assert (np.load(vectors) == inspection_points(FAMILY, 9, seed=3)).all()
    assert main(["run", bundle, vectors, "--output", answers]) == 0
    assert main(["verify-outputs", bundle, vectors, answers, "--json", str(tmp_path / "verdict.json")]) == 0
    verdict = json.loads((tmp_path / "verdict.json").read_text())
    assert verdict == {"verdict": "accepted", "answers": 9, "with_cells": False}
    assert "no cells were reported" in capsys.readouterr().out
    assert main(["inspect-vectors", bundle, "-n", "2"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


@pytest.mark.parametrize(
    "words", [["inspect-vectors", "bundle", "--output", "v.txt"], ["verify-outputs", "bundle", "v.csv", "a.csv"]]
)
@pytest.mark.usefixtures("bundle")
def test_unusable_files_are_exit_code_2(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_family_of_whole_members_has_no_wrong_member():
    family = make_family(chain([2, 4, 1]), 4)
    assert family.members == (whole_member(family.parent),)
    assert inspection_points(family, 12).shape == (12, 2)
