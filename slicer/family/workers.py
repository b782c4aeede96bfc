"""The worker processes of this machine: loky, one BLAS thread each; none of them outlives the run.

A worker that dies takes the whole pool with it (loky ends the others, whose queues may be damaged), so `run` says which
places were with the workers then, and a new call starts a new pool.
"""

from __future__ import annotations

import os
import signal
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from typing import Any, Protocol

from joblib import effective_n_jobs
from joblib.executor import get_memmapping_executor
from joblib.externals.loky import ProcessPoolExecutor
from joblib.externals.loky.backend.utils import kill_process_tree

from slicer.family.interruption import Interruption

Entry = tuple[Any, ...]

POLL = 0.1  # seconds between looks at signals, clock and workers
IDLE = 300.0  # seconds after which a worker without work ends
# Seconds for which loky may overlook a dead worker. It reads results whole: a worker killed in the middle of a long one
# would keep it reading for ever.
STUCK = 5.0
# What the BLAS libraries that numpy comes with read at start.
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS")


class WorkersLost(Exception):
    """A worker died; ``suspects`` are the places that were with the workers then."""

    def __init__(self, suspects: Sequence[int], why: str) -> None:
        self.suspects = tuple(suspects)
        super().__init__(why)


@dataclass(frozen=True, eq=False, slots=True)
class Raised:
    """The exception that a task raised instead of returning, and the innermost place of our code."""

    error: Exception
    place: str


@dataclass(frozen=True, eq=False, slots=True)
class Job:
    """Tasks of one kind.

    Attributes
    ----------
    task:
        A function that worker processes can import, or an object with ``__call__`` that they can unpickle.
    entry:
        The task's arguments for a place, asked for when the place is given to a worker.
    time_up:
        Whether to stop before all places are done.
    interruption:
        Signals that came while they were held.
    """

    task: Callable[..., Any]
    entry: Callable[[int], Entry]
    time_up: Callable[[], bool] = lambda: False
    interruption: Interruption = field(default_factory=Interruption)


class Workers(Protocol):
    """Processes, here or elsewhere, that carry out tasks."""

    def run(self, job: Job, places: Sequence[int]) -> Generator[tuple[int, Any], None, None]:
        """Yield (place, ``task(*entry(place))`` or `Raised`), in no particular order; end early when time is up.

        Raises
        ------
        WorkersLost
            If a worker died.
        """


def attempt(task: Callable[..., Any], entry: Entry) -> object:
    """Carry out a task in a worker; an exception becomes a value, so that it is not taken for a worker's death."""
    try:
        return task(*entry)
    except Exception as error:  # noqa: BLE001 - whatever a search raises must not end the run
        frame = traceback.extract_tb(error.__traceback__)[-1]
        return Raised(error, f"{os.path.basename(frame.filename)}:{frame.lineno}")  # noqa: PTH119 - text, no file


class LokyWorkers:
    """Worker processes of this machine.

    Parameters
    ----------
    jobs:
        Their number, −1 for one per core.
    """

    def __init__(self, jobs: int) -> None:
        self.count = int(effective_n_jobs(jobs))

    def run(self, job: Job, places: Sequence[int]) -> Generator[tuple[int, Any], None, None]:
        """See `Workers.run`. The workers are killed if the caller gives up, or when time is up."""
        if not places:
            return
        with job.interruption.held():
            pool = _Pool(min(self.count, len(places)))
        rest = deque(places)
        try:
            while rest or not pool.empty:
                with job.interruption.held():
                    while rest and pool.room:
                        pool.submit(rest.popleft(), job)
                    finished = pool.finished()
                job.interruption.check()
                yield from finished
                if pool.lost:
                    raise WorkersLost(pool.suspects, pool.lost)
                if job.time_up():
                    return
        finally:
            if not pool.empty:
                with job.interruption.held():
                    pool.kill()


