"""Workers on other machines, through joblib's Dask and Ray backends.

Nothing but plain data goes over the network: the parent, boxes and numbers one way, certificates and members the other.
A worker must have this netslicer, Python and numpy, and one thread. What a cluster does about workers that disappear is
its own business (Dask runs their tasks elsewhere); what it reports as a failure is a lost worker here.
"""

from __future__ import annotations

import os
import socket
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from importlib import import_module
from typing import Any

from joblib import Parallel, delayed
from joblib._dask import DaskDistributedBackend

from dispatcher.errors import UnusableInput
from slicer.family.checkpoint import tool_digest
from slicer.family.workers import Entry, Job, Raised, Workers, WorkersLost, attempt, in_one_line

CONNECT = 10  # seconds to wait for a cluster and its first worker
WAVE = 4  # Ray returns whole lists of results: how many places per worker are in one


@contextmanager
def dask_workers(address: str) -> Iterator[Workers]:
    """The workers of a running Dask cluster.

    Parameters
    ----------
    address:
        Of the scheduler, such as ``tcp://host:8786``.

    Raises
    ------
    UnusableInput
        If Dask is not installed, nobody answers at the address, or the workers cannot do the work.
    """
    connect = partial(_imported("distributed", "dask").Client, address, set_as_default=False, timeout=CONNECT)
    try:
        with connect() as client:
            client.wait_for_workers(1, timeout=CONNECT)
            tools, threads = client.run(tool_digest).values(), client.nthreads().values()
    except Exception as error:
        raise _unreachable(address, error) from error
    _check_tools(tools)
    if any(count != 1 for count in threads):
        fix = "start them with: dask worker ADDRESS --nthreads 1"
        raise UnusableInput("expected Dask workers with one thread each", where="--address", fix=fix)
    yield _DaskWorkers(connect)


@contextmanager
def ray_workers(address: str, jobs: int) -> Iterator[Workers]:
    """Actors on a running Ray cluster.

    Parameters
    ----------
    address:
        Of the head node, such as ``host:6379``, or ``auto`` on a machine of the cluster.
    jobs:
        Number of actors, −1 for one per CPU of the cluster; at least two.

    Raises
    ------
    UnusableInput
        If Ray is not installed, nobody answers at the address, or the workers cannot do the work.
    """
    ray = _imported("ray", "ray")
    _imported("ray.util.joblib", "ray").register_ray()
    ours = not ray.is_initialized()
    try:
        if ours:
            ray.init(address=address, log_to_driver=False, logging_level="ERROR")
        count = int(ray.cluster_resources().get("CPU", 0)) if jobs < 0 else jobs
        if count < 2:  # joblib would work in this process then
            raise UnusableInput(f"expected at least two workers, got {count}", where="--jobs")
        try:
            found = Parallel(n_jobs=count, backend="ray")(delayed(_introduce)() for _ in range(count))
        except Exception as error:
            raise _unreachable(address, error) from error
        _check_tools(tool for tool, _ in found)
        if _introduce() in found:
            raise UnusableInput(
                "expected to be called from the main thread, as joblib's Ray backend needs", where="ray"
            )
        with closing(_RayWorkers(count)) as workers:
            yield workers
    except (OSError, ConnectionError, ValueError) as error:
        raise error if isinstance(error, UnusableInput) else _unreachable(address, error) from error
    finally:
        if ours:
            ray.shutdown()


def _introduce() -> tuple[str, tuple[str, int]]:
    """The tool of a worker, and which process on which machine it is."""
    return tool_digest(), (socket.gethostname(), os.getpid())


def _imported(name: str, backend: str) -> Any:  # noqa: ANN401 - a module that need not be there
    """A module of an optional package."""
    try:
        return import_module(name)
    except ImportError as error:
        fix = f"pip install 'netslicer[{backend}]'"
        raise UnusableInput(f"expected the package {backend}, got: {error}", where="--backend", fix=fix) from error


