"""Mode ``epsilon`` on random networks: what both checkers accept is within its bounds, at corners as well."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dispatcher
import slicer
from dispatcher.layers import Concat, Elementwise, Gather, Input, Layer, Relu, dense, freeze
from slicer.network import Network
from slicer.readers import read_network_bytes
from tests.certificate.rigorous_kit import evaluate, random_box
from tests.certificates.bases import near, readout
from tests.certificates.both import judge
from tests.certificates.graph_onnx import graph_bytes
from tests.certificates.opened import Bench, Json, Opened
from tests.certificates.truth import doubts, sample
from tests.random_networks import chain, mixed

F32 = np.float32
Box = tuple[np.ndarray, np.ndarray]


def within(outputs: np.ndarray, expected: np.ndarray, epsilon: np.ndarray) -> bool:
    """Whether float32 outputs ``[m, n]`` differ by at most ``epsilon`` ``[n]``, as rational numbers."""
    bounds = np.broadcast_to(epsilon, outputs.shape)
    numbers = zip(*(map(Fraction, values.ravel().tolist()) for values in (outputs, expected, bounds)), strict=True)
    return all(abs(y - v) <= bound for y, v, bound in numbers)


@pytest.mark.parametrize("seed", range(6))
def test_bundles_of_random_networks_are_accepted_and_true(seed: int, tmp_path: Path) -> None:
    """Chains, and graphs that end with another layer than a dense one."""
    rng = np.random.default_rng(seed)
    network = mixed(rng, blocks=seed % 3, width=4) if seed % 3 else chain(rng, [2, 8, 2 + seed // 2])
    model = tmp_path / "model.onnx"
    model.write_bytes(graph_bytes(network))
    options = slicer.Options(mode="epsilon", epsilon="15%", cells=4, effort=30, jobs=1)
    bundle = slicer.compress(model, "-1:1", tmp_path / "bundle", options).path
    assert judge(bundle).accepted
    assert doubts(bundle) == []
    served, whole = dispatcher.load(bundle), -np.ones(network.n_in)
    points = sample((whole, -whole), 500)
    assert within(served.predict(points), evaluate(network.layers, points)[-1], served.family.epsilon)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("functions") / "bundle")


def serving(network: Network, box: Box, function: Json, epsilon: np.ndarray, removed: Json = ()) -> Opened:
    """A bundle of one cell whose member ends in a readout, all errors and removed units closed at the root."""
    opened = near()
    opened.source = ("parent.onnx", graph_bytes(network))
    read = read_network_bytes(opened.source[1], "parent.onnx")
    opened.parent = json.loads(read.content)
    corners = {key: [float(x).hex() for x in side] for key, side in zip(("lower", "upper"), box, strict=True)}
    bounds = [float(bound).hex() for bound in epsilon]
    opened.family |= {"epsilon": bounds, "domain": corners, "tree": [{"cell": 0}], "cells": [0]}
    tree = [{"inactive": [*removed, [len(read.layers) + 3, [*range(2 * network.n_out)]]]}]
    claims = {"removed": [*removed], "tree": tree, "readout": function}
    opened.certificates = [opened.certificates[0] | {"box": corners} | claims]
    opened.rebuild_members()
    return opened


def ending(rng: np.random.Generator) -> Network:
    """A chain, or a graph, or one of them followed by a layer that moves, copies or cuts outputs, or adds to them."""
    hidden = [5] * int(rng.integers(0, 3))
    scale = float(rng.choice([0.1, 1, 10]))
    start = mixed(rng, blocks=1, width=4) if rng.random() < 0.3 else chain(rng, [2, *hidden, 2], scale=scale)
    last, n = len(start.layers) - 1, start.n_out
    ends: list[Layer | None] = [
        None,
        Relu(last, n),
        Gather(last, freeze(np.array([1, 0, 0]), np.int64)),
        Concat((0, last, 0), n + 2 * start.n_in),
        Concat((last, last), 2 * n),
        Elementwise(last, "add", freeze(rng.normal(size=n), F32)),
        Elementwise(last, "div", freeze(rng.normal(size=n) + 3, F32)),
    ]
    end = ends[int(rng.integers(len(ends)))]
    return start if end is None else Network((*start.layers, end))


def of_inputs(network: Network, weight: np.ndarray, bias: np.ndarray) -> Json:
    """A readout of all inputs."""
    return readout([[0, [*range(network.n_in)]]], weight.astype(F32), bias.astype(F32))


def fitted(network: Network, box: Box) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The least-squares fit of an affine function at points of a box; the largest distance of each output there."""
    points = sample(box, 300).astype(float)
    outputs = evaluate(network.layers, points.astype(F32))[-1].astype(float)
    solution = np.linalg.lstsq(np.column_stack([points, np.ones(len(points))]), outputs, rcond=None)[0]
    weight, bias = solution[:-1].T.astype(F32), solution[-1].astype(F32)
    return weight, bias, np.abs(points @ weight.T.astype(float) + bias - outputs).max(axis=0)


@settings(deadline=None, max_examples=120)
@given(
    seed=st.integers(0, 2**32 - 1), width=st.sampled_from([0.0, 1e-3, 0.1, 1.0]), room=st.sampled_from([0.9, 1.1, 3])
)
def test_a_function_is_accepted_only_where_it_is_near(seed: int, width: float, room: float, bench: Bench) -> None:
    """Accepted: it is within its bounds at all points, and the bundle is true. Beyond one at a point: rejected."""
    rng = np.random.default_rng(seed)
    network = ending(rng)
    box = random_box(rng, network.n_in, width)
    weight, bias, distance = fitted(network, box)
    epsilon = (room * distance + (room > 1) * 1e-5).astype(F32)
    bundle = bench.show(serving(network, box, of_inputs(network, weight, bias), epsilon).written())
    accepted = judge(bundle).accepted
    assert not accepted or doubts(bundle) == []
    points = sample(box, 300)
    expected = evaluate(network.layers, points)[-1]
    ours = evaluate((Input(network.n_in), dense(0, weight, bias)), points)[-1]
    assert not accepted or within(ours, expected, epsilon)
    assert not (accepted and room < 1)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    power=st.integers(-149, 125),
    size=st.integers(-149, 126),
    bound=st.sampled_from([0.0, 2.0**-149, 2.0**-130, 1.0, 2.0**100, float(np.finfo(F32).max)]),
)
def test_extreme_weights_boxes_and_bounds(seed: int, power: int, size: int, bound: float, bench: Bench) -> None:
    """Weights and boxes from subnormal to huge: both checkers say the same, and accept only what is true."""
    rng = np.random.default_rng(seed)
    network = chain(rng, [1, 2, 2])
    lower = F32(rng.choice([0, -1, 0.5]) * 2.0**size)
    box = np.array([lower]), np.array([F32(2.0**size)])
    weight = (rng.choice([-1, 0, 1, 1.5], (2, 1)) * 2.0**power).astype(F32)
    bias = (rng.choice([-1, 0, 1], 2) * 2.0 ** rng.integers(-149, 126)).astype(F32)
    bundle = bench.show(serving(network, box, of_inputs(network, weight, bias), np.array([bound, bound])).written())
    assert not judge(bundle).accepted or doubts(bundle) == []
