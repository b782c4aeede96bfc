"""Interval and backward rule of the noisy network on a batch of boxes (CERTIFICATE.md §4, §5), rounded outward.

The package docstring derives why the results are bounds in exact arithmetic.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from slicer.certificate.rigorous.form import Array, Indices
from slicer.certificate.rigorous.parent import Layer, Parent, T

UNDERFLOW = 2.0**-800
AHEAD = 2.0**-48


class Bounds:
    """What is known of the units on a batch of boxes, in every execution of the noisy network.

    `extend` writes the layers one after the other; a layer's part means nothing before that.

    Attributes
    ----------
    lower, upper:
        The interval of each unit, ``[units, boxes]``.
    noise:
        The error that each unit is charged: r′, or κS in layers that move numbers, ``[units, boxes]``.
    mean, half, lift:
        Lines of the relu units, ``[units, boxes]``: a coefficient A becomes A·mean + abs(A)·half, which is A·s for
        A > 0 and A·α for A < 0; ``lift`` is o/2.
    state:
        Whether a relu unit is 0 inactive, 1 neither or 2 active, ``[units, boxes]``.
    """

    def __init__(self, parent: Parent, lower: Array, upper: Array) -> None:
        self.parent, shape = parent, (parent.size, len(lower))
        self.lower, self.upper, self.noise, self.mean, self.half, self.lift = np.empty((6, *shape))
        self.state = np.full(shape, 2, np.int8)
        self.lower[parent.spans[0]], self.upper[parent.spans[0]] = lower.T, upper.T

    def extend(self, position: int, count: int) -> Array:
        """The interval rule for one layer on the first boxes, those before it are known; S ``[width, count]``."""
        layer, kappa = self.parent.layers[position], self.parent.kappa
        lower, upper = self.lower[layer.units, :count], self.upper[layer.units, :count]
        size, constant = np.maximum(-lower, upper), layer.constant[:, None]
        if layer.kind == "dense":
            centre, radius = (
                layer.factor @ (0.5 * (lower + upper)) + constant,
                layer.magnitude @ (0.5 * (upper - lower)),
            )
            lower, upper = centre - radius, centre + radius
            scale: Array = np.abs(constant) + layer.magnitude @ size
            flushed = 3 + (3 + size).sum(axis=0) + layer.magnitude.sum(axis=1, keepdims=True)
        else:
            factor = layer.scale[:, None]
            ends = lower * factor, upper * factor
            lower, upper = np.minimum(*ends).sum(axis=0) + constant, np.maximum(*ends).sum(axis=0) + constant
            scale = np.abs(constant) + (size * np.abs(factor)).sum(axis=0)
            flushed = 3 + (3 + np.abs(factor) + size).sum(axis=0)
        noise = kappa * scale
        if layer.rounding:
            noise = (1 + kappa) * ((layer.rounding + kappa) * scale + T * flushed)
            lower, upper = lower - noise, upper + noise
        own = self.parent.spans[position], slice(count)
        if layer.kind == "relu":
            self._lines(own, lower, upper)
            lower, upper = np.maximum(lower, 0), np.maximum(upper, 0)
        self.lower[own], self.upper[own], self.noise[own] = lower, upper, noise
        return scale

    def _lines(self, own: tuple[slice, slice], lower: Array, upper: Array) -> None:
        """The lines over the interval of the relu's source, rounded to s ≥ u/(u−l), α ≤ 1 and o ≥ −s·l."""
        alive = ~(upper <= 0)
        unstable = alive & (lower < 0)
        chord = np.maximum(upper / (upper - lower) * (1 + AHEAD), 2.0**-500)
        above = np.where(unstable, chord, alive)
        ramp = np.minimum(4 * chord - 2, 1 - AHEAD)
        below = np.where(unstable, np.where(ramp > 2.0**-40, ramp, 0), alive)
        self.mean[own], self.half[own] = 0.5 * (above + below), 0.5 * (above - below)
        self.lift[own] = np.where(unstable, above * lower * (-0.5 - AHEAD), 0)
        self.state[own] = 2 * alive - unstable


class Columns(NamedTuple):
    """The units of a layer that can have a coefficient; the first ``bent`` of them are not active on all the boxes."""

    units: Indices
    bent: int


