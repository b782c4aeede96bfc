"""Tasks on workers that may die: everything else goes on, and a task that kills its worker is singled out.

A worker's death leaves suspects: what was with the workers. The others go on first; then the suspects run again in
small groups, one by one if there are only a few. A task whose worker dies while it runs alone runs once more, and is
`Lost` if that happens again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from dispatcher.errors import UnusableInput
from slicer.family.workers import Job, Workers, WorkersLost

PARTS = 8  # into how many groups suspects are divided: this many or fewer run one by one
FUTILE = 20  # deaths after which a run gives up that has not finished a single task


@dataclass(frozen=True, slots=True)
class Lost:
    """The outcome of a task that ran alone and killed its worker, twice."""


def survive(workers: Workers, job: Job, count: int) -> Generator[tuple[int, Any], None, None]:
    """Yield (place, outcome) for the places 0 … count − 1, in no particular order; not for all of them if time is up.

    An outcome is what the task returned, `slicer.family.workers.Raised`, or `Lost`.

    Raises
    ------
    UnusableInput
        If workers die again and again and none finishes anything.
    """
    groups = [list(range(count))]
    guilty: Counter[int] = Counter()  # deaths of workers that had nothing else to do
    finished, futile = 0, 0
    while groups:
        group = groups.pop()  # the newest: first what was with no dead worker, then its suspects
        left = dict.fromkeys(group)
        try:
            with closing(workers.run(job, group)) as outcomes:
                for place, outcome in outcomes:
                    finished += 1
                    del left[place]
                    yield place, outcome
        except WorkersLost as loss:
            futile += not finished
            if futile == FUTILE:
                raise _futile(str(loss)) from loss
            guilty.update(group if len(group) == 1 else ())
            if guilty[group[0]] > 1:
                yield group[0], Lost()
            else:
                groups += [*_parts(loss.suspects), [place for place in left if place not in loss.suspects]]
        else:
            if left:
                return  # time is up


def _parts(suspects: Sequence[int]) -> list[list[int]]:
    """The suspects in at most `PARTS` groups of about the same size."""
    size = -(-len(suspects) // PARTS)
    return [list(suspects[first : first + size]) for first in range(0, len(suspects), size)]


def _futile(why: str) -> UnusableInput:
    """What to say if nothing but deaths is to be seen."""
    return UnusableInput(
        f"expected workers that finish a task, got {FUTILE} deaths and not one result, the last of them: {why}",
        where="--jobs",
        fix="is there enough memory for so many workers?",
    )
