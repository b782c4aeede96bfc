"""SIGINT and SIGTERM end a run within two seconds; no process is left, what is done is kept, and the user knows."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from slicer.family.interruption import Interrupted, Interruption, interruptible
from tests.family.runs import PATIENCE, all_end, children, start, until_cells, workers_of
from tests.onnx_files import write_onnx
from tests.random_networks import chain


@pytest.fixture(autouse=True)
def _interruptible():
    """SIGINT is not ignored, as it is in what a shell starts in the background; children inherit this."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    network = chain(np.random.default_rng(2), [5, 40, 40, 40, 3])
    return write_onnx(tmp_path_factory.mktemp("large") / "net.onnx", network)


def two_seconds() -> float:
    """Two seconds of a core; longer on the clock where more processes want to run than there are cores."""
    return 2 * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


@pytest.mark.parametrize(
    ("number", "whole_group"), [(signal.SIGTERM, False), (signal.SIGINT, False), (signal.SIGINT, True)]
)
def test_a_signal_ends_the_run(model, tmp_path, number, whole_group):
    words = ("--cells", "500", "--effort", "3000", "--cuts", "uniform")
    process = start(model, tmp_path / "bundle", *words, own_group=whole_group)
    until_cells(process, tmp_path / "bundle", 2)
    processes = children(process.pid)
    sent, allowed = time.monotonic(), two_seconds()
    # A terminal sends Ctrl-C to the workers too.
    os.killpg(process.pid, number) if whole_group else process.send_signal(number)
    output, errors = process.communicate(timeout=PATIENCE)
    assert time.monotonic() - sent < allowed
    assert process.returncode == 128 + number
    assert output == b""
    cells = len(list((tmp_path / "bundle.partial" / "cells").iterdir()))
    assert cells >= 2
    last = errors.decode().splitlines()[-1]
    assert last.startswith(f"slicer: interrupted; {cells} finished cells are kept in ")
    assert last.endswith("bundle.partial: go on with the same command and --resume")
    assert b"Traceback" not in errors
    assert not (tmp_path / "bundle").exists()
    assert sorted(path.name for path in (tmp_path / "bundle.partial").iterdir()) == ["cells", "new", "run"]
    assert processes
    assert all_end(processes, allowed)


def test_before_the_first_cell_nothing_is_left(model, tmp_path):
    process = start(model, tmp_path / "bundle", "--cells", "1", "--effort", "1000000")
    deadline = time.monotonic() + PATIENCE
    while not list(tmp_path.glob("bundle.partial/bundle/*")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 143
    assert errors.decode().splitlines()[-1] == "slicer: interrupted; nothing was written"
    assert list(tmp_path.iterdir()) == []


def test_while_cuts_are_chosen_nothing_is_left(model, tmp_path):
    process = start(model, tmp_path / "bundle", "--cells", "16384", "--effort", "1")
    deadline = time.monotonic() + PATIENCE
    while not workers_of(process.pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(0.5)  # somewhere in the first thousand rounds
    processes = children(process.pid)
    sent, allowed = time.monotonic(), two_seconds()
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=PATIENCE)
    assert time.monotonic() - sent < allowed
    assert process.returncode == 143
    assert errors.decode().splitlines()[-1] == "slicer: interrupted; nothing was written"
    assert list(tmp_path.iterdir()) == []
    assert all_end(processes, allowed)


def test_a_signal_raises_at_once_or_when_it_is_no_longer_held():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Interrupted) as caught, interruptible() as interruption:
        with interruption.held():
            signal.raise_signal(signal.SIGTERM)
            with interruption.held():
                pass
            signal.raise_signal(signal.SIGINT)
        interruption.check()
    assert caught.value.number == signal.SIGINT
    with pytest.raises(Interrupted), interruptible():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interruptible() as interruption:
            signal.raise_signal(signal.SIGINT)
            interruption.check()
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_are_not_interrupted():
    seen = []

    def work() -> None:
        with interruptible() as interruption:
            seen.append(interruption)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert isinstance(seen[0], Interruption)
