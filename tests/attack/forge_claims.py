"""Forged claims: a unit, a cell or a domain for which the proof does not hold. Members follow from what is claimed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from dispatcher.interpret import eval32
from dispatcher.layers import freeze
from dispatcher.plan import Leaf, Split, member_layers
from slicer.bounds.linear import Prepared
from tests.attack.forge import Draft, claiming, unit_rows, with_boxes, with_certificates
from tests.attack.forgery import TRIALS, Forgery, box_sample, cell_sample, shown
from tests.attack.promise import bounds_of, differing, has_readout
from tests.attack.proof import Boxes, read_proof
from tests.attack.target import tree_boxes
from tests.attack.units import all_values

_CANDIDATES = 8  # units tried
_BISECTIONS = 64


def rare_unit(draft: Draft, rng: np.random.Generator) -> Forgery | None:
    """Claims a unit that is active only in a small part of its cell."""
    return _false_claim(draft, rng, rare=True)


def common_unit(draft: Draft, rng: np.random.Generator) -> Forgery | None:
    """Claims a unit that is active as often as any."""
    return _false_claim(draft, rng, rare=False)


def neighbours_member(draft: Draft, rng: np.random.Generator) -> Forgery | None:
    """Serves a cell by the member of the next one, and claims what that one removed."""
    for cell in rng.permutation(len(draft.certificates) - 1)[:TRIALS]:
        for here, there in ((cell, cell + 1), (cell + 1, cell)):
            changed = claiming(draft, here, draft.removed(there), classes=draft.classes(there))
            if forged := shown(changed, cell_sample(draft, [here], rng)):
                return forged
    return None


def moved_threshold(draft: Draft, rng: np.random.Generator) -> Forgery | None:
    """Moves a routing threshold up, just until the low cell's member meets an input that it gets wrong."""
    return moved_past(draft, rng, np.ones(len(draft.certificates), bool))


def moved_past(draft: Draft, rng: np.random.Generator, low: np.ndarray) -> Forgery | None:
    """The same for those low cells only that a mask ``[n_cells]`` names."""
    found = []
    for position in rng.permutation(len(draft.family.tree)):
        node = draft.family.tree[position]
        ends = [draft.family.tree[child] for child in (node.low, node.high)] if isinstance(node, Split) else []
        if ends and all(isinstance(end, Leaf) for end in ends) and low[ends[0].cell] and len(found) < TRIALS:
            point = _first_wrong(draft, (ends[0].cell, ends[1].cell), node, rng)
            found.append((np.inf if point is None else float(point[node.axis]) - node.threshold, position, point))
    way, position, point = min(found, key=lambda entry: entry[0], default=(np.inf, 0, None))
    if way == np.inf:
        return None
    node = draft.family.tree[position]
    # The high cell promises nothing: only the low one lies.
    changed = claiming(draft, draft.family.tree[node.high].cell, {}, classes=draft.all_classes())
    return shown(with_boxes(_with_threshold(changed, position, float(point[node.axis]))), point[None])


def threshold_one_ulp(draft: Draft, rng: np.random.Generator) -> Forgery | None:
    """Moves a routing threshold by one ulp, not the certificates; proofs leave room, so that no input shows it."""
    splits = [position for position, node in enumerate(draft.family.tree) if isinstance(node, Split)]
    if not splits:
        return None
    position = rng.choice(splits)
    threshold = np.nextafter(np.float32(draft.family.tree[position].threshold), np.float32(np.inf))
    changed = _with_threshold(draft, position, float(threshold))
    honest = with_boxes(changed)
    wrong = [c for c, record in enumerate(changed.certificates) if record["box"] != honest.certificates[c]["box"]]
    return Forgery(changed, tuple(wrong), None)


def false_fact(draft: Draft, rng: np.random.Generator) -> Forgery | None:
    """Asserts at the root of a proof that a unit is active, which it is not always; all removals remain true."""
    for cell in rng.permutation(len(draft.certificates))[:TRIALS]:
        prepared = draft.extended(cell)
        tree = [dict(node) for node in draft.certificates[cell]["tree"]]
        _, closings = read_proof(draft.certificates[cell], prepared.offsets)
        active = (all_values(prepared, cell_sample(draft, [cell], rng)) > 0).mean(axis=0)
        unsteady = np.setdiff1d(np.flatnonzero((active > 0) & (active < 1)), closings.units)
        if len(unsteady):
            layer, unit = _place(prepared, int(rng.choice(unsteady)))
            closed = {place: set(units) for place, units in tree[0].get("active", [])}
            closed.setdefault(layer, set()).add(unit)
            tree[0]["active"] = unit_rows(closed)
            return Forgery(with_certificates(draft, {cell: {"tree": tree}}), (int(cell),), None, false_fact=True)
    return None


