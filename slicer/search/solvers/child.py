"""`run_in_child`: a function in a forked child that cannot outlive its limit, hang its caller or print.

Solvers hold the interpreter's lock, ignore signals, print, crash, and do not always keep their own time-outs; a child
killed with SIGKILL is the only limit that holds. Invariant: when the call ends, however it ends, the child is gone and
reaped. Should the caller itself be killed, the child's own alarm ends it soon after its limit.
"""

from __future__ import annotations

import faulthandler
import math
import os
import pickle
import select
import signal
import struct
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, NoReturn, TypeVar

T = TypeVar("T")

# How long after its limit a child whose parent was killed ends itself, in seconds.
ORPHAN_GRACE = 1.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_SIZE = struct.Struct("<Q")  # bytes of the pickled result that follows


@dataclass(frozen=True, slots=True)
class Limit:
    """Seconds on the clock, and CPU seconds (for comparisons on a busy machine); the child is killed by the first."""

    clock: float
    cpu: float = math.inf

    def __post_init__(self) -> None:
        if not math.isfinite(self.clock) or math.isnan(self.cpu):
            raise ValueError(f"expected a finite limit, got {self}")


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """The function's result, and the CPU seconds that the child took."""

    value: T
    seconds: float


@dataclass(frozen=True, slots=True)
class Killed:
    """The limit came first; the CPU seconds spent until then."""

    limit: Limit
    seconds: float


@dataclass(frozen=True, slots=True)
class Crashed:
    """The child ended without a result: an exception, a signal, an exit; its CPU seconds."""

    why: str
    seconds: float


Outcome = Answer[T] | Killed | Crashed


def run_in_child(limit: Limit, function: Callable[..., T], *arguments: object) -> Outcome[T]:
    """``function(*arguments)`` in a child process that is killed at the limit.

    Parameters
    ----------
    limit:
        If not positive, nothing is started.
    function:
        Any callable; it and its arguments are inherited, not pickled. Its result must be picklable.
    """
    if min(limit.clock, limit.cpu) <= 0:
        return Killed(limit, 0.0)
    if not hasattr(os, "fork"):
        return Crashed("this platform has no fork", 0.0)
    end = time.monotonic() + limit.clock
    reader, writer = os.pipe()
    child = 0
    try:
        with _held_back(*_SIGNALS):
            child = _fork()
            if not child:
                _work(reader, writer, limit, function, arguments)
        os.close(writer)
        writer = -1
        content = _read(reader, end)
    finally:
        status, seconds = _end(child)
        os.close(reader)
        if writer >= 0:
            os.close(writer)
    if content is None or os.WTERMSIG(status) == signal.SIGPROF:
        return Killed(limit, seconds)
    return _outcome(content, status, seconds)


@contextmanager
def _held_back(*signals: signal.Signals) -> Iterator[None]:
    """Deliver signals to this thread only after the block: between the fork and knowing the child's id."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _fork() -> int:
    """Fork, also where other threads exist (joblib's workers have some): the child runs `_work`, nothing of theirs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns that such a child might deadlock
        return os.fork()


def _work(
    reader: int, writer: int, limit: Limit, function: Callable[..., Any], arguments: tuple[object, ...]
) -> NoReturn:
    """The child: silence, two alarms, the function, its result into the pipe, an end without clean-up."""
    try:
        for number in (*_SIGNALS, signal.SIGALRM, signal.SIGPROF):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        signal.setitimer(signal.ITIMER_REAL, limit.clock + ORPHAN_GRACE)
        if math.isfinite(limit.cpu):
            signal.setitimer(signal.ITIMER_PROF, limit.cpu)
        os.close(reader)
        _silence()
        content = _called(function, arguments)
        left = memoryview(_SIZE.pack(len(content)) + content)
        while left:
            left = left[os.write(writer, left) :]
    finally:
        os._exit(0)  # no exit handlers, no flushing of buffers inherited from the parent


def _silence() -> None:
    """No input, and no output from C, from Python or from a crash."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    sys.stdout = sys.stderr = os.fdopen(nothing, "w")
    faulthandler.disable()


def _called(function: Callable[..., Any], arguments: tuple[object, ...]) -> bytes:
    """The result, or the exception in words."""
    try:
        return pickle.dumps((True, function(*arguments)))
    except BaseException as error:  # noqa: BLE001 - whatever a solver raises is an outcome, not the caller's error
        return pickle.dumps((False, f"{type(error).__name__}: {error}"))


def _read(reader: int, end: float) -> bytearray | None:
    """The whole message, or as much as came before the pipe closed; None if time is up before."""
    poll, content = select.poll(), bytearray()
    poll.register(reader, select.POLLIN)
    while (left := end - time.monotonic()) > 0:
        if not poll.poll(math.ceil(left * 1000)):
            break
        part = os.read(reader, 1 << 16)
        content += part
        if not part or _complete(content):
            return content
    return None


def _complete(content: bytearray) -> bool:
    """Whether a message has the length that it begins with."""
    return len(content) >= _SIZE.size and len(content) == _SIZE.size + _SIZE.unpack_from(content)[0]


def _end(child: int) -> tuple[int, float]:
    """Kill and reap the child, if there is one; its wait status and CPU seconds."""
    if not child:
        return 0, 0.0
    with _held_back(*_SIGNALS):
        os.kill(child, signal.SIGKILL)
        _, status, usage = os.wait4(child, 0)
    return status, usage.ru_utime + usage.ru_stime


def _outcome(content: bytearray, status: int, seconds: float) -> Answer[Any] | Crashed:
    """What a child that ended by itself has left."""
    if not _complete(content):
        code = os.waitstatus_to_exitcode(status)
        return Crashed(f"ended by signal {-code}" if code < 0 else f"exit code {code} without a result", seconds)
    done, value = pickle.loads(content[_SIZE.size :])  # noqa: S301 - written by our own child a moment ago
    return Answer(value, seconds) if done else Crashed(value, seconds)
