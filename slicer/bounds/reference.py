"""The reference method of CERTIFICATE.md §5 over a batch of boxes, as search uses it: unrounded float64, no proof.

Layers in order: interval rule with noise, facts, and a backward linear bound for every undecided ReLU input. What
search concludes from it is checked by other code.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from slicer.bounds.backward import LinearBound, Relaxation, Tasks, backward, relax
from slicer.bounds.linear import Prepared, push_interval
from slicer.bounds.noise import radius

Array = NDArray[np.float64]
Phases = NDArray[np.int8]

# Producers leave this share of the noise as room for the checkers' rounding (CERTIFICATE.md §5).
MARGIN = 2.0**-10


@dataclass(eq=False)
class Bounds:
    """Bounds of all layers on a batch of boxes, filled layer by layer.

    Attributes
    ----------
    lower, upper:
        Per layer position, ``[n_boxes, n]``.
    proved:
        Phases that these bounds prove, with the producers' margin: −1 inactive, +1 active, 0 open; facts included.
        ``[n_boxes, n_relu]`` over the flat numbering of ReLU units.
    last:
        Backward bounds of the deepest ReLU layer bounded, with their tasks: material for choosing splits and witnesses.
    """

    lower: list[Array]
    upper: list[Array]
    proved: Phases
    radii: dict[int, Array] = field(default_factory=dict)
    relaxations: dict[int, Relaxation] = field(default_factory=dict)
    last: list[tuple[Tasks, LinearBound]] = field(default_factory=list)


def bound_boxes(
    prepared: Prepared, lower: Array, upper: Array, phases: Phases, wanted: NDArray[np.bool_] | None = None
) -> Bounds:
    """Bound every layer on every box.

    Parameters
    ----------
    lower, upper:
        Box corners ``[n_boxes, n_in]``.
    phases:
        Facts ``[n_boxes, n_relu]``: −1 inactive, +1 active, 0 unknown.
    wanted:
        ReLU units whose phase is asked for, ``[n_boxes, n_relu]``; all if None. Units of a box's deepest wanted layer
        that are not wanted, and deeper layers, get interval bounds only.
    """
    bounds = Bounds([lower.copy()], [upper.copy()], phases.copy())
    wanted = np.ones(phases.shape, bool) if wanted is None else wanted
    deepest = _deepest(prepared, wanted & (phases == 0))
    for position in range(len(prepared.network.layers)):
        if position in prepared.offsets:
            _relu_interval(prepared, bounds, position)
        elif position > 0:
            _affine_interval(prepared, bounds, position)
        if position in prepared.relu_sources:
            _tighten(prepared, bounds, position, wanted, deepest)
    return bounds


def _deepest(prepared: Prepared, open_units: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Per box the position of the deepest ReLU source with a wanted open unit, −1 if there is none."""
    deepest = np.full(len(open_units), -1)
    for source, relus in prepared.relu_sources.items():
        for relu in relus:
            has = open_units[:, _units(prepared, relu)].any(axis=1)
            deepest = np.where(has, np.maximum(deepest, source), deepest)
    return deepest


def _units(prepared: Prepared, relu: int) -> slice:
    """The flat numbers of a ReLU layer's units."""
    start = prepared.offsets[relu]
    return slice(start, start + prepared.network.layers[relu].width)


def _relu_interval(prepared: Prepared, bounds: Bounds, position: int) -> None:
    """[max(l, 0), max(u, 0)] of the source."""
    source = prepared.network.layers[position].sources[0]
    bounds.lower.append(np.maximum(bounds.lower[source], 0))
    bounds.upper.append(np.maximum(bounds.upper[source], 0))
    bounds.relaxations[position] = relax(bounds.lower[source], bounds.upper[source])


def _affine_interval(prepared: Prepared, bounds: Bounds, position: int) -> None:
    """Interval rule, widened by the noise radius."""
    lower, upper = push_interval(prepared, position, bounds.lower, bounds.upper)
    sources = prepared.network.layers[position].sources
    magnitudes = [np.maximum(np.abs(bounds.lower[s]), np.abs(bounds.upper[s])) for s in sources]
    noise = radius(prepared, position, magnitudes)
    if noise is not None:
        bounds.radii[position] = noise
        lower, upper = lower - noise, upper + noise
    bounds.lower.append(lower)
    bounds.upper.append(upper)


def _tighten(
    prepared: Prepared,
    bounds: Bounds,
    source: int,
    wanted: NDArray[np.bool_],
    deepest: NDArray[np.int64],
) -> None:
    """Facts, then backward bounds of the undecided units of a layer that ReLU layers read."""
    lower, upper = bounds.lower[source], bounds.upper[source]
    slices = [_units(prepared, relu) for relu in prepared.relu_sources[source]]
    noise = np.zeros_like(lower)
    if source in bounds.radii:
        noise = bounds.radii[source]
    for units in slices:
        facts = bounds.proved[:, units]
        np.minimum(upper, 0, out=upper, where=facts < 0)
        np.maximum(lower, 0, out=lower, where=facts > 0)
    undecided = (lower < 0) & (upper > 0)
    asked = np.logical_or.reduce([wanted[:, units] for units in slices])
    undecided &= (deepest[:, None] > source) | ((deepest[:, None] == source) & asked)
    slack_lower = slack_upper = MARGIN * noise
    if undecided.any() and source not in prepared.straight:
        slack_lower, slack_upper = _backward_bounds(prepared, bounds, source, undecided, MARGIN * noise)
    for units in slices:
        facts = bounds.proved[:, units]
        facts[(facts == 0) & (upper <= -slack_upper)] = -1
        facts[(facts == 0) & (lower >= slack_lower)] = 1


def _backward_bounds(
    prepared: Prepared, bounds: Bounds, source: int, undecided: NDArray[np.bool_], slack: Array
) -> tuple[Array, Array]:
    """Tighten undecided units from both sides; returns the margins that go with the kept bounds."""
    box, unit = np.nonzero(undecided)
    sign = np.repeat([1.0, -1.0], len(box))
    tasks = Tasks(source, np.tile(box, 2), np.tile(unit, 2), sign)
    result = backward(prepared, tasks, bounds.relaxations, bounds.radii, bounds.lower[0], bounds.upper[0])
    bounds.last.append((tasks, result))
    margins = slack.copy(), slack.copy()
    for arrays, margin, part in (
        (bounds.upper[source], margins[1], slice(0, len(box))),
        (bounds.lower[source], margins[0], slice(len(box), None)),
    ):
        value = result.upper[part] * sign[part]
        tighter = (value - arrays[box, unit]) * sign[part] < 0
        arrays[box[tighter], unit[tighter]] = value[tighter]
        margin[box[tighter], unit[tighter]] = MARGIN * result.noise[part][tighter]
    return margins
