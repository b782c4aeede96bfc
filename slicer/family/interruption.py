"""SIGINT and SIGTERM as one exception, which is raised where the run can bear it.

While `Interruption.held` is open a signal is only noted, so that no library is left with a lock taken; `check` raises
then. Elsewhere the signal raises at once.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """The run was asked to stop by the signal ``number``; ``kept`` says what is left of it and how to go on."""

    def __init__(self, number: int, kept: str = "") -> None:
        self.number = number
        self.kept = kept
        super().__init__(signal.Signals(number).name)


class Interruption:
    """Whether the run was asked to stop."""

    def __init__(self) -> None:
        self._number: int | None = None
        self._held = 0

    def check(self) -> None:
        """Raise `Interrupted` if a signal came in the meantime."""
        if self._number is not None:
            raise Interrupted(self._number)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Note signals only; they raise at the next `check`."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1

    def signal(self, number: int, _frame: FrameType | None) -> None:
        """What Python calls when a signal comes."""
        self._number = number
        if not self._held:
            raise Interrupted(number)


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """Handle SIGINT and SIGTERM until the end of the block (only the main thread can; an ignored signal stays ignored).

    The block's own cleaning up runs to its end: signals that come meanwhile are noted only.
    """
    interruption = Interruption()
    before = {}
    if threading.current_thread() is threading.main_thread():
        wanted = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
        before = {number: signal.signal(number, interruption.signal) for number in wanted}
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
