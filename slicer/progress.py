"""Progress on stderr: a bar with counts and remaining time on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

PLAIN_INTERVAL = 5.0  # seconds between plain lines


@contextmanager
def progress_on_stderr(title: str, *, quiet: bool = False) -> Iterator[Callable[[int, int], None]]:
    """A function of (done, in all) to be called after each step."""
    console = Console(stderr=True)
    if quiet:
        yield lambda _done, _total: None
    elif console.is_terminal:
        with _bar(title, console) as report:
            yield report
    else:
        yield _plain(title)


@contextmanager
def _bar(title: str, console: Console) -> Iterator[Callable[[int, int], None]]:
    """The bar of a terminal."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _plain(title: str) -> Callable[[int, int], None]:
    """Lines such as ``compress: 12/32, 8 s, about 13 s left``, not more often than `PLAIN_INTERVAL`."""
    start = last = time.monotonic()

    def report(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if done < total and now - last < PLAIN_INTERVAL:
            return
        last = now
        left = (now - start) / done * (total - done)
        print(f"{title}: {done}/{total}, {now - start:.0f} s, about {left:.0f} s left", file=sys.stderr, flush=True)  # noqa: T201 - this module prints for the command line

    return report
