"""Random networks of every layer kind, for tests that state theorems about all of them."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import strategies as st

from dispatcher.layers import Add, Concat, Elementwise, Gather, Input, Layer, Relu, dense, freeze
from slicer.box import Box
from slicer.network import Network


def chain(rng: np.random.Generator, widths: list[int], scale: float = 1.0) -> Network:
    """A fully connected ReLU network with the given widths (input first, output last), He-initialised."""
    layers: list[Layer] = [Input(widths[0])]
    for n_in, n_out in itertools.pairwise(widths):
        weight = scale * rng.normal(0, np.sqrt(2 / n_in), (n_out, n_in))
        layers.append(dense(len(layers) - 1, weight, 0.3 * rng.normal(size=n_out)))
        layers.append(Relu(len(layers) - 1, n_out))
    return Network(tuple(layers[:-1]))


def mixed(rng: np.random.Generator, blocks: int = 4, width: int = 5) -> Network:
    """A network of all layer kinds: normalisation, residual sums, gathers, concatenations, ReLU inputs read twice."""
    layers: list[Layer] = [Input(3)]
    layers.append(Elementwise(0, "add", freeze(rng.normal(size=3), np.float32)))
    layers.append(Elementwise(1, "div", freeze(rng.uniform(0.5, 2, 3), np.float32)))
    layers.append(_dense(rng, 2, 3, width))
    for _ in range(blocks):
        _block(rng, layers, width)
    layers.append(_dense(rng, len(layers) - 1, layers[-1].width, 2))
    layers.append(Elementwise(len(layers) - 1, "mul", freeze(rng.normal(size=2), np.float32)))
    return Network(tuple(layers))


def _dense(rng: np.random.Generator, source: int, n_in: int, n_out: int) -> Layer:
    """A dense layer with some zero weights and biases of both signs."""
    weight = rng.normal(0, np.sqrt(2 / n_in), (n_out, n_in)) * (rng.random((n_out, n_in)) < 0.8)
    return dense(source, weight, 0.5 * rng.normal(size=n_out))


def _block(rng: np.random.Generator, layers: list[Layer], width: int) -> None:
    """One random block after the last layer (of the given width); it leaves a last layer of the same width."""
    last = len(layers) - 1
    layers.append(Relu(last, width))
    match int(rng.integers(4)):
        case 0:
            layers.append(_dense(rng, last + 1, width, width))
        case 1:  # residual: relu(z) and its dense image are summed
            layers.append(_dense(rng, last + 1, width, width))
            layers.append(Add((last + 1, last + 2), width))
        case 2:  # gather: a permutation with a repetition
            indices = rng.permutation(width)
            indices[0] = indices[-1]
            layers.append(Gather(last + 1, freeze(indices, np.int64)))
            layers.append(_dense(rng, last + 2, width, width))
        case _:  # the pre-activation is read twice: by the ReLU and by the concatenation
            layers.append(Concat((last, last + 1), 2 * width))
            layers.append(_dense(rng, last + 2, 2 * width, width))


def random_box(rng: np.random.Generator, dimension: int, width: float = 1.0) -> Box:
    """A random box with sides up to ``width``; one side in eight is a single number."""
    lower = rng.uniform(-1, 1, dimension).astype(np.float32).astype(np.float64)
    side = rng.uniform(0, width, dimension) * (rng.random(dimension) > 1 / 8)
    return Box.outward(lower, lower + side)


seeds = st.integers(0, 2**32 - 1)


@st.composite
def networks(draw: st.DrawFn) -> Network:
    """Chains and mixed networks."""
    rng = np.random.default_rng(draw(seeds))
    if draw(st.booleans()):
        return mixed(rng, blocks=draw(st.integers(0, 4)))
    widths = draw(st.lists(st.integers(1, 8), min_size=2, max_size=5))
    return chain(rng, widths, scale=draw(st.sampled_from([0.1, 1.0, 10.0])))
