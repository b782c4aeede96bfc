"""The command line: results on standard output, one clear message and exit code 2 for unusable input."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from dispatcher.cli import main
from dispatcher.interpret import eval32
from tests.dispatcher.bundle_samples import make_bundle, make_family
from tests.dispatcher.network_samples import chain, random_points

PARENT = chain([2, 6, 3])
POINTS = random_points(PARENT, 5, 0)
OUTPUTS = eval32(PARENT, POINTS)


@pytest.fixture
def bundle(tmp_path):
    return str(make_bundle(tmp_path / "bundle", make_family(PARENT, 3)))


@pytest.fixture
def points_csv(tmp_path):
    path = tmp_path / "points.csv"
    path.write_text("a,b\n" + "".join(f"{a},{b}\n" for a, b in POINTS))
    return str(path)


@pytest.fixture
def points_npy(tmp_path):
    np.save(tmp_path / "points.npy", POINTS)
    return str(tmp_path / "points.npy")


def csv_values(text: str) -> np.ndarray:
    return np.array([[float(field) for field in line.split(",")] for line in text.splitlines()]).astype(np.float32)


def test_run_prints_outputs_that_read_back_as_the_same_bits(bundle, points_csv, capsys):
    assert main(["run", bundle, points_csv]) == 0
    out, err = capsys.readouterr()
    assert csv_values(out).tobytes() == OUTPUTS.tobytes()
    assert err == ""


@pytest.mark.parametrize("form", [".csv", ".npy"])
def test_run_writes_what_the_output_name_says(bundle, points_csv, points_npy, tmp_path, form, capsys):
    for number, points in enumerate([points_csv, points_npy]):
        output = tmp_path / f"outputs{number}{form}"
        assert main(["run", bundle, points, "--engine", "numpy", "--output", str(output)]) == 0
        values = np.load(output) if form == ".npy" else csv_values(output.read_text())
        assert values.tobytes() == OUTPUTS.tobytes()
    assert capsys.readouterr().out == ""


def test_npy_goes_to_standard_output_as_npy(bundle, points_npy, tmp_path, capsysbinary):
    assert main(["run", bundle, points_npy]) == 0
    (tmp_path / "captured.npy").write_bytes(capsysbinary.readouterr().out)
    assert np.load(tmp_path / "captured.npy").tobytes() == OUTPUTS.tobytes()


def test_out_of_domain_is_an_error_unless_chosen_otherwise(bundle, tmp_path, capsys):
    path = tmp_path / "points.csv"
    path.write_text("0,0\n0,1.5\n")
    assert main(["run", bundle, str(path)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"dispatcher: error: {path}: row 1, input 1: expected a value from -1.0 to 1.0")
    for policy, point in (("clamp", [0, 1]), ("parent", [0, 1.5])):
        assert main(["run", bundle, str(path), "--out-of-domain", policy]) == 0
        expected = eval32(PARENT, np.array([[0, 0], point], np.float32))
        assert csv_values(capsys.readouterr().out).tobytes() == expected.tobytes()


UNUSABLE = {
    "no bundle": (["run", "absent", "points.csv"], "absent: expected a bundle directory, got nothing"),
    "no input": (["run", "bundle", "absent.csv"], "absent.csv: cannot read it: No such file or directory"),
    "input format": (["run", "bundle", "points.txt"], "points.txt: expected a file name that ends with .csv or .npy"),
    "output format": (
        ["run", "bundle", "points.csv", "--output", "o.txt"],
        "o.txt: expected a file name that ends with .csv or .npy",
    ),
    "output directory": (["run", "bundle", "points.csv", "--output", "absent/o.csv"], "absent/o.csv: No such file"),
    "columns": (["run", "bundle", "three.csv"], "three.csv: inputs: expected an array of shape [batch, 2] or [2]"),
    "nan": (["run", "bundle", "nan.csv"], "nan.csv: row 0, input 1: expected a number, got nan"),
    "text": (["run", "bundle", "text.csv"], "text.csv: line 1, column 2: expected a number, got 'x'"),
    "emit without a bundle": (["emit", "absent", "--target", "c99", "--out", "o"], "absent: expected a bundle"),
    "report without a bundle": (["report", "absent"], "absent: expected a bundle"),
    "report into nowhere": (["report", "bundle", "--json", "absent/r.json"], "absent/r.json: No such file"),
}


@pytest.mark.parametrize(("arguments", "message"), UNUSABLE.values(), ids=UNUSABLE)
@pytest.mark.usefixtures("bundle", "points_csv")
def test_unusable_input_is_one_message_and_exit_code_2(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "three.csv").write_text("1,0,1\n")
    (tmp_path / "nan.csv").write_text("0,nan\n")
    (tmp_path / "text.csv").write_text("0,x\n")
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert err.startswith("dispatcher: error: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["fly"],
        ["run"],
        ["run", "b", "p.csv", "--engine", "gpu"],
        ["run", "b", "p.csv", "--out-of-domain", "ignore"],
        ["emit", "b"],
        ["emit", "b", "--target", "c99"],
        ["emit", "b", "--target", "cobol", "--out", "o"],
        ["emit", "b", "--target", "c99", "--layout", "dense", "--out", "o"],
        ["report", "b", "--rows", "-1"],
    ],
)
def test_other_grammar_is_refused_with_exit_code_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: dispatcher" in capsys.readouterr().err


@pytest.mark.parametrize("command", [[], ["run"], ["emit"], ["report"]])
def test_help_has_an_example_and_the_exit_codes(command, capsys):
    with pytest.raises(SystemExit) as caught:
        main([*command, "--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert f"dispatcher {command[0] if command else 'run'} bundle" in text
    assert "exit codes:" in text


@pytest.mark.parametrize("layout", ["packed", "masked"])
def test_emit_prints_the_files_it_wrote(layout, bundle, tmp_path, capsys):
    out = tmp_path / "generated"
    assert main(["emit", bundle, "--target", "c99", "--layout", layout, "--prefix", "net", "--out", str(out)]) == 0
    assert f"Layout: {layout}." in (out / "README.md").read_text()
    written = sorted(str(path) for path in out.rglob("*") if path.is_file())
    assert sorted(capsys.readouterr().out.splitlines()) == written
    assert any(path.endswith(".c") for path in written)


def test_report_prints_a_table_and_writes_json(bundle, tmp_path, capsys):
    assert main(["report", bundle, "--json", str(tmp_path / "r.json")]) == 0
    assert "multiply-accumulates" in capsys.readouterr().out
    assert main(["report", bundle, "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads((tmp_path / "r.json").read_bytes())
    assert main(["report", bundle, "--rows", "0"]) == 0
    assert "not shown: 1 with" in capsys.readouterr().out


def test_an_interrupt_is_exit_code_130(bundle, points_csv, monkeypatch):
    def interrupt(*_arguments, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr("dispatcher.cli.load_bundle", interrupt)
    assert main(["run", bundle, points_csv]) == 130


def test_a_reader_that_goes_away_is_no_traceback(bundle, tmp_path):
    path = tmp_path / "many.csv"
    path.write_text("0,0\n" * 100_000)
    command = [sys.executable, "-m", "dispatcher", "run", bundle, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 141


def test_the_module_runs_as_a_command(bundle, points_csv):
    command = [sys.executable, "-m", "dispatcher", "run", bundle, points_csv]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    assert csv_values(done.stdout).tobytes() == OUTPUTS.tobytes()
