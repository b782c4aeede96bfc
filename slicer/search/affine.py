"""An affine function near the network on a box, for mode ``epsilon``: a fit to points, and the errors to be proved.

Units i and n + i of the errors are output i less that of the affine function less its bound, and the negative less its
bound (CERTIFICATE.md §5): the function is within its bounds where all of them are inactive. Nothing is proved here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dispatcher.layers import Concat, Elementwise, Relu, dense, freeze
from dispatcher.plan import Affine
from slicer.network import Network

Array = NDArray[np.float64]

MOST_WEIGHTS = 1 << 20  # of the errors: checkers refuse more (CERTIFICATE.md §7)
ROOM = 0.9  # of a bound may be used up at points: what lies between them, and proofs, need the rest


@dataclass(frozen=True, eq=False, slots=True)
class Fit:
    """An affine function, and its largest distance from the network at the points that it was fitted to ``[n_out]``."""

    affine: Affine
    distance: Array


def has_errors(network: Network) -> bool:
    """Whether the errors of an affine function are few enough for a proof."""
    return 2 * network.n_out * (network.n_out + network.n_in) <= MOST_WEIGHTS


def fit(points: Array, outputs: Array) -> Fit:
    """The least-squares fit to outputs ``[m, n_out]`` at points ``[m, n_in]``, moved so that errors are centred.

    Distances are those of the float32 function in real arithmetic; infinite or NaN if its numbers overflow float32.
    """
    centre = (points.max(axis=0) + points.min(axis=0)) / 2
    half = np.maximum((points.max(axis=0) - points.min(axis=0)) / 2, np.finfo(np.float32).tiny)
    columns = np.concatenate([(points - centre) / half, np.ones((len(points), 1))], axis=1)
    solution = np.linalg.lstsq(columns, outputs, rcond=None)[0]
    with np.errstate(over="ignore", invalid="ignore"):
        weight = (solution[:-1] / half[:, None]).T.astype(np.float32)
        left = outputs - points @ weight.T.astype(np.float64)
        bias = ((left.max(axis=0) + left.min(axis=0)) / 2).astype(np.float32)
        affine = Affine(freeze(weight, np.float32), freeze(bias, np.float32))
        return Fit(affine, distance(affine, points, outputs))


def distance(affine: Affine, points: Array, outputs: Array) -> Array:
    """Largest distance of an affine function from outputs ``[m, n_out]`` at points ``[m, n_in]``: ``[n_out]``."""
    return np.asarray(np.abs(outputs - points @ affine.weight.T.astype(np.float64) - affine.bias).max(axis=0))


def with_errors(network: Network, affine: Affine, epsilon: Array) -> Network:
    """The network followed by the errors of an affine function with bounds ``epsilon`` ``[n_out]``."""
    last, n = len(network.layers) - 1, network.n_out
    rows = np.hstack([np.eye(n, dtype=np.float32), -affine.weight])
    bias = np.concatenate([-affine.bias, affine.bias])
    return Network(
        (
            *network.layers,
            Concat((last, 0), n + network.n_in, "outputs and inputs"),
            dense(last + 1, np.vstack([rows, -rows]), bias, name="errors"),
            Elementwise(last + 2, "add", freeze(-np.tile(epsilon, 2), np.float32), "beyond"),
            Relu(last + 3, 2 * n, "outside"),
        )
    )
