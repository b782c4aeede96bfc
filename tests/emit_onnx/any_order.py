"""How far two float32 evaluations of a network can be apart, whatever their order of summation, with FMA or without.

Every value is enclosed by a centre and a radius, in float64. A unit with n terms, started anywhere and summed in any
order, is off by at most ``γ·Σ|w·h| + n·2^-149`` with ``γ = m·u/(1 - m·u)``, m = n + 3 roundings (terms, sums, start,
bias) and u = 2^-24 (Higham, "Accuracy and Stability of Numerical Algorithms", 2nd edition, §3.1 and §4.2).
"""

from __future__ import annotations

import numpy as np

from dispatcher.layers import Add, Concat, Dense, Elementwise, Gather, Input, Layers, Relu

U = 2.0**-24
LEAST = 2.0**-149
SLACK = 1 + 1e-9  # for the float64 arithmetic here


def enclosure(layers: Layers, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre and radius ``[n, n_out]`` of all evaluations at float32 points ``[n, n_in]``."""
    values: list[tuple[np.ndarray, np.ndarray]] = []
    for layer in layers:
        if isinstance(layer, Input):
            values.append((points.astype(np.float64), np.zeros(points.shape)))
        else:
            values.append(_enclose(layer, [values[source] for source in layer.sources]))
    return values[-1]


def _enclose(layer, sources):
    centre, radius = sources[0] if sources else (None, None)
    match layer:
        case Dense():
            weight = layer.weight.astype(np.float64)
            constant = layer.start.astype(np.float64) + layer.bias
            size = (np.abs(centre) + radius) @ np.abs(weight).T + np.abs(layer.start) + np.abs(layer.bias)
            roundings = weight.shape[1] + 3
            gamma = roundings * U / (1 - roundings * U)
            return centre @ weight.T + constant, (radius @ np.abs(weight).T + gamma * size + roundings * LEAST) * SLACK
        case Relu():
            low, high = np.maximum(centre - radius, 0), np.maximum(centre + radius, 0)
            return (low + high) / 2, (high - low) / 2 * SLACK + LEAST
        case Gather():
            return centre[:, layer.indices], radius[:, layer.indices]
        case Concat():
            return np.concatenate([c for c, _ in sources], axis=1), np.concatenate([r for _, r in sources], axis=1)
        case Elementwise(op="add"):
            return _rounded(centre + layer.constant, radius)
        case Elementwise(op=op):
            factor = layer.constant.astype(np.float64) if op == "mul" else 1 / layer.constant.astype(np.float64)
            return _rounded(centre * factor, radius * np.abs(factor))
        case Add():
            return _rounded(centre + sources[1][0], radius + sources[1][1])


def _rounded(centre, radius):
    return centre, (radius + U * (np.abs(centre) + radius) + LEAST) * SLACK
