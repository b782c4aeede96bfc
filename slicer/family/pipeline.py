"""All cells of a partition, or other independent tasks, on several processes.

Every block of cells is a pure function of the parent, its boxes, the effort and the seed, so neither the number of
workers, nor where they are, nor what was done by an earlier run changes the results. A block whose search kills its
worker, or raises an exception, is tried again and then keeps its units; its counts say why.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from dispatcher.errors import UnusableInput
from slicer.box import Box
from slicer.family.block import search_block
from slicer.family.cell import cell_worker
from slicer.family.checkpoint import CellStore
from slicer.family.claim import BITWISE, Claim
from slicer.family.counts import CellResult
from slicer.family.interruption import Interruption, interruptible
from slicer.family.kept import Keeper
from slicer.family.survive import Lost, survive
from slicer.family.terms import Terms
from slicer.family.workers import Job, LokyWorkers, Raised, Workers
from slicer.partition import Block
from slicer.search.advisers import Advising

T = TypeVar("T")

# Seconds that a cell takes at the end of the run, to be read again and flushed, for one that it takes to be written.
CLOSING = 1.0
TRIALS = 5


def run_cells(
    parent: bytes,
    blocks: Sequence[Block],
    *,
    effort: int,
    seed: int,
    workers: Workers,
    claim: Claim = BITWISE,
    advising: Advising | None = None,
    end: float | None = None,
    store: CellStore | None = None,
    interruption: Interruption | None = None,
) -> Generator[tuple[int, CellResult], None, None]:
    """Yield (cell, result) as blocks finish, in no particular order, first those that an earlier run finished.

    Parameters
    ----------
    parent:
        Canonical bytes of the parent network.
    effort:
        Work units (bounded boxes) per block.
    workers:
        The processes that search.
    claim:
        What has to stay the same.
    advising:
        Which solver to ask about what search leaves open; None for none.
    end:
        Clock time (`time.time`) at which the bundle should be complete; None for no limit. Cells that are not finished
        in time for that keep what is proved so far, or all of their units.
    store:
        Where finished cells are kept, and looked for; None for nowhere. Cells cut short by the limit are not kept.
    interruption:
        Signals that may come meanwhile.
    """
    left = {cell: box for block in blocks for cell, box in block.places.items()}
    total, searched = len(left), []
    for block in blocks:
        results = store.read(block) if store else None
        if results is None:
            searched.append(block)
        else:
            yield from _done(block, results, left)
    keeper = Keeper(parent, claim)
    limit = _Limit(end, keeper, left, total)
    search = _Search(parent, claim, Terms(effort, seed, advising=advising))
    entry = partial(_entry, searched, limit)
    job = Job(search, entry, limit.reached, interruption or Interruption())
    with closing(survive(workers, job, len(searched))) as outcomes:
        for place, outcome in outcomes:
            block = searched[place]
            if isinstance(outcome, Lost | Raised):
                why = _why(outcome)
                results = [keeper.result(cell, box, why) for cell, box in block.places.items()]
            else:
                results = outcome
                if store and not any(result.counts.truncated for result in results):
                    store.write(block, results)
            yield from _done(block, results, left)
    for cell, box in left.items():
        yield cell, keeper.result(cell, box)


def _entry(blocks: Sequence[Block], limit: _Limit, place: int) -> tuple[Block, float | None]:
    """What a worker gets for a place: the block, and when search must end."""
    return blocks[place], limit.search_end


def _done(block: Block, results: Sequence[CellResult], left: dict[int, Box]) -> list[tuple[int, CellResult]]:
    """The results by their cells, which are no longer left."""
    for cell in block.cells:
        del left[cell]
    return list(zip(block.cells, results, strict=True))


def _why(outcome: Lost | Raised) -> str:
    """Why a cell has no result, in words that are the same in every run."""
    if isinstance(outcome, Lost):
        return "its search killed the worker process twice"
    if isinstance(outcome.error, UnusableInput):
        raise outcome.error
    first = str(outcome.error).partition("\n")[0]
    return f"its search raised {type(outcome.error).__name__} at {outcome.place}" + (f": {first}" if first else "")


class _Limit:
    """When searching must end so that the bundle is complete in time."""

    def __init__(self, end: float | None, keeper: Keeper, left: Mapping[int, Box], cells: int) -> None:
        self._end, self._left, self._cells = end, left, cells
        self._closing = 0.0 if end is None or not left else min(self._trials(keeper))

    def _trials(self, keeper: Keeper) -> Iterator[float]:
        """Seconds that it takes to close the first of the cells that are left."""
        for _ in range(TRIALS):
            start = time.perf_counter()
            keeper.result(*next(iter(self._left.items())))
            yield time.perf_counter() - start

    @property
    def search_end(self) -> float | None:
        """Clock time at which there is just time enough to close the cells that are left, and the bundle."""
        return None if self._end is None else self._end - self._closing * (len(self._left) + CLOSING * self._cells)

    def reached(self) -> bool:
        """Whether there is no time left for searching."""
        return self.search_end is not None and time.time() > self.search_end


@dataclass(frozen=True, slots=True)
class _Search:
    """What is the same for all cells; called in worker processes."""

    parent: bytes
    claim: Claim
    terms: Terms

    def __call__(self, block: Block, end: float | None) -> list[CellResult]:
        """One block. Half of the time left is for search, the other half for the checker and its second thoughts."""
        half = float("inf") if end is None else (time.time() + end) / 2
        return search_block(cell_worker(self.parent, self.claim), block, replace(self.terms, end=half))


Smaller = tuple[int, Box, CellResult, NDArray[np.int64], list[int] | None]


def shrink_cells(
    parent: bytes,
    claim: Claim,
    cells: Sequence[int],
    entry: Callable[[int], Smaller],
    *,
    workers: Workers,
    interruption: Interruption,
) -> Generator[tuple[int, CellResult], None, None]:
    """Yield (cell, result) for cells that shall remove fewer units, in no particular order.

    ``entry`` gives, when a worker is to have it, a cell's number, box, result so far, the flat numbers of the units to
    remove, and in mode ``decision`` the outputs that may win. A cell that kills its workers is tried in this process at
    last.
    """
    shrink = _Shrink(parent, claim)
    job = Job(shrink, lambda place: entry(cells[place]), interruption=interruption)
    with closing(survive(workers, job, len(cells))) as outcomes:
        for place, outcome in outcomes:
            if isinstance(outcome, Raised):
                raise outcome.error
            yield cells[place], shrink(*entry(cells[place])) if isinstance(outcome, Lost) else outcome


@dataclass(frozen=True, slots=True)
class _Shrink:
    """What is the same for all cells; called in worker processes."""

    parent: bytes
    claim: Claim

    def __call__(self, *smaller: *Smaller) -> CellResult:
        """One cell."""
        return cell_worker(self.parent, self.claim).shrink(*smaller)


def spread(task: Callable[..., T], arguments: Sequence[tuple[Any, ...]], jobs: int) -> Iterator[T]:
    """Yield ``task(*entry)`` for every entry of ``arguments``, in no particular order, from worker processes.

    Workers are killed if the caller gives up, and end by themselves if this process is killed. ``jobs`` is their
    number, −1 for one per core. What a task raises is raised here.

    Raises
    ------
    UnusableInput
        If a task that runs alone kills its worker, twice.
    """
    with interruptible() as interruption:
        job = Job(task, arguments.__getitem__, interruption=interruption)
        for place, outcome in survive(LokyWorkers(jobs), job, len(arguments)):
            if isinstance(outcome, Raised):
                raise outcome.error
            if isinstance(outcome, Lost):
                raise UnusableInput(
                    f"expected an answer about part {place + 1} of {len(arguments)}, got the death of two processes",
                    where="--jobs",
                    fix="is there enough memory for so many processes?",
                )
            yield outcome
