"""Progress on stderr: bars on terminals, plain lines elsewhere, nothing if nobody wants to see it."""

from __future__ import annotations

import re

import pytest

from slicer import progress
from slicer.progress import progress_on_stderr


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    """What the clock shows, in its last element."""
    shown = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: shown[-1])
    return shown


def test_plain_lines_say_what_is_left_of_a_stage_since_its_start(clock, capsys):
    with progress_on_stderr() as stage:
        cuts, cells = stage("cuts"), stage("cells")
        cuts(1, 4)
        clock.append(102.0)
        cuts(2, 4)  # too early for a line
        clock.append(106.0)
        cuts(3, 4)
        cuts(4, 4)
        cells(0, 2)
        clock.append(116.0)
        cells(1, 2)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "cuts: 3/4, 6 s, about 2 s left",
        "cuts: 4/4, 6 s, about 0 s left",
        "cells: 1/2, 10 s, about 10 s left",
    ]


def test_a_terminal_shows_a_bar_for_each_stage_that_began(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    with progress_on_stderr() as stage:
        reports = [stage(title) for title in ("never", "cuts", "cells")]
        for report in reports[1:]:
            report(0, 3)
            report(3, 3)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", capsys.readouterr().err)
    last = [line.split() for line in shown.splitlines() if "3/3" in line][-2:]
    assert [words[0] for words in last] == ["cuts", "cells"]
    assert "never" not in shown


def test_quiet_is_quiet(clock, capsys):
    with progress_on_stderr(quiet=True) as stage:
        stage("cells")(3, 3)
    assert capsys.readouterr() == ("", "")