def _unreachable(address: str, error: Exception) -> UnusableInput:
    """What to say about a cluster that cannot be used."""
    fix = "is the cluster running, and is netslicer installed on its machines?"
    what = f"expected a cluster at {address}, got {type(error).__name__}: {in_one_line(error)}"
    return UnusableInput(what, where="--address", fix=fix)


def _check_tools(digests: Iterable[str]) -> None:
    """Refuse workers that might give other results than this process."""
    if any(found != tool_digest() for found in digests):
        raise _another_tool()


def _another_tool() -> UnusableInput:
    """What to say about such a worker."""
    return UnusableInput(
        "expected workers with the netslicer, Python and numpy of this process, got one with others",
        where="--address",
        fix="install the same versions on all machines",
    )


def _attempt(tool: str, place: int, task: Callable[..., Any], entry: Entry) -> tuple[int, object]:
    """Carry out a task in a worker of a cluster; it may have joined after the others were looked at."""
    return place, attempt(task, entry) if tool_digest() == tool else Raised(_another_tool(), "")


class _Reporting(DaskDistributedBackend):  # type: ignore[misc]  # joblib has no types
    """joblib's backend without two traps.

    It never reports a task that Dask has given up, and `Parallel` waits for it for ever. With a single worker left,
    `Parallel` works in this process, which a poisoned cell would end.
    """

    def effective_n_jobs(self, n_jobs: int) -> int:
        return max(2, int(super().effective_n_jobs(n_jobs)))

    def submit(self, func: object, callback: Callable[[object], None] | None = None) -> object:
        future = super().submit(func, callback)
        if callback:
            future.add_done_callback(lambda done: callback(done.exception()) if done.exception() else None)
        return future

    def retrieve_result_callback(self, out: object) -> object:
        if isinstance(out, BaseException):
            raise out
        return super().retrieve_result_callback(out)


class _DaskWorkers:
    """All workers of a cluster. Each run has a client of its own: when it is closed, Dask drops what is left."""

    def __init__(self, connect: Callable[[], Any]) -> None:
        self._connect = connect

    def run(self, job: Job, places: Sequence[int]) -> Generator[tuple[int, Any], None, None]:
        """See `Workers.run`."""
        away: set[int] = set()
        try:
            with self._connect() as client:
                parallel = Parallel(backend=_Reporting(client=client), batch_size=1, return_as="generator_unordered")
                with _closed_quietly(parallel(_calls(job, places, away))) as results:
                    for place, outcome in results:
                        away.discard(place)
                        yield place, outcome
        except Exception as error:
            raise WorkersLost(sorted(away), in_one_line(error)) from error


def _calls(job: Job, places: Iterable[int], away: set[int]) -> Iterator[Any]:
    """The calls for `Parallel`, until time is up; ``away`` takes the places that it has asked for."""
    for place in places:
        if job.time_up():
            return
        away.add(place)
        yield delayed(_attempt)(tool_digest(), place, job.task, job.entry(place))


@contextmanager
def _closed_quietly(results: Generator[Any, None, None]) -> Iterator[Iterable[Any]]:
    """The results; joblib warns about those that are dropped if the caller gives up."""
    try:
        yield results
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            results.close()


class _RayWorkers:
    """Actors. They serve all runs until one of them dies; then joblib ends the others too."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._actors = ExitStack()
        self._parallel: Any = None

    def run(self, job: Job, places: Sequence[int]) -> Generator[tuple[int, Any], None, None]:
        """See `Workers.run`."""
        size = WAVE * self._count
        for first in range(0, len(places), size):
            away: set[int] = set()
            try:
                results = self._started()(_calls(job, places[first : first + size], away))
            except Exception as error:
                self.close()
                raise WorkersLost(sorted(away), in_one_line(error)) from error
            yield from results
            if job.time_up():
                return

    def _started(self) -> Any:  # noqa: ANN401 - joblib has no types
        """The actors, new ones if there are none."""
        if self._parallel is None:
            self._parallel = self._actors.enter_context(Parallel(n_jobs=self._count, backend="ray", batch_size=1))
        return self._parallel

    def close(self) -> None:
        """End the actors."""
        self._parallel = None
        self._actors.close()
