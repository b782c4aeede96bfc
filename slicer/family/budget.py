"""Which members to join and which layout to take, under ``--members`` and ``--flash``.

Invariant: what is promised is measured on the family that is written: its tables by `dispatcher.emit_c99.table_sizes`,
its multiply-accumulates in the same layout. Of all families that fit, for each layout those with the most members along
the greedy mergers (`slicer.family.joining`), the one with the least expected multiply-accumulates is chosen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dispatcher.cost import cost
from dispatcher.emit_c99 import Layout, masked_macs, table_sizes
from dispatcher.errors import UnusableInput
from dispatcher.plan import Family, Member, Tree, member_layers
from slicer.box import Box
from slicer.family.joining import Joiner, grouped
from slicer.family.options import Options
from slicer.family.work import Work
from slicer.network import Network
from slicer.reduce.member import build_member

Removed = NDArray[np.bool_]
ORDERS = ("loss", "loss per weight")  # by which groups are merged


@dataclass(frozen=True, slots=True)
class Step:
    """A family that could be written: bytes of its tables, multiply-accumulates per inference (mean by the measure)."""

    layout: Layout
    members: int
    flash: int
    mac_mean: float
    mac_max: int


@dataclass(frozen=True, slots=True)
class Budget:
    """What became of a budget.

    Attributes
    ----------
    chosen:
        The family that is written.
    binding:
        The options without which a better family would have been written.
    steps:
        Families that no other one beats in flash and in mean, by growing flash, and the chosen one.
    """

    chosen: Step
    binding: tuple[str, ...]
    steps: tuple[Step, ...]


class Families:
    """The families of one partition that joining can give.

    Parameters
    ----------
    removed:
        Units that each cell's certificate removes ``[n_cells, n_relu]``.
    measures:
        Of the cells ``[n_cells]``.
    """

    def __init__(
        self, network: Network, domain: Box, tree: Tree, removed: Removed, measures: NDArray[np.float64]
    ) -> None:
        self._network, self._domain, self._tree = network, domain, tree
        self._measures = measures
        _, first, inverse = np.unique(removed, axis=0, return_index=True, return_inverse=True)
        rank = np.argsort(np.argsort(first))  # distinct sets by their first cell
        self._set_of_cell = rank[inverse.reshape(-1)]
        self._sets = removed[np.sort(first)]
        self._members: dict[bytes, Member] = {}
        self._steps: dict[tuple[str, str, int], Step] = {}

    @property
    def most(self) -> int:
        """Number of distinct sets."""
        return len(self._sets)

    def removed(self, order: str, members: int) -> Removed:
        """What all cells of a cell's group remove ``[n_cells, n_relu]``, with so many groups."""
        groups = grouped(self.most, self._mergers[order], members)
        joint = np.ones((groups.max() + 1, self._sets.shape[1]), bool)
        for group, own in zip(groups, self._sets, strict=True):
            joint[group] &= own
        return joint[groups[self._set_of_cell]]

    def step(self, layout: Layout, order: str, members: int) -> Step:
        """The measured family with so many groups."""
        key = (layout, order, members)
        if key not in self._steps:
            self._steps[key] = self._measured(layout, self._family(self.removed(order, members)))
        return self._steps[key]

    def fewest(self, order: str) -> int:
        """The least number of groups that mergers lead to."""
        return self.most - len(self._mergers[order])

    @cached_property
    def _mergers(self) -> dict[str, list[tuple[int, int]]]:
        """All mergers of the sets, in each order."""
        work = Work(self._network)
        measures = np.bincount(self._set_of_cell, self._measures, self.most).astype(np.float64)
        return {
            order: list(Joiner(work, ~self._sets, measures, per_weight=order != ORDERS[0]).mergers())
            for order in ORDERS
        }

    def _family(self, removed: Removed) -> Family:
        """The family whose cells remove these units."""
        members = [self._member(row) for row in removed]
        place = {member: index for index, member in enumerate(dict.fromkeys(members))}
        return Family(
            mode="bitwise",
            parent=self._network.layers,
            lower=self._domain.lower,
            upper=self._domain.upper,
            tree=self._tree,
            members=tuple(place),
            cells=tuple(place[member] for member in members),
        )

    def _member(self, removed: NDArray[np.bool_]) -> Member:
        """The member with these units removed."""
        key = removed.tobytes()
        if key not in self._members:
            ends = np.cumsum([self._network.layers[relu].width for relu in self._network.relu_layers])
            parts = zip(self._network.relu_layers, np.split(removed, ends[:-1]) if len(ends) else (), strict=True)
            by_layer = {relu: set(np.flatnonzero(part).tolist()) for relu, part in parts}
            self._members[key] = build_member(self._network, by_layer)
        return self._members[key]

    def _measured(self, layout: Layout, family: Family) -> Step:
        """A family's size and work in a layout."""
        if layout == "packed":
            macs = np.array([cost(member_layers(family.parent, member)).mac for member in family.members])
        else:
            macs = masked_macs(family)
        mean = float(macs[list(family.cells)] @ self._measures)
        return Step(layout, len(family.members), table_sizes(family, layout).flash, mean, int(macs.max()))


