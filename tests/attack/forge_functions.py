"""Forged readouts and bounds: an output is farther off than promised, by an eighth of its bound or hardly."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dispatcher.files.member import readout_record
from dispatcher.interpret import eval32, evaluate_all
from dispatcher.layers import freeze
from dispatcher.plan import Readout
from slicer.network import Network
from slicer.reduce.member import build_member
from slicer.search.readout import all_inputs, fit
from tests.attack.errors import Differences, Search
from tests.attack.forge import Draft, Removed, unit_rows, with_certificates, with_members
from tests.attack.forge_claims import moved_past
from tests.attack.forgery import TRIALS, Forgery, cell_sample, shown
from tests.attack.promise import has_readout
from tests.attack.proof import read_readout

_BEYOND = 1 + 2.0**-3  # of its bound is how far off an output is made to be at the worst point known
_HARDLY = 1 + 2.0**-12  # the same for those that only a few inputs show

Tree = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, eq=False)
class _Worst:
    """Where a member with a readout is farthest off, as far as an ascent sees it.

    ``error`` is as in CERTIFICATE.md §5: below n of output ``error``, else of output ``error − n`` the other way.
    """

    cell: int
    error: int
    share: float
    point: np.ndarray


def bound_below(draft: Draft, rng: np.random.Generator) -> Forgery | None:
    """Makes the bound of one output smaller than the difference at the worst point known."""
    for worst in _all_worst(draft, rng):
        scale = np.ones(draft.parent.n_out)
        scale[worst.error % draft.parent.n_out] = worst.share / _BEYOND
        if forged := shown(_scaled(draft, scale), worst.point[None]):
            return forged
    return None


def bounds_halved(draft: Draft, rng: np.random.Generator) -> Forgery | None:
    """Makes all bounds smaller, by halves until it matters."""
    for worst in sorted(_all_worst(draft, rng), key=lambda worst: -worst.share)[:1]:
        for halves in range(1, TRIALS):
            if forged := shown(_scaled(draft, np.full(draft.parent.n_out, 0.5**halves)), worst.point[None]):
                return forged
    return None


def bias_moved(draft: Draft, rng: np.random.Generator) -> Forgery | None:
    """Moves a bias of a function, in member and certificate, until the worst point known is beyond the bound."""
    return _moved(draft, rng, lambda worst: with_readout(draft, worst.cell, _shifted(draft, worst)))


def bias_hardly_moved(draft: Draft, rng: np.random.Generator) -> Forgery | None:
    """The same, but the worst point known is hardly beyond the bound, and most others are within."""
    forged = _moved(draft, rng, lambda worst: with_readout(draft, worst.cell, _shifted(draft, worst, _HARDLY)))
    return None if forged is None else replace(forged, needle=True)


def bias_of_member(draft: Draft, rng: np.random.Generator) -> Forgery | None:
    """The same in the member only: the certificate has the honest function."""
    return _moved(draft, rng, lambda worst: with_own_readout(draft, worst.cell, _shifted(draft, worst)))


def weight_moved(draft: Draft, rng: np.random.Generator) -> Forgery | None:
    """Moves one weight of a function, in member and certificate, until the worst point known is beyond the bound."""
    return _moved(draft, rng, lambda worst: with_readout(draft, worst.cell, _tilted(draft, worst, rng)))


def other_function(draft: Draft, rng: np.random.Generator) -> Forgery | None:
    """Serves a cell by the function of another one; the proof stays as it was."""
    return _exchanged(draft, rng, with_proof=False)


def other_certificate(draft: Draft, rng: np.random.Generator) -> Forgery | None:
    """Serves a cell by the function of another one, with that one's proof."""
    return _exchanged(draft, rng, with_proof=True)


def function_where_none_was(draft: Draft, rng: np.random.Generator) -> Forgery | None:
    """Serves an exact cell by the best fit to its points, all errors closed at the root of the proof."""
    n = draft.parent.n_out
    tree = [{"inactive": [[_layer(draft), list(range(2 * n))]]}]
    for cell in rng.permutation(np.flatnonzero(~has_readout(draft.family)))[:TRIALS]:
        points = cell_sample(draft, [cell], rng)
        outputs = eval32(draft.parent.layers, points).astype(np.float64)
        fitted = fit(all_inputs(draft.parent), points.astype(np.float64), outputs)
        changed = with_readout(draft, cell, fitted.readout, tree, {})
        if np.isfinite(fitted.distance).all() and (forged := shown(changed, points)):
            return forged
    return None


def border_moved(draft: Draft, rng: np.random.Generator) -> Forgery | None:
    """Widens the box of a member with a readout: moves a threshold up, just until the function is beyond its bounds."""
    return moved_past(draft, rng, has_readout(draft.family))


def error_left_open(draft: Draft, rng: np.random.Generator) -> Forgery | None:
    """Takes one error out of one node of a proof; no input shows it, as the function stays what it was."""
    for cell in rng.permutation(np.flatnonzero(has_readout(draft.family))):
        tree, error = draft.certificates[cell]["tree"], int(rng.integers(2 * draft.parent.n_out))
        nodes = [place for place, node in enumerate(tree) if _closes(draft, node, error)]
        if nodes:
            place = rng.choice(nodes)
            changed = [*tree[:place], _reopened(draft, tree[place], error), *tree[place + 1 :]]
            return Forgery(with_certificates(draft, {cell: {"tree": changed}}), (int(cell),), None)
    return None


