"""Live units, for layout ``masked``: which units of each layer a member computes, as masks that members share.

Members differ in *slots*: a slot stands for the units of a layer, or of several layers whose units go together, and
holds the distinct sets of live units that occur; a member chooses one set of each slot. A set is a mask of the layer's
units and the units that are special in it: constants, and units whose first terms are summed beforehand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dispatcher.emit_c99.blocks import computed_units
from dispatcher.emit_c99.steps import Kind, Program, Step
from dispatcher.layers import Dense, Layers
from dispatcher.plan import Member, MemberLayer


@dataclass(frozen=True, slots=True)
class SpecialRow:
    """A unit whose terms before source unit ``first`` sum to ``value``, or whose value it is: ``first == n_in``."""

    value: float
    unit: int
    first: int


@dataclass(frozen=True, slots=True)
class LiveSet:
    """Live units of a layer in ascending order, and the special ones among them."""

    units: tuple[int, ...]
    specials: tuple[SpecialRow, ...] = ()


@dataclass(frozen=True, slots=True)
class SlotRow:
    """Where a slot's masks and special units begin, the bytes of a mask, and how many sets come before which others."""

    masks: int
    specials: int
    bytes: int
    gathered: int
    plain: int


@dataclass(frozen=True, slots=True)
class LiveRow:
    """The slots of a step's source and target; the number of slots stands for none: all units are live."""

    source: int
    target: int


@dataclass(frozen=True, eq=False)
class LiveTables:
    """The tables of ``masked.h``.

    Attributes
    ----------
    slots:
        Rows.
    live_of_step:
        A row for each step.
    choices:
        Sets ``[n_members, n_slots]``; a zero row if there are no members.
    masks:
        Bytes of all masks.
    special_sets:
        For each set with special units, the place of the first of them.
    specials:
        Rows; after those of a set comes one whose unit is the number of units.
    """

    slots: tuple[SlotRow, ...]
    live_of_step: tuple[LiveRow, ...]
    choices: NDArray[np.int64]
    masks: NDArray[np.uint8]
    special_sets: tuple[int, ...]
    specials: tuple[SpecialRow, ...]

    def largest_index(self) -> int:
        """The largest number that an index of the C has to hold."""
        rows = [max(row.bytes, row.gathered, row.plain) for row in self.slots]
        units = [max(row.unit, row.first) for row in self.specials]
        return max(len(self.slots), int(self.choices.max()), *rows, *units)

    def largest_place(self) -> int:
        """The largest number that a place of the C has to hold."""
        return max(self.masks.size, len(self.special_sets), len(self.specials))


@dataclass(frozen=True, slots=True)
class _Slot:
    """A slot while it is collected: the layer's width and every member's set."""

    width: int
    sets: tuple[LiveSet, ...]


def live_tables(parent: Layers, members: Sequence[Member], program: Program) -> LiveTables:
    """The tables of some members of a parent, none of them affine, and the program that they share."""
    slots: list[_Slot] = []
    walked = walked_steps(members, program)
    pairs = [_slots_of(parent, members, step, walked > index, slots) for index, step in enumerate(program.steps)]
    none = max(1, len(slots))
    lives = tuple(LiveRow(*(none if slot is None else slot for slot in pair)) for pair in pairs)
    return _tables(len(members), slots, lives)


def walked_steps(members: Sequence[Member], program: Program) -> NDArray[np.int64]:
    """How many steps every member walks, ``[n_members]``: those up to the last layer that its readout reads, or all."""
    steps = {value.layer: value.steps for value in program.values}
    ends = [len(program.steps) if one.readout is None else steps[one.readout.reads[-1][0]] for one in members]
    return np.array(ends, np.int64)


def _slots_of(
    parent: Layers, members: Sequence[Member], step: Step, walked: NDArray[np.bool_], slots: list[_Slot]
) -> tuple[int | None, int | None]:
    """The slots of a step's source and target, added if they are new; None where no choice of units is needed.

    ``walked``: which members come to the step at all, ``[n_members]``.
    """
    if step.kind is not Kind.DENSE:
        return None, None
    layer = _dense(parent, step)
    source = target = None
    if not step.from_list:
        source = _add(slots, _slot(parent[layer.source].width, source_sets(parent, members, step), walked))
    sets = target_sets(members, step)
    if step.to_list or any(one.specials for one in sets):  # other vectors are computed whole
        target = _add(slots, _slot(layer.width, sets, walked))
    return source, target


def _slot(width: int, sets: Sequence[LiveSet], walked: NDArray[np.bool_]) -> _Slot:
    """A slot; where a member has no units and does not come to the step, any set does: that of another one."""
    free = [not (one.units or comes) for one, comes in zip(sets, walked, strict=True)]
    chosen = [one for one, is_free in zip(sets, free, strict=True) if not is_free]
    filler = chosen[0] if chosen else LiveSet(tuple(range(width)))
    return _Slot(width, tuple(filler if is_free else one for one, is_free in zip(sets, free, strict=True)))


def _add(slots: list[_Slot], slot: _Slot) -> int | None:
    """The slot's number: an equal slot's, or a new one; None if all units are live in every member."""
    if all(len(one.units) == slot.width and not one.specials for one in slot.sets):
        return None
    if slot not in slots:
        slots.append(slot)
    return slots.index(slot)


