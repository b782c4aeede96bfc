"""Shorter networks for a cell, in mode ``epsilon``: readouts of hidden units, as proposals to be proved.

The outputs are read off a layer of ReLU units that stay exact, off the layers before it that it reads, and off the
inputs, where these are few; all that comes after is not computed any more. Of the units of the layer those are left out
whose ReLU does least: a linear function of the layer before takes their place (*relaxed* units, Lahav & Katz, *Pruning
and Slicing Neural Networks using Formal Verification*, FMCAD 2021), and that of active units costs no accuracy at all
(the folding of stable units, Serra et al., NeurIPS 2021). As the units that are read keep the parent's bits, a proof
needs no pairs of networks: see *Errors* in CERTIFICATE.md §5.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dispatcher.layers import Relu
from slicer.bounds.linear import Prepared, pull_back
from slicer.search.evaluate import evaluate
from slicer.search.readout import ROOM, Fit, Reads, fit, has_errors

POINTS = 2  # for each unit that is read, at least: fits to fewer say nothing of what lies between

Array = NDArray[np.float64]
Units = NDArray[np.int64]


def shortenings(prepared: Prepared, epsilon: Array, removed: Units, points: Array) -> Iterator[Shortening]:
    """What can be read off each ReLU layer, shortest networks first, as far as points ``[m, n_in]`` allow it.

    ``epsilon`` are the bounds ``[n_out]``; ``removed`` the units that are inactive on the cell (flat numbers).
    """
    values, live = evaluate(prepared, points), np.ones(prepared.relu_units, bool)
    live[removed] = False
    for relu in prepared.offsets:
        if relu < len(prepared.network.layers) - 1:
            found = Shortening(prepared, relu, live, values, ROOM * epsilon)
            if found.fits(0):
                yield found


class Shortening:
    """Readouts of one ReLU layer, by how many of its units they leave out.

    Parameters
    ----------
    live:
        Which ReLU units are not removed ``[n_relu]``; others are not read.
    values:
        Of all layers at points, each ``[m, n]``.
    limit:
        Of distances at the points ``[n_out]``.
    """

    def __init__(
        self, prepared: Prepared, relu: int, live: NDArray[np.bool_], values: list[Array], limit: Array
    ) -> None:
        self._prepared, self._relu, self._values, self._limit = prepared, relu, values, limit
        layers, offsets, inputs = prepared.network.layers, prepared.offsets, prepared.network.n_in
        sources = [one for one in _read_by(prepared, layers[relu].sources) if one]
        units = {one: np.flatnonzero(live[offsets[one] :][: layers[one].width]) for one in (*sources, relu)}
        self._units = units.pop(relu)
        self._before = {one: own for one, own in units.items() if len(own)}
        if not sources or inputs <= sum(map(len, self._before.values())):
            self._before = {0: np.arange(inputs)} | self._before
        total = sum(layers[one].width for one in (relu, *self._before))
        columns = sum(map(len, (self._units, *self._before.values())))
        enough = POINTS * columns <= len(values[0])
        self._possible = bool(self._before) and enough and has_errors(prepared.network, total)

    def fit(self, count: int) -> Fit:
        """Without the ``count`` units whose ReLU does least."""
        return self._fit(np.sort(self._order[count:]))

    def fits(self, count: int) -> bool:
        """Whether that is within the limit."""
        return self._possible and bool((self.fit(count).distance <= self._limit).all())  # NaN is no fit

    @cached_property
    def most(self) -> int:
        """How many units can be left out, by bisection."""
        low, high = 0, len(self._units) + 1
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.fits(middle) else (low, middle)
        return low

    def _fit(self, units: Units) -> Fit:
        """With these units of the layer."""
        rows: Reads = tuple((one, tuple(own.tolist())) for one, own in self._before.items())
        rows += ((self._relu, tuple(units.tolist())),) if len(units) else ()
        columns = np.concatenate([self._values[one][:, list(own)] for one, own in rows], axis=1)
        known = None if self._weights is None else self._weights[:, units]
        return fit(rows, columns, self._values[-1], known)

    @cached_property
    def _weights(self) -> Array | None:
        """Of the layer's units for the outputs, ``[n_out, width]``, if these are an affine function of what is read.

        Then the units that are read keep their weights: they cancel out of the errors, which are easier to prove.
        """
        layers = self._prepared.network.layers
        reads, pending = set[int](), {len(layers) - 1: np.eye(layers[-1].width)}
        result = np.zeros((layers[-1].width, layers[self._relu].width))
        for position in range(len(layers) - 1, 0, -1):
            coefficients = pending.pop(position, None)
            if coefficients is None:
                continue
            if isinstance(layers[position], Relu):
                reads.add(position)
                result = coefficients if position == self._relu else result
                continue
            for source, pulled in pull_back(self._prepared, position, coefficients):
                pending[source] = pending[source] + pulled if source in pending else pulled
        return result if reads | pending.keys() <= {self._relu, *self._before} else None

    @cached_property
    def _order(self) -> Units:
        """The units by what their ReLU does for the outputs at most, in shares of the limit, ascending.

        That is a unit's largest distance from a linear function of the layers before, times its weight.
        """
        weight = np.abs(self._fit(self._units).readout.weight[:, -len(self._units) :].astype(np.float64))
        base = np.concatenate([self._values[one][:, own] for one, own in self._before.items()], axis=1)
        bends = fit(((0, (0,)),), base, self._values[self._relu][:, self._units]).distance
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            effect = np.nan_to_num((bends * weight / self._limit[:, None]).max(axis=0))
        return self._units[np.argsort(effect, kind="stable")]


def _read_by(prepared: Prepared, sources: tuple[int, ...]) -> list[int]:
    """The ReLU layers, and the input, on which layers depend without another ReLU layer between, ascending."""
    layers, found, waiting = prepared.network.layers, set[int](), [*sources]
    while waiting:
        one = waiting.pop()
        if one == 0 or isinstance(layers[one], Relu):
            found.add(one)
        else:
            waiting += layers[one].sources
    return sorted(found)
