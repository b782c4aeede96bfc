"""Joining members: which live sets become one, so that expected work grows least.

A joined member's live set is the union of its cells'. Greedy agglomeration (Ward, *Hierarchical grouping to optimize
an objective function*, JASA 58, 1963): start with one group for each distinct set and merge, again and again, the two
whose merger costs least. The cost is the loss in expected multiply-accumulates, or, where members carry weights of
their own, the loss per weight saved. Every group knows its nearest one; what a merger makes stale is looked up again
only when its turn comes (the generic algorithm of Müllner, *Modern hierarchical, agglomerative clustering algorithms*,
2011), so memory is linear in the number of sets and time quadratic as a rule.

Invariant: the mergers are a pure function of the sets and their measures; sizes of unions are integers, whatever the
order in which a matrix product sums them.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from slicer.family.work import Units, Work

Array = NDArray[np.float64]

BLOCK = 64  # sets whose unions with all others are counted at a time


class Joiner:
    """Groups of live sets ``[n, n_relu]`` with measures ``[n]``, merged step by step."""

    def __init__(self, work: Work, live: Units, measures: Array, *, per_weight: bool = False) -> None:
        self._factors = [[part.astype(np.float32) for part in pair] for pair in work.factors(live)]
        self._measure = measures.astype(np.float64)
        self._per_weight = per_weight
        self._mac = np.zeros(len(live))
        for rows, columns in self._factors:
            self._mac += rows.sum(axis=1, dtype=np.float64) * columns.sum(axis=1, dtype=np.float64)
        self._alive = np.ones(len(live), bool)
        self._best = np.full(len(live), np.inf)  # a lower bound of the cost of a group's cheapest merger
        self._partner = np.full(len(live), -1)  # with whom; −1 if that is to be looked up again
        for first in range(0, len(live), BLOCK):
            self._look_up(np.arange(first, min(first + BLOCK, len(live))))

    def mergers(self) -> Iterator[tuple[int, int]]:
        """Pairs (a, b) in the order of merging: group b joins group a. Ends when one is left, or nothing more pays."""
        while True:
            first = int(self._best.argmin())
            if not np.isfinite(self._best[first]):
                return
            if self._partner[first] < 0:
                self._look_up(np.array([first]))
                continue
            pair = sorted((first, int(self._partner[first])))
            self._merge(*pair)
            yield pair[0], pair[1]

    def _merge(self, into: int, other: int) -> None:
        """Unite two groups."""
        for pair in self._factors:
            for part in pair:
                part[into] = np.maximum(part[into], part[other])
        self._mac[into] = sum(float(rows[into].sum()) * float(columns[into].sum()) for rows, columns in self._factors)
        self._measure[into] += self._measure[other]
        self._alive[other], self._best[other] = False, np.inf
        self._partner[np.isin(self._partner, (into, other))] = -1
        costs = self._look_up(np.array([into]))[0]
        closer = self._alive & (costs < self._best)
        closer[into] = False
        self._best[closer], self._partner[closer] = costs[closer], into

    def _look_up(self, groups: NDArray[np.int64]) -> Array:
        """Find the cheapest mergers of some groups; returns what theirs with all groups cost ``[len(groups), n]``."""
        costs = self._costs(groups)
        self._partner[groups] = costs.argmin(axis=1)
        self._best[groups] = costs.min(axis=1)
        return costs

    def _costs(self, groups: NDArray[np.int64]) -> Array:
        """What it costs to merge some groups with each of all; infinite where it is impossible or saves no weight."""
        union = np.zeros((len(groups), len(self._mac)))
        for rows, columns in self._factors:
            union += _union_sizes(rows, groups) * _union_sizes(columns, groups)
        measure = self._measure[groups, None] + self._measure
        own = self._measure * self._mac
        costs = np.maximum(measure * union - own[groups, None] - own, 0.0)
        if self._per_weight:
            saved = self._mac[groups, None] + self._mac - union
            costs = np.where(saved > 0, costs / np.maximum(saved, 1), np.inf)
        costs[:, ~self._alive] = np.inf
        costs[np.arange(len(groups)), groups] = np.inf
        return costs


def _union_sizes(sets: NDArray[np.float32], groups: NDArray[np.int64]) -> Array:
    """|a ∪ b| = |a| + |b| − |a ∩ b| for some sets a and all sets b; integers below 2^24 are exact in float32."""
    sizes = sets.sum(axis=1)
    return np.asarray(sizes[groups, None] + sizes - sets[groups] @ sets.T, np.float64)


def grouped(sets: int, mergers: list[tuple[int, int]], members: int) -> NDArray[np.int64]:
    """The group ``[sets]`` of every set after as many mergers as leave ``members`` groups, numbered by first set."""
    group = np.arange(sets)
    for into, other in mergers[: sets - members]:
        group[group == other] = into
    return np.unique(group, return_inverse=True)[1]
