"""Networks and points for the tests of `dispatcher`."""

from __future__ import annotations

import itertools

import numpy as np

from dispatcher.layers import (
    Add,
    Concat,
    Dense,
    Elementwise,
    Gather,
    Input,
    Layer,
    Layers,
    Relu,
    check_layers,
    dense,
    freeze,
)


def chain(widths: list[int], seed: int = 0) -> Layers:
    """A chain of Dense and Relu layers with random weights of unit gain."""
    rng = np.random.default_rng(seed)
    layers: list[Layer] = [Input(widths[0])]
    for n_in, n_out in itertools.pairwise(widths):
        if len(layers) > 1:
            layers.append(Relu(len(layers) - 1, n_in, f"relu{len(layers)}"))
        weight = rng.normal(size=(n_out, n_in)) * np.sqrt(2 / n_in)
        layers.append(dense(len(layers) - 1, weight, rng.normal(size=n_out), name=f"dense{len(layers)}"))
    return tuple(layers)


def random_network(seed: int, length: int = 12) -> Layers:
    """A random graph of all layer kinds, with zero weights, repeated units, residual sums and unread layers."""
    rng = np.random.default_rng(seed)
    layers: list[Layer] = [Input(int(rng.integers(1, 5)))]
    for position in range(1, length):
        layers.append(_random_layer(layers, rng, f"layer {position}"))
    source = len(layers) - 1
    layers.append(_random_dense(source, layers[source].width, int(rng.integers(1, 4)), rng, "output"))
    check_layers(layers)
    return tuple(layers)


def _random_layer(layers: list[Layer], rng: np.random.Generator, name: str) -> Layer:
    source = int(rng.integers(max(0, len(layers) - 3), len(layers)))
    width = layers[source].width
    match rng.choice(["dense", "dense", "relu", "relu", "relu", "elementwise", "gather", "concat", "add"]):
        case "dense":
            return _random_dense(source, width, int(rng.integers(1, 7)), rng, name)
        case "relu":
            return Relu(source, width, name)
        case "elementwise":
            op = ("add", "mul", "div")[rng.integers(3)]
            return Elementwise(source, op, freeze(rng.choice([-2.0, -0.3, 0.7, 1.5], width), np.float32), name)
        case "gather":
            return Gather(source, freeze(rng.integers(0, width, rng.integers(1, 8)), np.int64), name)
        case "concat":
            sources = tuple(int(index) for index in rng.integers(0, len(layers), 2))
            return Concat(sources, sum(layers[index].width for index in sources), name)
    equal = [index for index, layer in enumerate(layers) if layer.width == width]
    return Add((source, int(rng.choice(equal))), width, name)


def _random_dense(source: int, n_in: int, n_out: int, rng: np.random.Generator, name: str) -> Dense:
    weight = rng.normal(size=(n_out, n_in)) * (rng.random((n_out, n_in)) < 0.7)
    return dense(source, weight, rng.normal(size=n_out) - 0.5, name=name)


def random_points(layers: Layers, count: int, seed: int, scale: float = 1.0) -> np.ndarray:
    """Float32 points ``[count, n_in]`` in ``[-scale, scale]``."""
    rng = np.random.default_rng(seed)
    return rng.uniform(-scale, scale, (count, layers[0].width)).astype(np.float32)
