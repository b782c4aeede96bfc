"""The command line: results on stdout, one clear error and exit 2 for unusable input, nothing half-written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from dispatcher.encode import canonical_json, digest
from slicer.cli import main
from tests.onnx_files import onnx_bytes, write_onnx
from tests.random_networks import chain


@pytest.fixture(scope="module")
def model_bytes() -> bytes:
    return onnx_bytes(chain(np.random.default_rng(4), [2, 8, 8, 2]))


@pytest.fixture
def folder(tmp_path, monkeypatch, model_bytes) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.onnx").write_bytes(model_bytes)
    return tmp_path


def _model(nodes: list, constants: dict[str, np.ndarray], inputs: int = 2, opset: int = 13) -> bytes:
    first = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, inputs])
    last = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    weights = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "bad", [first], [last], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8).SerializeToString()


def _gemm(weight: np.ndarray) -> bytes:
    node = helper.make_node("Gemm", ["x", "W"], ["y"], name="first")
    return _model([node], {"W": weight.astype(np.float32)})


BAD_MODELS = {
    "nan.onnx": (_gemm(np.array([[1.0], [np.nan]])), "expected finite numbers, got nan"),
    "infinite.onnx": (_gemm(np.array([[1.0], [np.inf]])), "expected finite numbers, got inf"),
    "shape.onnx": (_gemm(np.ones((3, 1))), "3"),
    "tanh.onnx": (_model([helper.make_node("Tanh", ["x"], ["y"], name="squash")], {}), "Tanh"),
    "empty.onnx": (b"", "empty"),
    "truncated.onnx": (_gemm(np.ones((2, 1)))[:-20], ""),
    "text.onnx": (b"this is not a model", ""),
    "model.txt": (b"1,2", "expected a model file ending in .onnx or .nnet"),
    "short.nnet": (b"// comment\n2,2,1,2,\n", ""),
}


@pytest.mark.parametrize("name", BAD_MODELS)
def test_an_unusable_model_is_one_clear_error(folder, name, capsys):
    content, fragment = BAD_MODELS[name]
    (folder / name).write_bytes(content)
    _assert_refused(folder, ["compress", name, "--domain", "0:1", "--out", "bundle"], [name, fragment], capsys)


BAD_CALLS = {
    "no such model": (["compress", "none.onnx", "--domain", "0:1", "--out", "bundle"], "none.onnx"),
    "a directory as model": (["compress", ".", "--domain", "0:1", "--out", "bundle"], "."),
    "lower above upper": (["compress", "model.onnx", "--domain", "1:0", "--out", "bundle"], "lower"),
    "NaN bound": (["compress", "model.onnx", "--domain", "nan:1", "--out", "bundle"], "nan"),
    "infinite bound": (["compress", "model.onnx", "--domain", "0:inf", "--out", "bundle"], "inf"),
    "too few bounds": (["compress", "model.onnx", "--domain", "0,1", "--out", "bundle"], "2 inputs"),
    "no such domain": (["compress", "model.onnx", "--domain", "none.csv", "--out", "bundle"], "none.csv"),
    "nonsense domain": (["compress", "model.onnx", "--domain", "everything", "--out", "bundle"], "lo:hi"),
    "zero cells": (["compress", "model.onnx", "--domain", "0:1", "--cells", "0", "--out", "bundle"], "--cells"),
    "zero effort": (["compress", "model.onnx", "--domain", "0:1", "--effort", "0", "--out", "bundle"], "--effort"),
    "negative limit": (["compress", "model.onnx", "--domain", "0:1", "--time-limit=-1", "--out", "b"], "--time-limit"),
    "too many cells": (["compress", "model.onnx", "--domain", "1,1;2,2", "--cells", "2", "--out", "bundle"], "--cells"),
    "overflow": (["compress", "model.onnx", "--domain=-3e38:3e38", "--out", "bundle"], "overflow"),
    "audit of nothing": (["audit", "none"], "none"),
    "audit of a file": (["audit", "model.onnx"], "model.onnx"),
    "audit of no bundle": (["audit", "."], "manifest.json"),
    "cells that are none": (["audit", ".", "--cells", "a-b"], "--cells"),
    "inspect nothing": (["inspect", "none"], "none"),
    "existing output": (["compress", "model.onnx", "--domain", "0:1", "--out", "."], "does not exist yet"),
}


@pytest.mark.parametrize("case", BAD_CALLS)
def test_an_unusable_call_is_one_clear_error(folder, case, capsys):
    arguments, fragment = BAD_CALLS[case]
    _assert_refused(folder, arguments, [fragment], capsys)


def _assert_refused(folder: Path, arguments: list[str], fragments: list[str], capsys) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    assert main(arguments) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("slicer: ")
    assert output.err.count("\n") == 1
    assert "Traceback" not in output.err
    for fragment in fragments:
        assert fragment in output.err
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()} == before


def test_a_missing_domain_is_a_usage_error(folder, capsys):
    with pytest.raises(SystemExit) as done:
        main(["compress", "model.onnx"])
    assert done.value.code == 2
    assert "--domain" in capsys.readouterr().err


def test_compress_audit_inspect(folder, capsys):
    assert main(["compress", "model.onnx", "--domain", "-1:1", "--cells", "3", "--effort", "40", "--out", "b"]) == 0
    output = capsys.readouterr()
    assert "ReLU units removed" in output.out
    assert [line.split(",")[0] for line in output.err.splitlines()] == ["cuts: 3/3", "compress: 3/3"]
    assert main(["audit", "b", "--json", "audit.json"]) == 0
    assert capsys.readouterr().out.startswith("ACCEPTED  3 of 3 cells")
    record = json.loads((folder / "audit.json").read_text())
    assert record["accepted"] is True
    assert record["removed"] > 0
    assert main(["audit", "b", "--cells", "1", "--quiet"]) == 0
    output = capsys.readouterr()
    assert "no objection" in output.out
    assert output.err == ""
    assert main(["inspect", "b", "--json", "-"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["kind"], record["cells"], record["inputs"]) == ("bundle", 3, 2)
    assert main(["inspect", "model.onnx"]) == 0
    assert "2-8-8-2 (16 ReLUs, 96 MAC)" in capsys.readouterr().out


def test_the_audit_rejects_a_bundle_with_another_model(folder, capsys):
    assert main(["compress", "model.onnx", "--domain", "-1:1", "--cells", "2", "--effort", "20", "--out", "b"]) == 0
    other = onnx_bytes(chain(np.random.default_rng(5), [2, 8, 8, 2]))
    (folder / "b" / "parent.onnx").write_bytes(other)
    assert main(["audit", "b"]) == 1
    assert "REJECTED" in capsys.readouterr().out
    _forge_manifest(folder / "b", "parent.onnx")
    assert main(["audit", "b"]) == 1
    assert "expected a model that reads as family/parent.json" in capsys.readouterr().out


def _forge_manifest(bundle: Path, path: str) -> None:
    """Give a changed file its new digest and size."""
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    content = (bundle / path).read_bytes()
    for entry in manifest["files"]:
        if entry["path"] == path:
            entry.update(sha256=digest(content), size=len(content))
    (bundle / "manifest.json").write_bytes(canonical_json(manifest))


def test_every_verb_has_help_with_an_example(capsys):
    for verb in ("compress", "audit", "inspect", "demo"):
        with pytest.raises(SystemExit) as done:
            main([verb, "--help"])
        assert done.value.code == 0
        text = capsys.readouterr().out
        assert f"slicer {verb} " in text.split("example:")[1]
        assert "exit codes" in text


def test_the_written_model_is_the_given_one(folder):
    write_onnx(folder / "given.onnx", chain(np.random.default_rng(9), [2, 4, 1]))
    assert (
        main(["compress", "given.onnx", "--domain", "0:1", "--cells", "1", "--effort", "5", "--out", "b", "--quiet"])
        == 0
    )
    assert (folder / "b" / "parent.onnx").read_bytes() == (folder / "given.onnx").read_bytes()
    assert onnx.load(folder / "b" / "parent.onnx").graph.name == "test"
