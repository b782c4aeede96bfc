"""Interval and backward rule of the noisy network on a batch of boxes (CERTIFICATE.md §4, §5), rounded outward.

The package docstring derives why the results are bounds in exact arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slicer.certificate.rigorous.form import Array, Indices
from slicer.certificate.rigorous.parent import Layer, Parent, T

UNDERFLOW = 2.0**-800
AHEAD = 2.0**-48


@dataclass(frozen=True, eq=False)
class Interval:
    """A layer's bounds in every execution of the noisy network, its noise r′, and S; each ``[boxes, width]``."""

    lower: Array
    upper: Array
    noise: Array
    scale: Array


@dataclass(frozen=True, eq=False)
class Lines:
    """A relu layer's linear bounds, each ``[boxes, width]``; ``alive`` unless the unit is inactive.

    A coefficient A becomes ``A·mean + abs(A)·half``, which is A·s for A > 0 and A·α for A < 0; ``lift`` is o/2.
    """

    mean: Array
    half: Array
    lift: Array
    alive: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Rows:
    """What to bound: units of layer ``position``, ``units`` and ``signs`` (+1 above, −1 below) ``[boxes, rows]``."""

    position: int
    boxes: Indices
    units: Indices
    signs: Array


def input_interval(lower: Array, upper: Array) -> Interval:
    """The input's interval: the boxes ``[boxes, inputs]``; float32 inputs carry no noise."""
    return Interval(lower, upper, np.zeros_like(lower), np.maximum(-lower, upper))


def interval(parent: Parent, position: int, known: list[Interval]) -> Interval:
    """The interval rule for one layer (not the input); those of the layers before it are known."""
    layer = parent.layers[position]
    first = known[layer.sources[0] if layer.sources else 0]
    lower = np.tile(layer.constant, (len(known[0].lower), 1))
    upper, scale, flushed = lower.copy(), np.abs(lower), np.full_like(lower, 3)
    if layer.kind == "relu":
        lower, upper = np.maximum(first.lower, 0), np.maximum(first.upper, 0)
        scale = np.maximum(-first.lower, first.upper)
    elif layer.kind == "dense":
        size = np.maximum(-first.lower, first.upper)
        centre = 0.5 * (first.lower + first.upper) @ layer.weight.T + layer.constant
        radius = 0.5 * (first.upper - first.lower) @ layer.magnitude
        lower, upper, scale = centre - radius, centre + radius, scale + size @ layer.magnitude
        flushed += (3 + size).sum(axis=1, keepdims=True) + layer.magnitude.sum(axis=0)
    for link in layer.links:
        source = known[link.source]
        ends = source.lower[:, link.units] * link.scale, source.upper[:, link.units] * link.scale
        lower[:, link.place] += np.minimum(*ends)
        upper[:, link.place] += np.maximum(*ends)
        size = np.maximum(-source.lower, source.upper)[:, link.units]
        scale[:, link.place] += size * np.abs(link.scale)
        flushed[:, link.place] += 3 + np.abs(link.scale) + size
    noise = (1 + parent.kappa) * ((layer.rounding + parent.kappa) * scale + T * flushed) * (layer.rounding > 0)
    return Interval(lower - noise, upper + noise, noise, scale)


def lines(source: Interval) -> Lines:
    """The lines over the interval of the relu's source, rounded to s ≥ u/(u−l), α ≤ 1 and o ≥ −s·l."""
    lower, upper = source.lower, source.upper
    alive = ~(upper <= 0)
    unstable = alive & (lower < 0)
    chord = np.maximum(upper / (upper - lower) * (1 + AHEAD), 2.0**-500)
    above = np.where(unstable, chord, alive)
    ramp = np.minimum(4 * chord - 2, 1 - AHEAD)
    below = np.where(unstable, np.where(ramp > 2.0**-40, ramp, 0), alive)
    lift = np.where(unstable, above * lower * (-0.5 - AHEAD), 0)
    return Lines(0.5 * (above + below), 0.5 * (above - below), lift, alive)


