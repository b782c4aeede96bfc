"""`encode`: a network on a box as variables, equations and ReLU constraints, with our own intervals as bounds.

Invariant: every layer's values are affine forms of variables made before it. Only layers that a ReLU reads make
variables; all others are composed into the next equation, and so is what does not depend on the input.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dispatcher.layers import Add, Concat, Dense, Elementwise, Gather, Input, Relu
from slicer.bounds.linear import Prepared
from slicer.bounds.reference import Bounds, bound_boxes
from slicer.box import Box
from slicer.search.solvers.query import Encoding, Form, Unit

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class _Affine:
    """Values of a layer: weight ``[n, variables]`` (later variables have weight zero) and constant ``[n]``."""

    weight: Array
    constant: Array


@dataclass(eq=False, slots=True)
class _Draft:
    """An encoding under construction."""

    lower: list[float]
    upper: list[float]
    equations: list[Form] = field(default_factory=list)
    relus: list[tuple[int, int]] = field(default_factory=list)
    units: dict[int, Unit] = field(default_factory=dict)

    def variable(self, lower: float, upper: float) -> int:
        """A new variable."""
        self.lower.append(lower)
        self.upper.append(upper)
        return len(self.lower) - 1


def encode(prepared: Prepared, box: Box, facts: NDArray[np.int8] | None = None) -> Encoding:
    """The network on the box, bounded by `bound_boxes`.

    Parameters
    ----------
    facts:
        Phases already proved on the box ``[n_relu]`` (−1, +1, 0 unknown); they tighten the intervals.

    Raises
    ------
    UnusableInput
        If the intervals are not finite and ordered.
    """
    corners = box.lower[None].astype(np.float64), box.upper[None].astype(np.float64)
    phases = np.zeros(prepared.relu_units, np.int8) if facts is None else facts
    bounds = bound_boxes(prepared, *corners, phases[None])
    draft = _Draft([-1.0] * box.dimension, [1.0] * box.dimension)
    half, centre = (corners[1][0] - corners[0][0]) / 2, (corners[1][0] + corners[0][0]) / 2
    values = [_Affine(np.diag(half), centre)]
    activated: dict[int, _Affine] = {}  # by the position that ReLU layers read
    for position in range(len(prepared.network.layers)):
        if position:
            values.append(_values(prepared, position, values, activated))
        if position in prepared.relu_sources:
            values[position], activated[position] = _phases(prepared, bounds, position, values[position], draft)
    return Encoding(
        box,
        np.array(draft.lower),
        np.array(draft.upper),
        tuple(draft.equations),
        np.array(draft.relus, np.int64).reshape(-1, 2),
        tuple(draft.units[unit] for unit in range(prepared.relu_units)),
    )


def _values(prepared: Prepared, position: int, values: list[_Affine], activated: dict[int, _Affine]) -> _Affine:
    """One layer's values from those of the layers before it."""
    layer = prepared.network.layers[position]
    first = values[layer.sources[0]]
    match layer:
        case Dense():
            affine = prepared.affine[position]
            return _Affine(affine.weight @ first.weight, affine.weight @ first.constant + affine.bias)
        case Elementwise():
            return _elementwise(layer, first)
        case Relu():
            return activated[layer.source]
        case Gather():
            return _Affine(first.weight[layer.indices], first.constant[layer.indices])
        case Concat():
            parts = _widen([values[source] for source in layer.sources])
            constant = np.concatenate([part.constant for part in parts])
            return _Affine(np.concatenate([part.weight for part in parts]), constant)
        case Add():
            left, right = _widen([values[source] for source in layer.sources])
            return _Affine(left.weight + right.weight, left.constant + right.constant)
        case Input():
            raise AssertionError("the input has no sources")


def _elementwise(layer: Elementwise, value: _Affine) -> _Affine:
    """``h ∘ c``."""
    constant = layer.constant.astype(np.float64)
    match layer.op:
        case "add":
            return _Affine(value.weight, value.constant + constant)
        case "mul":
            return _Affine(value.weight * constant[:, None], value.constant * constant)
        case "div":
            return _Affine(value.weight / constant[:, None], value.constant / constant)


def _widen(parts: list[_Affine]) -> list[_Affine]:
    """The same values over equally many variables."""
    columns = max(part.weight.shape[1] for part in parts)
    return [_Affine(np.pad(p.weight, ((0, 0), (0, columns - p.weight.shape[1]))), p.constant) for p in parts]


def _phases(
    prepared: Prepared, bounds: Bounds, position: int, value: _Affine, draft: _Draft
) -> tuple[_Affine, _Affine]:
    """Variables for a layer that ReLUs read; its values and their ReLUs over the variables so far."""
    width = len(value.constant)
    before = len(draft.lower), len(draft.equations), len(draft.relus)
    lower, upper = bounds.lower[position][0], bounds.upper[position][0]
    columns = before[0] + 2 * width
    plain = _widen([value, _Affine(np.zeros((0, columns)), np.zeros(0))])[0]
    plain = _Affine(plain.weight, plain.constant.copy())
    after = _Affine(np.zeros((width, columns)), np.zeros(width))
    for index in range(width):
        unit = _unit(value.weight[index], value.constant[index], lower[index], upper[index], before, draft)
        for relu in prepared.relu_sources[position]:
            draft.units[prepared.offsets[relu] + index] = unit
        half = _half(lower[index], upper[index])
        if not len(unit.form.indices):
            after.constant[index] = max(0.0, plain.constant[index])
        elif unit.phase == 0:
            plain.weight[index], plain.constant[index] = 0.0, 0.0
            plain.weight[index, unit.variable] = after.weight[index, unit.variable + 1] = half
        elif unit.phase > 0:
            centre = (lower[index] + upper[index]) / 2
            variable = _linear(unit, centre / half, draft)
            plain.weight[index], plain.constant[index] = 0.0, centre
            plain.weight[index, variable] = half
            after.weight[index], after.constant[index] = plain.weight[index], centre
    used = len(draft.lower)
    return _Affine(plain.weight[:, :used], plain.constant), _Affine(after.weight[:, :used], after.constant)


def _half(lower: float, upper: float) -> float:
    """Half the interval's width; 1 for a single number."""
    return float(upper - lower) / 2 if upper > lower else 1.0


def _unit(
    weight: Array, constant: float, lower: float, upper: float, before: tuple[int, int, int], draft: _Draft
) -> Unit:
    """A unit's scaled pre-activation; its variables and ReLU constraint if it is unstable and no constant."""
    half = _half(lower, upper)
    indices = np.flatnonzero(weight)
    with np.errstate(over="ignore"):  # infinities are refused by Form and Encoding
        form = Form(indices, weight[indices] / half, float(constant / half))
        unit = Unit(form, float(lower / half), float(upper / half), -1, before)
    if unit.phase or not len(indices):
        return unit
    variable = draft.variable(unit.lower, unit.upper)
    output = draft.variable(0.0, unit.upper)
    draft.equations.append(form.minus(variable))
    draft.relus.append((variable, output))
    return Unit(form, unit.lower, unit.upper, variable, before)


def _linear(unit: Unit, centre: float, draft: _Draft) -> int:
    """The variable of a stably active unit, z − centre in units of the half-width."""
    variable = draft.variable(unit.lower - centre, unit.upper - centre)
    shifted = Form(unit.form.indices, unit.form.coefficients, unit.form.constant - centre)
    draft.equations.append(shifted.minus(variable))
    return variable
