"""Runs of the command line in processes of their own, which tests watch and kill."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

PATIENCE = 60  # seconds, on a machine that does other things too


def start(model: Path, out: Path, *options: str, own_group: bool = False) -> subprocess.Popen[bytes]:
    """``slicer compress`` over [0, 1] in the background."""
    arguments = ["compress", str(model), "--domain=0:1", "--out", str(out), *options]
    return subprocess.Popen(
        [sys.executable, "-m", "slicer", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=own_group,
    )


def until_cells(process: subprocess.Popen[bytes], out: Path, count: int) -> None:
    """Wait until a run has stored so many cells."""
    cells = out.with_name(f"{out.name}.partial") / "cells"
    deadline = time.monotonic() + PATIENCE
    while not cells.is_dir() or sum(1 for _ in cells.iterdir()) < count:
        assert time.monotonic() < deadline, "too few cells appeared"
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a run as the kernel would: no handler runs."""
    process.kill()
    process.communicate(timeout=PATIENCE)


def children(parent: int) -> list[int]:
    """Process ids whose parent is the given one."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        fields = _stat(int(entry.name))
        if fields and int(fields[1]) == parent:
            found.append(int(entry.name))
    return found


def workers_of(parent: int) -> list[int]:
    """The worker processes among the children (loky has a process or two of its own, which end a little later)."""
    return [process for process in children(parent) if "popen_loky" in _read(process, "cmdline")]


def alive(process: int) -> bool:
    """Whether a process exists and is no zombie."""
    fields = _stat(process)
    return bool(fields) and fields[0] != "Z"


def all_end(processes: list[int], seconds: float) -> bool:
    """Whether the processes end within some seconds."""
    deadline = time.monotonic() + seconds
    while any(map(alive, processes)):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _stat(process: int) -> list[str]:
    """State, parent and more of a process; nothing if it has gone."""
    return _read(process, "stat").rpartition(")")[2].split()


def _read(process: int, name: str) -> str:
    """What the kernel says about a process; nothing if it has gone."""
    try:
        return (Path("/proc") / str(process) / name).read_text()
    except OSError:
        return ""