class Backward:
    """Coefficients on their way from one layer to the input, on some of a batch's boxes.

    Invariant: sign·unit ≤ Σ_p A_p·v_p + ``total`` + ``noise`` in every execution on the box, where A_p is
    ``waiting[p]``, ``[boxes, rows, columns[p]]``, and ``columns[p]`` are the units of p that can have a coefficient:
    none that is inactive on all the boxes.
    """

    def __init__(self, parent: Parent, known: list[Interval], relus: dict[int, Lines], rows: Rows) -> None:
        self.parent, self.known, self.relus, self.rows = parent, known, relus, rows
        self.total, self.noise = np.zeros(rows.units.shape), np.zeros(rows.units.shape)
        self.waiting: dict[int, Array] = {}
        alive = {relu: np.flatnonzero(lines.alive[rows.boxes].any(axis=0)) for relu, lines in relus.items()}
        self.columns = [
            alive.get(parent.readers[position][0] if parent.only_relu[position] else position, parent.units[position])
            for position in range(rows.position + 1)
        ]

    def bound(self) -> tuple[Array, Array]:
        """Upper bounds of sign·unit, and the part N of them that is noise, both ``[boxes, rows]``."""
        self._start(self.rows.position, self.rows.units, self.rows.signs)
        for position in range(self.rows.position, 0, -1):
            if position in self.waiting:
                self._eliminate(position, self.parent.layers[position], self.waiting.pop(position))
        box, chosen = self.known[0], (self.rows.boxes[:, None], self.columns[0])
        middle = 0.5 * (box.lower + box.upper)
        radius = np.maximum(box.upper - middle, middle - box.lower) + self.parent.kappa * box.scale
        for coefficient in self.waiting.values():  # only the input's are left, if any
            self.total += _inner(coefficient, middle[chosen]) + _inner(np.abs(coefficient), radius[chosen])
        return self.total + self.noise + UNDERFLOW, self.noise

    def _start(self, position: int, units: Indices, signs: Array) -> None:
        """Coefficients of the units themselves; a dense layer is eliminated at once."""
        layer = self.parent.layers[position]
        if layer.kind != "dense":
            self.waiting[position] = np.where(units[:, :, None] == self.columns[position], signs[:, :, None], 0.0)
            return
        source = layer.sources[0]
        self.waiting[source] = layer.weight[:, self.columns[source]][units] * signs[:, :, None]
        self.total += signs * layer.constant[units]
        self.noise += self.known[position].noise[self.rows.boxes[:, None], units]

    def _eliminate(self, position: int, layer: Layer, coefficient: Array) -> None:
        """Replace one layer's coefficients by coefficients of its sources."""
        columns, known = self.columns[position], self.known[position]
        if layer.kind == "relu":
            self._relu(position, layer.sources[0], coefficient)
            return
        self.total += coefficient @ layer.constant[columns]
        self._charge(coefficient, known.noise if layer.rounding else self.parent.kappa * known.scale, columns)
        if layer.kind == "dense":
            source = self.columns[layer.sources[0]]
            product = coefficient.reshape(self.total.size, len(columns)) @ layer.weight[columns[:, None], source]
            self._send(layer.sources[0], product.reshape(*self.total.shape, len(source)), source)
        for link in layer.links:
            order, first, units = link.groups
            part = self._whole(coefficient, columns, layer.width)[:, :, link.place] * link.scale
            self._send(link.source, np.add.reduceat(part[:, :, order], first, axis=2), units)

    def _relu(self, position: int, source: int, coefficient: Array) -> None:
        """Slopes and offsets by the sign of the coefficient; works in place."""
        boxes, columns, relu = self.rows.boxes[:, None], self.columns[position], self.relus[position]
        magnitude, lift = np.abs(coefficient), relu.lift[boxes, columns]
        self.total += _inner(coefficient, lift) + _inner(magnitude, lift * (1 + self.parent.kappa))
        coefficient *= relu.mean[boxes, columns][:, None, :]
        magnitude *= relu.half[boxes, columns][:, None, :]
        coefficient += magnitude
        if len(self.parent.readers[source]) > 1:  # its coefficients are summed, which rounds
            self._charge(coefficient, self.parent.kappa * self.known[position].scale, columns)
        self._send(source, coefficient, columns)

    def _charge(self, coefficient: Array, noise: Array, columns: Indices) -> None:
        """Add abs(A)·noise."""
        self.noise += _inner(np.abs(coefficient), noise[self.rows.boxes[:, None], columns])

    def _send(self, source: int, coefficient: Array, units: Indices) -> None:
        """Add coefficients of some of a layer's units to those that wait there."""
        columns = self.columns[source]
        if units is not columns and not np.array_equal(units, columns):
            coefficient = self._whole(coefficient, units, self.parent.layers[source].width)[:, :, columns]
        self.waiting[source] = self.waiting[source] + coefficient if source in self.waiting else coefficient

    def _whole(self, coefficient: Array, units: Indices, width: int) -> Array:
        """The coefficients of some units among those of all units of a layer, ``[boxes, rows, width]``."""
        if len(units) == width:
            return coefficient
        whole = np.zeros((*self.total.shape, width))
        whole[:, :, units] = coefficient
        return whole


def _inner(coefficient: Array, vectors: Array) -> Array:
    """Row by row inner products: ``[boxes, rows, n]`` with ``[boxes, n]`` to ``[boxes, rows]``."""
    product: Array = np.matmul(coefficient, vectors[:, :, None])[:, :, 0]
    return product
