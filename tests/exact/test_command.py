"""``python3 -I -S check.py BUNDLE`` in a process of its own: exit status, report, sample, processes."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from slicer.certificate import check
from tests.exact.drafts import sha256, write

SCRIPT = Path(check.__file__)


def run(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess:
    """The checker, copied elsewhere, in isolated mode, without packages, with an empty environment."""
    command = [sys.executable, "-I", "-S", "-W", "error", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env={}, cwd=cwd, timeout=60, check=False)


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    return shutil.copy(SCRIPT, tmp_path_factory.mktemp("auditor") / "check.py")


def test_it_imports_the_standard_library_only():
    imports = [
        node for node in ast.walk(ast.parse(SCRIPT.read_text())) if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    names = {alias.name for node in imports if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in imports if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names


def test_an_honest_bundle_is_accepted(script, honest, tmp_path):
    for jobs in (1, 2):
        done = run(script, honest, "--jobs", jobs, "--json", tmp_path / f"{jobs}.json")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("outcome     accepted\n")
        assert check.STATEMENT.format(*check.CLAIMS["bitwise"]) in done.stdout
        assert all(f"not covered {text}" in done.stdout for text in check.NOT_COVERED)
    assert (tmp_path / "1.json").read_bytes() == (tmp_path / "2.json").read_bytes()
    report = json.loads((tmp_path / "1.json").read_text())
    counts = [json.loads(path.read_text())["removed"] for path in sorted((honest / "certificates").iterdir())]
    assert report["removed"] == sum(len(units) for removed in counts for _, units in removed) > 0
    assert report["bundle"] == sha256((honest / "manifest.json").read_bytes())
    assert report["parent"] == sha256((honest / "family/parent.json").read_bytes())
    assert (report["cells"], report["checked"], report["accepted"], report["rejected"]) == (4, 4, 4, 0)


@pytest.mark.parametrize(("spec", "checked"), [("10%", 1), ("50%", 2), ("1", 1), ("0-1,3", 3)])
def test_a_sample_gives_no_objection_but_proves_nothing(script, honest, spec, checked):
    done = run(script, honest, "--cells", spec, "--seed", 3, "--jobs", 1)
    assert done.returncode == 0
    assert done.stdout.startswith("outcome     no objection\n")
    assert f"cells       4: {checked} checked" in done.stdout
    assert "For every vector" not in done.stdout


def test_samples_are_seeded():
    assert (
        check.choose_cells("10%", 1000, 1) == check.choose_cells("10%", 1000, 1) != check.choose_cells("10%", 1000, 2)
    )
    assert check.choose_cells("100%", 7, 1) == list(range(7))
    assert check.choose_cells("0.01%", 7, 1) != []


@pytest.mark.parametrize("spec", ["", "4", "2-1", "-1", "x", "1;2", "101x%", "%", "1-", "9" * 5000])
def test_a_wrong_choice_of_cells_is_unusable(script, honest, spec):
    done = run(script, honest, f"--cells={spec}")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--cells: expected 10% or cells below 4" in done.stderr


def test_a_changed_bundle_is_rejected(script, honest, tmp_path):
    bundle = shutil.copytree(honest, tmp_path / "bundle")
    with (bundle / "parent.onnx").open("ab") as file:
        file.write(b"x")
    done = run(script, bundle, "--json", tmp_path / "report.json")
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("outcome     rejected\n")
    assert "finding     'parent.onnx': expected sha256 and size" in done.stdout
    report = json.loads((tmp_path / "report.json").read_text())
    accepted = check.check_bundle(str(honest), None, 0, 1)
    assert set(report) == set(accepted)
    assert report["proved"] is None


def test_nothing_to_check_is_unusable(script, tmp_path):
    done = run(script, tmp_path / "absent")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("stopped: ")
    assert run(script).returncode == 2


def test_a_rejected_cell_is_named_whatever_the_number_of_processes(script, draft, tmp_path):
    certificate = draft.certificates[2]
    certificate["tree"] = [{} if "axis" not in node else node for node in certificate["tree"]]
    bundle = write(draft.sealed(), tmp_path / "bundle")
    outputs = {run(script, bundle, "--jobs", jobs).stdout for jobs in (1, 2, 3)}
    assert len(outputs) == 1
    assert "cells       4: 4 checked, 3 accepted, 1 rejected" in outputs.pop()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a terminal and fork")
def test_progress_is_shown_on_terminals_only(script, honest):
    import pty

    leader, follower = pty.openpty()
    command = [sys.executable, "-I", "-S", str(script), str(honest), "--jobs", "1"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=follower, env={}, timeout=60, check=False)
    os.close(follower)
    shown = os.read(leader, 10_000).decode()
    os.close(leader)
    assert done.returncode == 0
    assert "\rcells 1/4 " in shown
    assert "\rcells 4/4 " in shown
