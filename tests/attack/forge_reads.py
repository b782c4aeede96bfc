"""Forged reads: a member ends in a readout of other units than were proved, or of units that it does not compute."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from dispatcher.interpret import eval32, evaluate_all
from dispatcher.layers import Relu, freeze
from dispatcher.plan import Readout
from slicer.bounds.linear import Prepared
from slicer.search.readout import fit
from tests.attack.forge import Draft
from tests.attack.forge_functions import named_readout, with_own_readout, with_readout
from tests.attack.forgery import TRIALS, Forgery, cell_sample, shown
from tests.attack.promise import has_readout
from tests.attack.units import all_values

Reads = tuple[tuple[int, tuple[int, ...]], ...]


def other_unit(draft: Draft, rng: np.random.Generator) -> Forgery | None:
    """Reads another unit of a layer by the weights of one, in member and certificate; the proof stays as it was."""
    return _changed(draft, rng, with_readout)


def other_unit_of_member(draft: Draft, rng: np.random.Generator) -> Forgery | None:
    """The same in the member only: the certificate has the honest reads."""
    return _changed(draft, rng, with_own_readout)


def weights_exchanged(draft: Draft, rng: np.random.Generator) -> Forgery | None:
    """Two units that are read change weights, in member and certificate."""
    for cell in _cells(draft, rng):
        readout = named_readout(draft, cell)
        weight = readout.weight.copy()
        if weight.shape[1] > 1:
            first, second = rng.choice(weight.shape[1], 2, replace=False)
            weight[:, [first, second]] = weight[:, [second, first]]
            changed = with_readout(draft, cell, replace(readout, weight=freeze(weight, np.float32)))
            if forged := shown(changed, cell_sample(draft, [cell], rng)):
                return forged
    return None


def removed_before(draft: Draft, rng: np.random.Generator) -> Forgery | None:
    """Claims at the root of a proof that a unit is inactive which a readout needs; the member follows."""
    prepared = Prepared(draft.parent)
    for cell in _cells(draft, rng, hidden=True):
        removed = draft.removed(cell)
        active = (all_values(prepared, cell_sample(draft, [cell], rng)) > 0).mean(axis=0)
        for layer, unit in _kept(draft, cell, rng)[:TRIALS]:
            if not active[prepared.offsets[layer] + unit]:
                continue
            claimed = {place: set(units) for place, units in removed.items()}
            claimed.setdefault(layer, set()).add(unit)
            tree = _with_closing(draft, cell, layer, unit)
            changed = with_readout(draft, cell, named_readout(draft, cell), tree, claimed)
            if forged := shown(changed, cell_sample(draft, [cell], rng)):
                return forged
    return None


def hidden_where_none_was(draft: Draft, rng: np.random.Generator) -> Forgery | None:
    """Serves an exact cell by the best fit of half of a ReLU layer's units, all errors closed at the root."""
    relus = [place for place, layer in enumerate(draft.parent.layers[:-1]) if isinstance(layer, Relu)]
    tree = [{"inactive": [[len(draft.family.parent) + 3, list(range(2 * draft.parent.n_out))]]}]
    for cell in rng.permutation(np.flatnonzero(~has_readout(draft.family)))[:TRIALS]:
        layer, points = int(rng.choice(relus)), cell_sample(draft, [cell], rng)
        width = draft.parent.layers[layer].width
        units = np.sort(rng.choice(width, (width + 1) // 2, replace=False))
        values = evaluate_all(draft.parent.layers, points)[layer][:, units].astype(np.float64)
        reads: Reads = ((layer, tuple(units.tolist())),)
        fitted = fit(reads, values, eval32(draft.parent.layers, points).astype(np.float64))
        changed = with_readout(draft, cell, fitted.readout, tree, {})
        if np.isfinite(fitted.distance).all() and (forged := shown(changed, points)):
            return forged
    return None


def _cells(draft: Draft, rng: np.random.Generator, *, hidden: bool = False) -> Iterator[int]:
    """Cells with readouts, or with readouts of hidden units only, in random order."""
    served = np.flatnonzero(has_readout(draft.family))
    cells = [cell for cell in served if not (hidden and named_readout(draft, cell).affine)]
    yield from rng.permutation(np.array(cells, np.int64)).tolist()


def _changed(draft: Draft, rng: np.random.Generator, change: Callable[[Draft, int, Readout], Draft]) -> Forgery | None:
    """The first cell whose outputs show that another unit is read."""
    for cell in _cells(draft, rng, hidden=True):
        for readout in list(_other_reads(draft, named_readout(draft, cell), rng))[:TRIALS]:
            if forged := shown(change(draft, cell, readout), cell_sample(draft, [cell], rng)):
                return forged
    return None


def _other_reads(draft: Draft, readout: Readout, rng: np.random.Generator) -> Iterator[Readout]:
    """Readouts that read one other unit of a hidden layer, by the same numbers in the same order."""
    places = [place for place, (layer, _) in enumerate(readout.reads) if layer]
    for place in rng.permutation(places).tolist():
        layer, units = readout.reads[place]
        others = sorted(set(range(draft.parent.layers[layer].width)).difference(units))
        for other in rng.permutation(others).tolist() if others else []:
            gone = int(rng.integers(len(units)))
            chosen = tuple(sorted({*units[:gone], *units[gone + 1 :], other}))
            yield replace(readout, reads=(*readout.reads[:place], (layer, chosen), *readout.reads[place + 1 :]))


def _kept(draft: Draft, cell: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    """ReLU units that a member keeps, in random order."""
    layers = draft.member(cell).layers
    relus = [place for place, layer in enumerate(draft.family.parent) if isinstance(layer, Relu)]
    units = [(place, unit) for place in relus for unit in layers[place].units]
    return [units[k] for k in rng.permutation(len(units))]


def _with_closing(draft: Draft, cell: int, layer: int, unit: int) -> list[dict]:
    """The proof of a cell whose root closes one unit more, and no other node does."""
    tree = [dict(node) for node in draft.certificates[cell]["tree"]]
    for node in tree:
        for phase in ("inactive", "active"):
            rows = [[place, [k for k in units if (place, k) != (layer, unit)]] for place, units in node.pop(phase, [])]
            if kept := [row for row in rows if row[1]]:
                node[phase] = kept
    closed = {place: {*units} for place, units in tree[0].get("inactive", [])}
    closed.setdefault(layer, set()).add(unit)
    tree[0]["inactive"] = [[place, sorted(closed[place])] for place in sorted(closed)]
    return tree
