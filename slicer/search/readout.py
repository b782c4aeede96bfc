"""Readouts near the network on a box, for mode ``epsilon``: a fit to points, and the errors to be proved.

A readout is an affine function of units of the network, of its inputs at the least, in the place of its outputs. Units
i and n + i of the errors are output i less that of the readout less its bound, and the negative less its bound
(CERTIFICATE.md §5): the readout is within its bounds where all of them are inactive. Nothing is proved here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dispatcher.layers import Concat, Elementwise, Relu, dense, freeze
from dispatcher.plan import Readout
from slicer.network import Network

Array = NDArray[np.float64]
Reads = tuple[tuple[int, tuple[int, ...]], ...]

MOST_WEIGHTS = 1 << 20  # of the errors: checkers refuse more (CERTIFICATE.md §7)
ROOM = 0.9  # of a bound may be used up at points: what lies between them, and proofs, need the rest


@dataclass(frozen=True, eq=False, slots=True)
class Fit:
    """A readout, and its largest distance from the network at the points that it was fitted to ``[n_out]``."""

    readout: Readout
    distance: Array


def has_errors(network: Network, reads: int | None = None) -> bool:
    """Whether the errors of a readout of so many units (None: of all inputs) are few enough for a proof."""
    return 2 * network.n_out * (network.n_out + (network.n_in if reads is None else reads)) <= MOST_WEIGHTS


def all_inputs(network: Network) -> Reads:
    """What an affine function in the place of the network reads."""
    return ((0, tuple(range(network.n_in))),)


def fit(reads: Reads, values: Array, outputs: Array, known: Array | None = None) -> Fit:
    """The least-squares fit of the values read ``[m, n_read]`` to outputs ``[m, n_out]``, moved to centre its errors.

    ``known`` are the weights of the last units read ``[n_out, n_known]``, if they are not to be fitted. Distances are
    those of the float32 readout in real arithmetic; infinite or NaN if its numbers overflow float32.
    """
    free = values if known is None else values[:, : values.shape[1] - known.shape[1]]
    target = outputs if known is None else outputs - values[:, free.shape[1] :] @ known.T
    centre = (free.max(axis=0) + free.min(axis=0)) / 2
    half = np.maximum((free.max(axis=0) - free.min(axis=0)) / 2, np.finfo(np.float32).tiny)
    columns = np.concatenate([(free - centre) / half, np.ones((len(free), 1))], axis=1)
    solution = np.linalg.lstsq(columns, target, rcond=None)[0]
    with np.errstate(over="ignore", invalid="ignore"):
        weight = (solution[:-1] / half[:, None]).T.astype(np.float32)
        weight = weight if known is None else np.hstack([weight, known.astype(np.float32)])
        left = outputs - values @ weight.T.astype(np.float64)
        bias = ((left.max(axis=0) + left.min(axis=0)) / 2).astype(np.float32)
        readout = Readout(reads, freeze(weight, np.float32), freeze(bias, np.float32))
        return Fit(readout, distance(readout, values, outputs))


def distance(readout: Readout, values: Array, outputs: Array) -> Array:
    """Largest distance from outputs ``[m, n_out]`` where the units read are ``values`` ``[m, n_read]``: ``[n_out]``."""
    return np.asarray(np.abs(outputs - values @ readout.weight.T.astype(np.float64) - readout.bias).max(axis=0))


def with_errors(network: Network, readout: Readout, epsilon: Array) -> Network:
    """The network followed by the errors of a readout with bounds ``epsilon`` ``[n_out]``.

    Layers are read whole here, with zeros for the units that are not read: that adds nothing but noise.
    """
    last, n = len(network.layers) - 1, network.n_out
    sources = (last, *(layer for layer, _ in readout.reads))
    widths = [network.layers[source].width for source in sources]
    weight, done = [np.eye(n, dtype=np.float32)], 0
    for (_, units), width in zip(readout.reads, widths[1:], strict=True):
        part = np.zeros((n, width), np.float32)
        part[:, list(units)] = -readout.weight[:, done : done + len(units)]
        weight, done = [*weight, part], done + len(units)
    rows = np.hstack(weight)
    bias = np.concatenate([-readout.bias, readout.bias])
    return Network(
        (
            *network.layers,
            Concat(sources, sum(widths), "outputs and units read"),
            dense(last + 1, np.vstack([rows, -rows]), bias, name="errors"),
            Elementwise(last + 2, "add", freeze(-np.tile(epsilon, 2), np.float32), "beyond"),
            Relu(last + 3, 2 * n, "outside"),
        )
    )
