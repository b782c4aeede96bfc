"""What a report says about single cells: box, route, verdicts, the proof's shape, and a reason for every missing unit.

Certificates are read for their content only. That is safe, as it is done for cells alone that the rigorous checker has
accepted, in whose certificates form and content are verified, and the bytes are compared with the manifest again.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from dispatcher.layers import Layers, Relu
from dispatcher.load import Bundle, certificate_file
from dispatcher.plan import Family, Leaf, Member
from dispatcher.tree import cell_shares, leaf_depths, walk
from slicer.auditor import Audit
from slicer.certificate.verdict import Accepted, CellOutcome, Rejected
from slicer.network import Network
from slicer.reduce.constants import constant_units
from slicer.report.record import CellRecord, CellVerdict, ProofRecord, Removal

NarrowBox = tuple[tuple[int, float, float], ...]
Closed = dict[int, dict[int, int]]  # relu layer: {unit: proof nodes that close it}


def cell_records(bundle: Bundle, audit: Audit) -> tuple[CellRecord, ...]:
    """One record for each cell of the bundle, checked or not."""
    family = bundle.family
    network = Network(family.parent)
    outcomes = {name: {outcome.cell: outcome for outcome in result.cells} for name, result in audit.checkers.items()}
    shares, depths = cell_shares(family.tree, family.lower, family.upper), leaf_depths(family.tree)
    records = []
    for cell, box in enumerate(narrow_boxes(family)):
        removals: tuple[Removal, ...] = ()
        classes: tuple[int, ...] = ()
        proof = None
        verdict = _accepted(outcomes["rigorous"].get(cell))
        if verdict is not None:
            certificate = json.loads(bundle.read(certificate_file(cell)))
            attested = {layer: set(units) for layer, units in certificate.get("attested", [])}
            member = family.members[family.cells[cell]]
            if member.readout is None or not member.readout.affine:
                removals = _removals(network, member, _closed(certificate), attested)
            classes = tuple(certificate.get("classes", ()))
            proof = _proof(certificate["tree"], verdict.margin)
        records.append(
            CellRecord(
                box=box,
                share=float(shares[cell]),
                comparisons=depths[cell],
                member=family.cells[cell],
                certificate=certificate_file(cell),
                removals=removals,
                classes=classes,
                proof=proof,
                verdicts={name: _verdict(found.get(cell)) for name, found in outcomes.items()},
            )
        )
    return tuple(records)


def narrow_boxes(family: Family) -> Iterator[NarrowBox]:
    """Every cell's box, as [input, lower, upper] of the inputs that the route to the cell has cut."""
    for position, lower, upper in walk(family.tree, family.lower, family.upper):
        if isinstance(family.tree[position], Leaf):
            cut = np.flatnonzero((lower != family.lower) | (upper != family.upper)).tolist()
            yield tuple((axis, decimal(lower[axis]), decimal(upper[axis])) for axis in cut)


def decimal(value: float) -> float:
    """A float32 number as the float64 number that prints as its shortest decimal."""
    return float(str(np.float32(value)))


def _accepted(outcome: CellOutcome | None) -> Accepted | None:
    """The verdict if it accepts."""
    return outcome.verdict if outcome and isinstance(outcome.verdict, Accepted) else None


def _verdict(outcome: CellOutcome | None) -> CellVerdict:
    """One checker's word on one cell."""
    if outcome is None:
        return CellVerdict("not checked", "", "", None)
    seconds = None if outcome.seconds is None else round(outcome.seconds, 6)
    if isinstance(outcome.verdict, Rejected):
        return CellVerdict("rejected", outcome.verdict.where, outcome.verdict.why, seconds)
    return CellVerdict("attested" if outcome.verdict.attested else "accepted", "", "", seconds)


def _closed(certificate: Mapping[str, Any]) -> Closed:
    """The removed units, with the number of proof nodes that close each of them."""
    nodes = Counter(
        (layer, unit)
        for node in certificate["tree"]
        for layer, units in node.get("inactive", [])
        for unit in units
    )  # fmt: skip
    return {layer: {unit: nodes[layer, unit] for unit in units} for layer, units in certificate["removed"]}


def _removals(
    network: Network, member: Member, closed: Closed, attested: Mapping[int, set[int]]
) -> tuple[Removal, ...]:
    """What is missing in each ReLU layer and why; layers that lack nothing have no entry."""
    missing = _missing(network.layers, member, closed)
    constants = constant_units(network, {layer: set(units) for layer, units in closed.items()}) if missing else []
    rows = []
    for layer in sorted(closed.keys() | missing.keys()):
        units, others = closed.get(layer, {}), missing.get(layer, [])
        kept, unproved = set(member.layers[layer].units), attested.get(layer, set())
        rows.append(
            Removal(
                layer=layer,
                proved=tuple(unit for unit in units if unit not in unproved),
                nodes=tuple(nodes for unit, nodes in units.items() if unit not in unproved),
                attested=tuple(sorted(unproved)),
                constant=tuple(unit for unit in others if constants[layer].known[unit]),
                unread=tuple(unit for unit in others if not constants[layer].known[unit]),
                evaluated=tuple(unit for unit in units if unit in kept),
            )
        )
    return tuple(rows)


def _missing(layers: Layers, member: Member, closed: Closed) -> dict[int, list[int]]:
    """ReLU units that the member lacks although they are not among the removed units, by layer."""
    found = {}
    for position, (layer, entry) in enumerate(zip(layers, member.layers, strict=True)):
        if isinstance(layer, Relu):
            others = set(range(layer.width)) - set(entry.units) - closed.get(position, {}).keys()
            if others:
                found[position] = sorted(others)
    return found


def _proof(tree: Sequence[Mapping[str, Any]], margin: float | None) -> ProofRecord:
    """The shape of a proof tree in preorder."""
    depth, waiting = 0, [0]
    for node in tree:
        level = waiting.pop()
        depth = max(depth, level)
        if "axis" in node:
            waiting += [level + 1, level + 1]
    inactive, active = (
        sum(len(units) for node in tree for _, units in node.get(key, [])) for key in ("inactive", "active")
    )
    finite = margin if margin is not None and math.isfinite(margin) else None
    return ProofRecord(len(tree), depth, inactive, active, finite)
