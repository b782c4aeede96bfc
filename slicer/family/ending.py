"""Readouts in which a cell's member may end, in mode ``epsilon``: proposed by points, proved by search."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from dispatcher.cost import cost
from dispatcher.plan import Readout, member_layers
from slicer.bounds.linear import Prepared
from slicer.box import Box
from slicer.certificate.write import NOTHING, unit_lists
from slicer.family.gate import Gone, Offsets, Units
from slicer.family.terms import Terms
from slicer.reduce.member import build_member
from slicer.search.attempt import SOLE, attempt
from slicer.search.cell import CellSearch
from slicer.search.evaluate import evaluate
from slicer.search.falsify import sample_extremes, sample_points
from slicer.search.readout import ROOM, all_inputs, distance, fit, has_errors, with_errors
from slicer.search.shorten import shortenings


@dataclass(frozen=True, eq=False, slots=True)
class Proved:
    """A search that proves a readout: what it proves, and the first flat number of each ReLU layer that it knows."""

    search: CellSearch
    gone: Gone
    offsets: Offsets


@dataclass(frozen=True, eq=False, slots=True)
class Ending:
    """A readout that was tried on a box, the work units spent, and the proof, if it was found."""

    readout: Readout
    boxes: int
    proved: Proved | None


class Endings:
    """Readouts for the cells of one network, with bounds ``epsilon`` ``[n_out]``."""

    def __init__(self, prepared: Prepared, epsilon: Sequence[float]) -> None:
        self._prepared, self._network, self._epsilon = prepared, prepared.network, np.array(epsilon)

    def affine(self, box: Box, terms: Terms, rng: np.random.Generator, known: Sequence[Readout]) -> Iterator[Ending]:
        """Affine functions of the input: the first of those ``known`` that is near enough at points, then a fit."""
        if not has_errors(self._network):
            return
        points, boxes = sample_points(box, rng), SOLE * terms.effort
        outputs, limit = evaluate(self._prepared, points)[-1], ROOM * self._epsilon
        for one in [one for one in known if (distance(one, points, outputs) <= limit).all()][:1]:
            yield self._tried(box, one, NOTHING, boxes, terms, rng)
        found = fit(all_inputs(self._network), points, outputs)
        if (found.distance <= limit).all():  # NaN, where slopes overflow, is no fit
            yield self._tried(box, found.readout, NOTHING, boxes, terms, rng)

    def shorter(self, box: Box, removed: Units, terms: Terms, rng: np.random.Generator) -> Ending | None:
        """A readout of hidden units with which less is computed than if units are ``removed`` alone; None if none is.

        It is one of the first layer of which proofs allow any, and leaves out as many units as they allow.
        """
        whole, spent = self._macs(removed), 0
        for shortening in shortenings(self._prepared, self._epsilon, removed, sample_points(box, rng)):
            low, high, best = -1, shortening.most + 1, None
            while high - low > 1:
                count = (low + high) // 2
                readout = shortening.fit(count).readout
                before = removed[removed < self._behind(readout)]
                if self._macs(before, readout) >= whole:
                    low = count
                    continue
                ending = self._tried(box, readout, before, terms.effort, terms, rng)
                spent += ending.boxes
                low, high = (low, count) if ending.proved is None else (count, high)
                if ending.proved is not None and self._macs(ending.proved.gone.proved, readout) < whole:
                    best = ending
            if best is not None:
                return replace(best, boxes=spent)
        return None

    def _behind(self, readout: Readout) -> int:
        """The first flat number of units in ReLU layers behind those that are read."""
        starts = self._prepared.offsets
        behind = [start for relu, start in starts.items() if relu > readout.reads[-1][0]]
        return min(behind, default=self._prepared.relu_units)

    def _macs(self, removed: Units, readout: Readout | None = None) -> int:
        """Multiply-accumulates of a packed member."""
        by_layer = {layer: set(units) for layer, units in unit_lists(removed, self._prepared.offsets)}
        member = build_member(self._network, by_layer, readout=readout)
        return cost(member_layers(self._network.layers, member)).mac

    def _tried(
        self, box: Box, readout: Readout, removed: Units, boxes: int, terms: Terms, rng: np.random.Generator
    ) -> Ending:
        """Search for a proof of a readout, and of units that are removed as well, as far as it reaches."""
        prepared = Prepared(with_errors(self._network, readout, self._epsilon))
        units = np.arange(prepared.relu_units)
        errors = units >= self._prepared.relu_units
        extremes = sample_extremes(prepared, box, rng)
        if not (extremes.largest[errors] < 0).all():
            return Ending(readout, 0, None)
        also = np.isin(units, removed)
        search, spent = attempt(prepared, box, boxes, rng, terms.stopped, known=(extremes, errors), also=also)
        if search is None:
            return Ending(readout, spent, None)
        proved = np.intersect1d(removed, search.inactive)
        gone = Gone(proved, NOTHING, np.flatnonzero(errors), readout=readout)
        return Ending(readout, spent, Proved(search, gone, prepared.offsets))
