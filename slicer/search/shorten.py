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

import numpy as np
from numpy.typing import NDArray

from dispatcher.layers import Relu
from slicer.bounds.linear import Prepared
from slicer.search.evaluate import evaluate
from slicer.search.readout import Fit, Reads, fit, has_errors

Array = NDArray[np.float64]
Units = NDArray[np.int64]

ROOM = 0.7  # of a bound may be used up at points: proofs are less tight than for affine functions
SHARES = (1.0, 0.65, 0.4)  # of the units that could be left out by points, tried one after the other
LAYERS = 2  # that are tried, the first ones that fit


def shorter_readouts(prepared: Prepared, epsilon: Array, removed: Units, points: Array) -> Iterator[Fit]:
    """Readouts within ``ROOM`` of the bounds ``epsilon`` ``[n_out]`` at points ``[m, n_in]``, shortest networks first.

    ``removed`` are the units that are inactive on the cell (flat numbers): they are not read.
    """
    values, tried = evaluate(prepared, points), 0
    live = np.ones(prepared.relu_units, bool)
    live[removed] = False
    for relu in prepared.offsets:
        if relu == len(prepared.network.layers) - 1 or tried == LAYERS:
            break
        shortening = _Shortening(prepared, relu, live, values, ROOM * epsilon)
        if shortening.fits(0):
            tried += 1
            most = shortening.most()
            yield from (shortening.fit(count) for count in sorted({int(share * most) for share in SHARES})[::-1])


class _Shortening:
    """Readouts of one ReLU layer, by how many of its units they leave out.

    Parameters
    ----------
    live:
        Which ReLU units are not removed ``[n_relu]``.
    values:
        Of all layers at points, each ``[m, n]``.
    limit:
        Of distances at the points ``[n_out]``.
    """

    def __init__(
        self, prepared: Prepared, relu: int, live: NDArray[np.bool_], values: list[Array], limit: Array
    ) -> None:
        self._relu, self._values, self._limit = relu, values, limit
        layers, offsets = prepared.network.layers, prepared.offsets
        sources = _read_by(prepared, relu)
        chosen = {one: np.flatnonzero(live[offsets[one] :][: layers[one].width]) for one in (relu, *sources) if one}
        self._before = {one: chosen[one] for one in sources if one and len(chosen[one])}
        inputs = prepared.network.n_in
        if 0 in sources or inputs <= sum(map(len, self._before.values())):
            self._before[0] = np.arange(inputs)
        self._units = chosen[relu]
        total = sum(layers[one].width for one in (relu, *self._before))
        self._possible = len(self._before) > 0 and has_errors(prepared.network, total)
        self._order = self._units
        if self._possible and len(self._units):
            self._order = self._ranked()

    def fit(self, count: int) -> Fit:
        """Without the ``count`` units whose ReLU does least."""
        reads = self._before | {self._relu: np.sort(self._order[count:])}
        rows: Reads = tuple((one, tuple(reads[one].tolist())) for one in sorted(reads) if len(reads[one]))
        columns = np.concatenate([self._values[one][:, list(units)] for one, units in rows], axis=1)
        return fit(rows, columns, self._values[-1])

    def fits(self, count: int) -> bool:
        """Whether that is within the limit."""
        return self._possible and bool((self.fit(count).distance <= self._limit).all())  # NaN is no fit

    def most(self) -> int:
        """How many can be left out, by bisection."""
        low, high = 0, len(self._units) + 1
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.fits(middle) else (low, middle)
        return low

    def _ranked(self) -> Units:
        """The units by what their ReLU does for the outputs at most, in shares of the limit, ascending.

        That is the largest distance of a unit from a linear function of the layers before, times its weight.
        """
        everything = self.fit(0)
        weight = np.abs(everything.readout.weight.astype(np.float64))
        start = 0
        for one, units in everything.readout.reads:
            start += len(units) if one < self._relu else 0
        base = np.concatenate([self._values[one][:, units] for one, units in sorted(self._before.items())], axis=1)
        own = self._values[self._relu][:, self._units]
        bends = fit(((0, (0,)),), base, own).distance
        with np.errstate(divide="ignore", invalid="ignore"):
            effect = bends * weight[:, start : start + len(self._units)] / self._limit[:, None]
        return self._units[np.argsort(np.nan_to_num(effect.max(axis=0)), kind="stable")]


def _read_by(prepared: Prepared, relu: int) -> list[int]:
    """The ReLU layers, and the input, on which a ReLU layer depends without another ReLU layer between, ascending."""
    layers, found, waiting = prepared.network.layers, set[int](), [*prepared.network.layers[relu].sources]
    while waiting:
        one = waiting.pop()
        if one == 0 or isinstance(layers[one], Relu):
            found.add(one)
        else:
            waiting += layers[one].sources
    return sorted(found)
