"""Parts of cells that need no network, cut out where proofs say so, in modes whose claims allow that.

Cuts chosen by points and estimates (`slicer.family.cuts`) do not know what proofs will reach. So every cell is carved
when it is there (`slicer.search.carve`): cut by trial into parts, some of them settled. A part costs a place in the
routing tree, so all the trees are pruned together: neighbours that the same claim settles are one part, cuts around
settled parts that are worth less than a price are taken back, and the price is the lowest one that keeps the number of
parts. This is minimal cost-complexity pruning (Breiman, Friedman, Olshen & Stone, *Classification and Regression
Trees*, 1984, chapter 3). The parts become cells; those of one cell that are not settled share its search and member.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dispatcher.files import read_network
from slicer.box import Box
from slicer.family.claim import Claim
from slicer.network import Network
from slicer.search.attempt import SOLE
from slicer.search.carve import NONE, Claims, Functions, Parts, Winners, carve
from slicer.search.readout import has_errors

Array = NDArray[np.float64]
Labels = NDArray[np.int64]

MIXED = -2  # the label of a node that stays cut
HALVINGS = 50  # of the interval of prices


@dataclass(frozen=True, slots=True)
class Carve:
    """Carves a cell, for worker processes: what is the same for all cells. No cut is tried after the time ``end``."""

    parent: bytes
    claim: Claim
    effort: int
    end: float = math.inf

    def __call__(self, box: Box) -> Parts:
        """See `slicer.search.carve.carve`."""
        network = _network(self.parent)
        return carve(_claims(network, self.claim), box, SOLE * self.effort, lambda: time.time() > self.end)


class Keeping(Protocol):
    """Where the parts of cells are kept (`slicer.family.checkpoint.PartStore`)."""

    def read(self, box: Box) -> Parts | None:
        """Those of an earlier run."""

    def write(self, box: Box, parts: Parts) -> None:
        """Keep them for a later run."""


@dataclass(frozen=True, slots=True)
class Carving:
    """How to carve cells, how many parts there may be for each cell, on average, and where they are kept."""

    carve: Carve
    parts: int
    store: Keeping | None = None

    def found(self, box: Box) -> Parts | None:
        """A cell's parts as an earlier run found them."""
        return self.store.read(box) if self.store else None

    def keep(self, box: Box, parts: Parts) -> None:
        """Keep a cell's parts, unless time may have cut the search for them short."""
        if self.store and self.carve.end == math.inf:
            self.store.write(box, parts)


def can_carve(network: Network, claim: Claim) -> bool:
    """Whether there is a claim that settles parts of cells, and is small enough for a proof."""
    return claim.decision is not None or (claim.epsilon is not None and has_errors(network))


def _claims(network: Network, claim: Claim) -> Claims:
    """What may settle parts."""
    if claim.decision is not None:
        return Winners(network, claim.decision)
    return Functions(network, np.array(claim.epsilon))


@lru_cache(maxsize=1)
def _network(parent: bytes) -> Network:
    """The network of this process."""
    return Network(read_network(parent))


class Forest:
    """The trees of several carved cells.

    Parameters
    ----------
    parts:
        Their trees.
    measures:
        The cells' shares of the domain's measure; inside of a cell it is spread like the volume.
    """

    def __init__(self, parts: Sequence[Parts], measures: Sequence[float]) -> None:
        sizes = [len(tree.axis) for tree in parts]
        self.roots = np.cumsum([0, *sizes[:-1]])
        self._axis = np.concatenate([tree.axis for tree in parts])
        self._threshold = np.concatenate([tree.threshold for tree in parts])
        self._label = np.concatenate([tree.label for tree in parts])
        shifted = [np.where(tree.axis >= 0, tree.low + root, -1) for tree, root in zip(parts, self.roots, strict=True)]
        self._low = np.concatenate(shifted)
        self._measure = np.concatenate([tree.volume for tree in parts]) * np.repeat(measures, sizes)
        self._levels = self._by_depth()

    def pruned(self, cells: int) -> Labels:
        """The label of every node after pruning to ``cells`` cells at most: `MIXED` where it stays cut."""
        label, count = self._pruned(0.0)
        if count <= cells:
            return label
        low, high = 0.0, 2.0  # no cut is worth a price above 1, all there is to settle
        label, _ = self._pruned(high)
        for _ in range(HALVINGS):
            price = (low + high) / 2
            below, count = self._pruned(price)
            if count > cells:
                low = price
            else:
                high, label = price, below
        return label

    def cut(self, node: int) -> tuple[int, float, int]:
        """Axis and threshold of a node, and its low child; the high child is the next node."""
        return int(self._axis[node]), float(self._threshold[node]), int(self._low[node])

    def _pruned(self, price: float) -> tuple[Labels, int]:
        """Labels at a price per cell, as a share of the domain's measure, and how many cells they leave."""
        label = self._label.copy()
        count = np.ones(len(label), np.int64)
        net = np.where(label == NONE, 0.0, self._measure)  # what is settled, less the price of cuts
        for nodes in self._levels:
            low, high = self._low[nodes], self._low[nodes] + 1
            same = (label[low] == label[high]) & (label[low] != MIXED)
            gain = net[low] + net[high] - np.where(same, 0.0, price)
            stays = ~same & (gain > 0)
            label[nodes] = np.where(same, label[low], np.where(stays, MIXED, NONE))
            count[nodes] = np.where(stays, count[low] + count[high], 1)
            net[nodes] = np.where(same | stays, gain, 0.0)
        return label, int(count[self.roots].sum())

    def _by_depth(self) -> list[NDArray[np.int64]]:
        """The nodes that are cut, deepest first, those of one depth together."""
        levels, nodes = [], self.roots
        while len(nodes := nodes[self._axis[nodes] >= 0]):
            levels.append(nodes)
            nodes = np.concatenate([self._low[nodes], self._low[nodes] + 1])
        return levels[::-1]
