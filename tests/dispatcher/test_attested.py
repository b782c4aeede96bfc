"""Whoever serves a bundle with attested removals says so; whoever serves one without does not."""

from __future__ import annotations

import json
import runpy

import numpy as np
import onnx
import pytest

from dispatcher.attested import Attested
from dispatcher.cli import main
from dispatcher.emit_c99 import emit_parent_c99
from dispatcher.errors import UnusableBundle
from dispatcher.load import load_bundle
from dispatcher.report import report, report_json
from tests.dispatcher.bundle_samples import make_attested_bundle, make_bundle, make_family
from tests.dispatcher.network_samples import chain

FAMILY = make_family(chain([2, 6, 5, 3]), 4)
WORDS = "4 removals in 2 cells rest on a solver's word, not on a proof"


@pytest.fixture
def attested(tmp_path):
    return make_attested_bundle(tmp_path / "attested", FAMILY, {1: [[2, [0, 3]], [4, [1]]], 3: [[4, [2]]]})


@pytest.fixture
def proved(tmp_path):
    return make_bundle(tmp_path / "proved", FAMILY)


def test_certificates_are_counted(attested, proved):
    assert load_bundle(attested).attested == Attested(removals=4, cells=2)
    assert load_bundle(proved).attested == Attested(0, 0)


def test_one_removal_is_one():
    assert str(Attested(1, 1)) == "1 removal in 1 cell rests on a solver's word, not on a proof"


@pytest.mark.parametrize("rows", [3, [3], [[2, 3]], [["x"]], [[2, ["x"]]], {"a": 1}])
def test_a_list_that_is_none_is_refused(rows, tmp_path):
    bundle = make_attested_bundle(tmp_path / "bundle", FAMILY, {2: rows})
    with pytest.raises(UnusableBundle, match=r"certificates/000002.json: attested: expected \[\[layer"):
        load_bundle(bundle)


def test_run_says_so_on_standard_error(attested, proved, tmp_path, capsys):
    np.save(tmp_path / "points.npy", np.zeros((1, 2), np.float32))
    output = str(tmp_path / "outputs.csv")
    assert main(["run", str(attested), str(tmp_path / "points.npy"), "--output", output]) == 0
    assert capsys.readouterr().err == f"dispatcher: note: {attested}: {WORDS}\n"
    assert main(["run", str(proved), str(tmp_path / "points.npy"), "--output", output]) == 0
    assert capsys.readouterr().err == ""


def test_report_says_so(attested, proved, capsys):
    assert main(["report", str(attested)]) == 0
    assert f"\nattested: {WORDS}\n" in capsys.readouterr().out
    assert main(["report", str(proved)]) == 0
    assert "attested" not in capsys.readouterr().out
    assert json.loads(report_json(report(load_bundle(attested))))["attested"] == {"removals": 4, "cells": 2}


def emitted(bundle, target, out, capsys):
    """The emitted files by name, and what standard error said."""
    assert main(["emit", str(bundle), "--target", target, "--prefix", "net", "--out", str(out)]) == 0
    files = {str(path.relative_to(out)): path for path in sorted(out.rglob("*")) if path.is_file()}
    return files, capsys.readouterr().err


def test_emitted_c_says_so(attested, tmp_path, capsys):
    files, err = emitted(attested, "c99", tmp_path / "out", capsys)
    assert err == f"dispatcher: note: {attested}: {WORDS}\n"
    for name in files:
        if name.endswith((".c", ".h")):
            assert f" *   ATTESTED: {WORDS}\n" in files[name].read_text(), name
        elif name != "report.json" and not name.startswith("zephyr/"):
            assert WORDS in files[name].read_text(), name
    assert "\n#define NET_ATTESTED_REMOVALS 4 " in files["net.h"].read_text()
    assert json.loads(files["report.json"].read_text())["attested"] == {"removals": 4, "cells": 2}


def test_c_without_attested_removals_does_not(proved, tmp_path, capsys):
    files, err = emitted(proved, "c99", tmp_path / "out", capsys)
    emit_parent_c99(FAMILY.parent, FAMILY.lower, FAMILY.upper, tmp_path / "alone", "net")
    for header in (files["net.h"], tmp_path / "alone" / "net.h"):
        assert "\n#define NET_ATTESTED_REMOVALS 0 " in header.read_text()
    assert not any("ATTESTED: " in path.read_text() or WORDS[9:] in path.read_text() for path in files.values())
    assert err == ""


def test_emitted_python_and_onnx_say_so(attested, proved, tmp_path, capsys):
    for bundle, expected in ((attested, WORDS), (proved, None)):
        files, _ = emitted(bundle, "python", tmp_path / f"{bundle.name}.python", capsys)
        assert (f"\nATTESTED: {WORDS}.\n" in runpy.run_path(str(files["net.py"]))["__doc__"]) == bool(expected)
        files, _ = emitted(bundle, "onnx", tmp_path / f"{bundle.name}.onnx", capsys)
        for path in files.values():
            metadata = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
            assert metadata.get("attested") == expected
