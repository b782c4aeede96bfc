"""How far two float32 executions of a network can be apart at a point: CERTIFICATE.md §4 on a point box.

Independent of the prover: plain float64, one pass. Every execution is within a radius of the exact value, so two are
within twice that. Float64 rounds at 2^-53 where float32 rounds at 2^-24; the factor 1 + 2^-20 covers this pass's own
rounding.
"""

import numpy as np

from dispatcher.layers import Add, Concat, Dense, Elementwise, Gather, Input, Relu

U, T = 2.0**-24, 2.0**-126


def gamma(count):
    """Higham's γ: m roundings in a row."""
    return count * U / (1 - count * U)


def allowed_distance(layers, points, extra=0):
    """Bounds ``[batch, n_out]`` of |one execution − another| at float32 points ``[batch, n_in]``.

    ``extra`` roundings are added to every operation, for runtimes that fuse operators with constants of their own.
    """
    centres, radii = [], []
    for layer in layers:
        sources = [(centres[source], radii[source]) for source in layer.sources]
        centre, radius = (
            (points.astype(np.float64), np.zeros(points.shape)) if not sources else _step(layer, sources, extra)
        )
        centres.append(centre)
        radii.append(radius)
    return 2 * radii[-1] * (1 + 2.0**-20)


def fan_in(layers):
    """The largest number of terms of a dense layer."""
    return max([layer.weight.shape[1] for layer in layers if isinstance(layer, Dense)], default=0)


def _step(layer, sources, extra):
    """Exact value and radius of one layer, from its sources'."""
    (centre, radius), *_ = sources
    H = np.abs(centre) + radius
    match layer:
        case Dense():
            W, b = layer.weight.astype(np.float64), layer.bias.astype(np.float64)
            n = W.shape[1]
            own = gamma(n + 1 + extra) * (np.abs(b) + H @ np.abs(W).T)
            own = own + (2 * n + 3 + np.abs(W).sum(axis=1) + H.sum(axis=1, keepdims=True)) * T
            return centre @ W.T + b, radius @ np.abs(W).T + own
        case Elementwise():
            return _elementwise(layer, centre, radius, H, gamma(1 + extra))
        case Add():
            other, other_radius = sources[1]
            own = gamma(1 + extra) * (H + np.abs(other) + other_radius) + 3 * T
            return centre + other, radius + other_radius + own
        case Relu():
            return np.maximum(centre, 0), radius
        case Gather():
            return centre[:, layer.indices], radius[:, layer.indices]
        case Concat():
            return tuple(np.concatenate(parts, axis=1) for parts in zip(*sources, strict=True))
        case Input():
            raise AssertionError


def _elementwise(layer, centre, radius, H, relative):
    """Exact value and radius of ``h ∘ c``."""
    c = layer.constant.astype(np.float64)
    size = np.abs(c)
    match layer.op:
        case "add":
            return centre + c, radius + relative * (H + size) + 3 * T
        case "mul":
            return centre * c, radius * size + relative * size * H + (1 + size + H) * T
        case "div":
            return centre / c, radius / size + relative * H / size + (1 + 1 / size) * T
