"""The README's Python runs as printed, and its commands exist with the options that it names."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from dispatcher.cli import main as dispatcher_main
from slicer.cli import main as slicer_main
from tests.onnx_files import write_onnx
from tests.random_networks import chain

README = Path(__file__).parent.parent / "README.md"


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def test_the_python_example_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_onnx(tmp_path / "model.onnx", chain(np.random.default_rng(0), [4, 12, 12, 2]))
    (example,) = _blocks("python")
    names: dict[str, object] = {}
    exec(compile(example, "README.md", "exec"), names)
    assert np.shape(names["outputs"]) == (3, 2)
    assert np.shape(names["cells"]) == (3,)


def test_the_first_bundle_commands_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_onnx(tmp_path / "model.onnx", chain(np.random.default_rng(0), [4, 12, 12, 2]))
    (tmp_path / "box.csv").write_text("lower,upper\n" + "-1,1\n" * 4)
    (tmp_path / "inputs.csv").write_text("0,0.5,-0.25,1\n0,0,0,0\n")
    commands = next(block for block in _blocks("") if "slicer compress model.onnx" in block).splitlines()
    assert len(commands) == 5
    for command in commands:
        program, *words = command.replace("--cells 64", "--cells 4 --effort 50").split()
        assert {"slicer": slicer_main, "dispatcher": dispatcher_main}[program](words) == 0, command
    assert "ACCEPTED" in capsys.readouterr().out
    assert len((tmp_path / "outputs.csv").read_text().splitlines()) == 2
    assert (tmp_path / "controller").is_dir()


@pytest.mark.parametrize(
    "row", re.findall(r"^\| `((?:slicer|dispatcher) .*?)` \|", README.read_text("utf-8"), re.MULTILINE)
)
def test_every_option_in_the_table_exists(row, capsys):
    program, verb, *_ = row.split()
    with pytest.raises(SystemExit) as done:
        {"slicer": slicer_main, "dispatcher": dispatcher_main}[program]([verb, "--help"])
    assert done.value.code == 0
    text = capsys.readouterr().out
    for option in re.findall(r"--[a-z-]+", row):
        assert option in text
