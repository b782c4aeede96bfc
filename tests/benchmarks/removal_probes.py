"""Whether a unit may go, as units that must stay silent: what Lahav and Katz ask a solver before they remove a unit.

A `Probe` is a network whose last layer is a ReLU; the claim holds on a box where none of its units is active. So points,
bounds and solvers settle it as they settle every other claim of inactivity (`slicer.search.falsify`, `slicer.search.solvers`).
The tolerance is a bias. Lahav, Katz, *Pruning and Slicing Neural Networks using Formal Verification*, FMCAD 2021.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from dispatcher.layers import Add, Concat, Elementwise, Input, Layer, Layers, Relu, dense, freeze
from slicer.bounds.linear import Prepared
from slicer.box import Box
from slicer.network import Network
from slicer.search.falsify import climb, sample_extremes
from slicer.search.solvers.advice import Advice, Hint
from slicer.search.solvers.child import Limit
from slicer.search.solvers.encode import encode
from slicer.search.solvers.query import Encoding
from slicer.search.solvers.witness import confirmed
from slicer.search.verdict import Refuted

CLIMBS = 3  # gradient searches before a solver is asked
# A child may take this many times its CPU limit on the clock: the machine may be busy.
PATIENCE = 20

Ask = Callable[[Prepared, Encoding, int, int, Limit], Advice]


@dataclass(frozen=True, eq=False)
class Probe:
    """Units that must stay silent: those of the last layer, a ReLU.

    Attributes
    ----------
    facts:
        Phases proved before on the box ``[n_relu]`` (−1 inactive, 0 unknown), for the solver's encoding.
    """

    prepared: Prepared
    facts: np.ndarray

    @property
    def units(self) -> range:
        """Flat numbers of the units that must stay silent."""
        total = self.prepared.relu_units
        return range(total - self.prepared.network.n_out, total)


@dataclass(frozen=True, eq=False)
class Outcome:
    """What came of a probe.

    Attributes
    ----------
    word:
        ``point`` or ``witness`` (a float32 input contradicts the claim, found by us or by the solver, confirmed by
        eval32), ``bounds`` or ``solver`` (it holds, by our bounds or by the solver's word), else why it is open.
    at:
        The input that contradicts it ``[n_in]``, if one does.
    largest, best:
        The largest value that points showed of the units that must stay silent, before their ReLU, and where ``[n_in]``.
    seconds:
        CPU seconds of the solver.
    """

    word: str
    at: np.ndarray | None
    largest: float
    best: np.ndarray
    seconds: float

    @property
    def holds(self) -> bool:
        """Whether the unit may go, in floating point, as those who trust a solver see it."""
        return self.word in ("bounds", "solver")


def phase_probe(network: Network, place: tuple[int, int], sign: int, tolerance: float, facts: np.ndarray) -> Probe:
    """``sign · z − tolerance`` for a unit (relu layer, unit): silent where z never leaves its phase by more.

    ``sign`` is +1 to ask whether it is always inactive, −1 whether it is always active.
    """
    source = network.layers[place[0]].sources[0]
    kept = _ancestors(network.layers, source)
    order = {old: new for new, old in enumerate(kept)}
    weight = np.zeros((1, network.layers[source].width))
    weight[0, place[1]] = sign
    own = [_moved(network.layers[position], order) for position in kept]
    layers = (*own, dense(order[source], weight, np.array([-tolerance])), Relu(len(own), 1))
    known = [
        facts[first : first + network.layers[p].width] for p, first in Prepared(network).offsets.items() if p in order
    ]
    return Probe(Prepared(Network(layers)), np.concatenate([*known, [0]]).astype(np.int8))


def effect_probe(network: Network, place: tuple[int, int], tolerance: float, facts: np.ndarray) -> Probe:
    """``±(y − y′) − tolerance``, where y are the outputs and y′ those without a unit (relu layer, unit).

    Two copies of the network share what comes before the unit's layer. Silent where the unit's removal moves no output
    by more than the tolerance.
    """
    layers, outputs = list(network.layers), network.n_out
    mask = np.ones(layers[place[0]].width)
    mask[place[1]] = 0
    copies = {place[0]: len(layers)}
    layers.append(Elementwise(place[0], "mul", freeze(mask, np.float32), "without"))
    for position in range(place[0] + 1, len(network.layers)):
        layer = network.layers[position]
        if any(source in copies for source in layer.sources):
            order = {source: copies.get(source, source) for source in layer.sources}
            copies[position] = len(layers)
            layers.append(_moved(layer, order))
    last = len(network.layers) - 1
    both = (last, copies[last])
    layers.append(Concat(both, 2 * outputs, "both"))
    difference = np.concatenate([np.eye(outputs), -np.eye(outputs)], axis=1)
    rows = np.concatenate([difference, -difference])
    layers.append(dense(len(layers) - 1, rows, np.full(2 * outputs, -tolerance), name="difference"))
    layers.append(Relu(len(layers) - 1, 2 * outputs, "seen"))
    prepared = Prepared(Network(tuple(layers)))
    return Probe(prepared, np.pad(facts, (0, prepared.relu_units - len(facts))).astype(np.int8))


def _ancestors(layers: Layers, last: int) -> list[int]:
    """Positions of a layer and of all that it depends on, ascending."""
    needed = {0, last}
    for position in range(last, 0, -1):
        if position in needed:
            needed.update(layers[position].sources)
    return sorted(needed)


def _moved(layer: Layer, order: Mapping[int, int]) -> Layer:
    """The layer with other sources."""
    if isinstance(layer, Input):
        return layer
    if isinstance(layer, Concat | Add):
        return replace(layer, sources=tuple(order[source] for source in layer.sources))
    return replace(layer, source=order[layer.source])


def try_points(probe: Probe, box: Box, rng: np.random.Generator) -> Outcome:
    """Points and gradient searches; open unless eval32 confirms a point at which a unit is active."""
    prepared, units = probe.prepared, np.array(probe.units)
    extremes = sample_extremes(prepared, box, rng)
    targets = np.zeros(prepared.relu_units, np.int8)
    targets[units] = -1
    for attempt in range(CLIMBS + 1):
        best = units[extremes.largest[units].argmax()]
        largest, where = float(extremes.largest[best]), extremes.largest_at[best].astype(np.float32)
        at = confirmed(prepared, box, where.astype(np.float64), best, -1) if largest > 0 else None
        if at is not None:
            return Outcome("point", at, largest, where, 0.0)
        if attempt < CLIMBS:
            climb(prepared, box, extremes, targets, rng)
    return Outcome("no point found", None, largest, where, 0.0)


def ask_solver(probe: Probe, box: Box, ask: Ask, seconds: float, seen: Outcome) -> Outcome:
    """One query for each unit that our bounds leave open, until one is not excluded; the seconds are for all of them."""
    encoding = encode(probe.prepared, box, probe.facts)
    wanted = [unit for unit in probe.units if encoding.question(unit, -1) is not None]
    wanted.sort(key=lambda unit: -encoding.units[unit].upper)
    spent, word, at = 0.0, "solver" if wanted else "bounds", None
    for unit in wanted:
        left = seconds - spent
        advice = ask(probe.prepared, encoding, unit, -1, Limit(PATIENCE * max(left, 0.0), left))
        spent += advice.seconds
        if isinstance(advice.verdict, Hint):
            continue
        refuted = isinstance(advice.verdict, Refuted)
        word, at = ("witness", advice.verdict.witness) if refuted else (advice.verdict.reason, None)
        break
    return replace(seen, word=word, at=at, seconds=spent)
