"""Which members to join and which layout to take, under ``--members`` and ``--flash``.

Invariant: what is promised is measured on the family that is written: its tables by `dispatcher.emit_c99.table_sizes`,
its multiply-accumulates in the same layout. Of all families that fit, for each layout those with the most members along
the greedy mergers (`slicer.family.joining`), the one with the least expected multiply-accumulates is chosen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product

import numpy as np
from numpy.typing import NDArray

from dispatcher.cost import cost
from dispatcher.emit_c99 import Layout, masked_macs, table_sizes
from dispatcher.errors import UnusableInput
from dispatcher.plan import Family, Member, Readout, Tree, member_layers
from slicer.box import Box
from slicer.family.claim import Claim
from slicer.family.joining import Joiner, grouped
from slicer.family.options import Options
from slicer.family.work import Work
from slicer.network import Network
from slicer.reduce.classes import fixed_outputs
from slicer.reduce.member import build_member

Kept = NDArray[np.bool_]
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


@dataclass(frozen=True, eq=False, slots=True)
class Cells:
    """The cells of a partition before any member is joined.

    Attributes
    ----------
    tree:
        The routing tree.
    measures:
        Shares of the domain's measure ``[n_cells]``.
    kept:
        What each cell keeps ``[n_cells, n_relu + n_out]``: ReLU units that its certificate does not remove, and outputs
        that may win (all of them, but in mode ``decision``).
    fixed:
        Members that others than equal cells cannot share, by cell: with numbers of their own, or constants. A cell that
        is left out gives its readout up, and is served by what it keeps.
    """

    tree: Tree
    measures: NDArray[np.float64]
    kept: Kept
    fixed: Mapping[int, Member]

    def variants(self) -> list[Cells]:
        """The same cells; without readouts of hidden units; without any readouts. Only those that differ."""
        readouts = {cell for cell, member in self.fixed.items() if member.readout}
        hidden = {cell for cell in readouts if not self._readout(cell).affine}
        without = dict.fromkeys(map(frozenset, ([], hidden, readouts)))
        return [
            replace(self, fixed={cell: member for cell, member in self.fixed.items() if cell not in some})
            for some in without
        ]

    def _readout(self, cell: int) -> Readout:
        readout = self.fixed[cell].readout
        assert readout is not None
        return readout


class Families:
    """The families that joining members of cells can give."""

    def __init__(self, network: Network, claim: Claim, domain: Box, cells: Cells) -> None:
        self._network, self._claim, self._domain, self._cells = network, claim, domain, cells
        self.fixed = cells.fixed
        self._joinable = np.array([cell for cell in range(len(cells.kept)) if cell not in cells.fixed], np.int64)
        own = cells.kept[self._joinable]
        _, first, inverse = np.unique(~own, axis=0, return_index=True, return_inverse=True)
        rank = np.argsort(np.argsort(first))  # distinct sets by their first cell
        self._set_of_cell = rank[inverse.reshape(-1)]
        self._sets = own[np.sort(first)]
        self._unshared = len(set(cells.fixed.values()))
        self._members: dict[bytes, Member] = {}
        self._steps: dict[tuple[str, str, int], Step] = {}

    @property
    def most(self) -> int:
        """Number of distinct members before any is joined."""
        return len(self._sets) + self._unshared

    def kept(self, order: str, members: int) -> Kept:
        """What all cells of a cell's group keep ``[n_cells, n_relu + n_out]``, with so many members."""
        result = self._cells.kept.copy()
        if len(self._sets):
            groups = grouped(len(self._sets), self._mergers[order], members - self._unshared)
            joint = np.zeros((groups.max() + 1, self._sets.shape[1]), bool)
            for group, own in zip(groups, self._sets, strict=True):
                joint[group] |= own
            result[self._joinable] = joint[groups[self._set_of_cell]]
        return result

    def step(self, layout: Layout, order: str, members: int) -> Step:
        """The measured family with so many members."""
        key = (layout, order, members)
        if key not in self._steps:
            self._steps[key] = self._measured(layout, self._family(self.kept(order, members)))
        return self._steps[key]

    def fewest(self, order: str) -> int:
        """The least number of members that mergers lead to."""
        return self.most - len(self._mergers[order])

    @cached_property
    def _mergers(self) -> dict[str, list[tuple[int, int]]]:
        """All mergers of the sets, in each order."""
        if not len(self._sets):
            return {order: [] for order in ORDERS}
        work, live = Work(self._network), self._sets[:, : self._network.relu_units]
        measures = np.bincount(self._set_of_cell, self._cells.measures[self._joinable], len(live)).astype(np.float64)
        return {order: list(Joiner(work, live, measures, per_weight=order != ORDERS[0]).mergers()) for order in ORDERS}

    def _family(self, kept: Kept) -> Family:
        """The family whose cells keep this."""
        members = [self._cells.fixed.get(cell) or self._member(row) for cell, row in enumerate(kept)]
        place = {member: index for index, member in enumerate(dict.fromkeys(members))}
        epsilon = self._claim.epsilon
        return Family(
            mode=self._claim.mode,
            parent=self._network.layers,
            lower=self._domain.lower,
            upper=self._domain.upper,
            tree=self._cells.tree,
            members=tuple(place),
            cells=tuple(place[member] for member in members),
            decision=self._claim.decision,
            epsilon=None if epsilon is None else np.array(epsilon, np.float32),
        )

    def _member(self, kept: NDArray[np.bool_]) -> Member:
        """The member that keeps this."""
        key = kept.tobytes()
        if key not in self._members:
            removed, classes = np.split(~kept, [self._network.relu_units])
            ends = np.cumsum([self._network.layers[relu].width for relu in self._network.relu_layers])
            parts = zip(self._network.relu_layers, np.split(removed, ends[:-1]) if len(ends) else (), strict=True)
            by_layer = {relu: set(np.flatnonzero(part).tolist()) for relu, part in parts}
            decision, may_win = self._claim.decision, np.flatnonzero(~classes).tolist()
            fixed = fixed_outputs(decision, self._network.n_out, may_win) if decision else None
            self._members[key] = build_member(self._network, by_layer, fixed)
        return self._members[key]

    def _measured(self, layout: Layout, family: Family) -> Step:
        """A family's size and work in a layout."""
        if layout == "packed":
            macs = np.array([cost(member_layers(family.parent, member)).mac for member in family.members])
        else:
            macs = masked_macs(family)
        mean = float(macs[list(family.cells)] @ self._cells.measures)
        return Step(layout, len(family.members), table_sizes(family, layout).flash, mean, int(macs.max()))


