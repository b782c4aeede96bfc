"""Backward linear bounds (CROWN) of single units over many boxes at once.

A *task* is one unit of one layer on one box with a sign: the bound wanted is the maximum of ``sign · z``. Tasks are
rows of a coefficient matrix, so boxes may need different units without waste. Zhang et al., *Efficient Neural Network
Robustness Certification with General Activation Functions*, NeurIPS 2018, with the noise of CERTIFICATE.md §4 carried
along: every affine step adds ``|A|·r``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dispatcher.layers import Dense, Relu
from slicer.bounds.linear import Prepared, constant_term, pull_back

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

# Rows handled together: a coefficient matrix of 512 rows and a few hundred columns stays in the second-level cache.
CHUNK = 512


@dataclass(frozen=True, eq=False, slots=True)
class Relaxation:
    """Lines of one ReLU layer on each box: ``alpha·z <= relu(z) <= slope·z + offset``, each ``[n_boxes, n]``."""

    slope: Array
    offset: Array
    alpha: Array


@dataclass(frozen=True, eq=False, slots=True)
class Tasks:
    """Units to bound at one layer: box index, unit index and sign (+1: upper bound of z, −1: of −z), each ``[m]``."""

    layer: int
    box: Indices
    unit: Indices
    sign: Array

    def part(self, start: int, stop: int) -> Tasks:
        """The tasks ``start … stop−1``."""
        return Tasks(self.layer, self.box[start:stop], self.unit[start:stop], self.sign[start:stop])


@dataclass(frozen=True, eq=False, slots=True)
class LinearBound:
    """``sign·z <= slope·x + constant`` on the box, per task.

    Attributes
    ----------
    upper:
        Its maximum over the box ``[m]``.
    noise:
        The part of the constant that comes from noise, Σ|A|·r ``[m]``.
    slope:
        Coefficients on the input ``[m, n_in]``.
    """

    upper: Array
    noise: Array
    slope: Array


def relax(lower: Array, upper: Array) -> Relaxation:
    """The triangle relaxation of ReLU on ``[lower, upper]``, reference slopes of CERTIFICATE.md §5."""
    active, unstable = lower >= 0, (lower < 0) & (upper > 0)
    width = np.where(unstable, upper - lower, 1.0)
    slope = np.where(unstable, np.clip(upper / width, 0.0, 1.0), active)
    offset = np.where(unstable, np.maximum(-slope * lower, (1 - slope) * upper), 0.0)
    alpha = np.where(unstable, np.clip(4 * slope - 2, 0.0, 1.0), active)
    return Relaxation(slope, offset, alpha)


def backward(
    prepared: Prepared,
    tasks: Tasks,
    relaxations: dict[int, Relaxation],
    radii: dict[int, Array],
    lower: Array,
    upper: Array,
) -> LinearBound:
    """Bound every task on its box; boxes are given by ``lower``, ``upper`` ``[n_boxes, n_in]``.

    ``relaxations`` and ``radii`` hold those of every ReLU and every rounding layer before the tasks' layer.
    """
    parts = [
        _backward(prepared, tasks.part(start, start + CHUNK), relaxations, radii, lower, upper)
        for start in range(0, max(1, len(tasks.box)), CHUNK)
    ]
    return LinearBound(
        np.concatenate([part.upper for part in parts]),
        np.concatenate([part.noise for part in parts]),
        np.concatenate([part.slope for part in parts]),
    )


def _backward(
    prepared: Prepared,
    tasks: Tasks,
    relaxations: dict[int, Relaxation],
    radii: dict[int, Array],
    lower: Array,
    upper: Array,
) -> LinearBound:
    """One chunk of `backward`."""
    layers, box = prepared.network.layers, tasks.box
    pending, constant, noise = _first_step(prepared, tasks, radii)
    for position in range(tasks.layer, 0, -1):
        coefficients = pending.pop(position, None)
        if coefficients is None:
            continue
        if isinstance(layers[position], Relu):
            pulled, shift = _through_relu(coefficients, relaxations[position], box)
            constant += shift
            _accumulate(pending, layers[position].sources[0], pulled)
            continue
        constant += constant_term(prepared, position, coefficients)
        if position in radii:
            noise += np.einsum("mn,mn->m", np.abs(coefficients), radii[position][box])
        for source, pulled in pull_back(prepared, position, coefficients):
            _accumulate(pending, source, pulled)
    slope = pending.get(0, np.zeros((len(box), layers[0].width)))
    # max over the box of slope·x, by centre and half-width
    centre, half = (upper + lower) / 2, (upper - lower) / 2
    top = np.einsum("mn,mn->m", slope, centre[box]) + np.einsum("mn,mn->m", np.abs(slope), half[box])
    return LinearBound(constant + noise + top, noise, slope)


def _first_step(prepared: Prepared, tasks: Tasks, radii: dict[int, Array]) -> tuple[dict[int, Array], Array, Array]:
    """Coefficients, constant and noise once the tasks' own layer is eliminated (a one-hot product is a row)."""
    layer, sign = prepared.network.layers[tasks.layer], tasks.sign
    if isinstance(layer, Dense):
        affine = prepared.affine[tasks.layer]
        pending = {layer.source: affine.weight[tasks.unit] * sign[:, None]}
        return pending, sign * affine.bias[tasks.unit], radii[tasks.layer][tasks.box, tasks.unit].copy()
    one_hot = np.zeros((len(sign), layer.width))
    one_hot[np.arange(len(sign)), tasks.unit] = sign
    return {tasks.layer: one_hot}, np.zeros(len(sign)), np.zeros(len(sign))


def _through_relu(coefficients: Array, relaxation: Relaxation, box: Indices) -> tuple[Array, Array]:
    """Replace post-activations by their lines: positive coefficients take the upper one, negative the lower one."""
    positive = np.maximum(coefficients, 0)
    negative = coefficients - positive
    shift = np.einsum("mn,mn->m", positive, relaxation.offset[box])
    positive *= relaxation.slope[box]
    negative *= relaxation.alpha[box]
    positive += negative
    return positive, shift


def _accumulate(pending: dict[int, Array], position: int, coefficients: Array) -> None:
    """Add coefficients on a layer that several readers may share."""
    pending[position] = pending[position] + coefficients if position in pending else coefficients
