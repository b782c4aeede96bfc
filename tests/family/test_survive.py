"""Whatever happens to workers, every task has one outcome, and only a task that kills its worker twice has none."""

from __future__ import annotations

import os
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.errors import UnusableInput
from slicer.family import survive as survive_module
from slicer.family.pipeline import spread
from slicer.family.survive import FUTILE, Lost, survive
from slicer.family.workers import Job, LokyWorkers, Raised, WorkersLost
from tests.family import faults
from tests.family.runs import all_end, workers_of


class Fragile:
    """Workers in this process: some places kill them always, some once. A few places are with them at a time."""

    def __init__(self, poisoned: set[int], weak: set[int], window: int) -> None:
        self.poisoned, self.weak, self.window = poisoned, set(weak), window
        self.tried: Counter[int] = Counter()

    def run(self, job, places):
        for first in range(0, len(places), self.window):
            wave = places[first : first + self.window]
            for place in wave:
                self.tried[place] += 1
            killers = [place for place in wave if place in self.poisoned | self.weak]
            self.weak -= set(killers)
            done = wave[: wave.index(killers[0])] if killers else wave
            yield from ((place, job.task(*job.entry(place))) for place in done)
            if killers:
                raise WorkersLost([place for place in wave if place not in done], "it was killed")
            if job.time_up():
                return


@settings(deadline=None, max_examples=200)
@given(
    st.integers(1, 60),
    st.sets(st.integers(0, 59), max_size=12),
    st.sets(st.integers(0, 59), max_size=12),
    st.integers(1, 40),
)
def test_every_place_has_one_outcome_and_only_the_poisoned_are_lost(count, poisoned, weak, window):
    workers = Fragile(poisoned, weak - poisoned, window)
    # Without a limit to deaths, which is the next test's subject.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(survive_module, "FUTILE", 10**6)
        outcomes = list(survive(workers, Job(lambda number: -number, lambda place: (place,)), count))
    assert sorted(place for place, _ in outcomes) == list(range(count))
    for place, outcome in outcomes:
        assert isinstance(outcome, Lost) if place in poisoned else outcome == -place
        assert workers.tried[place] > 1 or place not in poisoned
    if window <= survive_module.PARTS:
        assert max(workers.tried.values()) <= 3  # in the crowd, alone, and once more if the first time was alone


def test_a_run_in_which_nothing_but_deaths_happens_ends():
    workers = Fragile(set(range(1000)), set(), 3)
    with pytest.raises(UnusableInput, match=f"got {FUTILE} deaths and not one result, the last of them: it was killed"):
        list(survive(workers, Job(abs, lambda place: (place,)), 1000))
    assert sum(workers.tried.values()) <= 3 * FUTILE


def test_time_that_is_up_ends_the_run():
    outcomes = survive(Fragile(set(), set(), 4), Job(abs, lambda place: (place,), lambda: True), 100)
    assert [place for place, _ in outcomes] == [0, 1, 2, 3]


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_process_that_dies_once_costs_nothing_but_time(tmp_path, jobs):
    entries = [(number, tmp_path / "mark" if number == 5 else tmp_path) for number in range(20)]
    assert sorted(spread(faults.die_once, entries, jobs)) == list(range(20))
    assert (tmp_path / "mark").exists()


def test_a_process_that_dies_in_the_middle_of_an_answer_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr("slicer.family.workers.STUCK", 1.0)
    answers = spread(faults.die_while_answering, [(number, tmp_path / "mark") for number in range(6)], 2)
    assert sorted(answers) == [bytes([number]) * (1 << 18) for number in range(6)]
    assert (tmp_path / "mark").exists()


def test_a_task_that_always_kills_its_process_is_an_error_of_spread():
    with pytest.raises(UnusableInput, match="about part 3 of 4, got the death of two processes"):
        list(spread(faults.die_if, [(number, 2) for number in range(4)], 2))


def test_an_exception_of_a_task_is_raised_by_spread_and_says_where_it_comes_from():
    with pytest.raises(ValueError, match="1 is odd"):
        list(spread(faults.fail, [(0,), (1,)], 1))
    outcomes = dict(survive(LokyWorkers(1), Job(faults.fail, lambda place: (place,)), 2))
    assert outcomes[0] == 0
    assert isinstance(outcomes[1], Raised)
    assert outcomes[1].place.startswith("faults.py:")


def test_workers_use_one_thread_and_are_other_processes():
    assert list(spread(faults.threads, [(0,)], 1)) == [{"1"}]
    assert os.getpid() not in set(spread(os.getpid, [()] * 4, 2))


def test_a_caller_that_gives_up_leaves_no_busy_worker():
    answers = spread(faults.sleep, [(0, 0.0), (1, 60.0), (2, 60.0)], 2)
    assert next(answers) == 0
    workers = workers_of(os.getpid())
    answers.close()
    assert len(workers) == 2
    assert all_end(workers, 10)