Found = tuple[Step, Families, tuple[str, int]]  # of which families, and how: order of merging, number of members


def choose(variants: Sequence[Families], options: Options) -> tuple[Budget, Families, Kept]:
    """The family to write: of which variant it is, and what its cells keep ``[n_cells, n_relu + n_out]``.

    Raises
    ------
    UnusableInput
        If not even the smallest family fits.
    """
    fewest = min(families.fewest(order) for families in variants for order in ORDERS)
    if options.members is not None and options.members < fewest:
        fix = f"cells that one output decides share with equal ones only; go on with --resume and at least {fewest:,}"
        what = f"expected at least {fewest:,} members, got {options.members:,}"
        raise UnusableInput(what, where="--members", fix=fix)
    best = _best(variants, options.layouts, options.members, options.flash)
    if best is None:
        least = min(step.flash for step, *_ in _all(variants, options.layouts))
        fix = f"{least:,} bytes are enough; the cells that are done are kept, go on with --resume and another budget"
        raise UnusableInput(f"expected a larger budget than {options.flash:,} bytes", where="--flash", fix=fix)
    chosen, families, (order, members) = best
    free = {
        "--members": _best(variants, options.layouts, None, options.flash),
        "--flash": _best(variants, options.layouts, options.members, None),
    }
    binding = tuple(name for name, other in free.items() if other and other[0].mac_mean < chosen.mac_mean)
    steps = {step for step, *_ in _all(variants, options.layouts)} | {chosen}
    return Budget(chosen, binding, _front(steps, chosen)), families, families.kept(order, members)


def _best(
    variants: Sequence[Families], layouts: tuple[Layout, ...], members: int | None, flash: int | None
) -> Found | None:
    """The family with the least mean among the largest that fit, one for each variant, layout and order."""
    found: list[Found] = []
    for families, layout, order in product(variants, layouts, ORDERS):
        count = _largest(families, layout, order, families.most if members is None else members, flash)
        if count is not None:
            found.append((families.step(layout, order, count), families, (order, count)))
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


def _all(variants: Sequence[Families], layouts: tuple[Layout, ...]) -> Iterator[Found]:
    """Families over the whole range: all members, half of them, a quarter, and so on."""
    for families, layout, order in product(variants, layouts, ORDERS):
        members, fewest = families.most, families.fewest(order)
        while members > fewest:
            yield families.step(layout, order, members), families, (order, members)
            members //= 2
        yield families.step(layout, order, fewest), families, (order, fewest)


def _front(steps: set[Step], chosen: Step) -> tuple[Step, ...]:
    """Steps that no other one beats in flash and mean, and the chosen one, by growing flash."""
    front: list[Step] = []
    least = float("inf")
    for step in sorted(steps, key=lambda one: (one.flash, one.mac_mean, one.mac_max, one.members, one.layout)):
        if step.mac_mean < least or step == chosen:
            front.append(step)
            least = min(least, step.mac_mean)
    return tuple(front)
