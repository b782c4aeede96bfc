"""What is known of a finished cell: its files, and what search did in it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dispatcher.literal import bits_text
from slicer.certificate.verdict import Accepted
from slicer.certificate.write import unit_lists
from slicer.family.gate import Gone, Offsets
from slicer.search.cell import CellSearch
from slicer.search.verdict import TIME, Open, Proved, Refuted, Verdict


@dataclass(frozen=True, slots=True)
class CellCounts:
    """What search did in a cell; ``search.json`` holds one per cell. No part of any proof.

    Attributes
    ----------
    candidates:
        Units whose phase never changed over the falsifier's points: the sum of the next four.
    removed, attested:
        ReLU units removed by the accepted certificate, and how many of them on a solver's word.
    boxes:
        Work units spent.
    nodes:
        Nodes of the certificate's tree.
    classes:
        In mode ``decision`` how many outputs may win in the cell; else 0.
    affine:
        Whether an affine function of the input is all that is left (mode ``epsilon``).
    readout:
        How many hidden units the member's readout reads, where it ends in one (mode ``epsilon``); else 0.
    truncated:
        Whether the time limit stopped the search.
    gate:
        ``accepted``, or what the checker refused although all facts were given (those closings were given up).
    parts:
        For every output what reduction and rounding take of its bound (`slicer.certificate.verdict.Accepted`), as
        `float.hex` writes it; empty where no readout is proved.
    witnesses:
        For every refuted candidate (ReLU layer, unit, phase hoped for, float32 bits of an input as hex digits): there
        eval32 finds the unit's pre-activation above zero if the phase is −1, below zero if it is +1.
    """

    cell: int
    candidates: int
    proved_inactive: int
    proved_active: int
    refuted: int
    open: int
    removed: int
    boxes: int
    nodes: int
    truncated: bool
    gate: str
    attested: int = 0
    classes: int = 0
    affine: bool = False
    readout: int = 0
    parts: tuple[tuple[str, str], ...] = ()
    witnesses: tuple[tuple[int, int, int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class CellResult:
    """Files of one cell, as plain bytes that cross process boundaries."""

    certificate: bytes
    member: bytes
    counts: CellCounts


def counted(
    cell: int, search: CellSearch | None, offsets: Offsets, gone: Gone, verdict: Accepted, gate: str
) -> CellCounts:
    """Counts of a finished cell; ``offsets`` are where the ReLU layers that search knew begin."""
    verdicts = search.verdicts if search else {}
    refuted = {unit: found for unit, found in sorted(verdicts.items()) if isinstance(found, Refuted)}
    places = [(layer, unit) for layer, units in unit_lists(refuted, offsets) for unit in units]
    found = [(int(search.phases[unit]), bits_text(one.witness)) for unit, one in refuted.items()] if search else []
    return replace(
        _search_counts(cell, search, list(verdicts.values())),
        removed=verdict.removed,
        attested=verdict.attested,
        classes=len(gone.classes or ()),
        affine=gone.readout is not None and gone.readout.affine,
        readout=0 if gone.readout is None else sum(len(units) for layer, units in gone.readout.reads if layer),
        parts=tuple((reduction.hex(), rounding.hex()) for reduction, rounding in verdict.parts),
        nodes=verdict.nodes,
        gate=gate,
        witnesses=tuple((*place, *witness) for place, witness in zip(places, found, strict=True)),
    )


def _search_counts(cell: int, search: CellSearch | None, verdicts: list[Verdict]) -> CellCounts:
    """What the search alone says."""
    proved = [verdict.phase for verdict in verdicts if isinstance(verdict, Proved)]
    return CellCounts(
        cell=cell,
        candidates=len(verdicts),
        proved_inactive=proved.count(-1),
        proved_active=proved.count(1),
        refuted=sum(isinstance(verdict, Refuted) for verdict in verdicts),
        open=sum(isinstance(verdict, Open) for verdict in verdicts),
        removed=0,
        boxes=search.boxes if search else 0,
        nodes=1,
        truncated=search is None or Open(TIME) in verdicts,
        gate="",
    )