def choose(families: Families, options: Options) -> tuple[Budget, Removed]:
    """The family to write, and the units that its cells remove ``[n_cells, n_relu]``.

    Raises
    ------
    UnusableInput
        If not even the smallest family fits.
    """
    best = _best(families, options.layouts, options.members, options.flash)
    if best is None:
        least = min(step.flash for step, _ in _all(families, options.layouts))
        fix = f"{least:,} bytes are enough; the cells that are done are kept, go on with --resume and another budget"
        raise UnusableInput(f"expected a larger budget than {options.flash:,} bytes", where="--flash", fix=fix)
    chosen, (order, members) = best
    free = {
        "--members": _best(families, options.layouts, None, options.flash),
        "--flash": _best(families, options.layouts, options.members, None),
    }
    binding = tuple(name for name, other in free.items() if other and other[0].mac_mean < chosen.mac_mean)
    steps = {step for step, _ in _all(families, options.layouts)} | {chosen}
    return Budget(chosen, binding, _front(steps, chosen)), families.removed(order, members)


Found = tuple[Step, tuple[str, int]]  # and how to get it: order of merging, number of groups


def _best(families: Families, layouts: tuple[Layout, ...], members: int | None, flash: int | None) -> Found | None:
    """The family with the least mean among the largest that fit, one for each layout and order."""
    found = []
    for layout in layouts:
        for order in ORDERS:
            count = _largest(families, layout, order, families.most if members is None else members, flash)
            if count is not None:
                found.append((families.step(layout, order, count), (order, count)))
    return min(found, key=lambda one: (one[0].mac_mean, one[0].flash), default=None)


def _largest(families: Families, layout: Layout, order: str, members: int, flash: int | None) -> int | None:
    """The largest number of groups up to ``members`` that fits, by bisection; None if the fewest do not fit."""
    low, high = families.fewest(order), min(members, families.most)
    if high < low or not _fits(families.step(layout, order, low), flash):
        return None
    if _fits(families.step(layout, order, high), flash):
        return high
    while high - low > 1:  # low fits, high does not
        middle = (low + high) // 2
        low, high = (middle, high) if _fits(families.step(layout, order, middle), flash) else (low, middle)
    return low


def _fits(step: Step, flash: int | None) -> bool:
    """Whether a family keeps the budget."""
    return flash is None or step.flash <= flash


def _all(families: Families, layouts: tuple[Layout, ...]) -> Iterator[Found]:
    """Families over the whole range: all members, half of them, a quarter, and so on."""
    for layout in layouts:
        for order in ORDERS:
            members, fewest = families.most, families.fewest(order)
            while members > fewest:
                yield families.step(layout, order, members), (order, members)
                members //= 2
            yield families.step(layout, order, fewest), (order, fewest)


def _front(steps: set[Step], chosen: Step) -> tuple[Step, ...]:
    """Steps that no other one beats in flash and mean, and the chosen one, by growing flash."""
    front: list[Step] = []
    least = float("inf")
    for step in sorted(steps, key=lambda one: (one.flash, one.mac_mean, one.mac_max, one.members, one.layout)):
        if step.mac_mean < least or step == chosen:
            front.append(step)
            least = min(least, step.mac_mean)
    return tuple(front)
