"""All cells of a partition, or other independent tasks, on several processes (the only importer of joblib).

Every cell is a pure function of the parent, its box, the effort and the seed, so any number of workers gives the same
results; workers always are loky processes with one BLAS thread each, also when there is only one of them.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from types import FrameType
from typing import Any, Generic, TypeVar

from joblib import Parallel, delayed, effective_n_jobs, parallel_config
from joblib.externals.loky import ProcessPoolExecutor, get_reusable_executor

from slicer.box import Box
from slicer.family.cell import CellResult, cell_worker

T = TypeVar("T")


def run_cells(
    parent: bytes, boxes: list[Box], *, effort: int, seed: int, jobs: int, deadline: float | None
) -> Iterator[tuple[int, CellResult]]:
    """Yield (cell, result) as cells finish, in no particular order.

    Parameters
    ----------
    parent:
        Canonical bytes of the parent network.
    effort:
        Work units (bounded boxes) per cell.
    deadline:
        Clock time (`time.time`) after which search stops and cells keep what is proved so far; None for no limit.
    """
    task = _Task(parent, effort, seed, deadline)
    yield from spread(task, list(enumerate(boxes)), jobs)


def spread(task: Callable[..., T], arguments: Sequence[tuple[Any, ...]], jobs: int) -> Iterator[T]:
    """Yield ``task(*entry)`` for every entry of ``arguments``, in no particular order, from worker processes.

    Workers are killed if the caller gives up, and end by themselves if this process is killed. ``jobs`` is their
    number, −1 for one per core.
    """
    following = _Following(task, os.getpid())
    with _stop_workers_on_exit():
        if effective_n_jobs(jobs) == 1:
            yield from _one_worker(following, arguments)
            return
        with parallel_config(backend="loky", inner_max_num_threads=1):
            tasks = (delayed(following)(entry) for entry in arguments)
            yield from Parallel(n_jobs=jobs, batch_size=1, return_as="generator_unordered")(tasks)


def _one_worker(task: _Following[T], arguments: Sequence[tuple[Any, ...]]) -> Iterator[T]:
    """A single worker process: `Parallel` would work in this process, whose BLAS may use several threads."""
    executor = ProcessPoolExecutor(max_workers=1, env=dict.fromkeys(_THREAD_VARIABLES, "1"))
    try:
        yield from executor.map(task, arguments)
    finally:
        executor.shutdown(kill_workers=True)


# What the BLAS libraries that numpy comes with read at start; joblib sets the same for its own workers.
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS")


class _Task:
    """What is the same for all cells; called in worker processes."""

    def __init__(self, parent: bytes, effort: int, seed: int, deadline: float | None) -> None:
        self.parent = parent
        self.effort = effort
        self.seed = seed
        self.deadline = deadline

    def __call__(self, cell: int, box: Box) -> tuple[int, CellResult]:
        """One cell."""
        return cell, cell_worker(self.parent).run(cell, box, self.effort, self.seed, self._stopped)

    def _stopped(self) -> bool:
        return self.deadline is not None and time.time() > self.deadline


class _Following(Generic[T]):
    """A task for workers of the process ``master``, which do not outlive it."""

    def __init__(self, task: Callable[..., T], master: int) -> None:
        self.task = task
        self.master = master

    def __call__(self, entry: tuple[Any, ...]) -> T:
        """Run the task on one entry."""
        _end_with(self.master)
        return self.task(*entry)


@cache
def _end_with(master: int) -> None:
    """Make this worker exit within a second of its master: a killed master cannot tell its workers to stop."""

    def watch() -> None:
        while os.getppid() == master:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def _stop_workers_on_exit() -> Iterator[None]:
    """Kill the workers if the run ends early; turn SIGTERM into the KeyboardInterrupt that SIGINT already is.

    joblib leaves loky workers behind when its process is terminated.
    """

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, interrupt) if main else None
    try:
        yield
    except BaseException:
        get_reusable_executor().shutdown(wait=False, kill_workers=True)
        raise
    finally:
        if main:
            signal.signal(signal.SIGTERM, before)