def larger_domain(draft: Draft, rng: np.random.Generator) -> Forgery | None:
    """Moves one bound of the domain outwards, by 1/64 of the width or as much more as it takes."""
    for share in 2.0 ** np.arange(-6, 1):
        for axis in rng.permutation(draft.parent.n_in)[:TRIALS]:
            for upwards in (True, False):
                changed, added = _grown(draft, axis, upwards, share)
                if forged := shown(changed, box_sample(added, rng)):
                    return forged
    return None


def _false_claim(draft: Draft, rng: np.random.Generator, *, rare: bool) -> Forgery | None:
    """Claims the unit whose share of active points in its cell is smallest (or largest) among some exact cells."""
    prepared = Prepared(draft.parent)
    candidates = []
    for cell in rng.permutation(np.flatnonzero(~has_readout(draft.family)))[:TRIALS]:
        points = cell_sample(draft, [cell], rng)
        share = (all_values(prepared, points) > 0).mean(axis=0)
        gone = {prepared.offsets[layer] + unit for layer, units in draft.removed(cell).items() for unit in units}
        candidates += [(share[flat], cell, flat) for flat in np.flatnonzero(share) if flat not in gone]
    for _, cell, flat in sorted(candidates, reverse=not rare)[:_CANDIDATES]:
        changed = _with_unit(draft, cell, *_place(prepared, int(flat)))
        if forged := shown(changed, cell_sample(draft, [cell], rng)):
            return forged
    return None


def _place(prepared: Prepared, flat: int) -> tuple[int, int]:
    """ReLU layer and unit of a flat number."""
    layer = max(relu for relu, offset in prepared.offsets.items() if offset <= flat)
    return layer, flat - prepared.offsets[layer]


def _with_unit(draft: Draft, cell: int, layer: int, unit: int) -> Draft:
    """The draft in which a cell removes one more unit, which all leaves of its proof close."""
    tree = [_without(node, layer, unit) for node in draft.certificates[cell]["tree"]]
    for node in tree:
        if "axis" not in node:
            closed = {position: set(units) for position, units in node.get("inactive", [])}
            closed.setdefault(layer, set()).add(unit)
            node["inactive"] = unit_rows(closed)
    removed = draft.removed(cell)
    removed.setdefault(layer, set()).add(unit)
    return claiming(draft, cell, removed, tree)


def _without(node: dict[str, Any], layer: int, unit: int) -> dict[str, Any]:
    """A node that does not mention the unit."""
    changed = dict(node)
    for key in {"inactive", "active"} & node.keys():
        rows = [[place, [u for u in units if (place, u) != (layer, unit)]] for place, units in changed.pop(key)]
        if rows := [row for row in rows if row[1]]:
            changed[key] = rows
    return changed


def _first_wrong(draft: Draft, cells: tuple[int, int], node: Split, rng: np.random.Generator) -> np.ndarray | None:
    """A point of the second cell that the first one's member gets wrong, as near to the threshold as possible."""
    boxes, _ = tree_boxes(draft.family.tree, draft.family.lower, draft.family.upper)
    member, bounds = member_layers(draft.family.parent, draft.member(cells[0])), bounds_of(draft.family)[cells[0]]

    def wrong(points: np.ndarray) -> np.ndarray:
        return differing(draft.family.decision, eval32(member, points), eval32(draft.parent.layers, points), bounds)

    points = box_sample(boxes[[cells[1]]], rng)
    points = points[wrong(points) & (points[:, node.axis] < boxes.upper[cells[1], node.axis])]
    if not len(points):
        return None
    right = np.full(len(points), node.threshold, np.float32)
    for _ in range(_BISECTIONS):
        trial = points.copy()
        trial[:, node.axis] = (right.astype(np.float64) + points[:, node.axis]) / 2
        still = wrong(trial)
        points = np.where(still[:, None], trial, points)
        right = np.where(still, right, trial[:, node.axis])
    return points[points[:, node.axis].argmin()]


def _with_threshold(draft: Draft, position: int, threshold: float) -> Draft:
    """The draft with another threshold at one node of the routing tree."""
    tree = list(draft.family.tree)
    tree[position] = replace(tree[position], threshold=threshold)
    return replace(draft, family=replace(draft.family, tree=tuple(tree)))


def _grown(draft: Draft, axis: int, upwards: bool, share: float) -> tuple[Draft, Boxes]:
    """The draft with a domain that is larger by a share of one input's width, and what was added to it."""
    lower, upper = draft.family.lower.copy(), draft.family.upper.copy()
    added = lower.copy(), upper.copy()
    width = np.float32(share * (float(upper[axis]) - float(lower[axis])))
    if upwards:
        added[0][axis] = upper[axis]
        added[1][axis] = upper[axis] = upper[axis] + width
    else:
        added[1][axis] = lower[axis]
        added[0][axis] = lower[axis] = lower[axis] - width
    family = replace(draft.family, lower=freeze(lower, np.float32), upper=freeze(upper, np.float32))
    return with_boxes(replace(draft, family=family)), Boxes(added[0][None], added[1][None])
