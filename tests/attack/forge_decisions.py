"""Forged decisions: an output that wins is no class, a margin that does not hold, constants of a member exchanged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dispatcher.interpret import eval32
from dispatcher.plan import Constant
from tests.attack.forge import Draft, claiming, with_certificates, with_members
from tests.attack.forge_members import replaced
from tests.attack.forgery import TRIALS, Forgery, cell_sample, shown
from tests.attack.promise import decided


def rare_winner(draft: Draft, rng: np.random.Generator) -> Forgery | None:
    """Drops the class that wins at the smallest share of its cell's points, by margins that do not hold."""
    return _dropped(draft, rng, rare=True)


def common_winner(draft: Draft, rng: np.random.Generator) -> Forgery | None:
    """Drops a class that wins as often as any."""
    return _dropped(draft, rng, rare=False)


def constant_cell(draft: Draft, rng: np.random.Generator) -> Forgery | None:
    """Calls the most frequent winner of a cell the only one: nothing is computed there."""
    for cell in rng.permutation(len(draft.certificates))[:TRIALS]:
        points = cell_sample(draft, [cell], rng)
        wins = _wins(draft, points)
        if (wins > 0).sum() > 1 and (forged := shown(claiming(draft, cell, {}, classes=[int(wins.argmax())]), points)):
            return forged
    return None


def exchanged_constants(draft: Draft, rng: np.random.Generator) -> Forgery | None:
    """Lets another output win in a cell whose member only has constants; the certificate stays as it was."""
    return _other_constants(draft, rng, lambda rows: [rows[-1], *rows[:-1]])


def equal_constants(draft: Draft, rng: np.random.Generator) -> Forgery | None:
    """Gives all outputs of such a member the winner's value: the first of equal ones wins."""
    return _other_constants(draft, rng, lambda rows: [np.float32(0)] * len(rows))


def false_margin(draft: Draft, rng: np.random.Generator) -> Forgery | None:
    """Asserts at the root of a proof that one class always loses against another; both stay classes."""
    n, layer = draft.parent.n_out, len(draft.family.parent) + 1
    for cell in rng.permutation(len(draft.certificates))[:TRIALS]:
        wins, tree = _wins(draft, cell_sample(draft, [cell], rng)), draft.certificates[cell]["tree"]
        first, second = (int(output) for output in np.argsort(-wins)[:2])
        unit = second * n + first
        closed = [row for node in tree for key in {"inactive", "active"} & node.keys() for row in node[key]]
        if wins[second] and not any(place == layer and unit in units for place, units in closed):
            rows = {place: set(units) for place, units in tree[0].get("inactive", [])}
            rows.setdefault(layer, set()).add(unit)
            root = {**tree[0], "inactive": [[place, sorted(rows[place])] for place in sorted(rows)]}
            changed = with_certificates(draft, {cell: {"tree": [root, *tree[1:]]}})
            return Forgery(changed, (int(cell),), None, false_fact=True)
    return None


def _wins(draft: Draft, points: np.ndarray) -> np.ndarray:
    """At how many of some points each output wins ``[n_out]``."""
    assert draft.family.decision is not None
    winners = decided(draft.family.decision, eval32(draft.parent.layers, points))
    return np.bincount(winners, minlength=draft.parent.n_out)


def _dropped(draft: Draft, rng: np.random.Generator, *, rare: bool) -> Forgery | None:
    candidates = []
    for cell in rng.permutation(len(draft.certificates))[:TRIALS]:
        points = cell_sample(draft, [cell], rng)
        wins = _wins(draft, points)
        candidates += [(int(wins[k]), int(cell), int(k)) for k in np.flatnonzero(wins) if (wins > 0).sum() > 1]
    for _, cell, output in sorted(candidates, reverse=not rare):
        kept = [k for k in draft.classes(cell) or [] if k != output]
        if kept and (forged := shown(claiming(draft, cell, {}, classes=kept), cell_sample(draft, [cell], rng))):
            return forged
    return None


def _other_constants(draft: Draft, rng: np.random.Generator, values: object) -> Forgery | None:
    """Replaces the constants of members that have nothing else."""
    assert callable(values)
    for index in rng.permutation(len(draft.family.members)):
        member = draft.family.members[index]
        last = member.layers[-1]
        if len(last.constants) < draft.parent.n_out:
            continue
        rows = values([constant.value for constant in last.constants])
        constants = tuple(Constant(k, np.float32(value)) for k, value in enumerate(rows))
        cells = [cell for cell, own in enumerate(draft.family.cells) if own == index]
        changed = replaced(member, len(member.layers) - 1, replace(last, constants=constants))
        points = cell_sample(draft, cells[:TRIALS], rng)
        if forged := shown(with_members(draft, dict.fromkeys(cells, changed)), points):
            return forged
    return None
