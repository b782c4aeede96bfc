"""A run that was cut short goes on where it stopped, and its bundle is the one of a run that was not."""

from __future__ import annotations

import errno
import json
import resource
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import dispatcher
import slicer
from dispatcher.errors import UnusableInput
from slicer.box import Box
from slicer.cli import main
from slicer.demonstration import _make_room
from slicer.family import bundle as bundle_module
from slicer.family import checkpoint
from slicer.family.checkpoint import CellStore, finished_cells, partial_folder, working_folder
from slicer.family.counts import CellCounts, CellResult
from slicer.partition import Block
from tests.family.runs import PATIENCE, all_end, children, kill, start, until_cells
from tests.onnx_files import write_onnx
from tests.random_networks import chain

CELLS = 24
OPTIONS = slicer.Options(cells=CELLS, effort=400, jobs=2)
WORDS = ("--cells", str(CELLS), "--effort", "400", "--jobs", "2")


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    network = chain(np.random.default_rng(2), [5, 30, 30, 30, 3])
    return write_onnx(tmp_path_factory.mktemp("model") / "net.onnx", network)


@pytest.fixture(scope="module")
def whole(model, tmp_path_factory) -> slicer.Bundle:
    """The bundle of a run that nothing happened to."""
    return slicer.compress(model, "0:1", tmp_path_factory.mktemp("whole") / "bundle", OPTIONS)


@pytest.fixture(scope="module")
def killed(model, tmp_path_factory) -> Path:
    """A folder with what a run left that was killed after three cells; a reader takes nothing of it for a bundle."""
    folder = tmp_path_factory.mktemp("killed")
    process = start(model, folder / "bundle", *WORDS)
    until_cells(process, folder / "bundle", 3)
    workers = children(process.pid)
    kill(process)
    assert workers
    assert all_end(workers, 15)
    return folder


