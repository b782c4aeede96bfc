"""Joining members: the greedy mergers are what they say, and lose little against the best partition of the cells."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slicer.bounds.linear import Prepared
from slicer.family.joining import Joiner, grouped
from slicer.family.work import Work
from tests.random_networks import chain, networks, seeds


def _expected(work: Work, live: np.ndarray, measures: np.ndarray, groups: np.ndarray) -> float:
    """Expected multiply-accumulates if the sets of a group share the union."""
    return sum(
        measures[groups == group].sum() * int(work.mac(live[groups == group].any(axis=0))) for group in set(groups)
    )


def _partitions(sets: int) -> Iterator[np.ndarray]:
    """All partitions, as restricted growth strings."""
    for word in itertools.product(*(range(place + 1) for place in range(sets))):
        if all(group <= max(word[:place], default=-1) + 1 for place, group in enumerate(word)):
            yield np.array(word)


@given(networks(), seeds, st.integers(2, 12), st.booleans())
@settings(deadline=None, max_examples=40)
def test_each_merger_is_the_cheapest_there_is(network, seed, sets, per_weight):
    rng = np.random.default_rng(seed)
    work = Work(network)
    live = rng.random((sets, Prepared(network).relu_units)) < rng.random((sets, 1))
    measures = rng.dirichlet(np.ones(sets))
    groups = [[index] for index in range(sets)]

    def cost(one: list[int], other: list[int]) -> float:
        union, parts = live[one + other].any(axis=0), [live[one].any(axis=0), live[other].any(axis=0)]
        weights = [measures[one].sum(), measures[other].sum()]
        macs = [int(work.mac(part)) for part in parts]
        loss = sum(weights) * int(work.mac(union)) - weights[0] * macs[0] - weights[1] * macs[1]
        saved = sum(macs) - int(work.mac(union))
        return loss if not per_weight else loss / saved if saved > 0 else np.inf

    for into, other in Joiner(work, live, measures, per_weight=per_weight).mergers():
        one, two = (next(group for group in groups if group[0] == number) for number in (into, other))
        cheapest = min(cost(*pair) for pair in itertools.combinations(groups, 2))
        assert cost(one, two) == pytest.approx(cheapest, abs=1e-9)
        groups = [group for group in groups if group not in (one, two)] + [one + two]
    rest = [cost(*pair) for pair in itertools.combinations(groups, 2)]
    assert all(np.isinf(rest))  # all are one group, or no merger saves a weight


def test_greedy_joining_loses_little_against_the_best_partition():
    network = chain(np.random.default_rng(0), [3, 12, 12, 2])
    work, excess = Work(network), []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        centres = rng.random((3, 24)) < 0.5
        live = centres[rng.integers(3, size=7)] ^ (rng.random((7, 24)) < 0.15)
        measures = rng.dirichlet(np.ones(7))
        mergers = list(Joiner(work, live, measures).mergers())
        partitions = list(_partitions(7))
        for members in (2, 3, 4):
            greedy = _expected(work, live, measures, grouped(7, mergers, members))
            best = min(_expected(work, live, measures, p) for p in partitions if p.max() == members - 1)
            assert greedy >= best - 1e-9
            excess.append(greedy / best - 1)
    assert np.mean(excess) < 0.02
    assert max(excess) < 0.15


def test_equal_sets_are_joined_first_and_for_nothing():
    network = chain(np.random.default_rng(0), [3, 8, 8, 2])
    work, rng = Work(network), np.random.default_rng(1)
    live = np.repeat(rng.random((3, 16)) < 0.5, 2, axis=0)
    measures = np.full(6, 1 / 6)
    groups = grouped(6, list(Joiner(work, live, measures).mergers()), 3)
    assert groups.tolist() == [0, 0, 1, 1, 2, 2]


def test_no_merger_leaves_everything_apart():
    assert grouped(4, [(0, 2), (0, 1), (0, 3)], 4).tolist() == [0, 1, 2, 3]
    assert grouped(4, [(0, 2), (0, 1), (0, 3)], 2).tolist() == [0, 0, 0, 1]