class Backward:
    """Coefficients on their way from one layer to the input, on some of a batch's boxes.

    Invariant: sign·unit ≤ Σ_p A_p·v_p + ``total`` + ``noise`` in every execution on the box, where A_p is
    ``waiting[p]``, ``[units of columns[p], boxes, rows]``. Of a gated layer no unit is in ``columns`` that is inactive
    on all the boxes.
    """

    def __init__(self, bounds: Bounds, position: int, boxes: Indices) -> None:
        self.bounds, self.parent, self.position, self.boxes = bounds, bounds.parent, position, boxes
        self.waiting: dict[int, Array] = {}
        gates = self.parent.gates[: position + 1]
        columns = {gate: self._gated(gate) for gate in {*gates}}
        self.columns = [columns[gate] for gate in gates]

    def bound(self, units: Indices, sign: float) -> tuple[Array, Array]:
        """Upper bounds of sign·unit for ``units`` ``[boxes, rows]``, and the part N of them that is noise."""
        self.total, self.noise = np.zeros(units.shape), np.zeros(units.shape)
        self._start(self.position, units, sign)
        for position in range(self.position, 0, -1):
            if position in self.waiting:
                eliminate = self._relu if self.parent.layers[position].kind == "relu" else self._affine
                eliminate(position, self.parent.layers[position], self.waiting.pop(position))
        lower, upper = self._of(self.bounds.lower, 0), self._of(self.bounds.upper, 0)
        middle = 0.5 * (lower + upper)
        radius = np.maximum(upper - middle, middle - lower) + self._of(self.bounds.noise, 0)
        for coefficient in self.waiting.values():  # only the input's are left, if any
            self.total += _inner(coefficient, middle) + _inner(np.abs(coefficient), radius)
        return self.total + self.noise + UNDERFLOW, self.noise

    def _gated(self, gate: int) -> Columns:
        """The columns of a layer, those first that are not active."""
        span = self.parent.spans[gate]
        if gate not in self.parent.relus:
            return Columns(np.arange(span.stop - span.start), 0)
        state = self.bounds.state[span].take(self.boxes, axis=1)
        highest, active = state.max(axis=1), state.min(axis=1) == 2
        bent = np.flatnonzero((highest > 0) & ~active)
        return Columns(np.concatenate([bent, np.flatnonzero(active)]), len(bent))

    def _start(self, position: int, units: Indices, sign: float) -> None:
        """Coefficients of the units themselves; a dense layer is eliminated at once."""
        layer = self.parent.layers[position]
        if layer.kind != "dense":
            self.waiting[position] = np.where(self.columns[position].units[:, None, None] == units, sign, 0.0)
            return
        source = layer.sources[0]
        table = sign * layer.factor.T[self.columns[source].units]
        self.waiting[source] = table.take(units, axis=1)
        self.total += sign * layer.constant[units]
        self.noise += self.bounds.noise[self.parent.spans[position].start + units, self.boxes[:, None]]

    def _affine(self, position: int, layer: Layer, coefficient: Array) -> None:
        """Replace the coefficients of a layer that is no relu by coefficients of its sources."""
        columns = self.columns[position].units
        flat = coefficient.reshape(len(columns), self.total.size)
        self.total += (layer.constant[columns] @ flat).reshape(self.total.shape)
        self._charge(position, coefficient)
        if layer.kind == "dense":
            chosen = self.columns[layer.sources[0]].units
            product = layer.factor[columns[:, None], chosen].T @ flat
            self._send(layer.sources[0], product.reshape(len(chosen), *self.total.shape), chosen)
            return
        for units in layer.units:
            order = np.argsort(units, kind="stable")
            distinct, first = np.unique(units[order], return_index=True)
            part = np.add.reduceat((coefficient * layer.scale[:, None, None])[order], first, axis=0)
            for source in {*layer.sources}:
                span = self.parent.spans[source]
                inside = slice(*np.searchsorted(distinct, (span.start, span.stop)))
                self._send(source, part[inside], distinct[inside] - span.start)

    def _relu(self, position: int, layer: Layer, coefficient: Array) -> None:
        """The same for a relu: slopes and offsets by the sign of the coefficient; works in place."""
        (columns, count), bounds = self.columns[position], self.bounds
        mean, half, lift = (self._of(values, position, count) for values in (bounds.mean, bounds.half, bounds.lift))
        bent = coefficient[:count]
        magnitude = np.abs(bent)
        self.total += _inner(bent, lift) + _inner(magnitude, lift * (1 + self.parent.kappa))
        bent *= mean[:, :, None]
        magnitude *= half[:, :, None]
        bent += magnitude
        if len(self.parent.readers[layer.sources[0]]) > 1:  # its coefficients are summed, which rounds
            self._charge(position, coefficient)
        self._send(layer.sources[0], coefficient, columns)

    def _charge(self, position: int, coefficient: Array) -> None:
        """Add abs(A)·noise."""
        self.noise += _inner(np.abs(coefficient), self._of(self.bounds.noise, position))

    def _of(self, values: Array, position: int, count: int | None = None) -> Array:
        """What ``values`` ``[units, boxes]`` say of a layer's (first) columns, ``[columns, boxes]``."""
        chosen: Array = values[self.parent.spans[position].start + self.columns[position].units[:count]]
        return chosen.take(self.boxes, axis=1)

    def _send(self, source: int, coefficient: Array, units: Indices) -> None:
        """Add coefficients of some of a layer's units to those that wait there."""
        columns, span = self.columns[source].units, self.parent.spans[source]
        if units is not columns:
            whole = np.zeros((span.stop - span.start, *self.total.shape))
            whole[units] = coefficient
            coefficient = whole[columns]
        self.waiting[source] = self.waiting[source] + coefficient if source in self.waiting else coefficient


def _inner(coefficient: Array, values: Array) -> Array:
    """Sums of products over the units, ``[units, boxes, rows]`` with ``[units, boxes]`` to ``[boxes, rows]``."""
    product: Array = np.matmul(np.ascontiguousarray(values.T)[:, None, :], coefficient.transpose(1, 0, 2))[:, 0, :]
    return product
