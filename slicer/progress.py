"""Progress on stderr: bars with counts and remaining time on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

PLAIN_INTERVAL = 5.0  # seconds between plain lines


Report = Callable[[int, int], None]  # (done, in all)
Stages = Callable[[str], Report]


@contextmanager
def progress_on_stderr(*, quiet: bool = False) -> Iterator[Stages]:
    """A function that gives, for the title of a stage of the work, one of (done, in all) to be called after each step.

    A stage's clock starts with its first call, which may say that nothing is done yet.
    """
    console = Console(stderr=True)
    if quiet:
        yield lambda _title: lambda _done, _total: None
    elif console.is_terminal:
        with _bars(console) as stages:
            yield stages
    else:
        yield _plain


@contextmanager
def _bars(console: Console) -> Iterator[Stages]:
    """The bars of a terminal, one below the other, each from its stage's start."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bars:
        tasks: dict[str, TaskID] = {}

        def show(title: str, done: int, total: int) -> None:
            if title not in tasks:
                tasks[title] = bars.add_task(title, total=total)
            bars.update(tasks[title], completed=done, total=total)

        yield lambda title: partial(show, title)


def _plain(title: str) -> Report:
    """Lines such as ``compress: 12/32, 8 s, about 13 s left``, not more often than `PLAIN_INTERVAL`."""
    start = last = None

    def report(done: int, total: int) -> None:
        nonlocal start, last
        now = time.monotonic()
        start, last = (now, now) if start is None or last is None else (start, last)
        if done == 0 or (done < total and now - last < PLAIN_INTERVAL):
            return
        last = now
        left = (now - start) / done * (total - done)
        print(f"{title}: {done}/{total}, {now - start:.0f} s, about {left:.0f} s left", file=sys.stderr, flush=True)  # noqa: T201 - this module prints for the command line

    return report