def _dense(parent: Layers, step: Step) -> Dense:
    """The layer that a Dense step computes."""
    layer = parent[step.layer]
    assert isinstance(layer, Dense)
    return layer


def source_sets(parent: Layers, members: Sequence[Member], step: Step) -> tuple[LiveSet, ...]:
    """For every member, the units that a Dense step reads."""
    source = _dense(parent, step).source
    return tuple(LiveSet(member.layers[source].units) for member in members)


def target_sets(members: Sequence[Member], step: Step) -> tuple[LiveSet, ...]:
    """For every member, the units that a Dense step computes."""
    return tuple(_target_set(member.layers[step.layer], member.layers[step.result], step.n_in) for member in members)


def _target_set(dense: MemberLayer, result: MemberLayer, n_in: int) -> LiveSet:
    """The units of a Dense layer, or of the ReLU that alone reads it, and the special ones among them."""
    if not dense.prefixes and not dense.constants:
        return LiveSet(result.units)
    kept = set(result.units)
    rows = [SpecialRow(float(row.value), row.unit, row.first) for row in dense.prefixes if row.unit in kept]
    rows += [SpecialRow(float(row.value), row.unit, n_in) for row in dense.constants if row.unit in kept]
    return LiveSet(result.units, tuple(sorted(rows, key=lambda row: row.unit)))


def live_matrix(sets: Sequence[LiveSet], width: int) -> NDArray[np.bool_]:
    """Which units of a layer are live, ``[n_sets, width]``."""
    live = np.zeros((len(sets), width), np.bool_)
    rows = np.repeat(np.arange(len(sets)), [len(one.units) for one in sets])
    live[rows, [unit for one in sets for unit in one.units]] = True
    return live


def gathered_sets(live: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Sets ``[n_sets]`` whose live units are computed apart, eight at a time, instead of in whole passes.

    Gathered units cost more instructions each, as the addresses of their weights are computed one by one: on a
    Cortex-M4F and RV32F, 4/9 of the passes' units is a better limit than 1/2 or 9/16.
    """
    few: NDArray[np.bool_] = 9 * live.sum(axis=1) <= 4 * computed_units(live)
    return few


def _arrange(slot: _Slot) -> tuple[list[LiveSet], NDArray[np.bool_], int, int]:
    """A slot's distinct sets in their order, as a matrix too; how many are gathered, and how many are not special."""
    sets = list(dict.fromkeys(slot.sets))
    live = live_matrix(sets, slot.width)
    special = np.array([bool(one.specials) for one in sets])
    gathered = gathered_sets(live) & ~special
    order = np.argsort(np.where(special, 2, np.where(gathered, 0, 1)), kind="stable")
    return [sets[index] for index in order], live[order], int(gathered.sum()), int((~special).sum())


def _tables(members: int, slots: Sequence[_Slot], lives: tuple[LiveRow, ...]) -> LiveTables:
    """Rows of the slots and their sets, one slot after the other. C has no empty arrays: these get a zero row."""
    rows: list[SlotRow] = []
    masks = bytearray()
    choices = np.zeros((max(1, members), max(1, len(slots))), np.int64)
    special_sets: list[int] = []
    specials: list[SpecialRow] = []
    for column, slot in enumerate(slots):
        sets, live, gathered, plain = _arrange(slot)
        rows.append(SlotRow(len(masks), len(special_sets), -(-slot.width // 8), gathered, plain))
        masks += np.packbits(live, axis=1, bitorder="little").tobytes()
        number = {one: index for index, one in enumerate(sets)}
        choices[:, column] = [number[one] for one in slot.sets]
        for one in sets[plain:]:
            special_sets.append(len(specials))
            specials += [*one.specials, SpecialRow(0.0, slot.width, 0)]
    return LiveTables(
        slots=tuple(rows) or (SlotRow(0, 0, 0, 0, 0),),
        live_of_step=lives or (LiveRow(0, 0),),
        choices=choices,
        masks=np.frombuffer(bytes(masks) or b"\0", np.uint8),
        special_sets=tuple(special_sets) or (0,),
        specials=tuple(specials) or (SpecialRow(0.0, 0, 0),),
    )


def member_macs(parent: Layers, members: Sequence[Member], program: Program) -> NDArray[np.int64]:
    """Multiply-accumulates ``[n_members]`` of the masked program, if no unit happens to be zero.

    No member is affine. Units that are not live but computed with others count; where multiplications are slow, the C
    computes fewer. A readout has one for each of its weights.
    """
    macs = np.array([0 if one.readout is None else one.readout.weight.size for one in members], np.int64)
    walked = walked_steps(members, program)
    for index, step in enumerate(program.steps):
        if step.kind is Kind.DENSE:
            sources = [len(one.units) for one in source_sets(parent, members, step)]
            macs += np.array(sources) * _computed(target_sets(members, step), step) * (walked > index)
    return macs


def _computed(targets: Sequence[LiveSet], step: Step) -> NDArray[np.int64]:
    """Units ``[n_members]`` that a Dense step computes term by term."""
    live = live_matrix(targets, step.n_out)
    whole = np.minimum(computed_units(live), step.n_out) if step.to_list else np.full(len(targets), step.n_out)
    apart = live.sum(axis=1) - [len(one.specials) for one in targets]
    special = np.array([bool(one.specials) for one in targets])
    gathered = gathered_sets(live) & step.to_list
    return np.where(special | gathered, apart, whole)
