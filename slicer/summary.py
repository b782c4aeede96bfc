"""What a compression gained, as a record with stable keys and as a table of plain text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, TypedDict

import numpy as np

from dispatcher.cost import cost
from dispatcher.plan import member_layers
from slicer.certificate.verdict import largest_parts
from slicer.family.assemble import Bundle
from slicer.family.kept import GIVEN_UP


class Summary(TypedDict):
    """Figures of one bundle. MAC are multiply-accumulates of packed dense layers per inference.

    Means over cells are weighted by their shares of the user's samples, or of the domain's volume without any.
    """

    cells: int
    members: int
    layout: str  # of the emitted C
    budget: dict[str, Any] | None  # see `slicer.family.budget.Budget`
    relu_units: int
    attested: int  # removals on a solver's word, over all cells
    decision: str | None  # in mode decision: argmax or argmin
    decided: float  # in mode decision: the cells' share in which one output always wins and nothing is computed
    epsilon: list[float] | None  # in mode epsilon: the bounds of the outputs
    reduction: list[float]  # what reduction takes of each bound at most, in the proofs of all cells; empty without any
    rounding: list[float]  # what rounding at run time adds to that at most
    affine: float  # in mode epsilon: the cells' share that is served by affine functions of the input
    readout: float  # and the share whose members end in readouts of hidden units
    weighted_by: str  # "volume" or "samples"
    removed_mean: float  # ReLU units removed per cell
    parent_mac: int
    mac_mean: float
    mac_min: int
    mac_max: int
    parent_connections: int
    connections_mean: float
    candidates: int
    proved: int
    refuted: int
    open: int
    closure: float  # (proved + refuted) / candidates
    boxes: int
    truncated_cells: int
    refused_cells: int  # cells in which the checker refused a part of the search's proof
    given_up: dict[str, str]  # by cell: why its search failed (the cell keeps all units)


def summarize(bundle: Bundle) -> Summary:
    """The summary of a bundle from its plan and its search counts."""
    family, counts, weights = bundle.family, bundle.counts, bundle.measures
    parent = cost(family.parent)
    cells = [[(float.fromhex(a), float.fromhex(b)) for a, b in count.parts] for count in counts if count.parts]
    parts = largest_parts(cells)
    costs = [cost(member_layers(family.parent, member)) for member in family.members]
    mac = np.array([costs[m].mac for m in family.cells])
    links = np.array([costs[m].connections for m in family.cells])
    removed = np.array([count.removed for count in counts])
    candidates = sum(count.candidates for count in counts)
    decided = sum(count.candidates - count.open for count in counts)
    return Summary(
        cells=len(family.cells),
        members=len(family.members),
        layout=bundle.layout,
        budget=None if bundle.budget is None else asdict(bundle.budget),
        relu_units=parent.relu_units,
        attested=sum(count.attested for count in counts),
        decision=family.decision,
        epsilon=None if family.epsilon is None else [float(bound) for bound in family.epsilon],
        reduction=[reduction for reduction, _ in parts],
        rounding=[rounding for _, rounding in parts],
        affine=float(np.array([count.affine for count in counts]) @ weights),
        readout=float(np.array([count.readout > 0 for count in counts]) @ weights),
        decided=float(np.array([count.classes == 1 for count in counts]) @ weights),
        weighted_by=bundle.weighted_by,
        removed_mean=float(removed @ weights),
        parent_mac=parent.mac,
        mac_mean=float(mac @ weights),
        mac_min=int(mac.min()),
        mac_max=int(mac.max()),
        parent_connections=parent.connections,
        connections_mean=float(links @ weights),
        candidates=candidates,
        proved=sum(count.proved_inactive + count.proved_active for count in counts),
        refuted=sum(count.refuted for count in counts),
        open=candidates - decided,
        closure=decided / candidates if candidates else 1.0,
        boxes=sum(count.boxes for count in counts),
        truncated_cells=sum(count.truncated for count in counts),
        refused_cells=sum(count.gate != "accepted" and not count.gate.startswith(GIVEN_UP) for count in counts),
        given_up={
            str(count.cell): count.gate.removeprefix(GIVEN_UP) for count in counts if count.gate.startswith(GIVEN_UP)
        },
    )


def largest_share(parts: Sequence[float], bounds: Sequence[float]) -> float:
    """The largest share of a bound that is taken of it; bounds of zero leave nothing to take."""
    return max((part / bound for part, bound in zip(parts, bounds, strict=False) if bound > 0), default=0.0)


def summary_lines(summary: Summary) -> list[str]:
    """The summary for people."""
    s = summary
    lines = [
        f"cells                {s['cells']:>10,}   ({s['members']:,} distinct members)",
        f"ReLU units removed   {s['removed_mean']:>10.1f}   of {s['relu_units']} per cell, "
        f"weighted by {s['weighted_by']}",
        f"MAC per inference    {s['mac_mean']:>10,.0f}   of {s['parent_mac']:,} "
        f"({s['parent_mac'] / max(s['mac_mean'], 1e-9):.2f} x fewer; min {s['mac_min']:,}, max {s['mac_max']:,})",
        f"candidates decided   {100 * s['closure']:>9.1f}%   "
        f"({s['proved']:,} proved, {s['refuted']:,} refuted, {s['open']:,} open)",
        f"layout               {s['layout']:>10}   of the C that dispatcher emit writes",
        f"effort               {s['boxes']:>10,}   bounded boxes",
    ]
    if s["decision"]:
        lines.append(
            f"decided              {100 * s['decided']:>9.1f}%   of inputs: one output always wins in the cell"
        )
    if s["epsilon"]:
        share = 100 * s["affine"]
        lines.append(f"affine               {share:>9.1f}%   of inputs: an affine function serves them")
        share = 100 * s["readout"]
        lines.append(f"readouts             {share:>9.1f}%   of inputs: outputs are read off hidden units")
        reduction, rounding = (100 * largest_share(s[part], s["epsilon"]) for part in ("reduction", "rounding"))
        lines.append(
            f"bounds used up       {reduction:>9.1f}%   by reduction at most; {rounding:.2g} % by rounding, "
            "nothing by reading the model"
        )
    if s["attested"]:
        lines.append(f"attested             {s['attested']:>10,}   removals on a solver's word: no audit accepts them")
    if s["truncated_cells"]:
        lines.append(f"time limit           {s['truncated_cells']:>10,}   cells were cut short; their open units stay")
    if s["refused_cells"]:
        lines.append(
            f"refused              {s['refused_cells']:>10,}   cells gave up a part of their proof: the checker said no"
        )
    lines += budget_lines(s["budget"]) if s["budget"] else []
    lines += [f"given up             {cell:>10}   keeps all units: {why}" for cell, why in s["given_up"].items()]
    return lines


def budget_lines(budget: dict[str, Any]) -> list[str]:
    """What a budget led to: which option binds, and the families before and after the chosen one as a table."""
    chosen, steps = budget["chosen"], budget["steps"]
    binding = " and ".join(budget["binding"])
    lines = [f"budget               {binding + ' binds' if binding else 'does not bind'}"]
    lines += [f"    {'':2}{'layout':<8}{'members':>9}{'flash, bytes':>14}{'MAC, mean':>12}{'max':>10}"]
    for step in steps:
        mark = "* " if step == chosen else ""
        lines.append(
            f"    {mark:2}{step['layout']:<8}{step['members']:>9,}{step['flash']:>14,}"
            f"{step['mac_mean']:>12,.0f}{step['mac_max']:>10,}"
        )
    return lines