class _Pool:
    """The executor, and the places that are with it: a few more than workers, so that none waits for work."""

    def __init__(self, count: int) -> None:
        # joblib's own way to loky's one executor: a caller's `joblib.Parallel` cannot use one made without it.
        self._executor = get_memmapping_executor(
            count,
            timeout=IDLE,
            initializer=_prepare_worker,
            initargs=(os.getpid(),),
            env=dict.fromkeys(_THREAD_VARIABLES, "1"),
        )
        self._most = count + count // 4 + 1
        self._waiting: dict[Future[Any], int] = {}
        self._dead_since: float | None = None
        self.lost = ""  # why a worker was lost

    @property
    def room(self) -> int:
        """How many places may be handed over now."""
        return 0 if self.lost else self._most - len(self._waiting)

    @property
    def empty(self) -> bool:
        """Whether no place is with the workers."""
        return not self._waiting

    @property
    def suspects(self) -> list[int]:
        """The places that are with the workers."""
        return sorted(self._waiting.values())

    def submit(self, place: int, job: Job) -> None:
        """Hand over a place."""
        future: Future[Any]
        try:
            future = self._executor.submit(attempt, job.task, job.entry(place))
        except BrokenProcessPool as error:
            future = Future()
            future.set_exception(error)
        self._waiting[future] = place

    def finished(self) -> list[tuple[int, Any]]:
        """What finished within `POLL` seconds; places that a dead worker had stay among the suspects."""
        done, _ = wait(self._waiting, timeout=POLL, return_when=FIRST_COMPLETED)
        errors = [future.exception() for future in done]
        broken = [error for error in errors if isinstance(error, BrokenProcessPool)]
        if broken or self._stuck():
            self.lost = in_one_line(broken[0]) if broken else "a process died in the middle of an answer"
            done, _ = wait(self._waiting, timeout=POLL)  # loky tells the others at once
        good = [future for future in done if not isinstance(future.exception(), BrokenProcessPool)]
        return [(self._waiting.pop(future), _outcome(future)) for future in good]

    def _stuck(self) -> bool:
        """Whether a worker has been dead for `STUCK` seconds and loky has not noticed."""
        if all(process.is_alive() for process in _processes(self._executor)):
            self._dead_since = None
            return False
        self._dead_since = self._dead_since or time.monotonic()
        return time.monotonic() - self._dead_since > STUCK

    def kill(self) -> None:
        """End all workers now, and with them the executor."""
        for process in _processes(self._executor):
            if process.is_alive():
                kill_process_tree(process)
        if self._executor._flags.broken is None:  # else the executor's thread is closing all it has by itself
            self._end_answers()
        self._executor.shutdown(wait=False, kill_workers=True)

    def _end_answers(self) -> None:
        """Close the pipe of answers: the executor's thread may be reading what nobody will write.

        That wakes the thread, which closes what is open. So the pipe counts as closed before it is.
        """
        writer = self._executor._result_queue._writer
        handle, writer._handle = writer._handle, None
        if handle is not None:
            os.close(handle)


def in_one_line(error: BaseException) -> str:
    """What went wrong, for a message: the last line of a worker's traceback, or the first of the error's own text."""
    traces, own = (str(text).strip(' \n"').splitlines() for text in (error.__cause__ or "", error))
    return (traces[-1:] or own[:1] or [type(error).__name__])[0]


def _processes(executor: ProcessPoolExecutor) -> list[Any]:
    """The worker processes; loky has no public name for them, and to wait for its own thread may take for ever."""
    return list(executor._processes.values())


def _outcome(future: Future[Any]) -> object:
    """A task's result; what cannot be sent between processes counts as raised by the task."""
    error = future.exception()
    return Raised(error, "in transit") if isinstance(error, Exception) else future.result()


def _prepare_worker(master: int) -> None:
    """Make this worker end within a second of its master, which cannot tell it so when it is killed.

    An interrupt from the keyboard goes to the workers too; it is for the master to decide what it means.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == master:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