@pytest.fixture
def left(killed, tmp_path) -> Path:
    """A copy of it for the test."""
    shutil.copytree(killed, tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_a_killed_run_leaves_no_bundle_that_a_reader_accepts(left):
    assert not (left / "bundle").exists()
    for staged in (left / "bundle.partial", left / "bundle.partial" / "bundle"):
        assert not (staged / "manifest.json").exists()
        with pytest.raises(UnusableInput):
            dispatcher.load(staged)
        with pytest.raises(slicer.UnusableBundleFile):
            slicer.audit(staged)


def test_runs_killed_one_after_the_other_end_in_the_same_bundle(model, whole, left):
    out = left / "bundle"
    for cells in (9, 16):
        process = start(model, out, "--resume", *WORDS)
        until_cells(process, out, cells)
        kill(process)
    result = slicer.compress(model, "0:1", out, OPTIONS, resume=True)
    assert result.reused >= 16
    assert result.digest == whole.digest
    assert [path.name for path in left.iterdir()] == ["bundle"]


def test_damaged_entries_are_searched_again(model, whole, left):
    entries = sorted((left / "bundle.partial" / "cells").iterdir())
    assert len(entries) >= 3
    content = bytearray(entries[0].read_bytes())
    content[-40] ^= 1
    entries[0].write_bytes(content)
    entries[1].write_bytes(entries[1].read_bytes()[:500])
    result = slicer.compress(model, "0:1", left / "bundle", OPTIONS, resume=True)
    assert result.reused == len(entries) - 2
    assert result.digest == whole.digest


def test_an_entry_under_another_name_is_not_taken(model, whole, left):
    entries = sorted((left / "bundle.partial" / "cells").iterdir())
    first, second = entries[0].read_bytes(), entries[1].read_bytes()
    entries[0].write_bytes(second)
    entries[1].write_bytes(first)
    result = slicer.compress(model, "0:1", left / "bundle", OPTIONS, resume=True)
    assert result.reused == len(entries) - 2
    assert result.digest == whole.digest


@pytest.mark.parametrize("change", [("--seed", "1"), ("--effort", "399")])
def test_cells_of_other_options_are_others(model, left, change, monkeypatch):
    found: list[int] = []
    monkeypatch.setattr("slicer.family.pipeline.survive", lambda _workers, _job, count: _stop(found, count))
    words = ["compress", str(model), "--domain=0:1", "--out", str(left / "bundle"), "--resume", *WORDS, *change]
    with pytest.raises(RuntimeError, match="enough"):
        main(words)
    assert found == [CELLS]


def _stop(found: list[int], count: int):
    """Note how many cells are to be searched, and end the run."""
    found.append(count)
    raise RuntimeError("enough")
    yield


def test_the_command_says_how_many_cells_were_done_before(model, left, capsys):
    entries = len(list((left / "bundle.partial" / "cells").iterdir()))
    words = ["compress", str(model), "--domain=0:1", "--out", str(left / "bundle"), *WORDS]
    assert main(words) == 2
    output = capsys.readouterr()
    assert output.err.startswith("slicer: ")
    assert "an unfinished run left its cells here (go on with --resume, or remove" in output.err
    assert output.err.count("\n") == 1
    assert main([*words, "--resume"]) == 0
    assert f"slicer: {entries} of {CELLS} cells were done before" in capsys.readouterr().err


def test_resuming_nothing_is_a_run_like_any_other(model, tmp_path):
    options = slicer.Options(cells=2, effort=5, jobs=1)
    result = slicer.compress(model, "0:1", tmp_path / "bundle", options, resume=True)
    assert result.reused == 0
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_cells_cut_short_by_a_time_limit_are_searched_again(model, whole, tmp_path, monkeypatch):
    monkeypatch.setattr(bundle_module.Staging, "finish", _no_space)
    late = slicer.Options(cells=CELLS, effort=400, jobs=2, time_limit=1e-6)
    with pytest.raises(UnusableInput):
        slicer.compress(model, "0:1", tmp_path / "bundle", late)
    assert not partial_folder(tmp_path / "bundle").exists()  # not a single cell is worth keeping
    monkeypatch.undo()
    result = slicer.compress(model, "0:1", tmp_path / "bundle", OPTIONS, resume=True)
    assert result.digest == whole.digest


def _no_space(*_arguments: object, **_options: object) -> None:
    with bundle_module.writing(Path("bundle")):
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("subject", [CellStore, bundle_module.Staging])
def test_a_full_disk_is_one_clear_error_and_keeps_what_is_done(model, whole, left, subject, monkeypatch, capsys):
    write, written = Path.write_bytes, [0]
    folder = "new" if subject is CellStore else "certificates"

    def full(path: Path, content: bytes) -> int:
        if path.parent.name == folder:
            written[0] += 1
            if written[0] > 6:
                write(path, content[:10])
                raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    words = ["compress", str(model), "--domain=0:1", "--out", str(left / "bundle"), "--quiet", "--resume", *WORDS]
    assert main(words) == 2
    monkeypatch.undo()
    errors = capsys.readouterr().err
    assert "cannot write: No space left on device (the cells that are done are kept" in errors
    assert errors.count("\n") == 1
    assert not (left / "bundle").exists()
    assert sorted(path.name for path in (left / "bundle.partial").iterdir()) == ["cells", "new", "run"]
    assert list((left / "bundle.partial" / "new").iterdir()) == []
    assert slicer.compress(model, "0:1", left / "bundle", OPTIONS, resume=True).digest == whole.digest


def test_a_limit_of_the_system_on_files_is_a_full_disk(model, tmp_path):
    words = ["compress", str(model), "--domain=0:1", "--out", str(tmp_path / "bundle"), *WORDS]
    done = subprocess.run(
        [sys.executable, "-m", "slicer", *words],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000)),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 2, done
    assert done.stdout == ""
    assert "cannot write: File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "bundle").exists()


def test_one_run_at_a_time(tmp_path):
    with (
        working_folder(tmp_path / "bundle", resume=False),
        pytest.raises(UnusableInput, match="another run is working here"),
        working_folder(tmp_path / "bundle", resume=True),
    ):
        raise AssertionError("two runs in one folder")