def beyond_an_open_error(draft: Draft, rng: np.random.Generator) -> Forgery | None:
    """Moves a bias the way that no node closes any more: all that the proof still asserts holds."""

    def change(worst: _Worst) -> Draft:
        tree = [_reopened(draft, node, worst.error) for node in draft.certificates[worst.cell]["tree"]]
        return with_readout(draft, worst.cell, _shifted(draft, worst), tree)

    return _moved(draft, rng, change)


def with_readout(
    draft: Draft, cell: int, readout: Readout, tree: Tree | None = None, removed: Removed | None = None
) -> Draft:
    """The draft in which a cell ends in a readout, and says so; with another proof or removals, if they are given."""
    record = draft.certificates[cell]
    change = {
        "readout": readout_record(readout),
        "removed": record["removed"] if removed is None else unit_rows(removed),
        "tree": record["tree"] if tree is None else list(tree),
    }
    return with_own_readout(with_certificates(draft, {cell: change}), cell, readout)


def with_own_readout(draft: Draft, cell: int, readout: Readout) -> Draft:
    """The draft in which a cell's member ends in a readout; its certificate stays as it was."""
    member = build_member(Network(draft.family.parent), draft.removed(cell), readout=readout)
    return with_members(draft, {cell: member})


def _scaled(draft: Draft, scale: np.ndarray) -> Draft:
    """The draft with its bounds ``[n_out]`` times a scale."""
    assert draft.family.epsilon is not None
    epsilon = freeze(draft.family.epsilon * scale, np.float32)
    return replace(draft, family=replace(draft.family, epsilon=epsilon))


def _moved(draft: Draft, rng: np.random.Generator, change: Callable[[_Worst], Draft]) -> Forgery | None:
    """The first change of a readout that the worst point known shows."""
    for worst in _all_worst(draft, rng)[:TRIALS]:
        if forged := shown(change(worst), worst.point[None]):
            return forged
    return None


def _all_worst(draft: Draft, rng: np.random.Generator) -> list[_Worst]:
    """Where members with readouts are off, each error of each cell, in random order."""
    differences = Differences(draft.parent, draft.family)
    search = Search(differences, rng)
    for _ in search.round():
        pass
    found = []
    for place in rng.permutation(len(differences.pairs)):
        row, error = differences.pairs[place]
        if search.largest[place] > 0:
            found.append(
                _Worst(int(differences.cells[row]), int(error), float(search.largest[place]), search.best[place])
            )
    return found


def _missing(draft: Draft, worst: _Worst, beyond: float = _BEYOND) -> tuple[int, float]:
    """The output that an error is of, and by how much the function is to be moved there, with its sign."""
    assert draft.family.epsilon is not None
    n = draft.parent.n_out
    missing = (beyond - worst.share) * float(draft.family.epsilon[worst.error % n])
    return worst.error % n, -missing if worst.error < n else missing


def _shifted(draft: Draft, worst: _Worst, beyond: float = _BEYOND) -> Readout:
    """The function of a cell with another bias."""
    readout, (output, move) = named_readout(draft, worst.cell), _missing(draft, worst, beyond)
    bias = readout.bias.astype(np.float64)
    bias[output] += move
    return replace(readout, bias=freeze(bias, np.float32))


def _tilted(draft: Draft, worst: _Worst, rng: np.random.Generator) -> Readout:
    """The function of a cell with another weight, of a unit read that is among the larger ones."""
    readout, (output, move) = named_readout(draft, worst.cell), _missing(draft, worst)
    values = evaluate_all(draft.parent.layers, worst.point[None])
    read = np.concatenate([values[layer][0, list(units)] for layer, units in readout.reads]).astype(np.float64)
    place = rng.choice(np.flatnonzero(np.abs(read) >= np.abs(read).max() / 2))
    weight = readout.weight.astype(np.float64)
    weight[output, place] += move / read[place] if read[place] else 0
    return replace(readout, weight=freeze(weight, np.float32))


def named_readout(draft: Draft, cell: int) -> Readout:
    """The function that a certificate names."""
    readout = read_readout(draft.certificates[cell])
    assert readout is not None
    return readout


def _exchanged(draft: Draft, rng: np.random.Generator, *, with_proof: bool) -> Forgery | None:
    """Another cell's function, with or without its proof, such that an input shows it."""
    for here, there in list(_pairs(np.flatnonzero(has_readout(draft.family)), rng))[:TRIALS]:
        proof = (draft.certificates[there]["tree"], draft.removed(there)) if with_proof else ()
        changed = with_readout(draft, here, named_readout(draft, there), *proof)
        if forged := shown(changed, cell_sample(draft, [here], rng)):
            return forged
    return None


def _pairs(cells: np.ndarray, rng: np.random.Generator) -> Iterator[tuple[int, int]]:
    """All ordered pairs of different cells, in random order."""
    pairs = np.stack(np.meshgrid(cells, cells), axis=-1).reshape(-1, 2)
    for here, there in rng.permutation(pairs[pairs[:, 0] != pairs[:, 1]]):
        yield int(here), int(there)


def _layer(draft: Draft) -> int:
    """The relu layer of errors (CERTIFICATE.md §5)."""
    return len(draft.family.parent) + 3


def _closes(draft: Draft, node: Mapping[str, Any], error: int) -> bool:
    """Whether a node closes an error."""
    return any(place == _layer(draft) and error in units for place, units in node.get("inactive", []))


def _reopened(draft: Draft, node: Mapping[str, Any], error: int) -> dict[str, Any]:
    """A node that does not close an error."""
    changed = dict(node)
    if _closes(draft, node, error):
        rows = [[p, [u for u in units if (p, u) != (_layer(draft), error)]] for p, units in changed.pop("inactive")]
        if rows := [row for row in rows if row[1]]:
            changed["inactive"] = rows
    return changed
