"""A child answers, is killed or crashes; its caller learns which, is never held up, and finds no process left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from joblib import Parallel, delayed

from slicer.search.solvers.child import ORPHAN_GRACE, Answer, Crashed, Killed, Limit, run_in_child


def _alive(pid: int) -> bool:
    """Whether the process runs; one that only waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _gone(pid: int, within: float) -> bool:
    end = time.monotonic() + within
    while _alive(pid) and time.monotonic() < end:
        time.sleep(0.02)
    return not _alive(pid)


def _sleep(note: Path) -> None:
    note.write_text(str(os.getpid()))
    time.sleep(600)


def _hold_the_lock(note: Path) -> None:
    """One call into C that holds the interpreter's lock, deaf to all signals that can be ignored."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    note.write_text(str(os.getpid()))
    sum(range(10**13))


def _square(number: int) -> int:
    return number * number


def _hang_for(seconds: float) -> tuple[bool, int]:
    return isinstance(run_in_child(Limit(seconds), time.sleep, 600), Killed), os.getpid()


def test_the_result_comes_back_with_the_childs_own_cpu_seconds():
    outcome = run_in_child(Limit(20.0), lambda: (os.getpid(), sum(range(3_000_000))))
    assert isinstance(outcome, Answer)
    pid, total = outcome.value
    assert pid != os.getpid() and total == 3_000_000 * 2_999_999 // 2
    assert 0.005 < outcome.seconds < 20
    assert not _alive(pid)


def test_a_result_larger_than_a_pipes_buffer():
    outcome = run_in_child(Limit(20.0), lambda: np.arange(2_000_000))
    assert isinstance(outcome, Answer) and outcome.value[-1] == 1_999_999


@pytest.mark.parametrize("hang", [_sleep, _hold_the_lock])
def test_a_child_that_hangs_is_killed_at_the_limit(hang, tmp_path):
    start = time.monotonic()
    outcome = run_in_child(Limit(0.5), hang, tmp_path / "pid")
    assert 0.5 <= time.monotonic() - start < 1.5
    assert isinstance(outcome, Killed)
    assert not _alive(int((tmp_path / "pid").read_text()))


def test_a_child_is_killed_when_its_cpu_seconds_are_spent(tmp_path):
    outcome = run_in_child(Limit(30.0, cpu=0.2), _hold_the_lock, tmp_path / "pid")
    assert isinstance(outcome, Killed)
    assert 0.15 < outcome.seconds < 0.6
    assert not _alive(int((tmp_path / "pid").read_text()))


@pytest.mark.parametrize("limit", [Limit(0.0), Limit(-1.0), Limit(1.0, cpu=0.0)])
def test_nothing_starts_without_time(limit, tmp_path):
    assert run_in_child(limit, _sleep, tmp_path / "pid") == Killed(limit, 0.0)
    assert not (tmp_path / "pid").exists()


@pytest.mark.parametrize("clock", [np.inf, np.nan])
def test_a_limit_is_finite(clock):
    with pytest.raises(ValueError, match="finite"):
        Limit(clock)


@pytest.mark.parametrize(
    ("crash", "why"),
    [
        (os.abort, f"ended by signal {int(signal.SIGABRT)}"),
        (lambda: os._exit(3), "exit code 3 without a result"),
        (lambda: 1 / 0, "ZeroDivisionError"),
        (lambda: sys.exit("stop"), "SystemExit: stop"),
        (lambda: lambda: 0, "pickle"),
    ],
)
def test_a_crash_is_reported(crash, why):
    outcome = run_in_child(Limit(20.0), crash)
    assert isinstance(outcome, Crashed)
    assert why in outcome.why


def test_a_child_prints_nothing(capfd):
    def talk() -> int:
        os.write(1, b"one")
        os.write(2, b"two")
        print("three", flush=True)
        return 4

    assert isinstance(run_in_child(Limit(20.0), talk), Answer)
    assert capfd.readouterr() == ("", "")


def test_an_interrupted_caller_leaves_no_child(tmp_path):
    def interrupt(_signal, _frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    try:
        with pytest.raises(KeyboardInterrupt):
            run_in_child(Limit(30.0), _sleep, tmp_path / "pid")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert not _alive(int((tmp_path / "pid").read_text()))


def test_a_killed_caller_leaves_no_child_for_long(tmp_path):
    program = (
        "import sys; from pathlib import Path; from tests.search import test_solvers_child as t;"
        "t.run_in_child(t.Limit(1.0), t._hold_the_lock, Path(sys.argv[1]))"
    )
    note = tmp_path / "pid"
    with subprocess.Popen([sys.executable, "-c", program, str(note)], cwd=Path(__file__).parents[2]) as caller:
        end = time.monotonic() + 20
        while not (note.exists() and note.read_text()) and time.monotonic() < end:
            time.sleep(0.02)
        caller.kill()
    assert _gone(int(note.read_text()), within=1.0 + ORPHAN_GRACE + 1.0)


def test_children_of_worker_processes():
    hanging = Parallel(2, backend="loky", batch_size=1)(delayed(_hang_for)(0.3) for _ in range(4))
    assert all(killed for killed, _ in hanging)
    assert os.getpid() not in {worker for _, worker in hanging}