@pytest.mark.parametrize(("name", "content"), [("thesis.tex", b"precious"), ("run", b"netslicer-partial/9\n")])
def test_a_folder_that_is_something_else_is_left_alone(tmp_path, name, content):
    (tmp_path / "bundle.partial").mkdir()
    (tmp_path / "bundle.partial" / name).write_bytes(content)
    with pytest.raises(UnusableInput, match="expected the"), working_folder(tmp_path / "bundle", resume=True):
        raise AssertionError("works in a folder of somebody else")
    assert (tmp_path / "bundle.partial" / name).read_bytes() == content


COUNTS = CellCounts(7, 6, 1, 1, 2, 2, 1, 9, 3, truncated=False, gate="accepted")
LOW, HIGH = Box(np.zeros(1), np.full(1, 0.5)), Box(np.full(1, 0.5), np.ones(1))
BLOCK = Block(7, (LOW, HIGH), (True, False))


def test_a_store_returns_what_it_was_given(tmp_path):
    results = [CellResult(b'{"a\nb"}\n', b"\x00\xff\n", COUNTS), CellResult(b"\n", b"", replace(COUNTS, cell=8))]
    store = CellStore(tmp_path, "0" * 64, {"effort": 100, "seed": 0})
    assert store.read(BLOCK) is None
    store.write(BLOCK, results)
    assert store.read(BLOCK) == results
    assert store.reused == finished_cells(tmp_path) == 2


def test_no_change_of_a_byte_goes_unnoticed(tmp_path):
    store = CellStore(tmp_path, "0" * 64, {"effort": 100, "seed": 0})
    store.write(BLOCK, [CellResult(b"certificate", b"member", COUNTS), CellResult(b"another", b"one", COUNTS)])
    (entry,) = (tmp_path / "cells").iterdir()
    content = entry.read_bytes()
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 0x10
        entry.write_bytes(changed)
        assert store.read(BLOCK) is None
    for length in range(0, len(content), 7):
        entry.write_bytes(content[:length])
        assert store.read(BLOCK) is None
    assert json.loads(content[64:].split(b"\n")[1])["counts"][1]["removed"] == 1


def test_a_cell_s_name_is_everything_that_its_result_depends_on(tmp_path, monkeypatch):
    def stores():
        common = {"effort": 100, "seed": 0}
        yield CellStore(tmp_path, "0" * 64, common), BLOCK
        yield CellStore(tmp_path, "1" * 64, common), BLOCK
        yield CellStore(tmp_path, "0" * 64, common | {"effort": 101}), BLOCK
        yield CellStore(tmp_path, "0" * 64, common | {"seed": 1}), BLOCK
        wider = Box(HIGH.lower, np.nextafter(HIGH.upper, np.float32(2)))
        for other in ({"first": 8}, {"boxes": (LOW, wider)}, {"settled": (True, True)}, {"settled": (True, None)}):
            yield CellStore(tmp_path, "0" * 64, common), replace(BLOCK, **other)
        monkeypatch.setattr(checkpoint, "tool_digest", lambda: "another version")
        yield CellStore(tmp_path, "0" * 64, common), BLOCK

    for count, (store, block) in enumerate(stores()):
        assert store.read(block) is None
        store.write(block, [CellResult(b"c", b"m", COUNTS), CellResult(b"d", b"n", COUNTS)])
        assert len(list((tmp_path / "cells").iterdir())) == count + 1


def test_versions_are_part_of_what_the_tool_is(monkeypatch):
    before = checkpoint.tool_digest()
    monkeypatch.setattr(checkpoint, "tool_versions", lambda: {"numpy": "0.1"})
    assert checkpoint.tool_digest.__wrapped__() != before


def test_a_demo_goes_on_with_what_an_interrupted_one_left_and_with_nothing_else(tmp_path):
    (tmp_path / "bundle.partial").mkdir()
    _make_room(tmp_path)
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(UnusableInput, match="expected an empty directory or an earlier demo"):
        _make_room(tmp_path)
    assert (tmp_path / "bundle.partial").is_dir()
