"""Readouts of random units of random networks: what both checkers accept is within its bounds and true."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.layers import Input, Relu, dense
from slicer.network import Network
from tests.certificate.exact_reference import Reference
from tests.certificate.rigorous_kit import evaluate, random_box, rows
from tests.certificates.bases import readout
from tests.certificates.both import judge
from tests.certificates.opened import Bench, Json
from tests.certificates.test_functions import Box, ending, serving, within
from tests.certificates.truth import doubts, sample
from tests.random_networks import chain, mixed

F32 = np.float32
Reads = list[list[object]]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("reads") / "bundle")


@dataclass(frozen=True)
class Tried:
    """A bundle of one cell, and what became of it."""

    accepted: bool
    true: bool
    near: bool
    removed: int
    layers: int


def inactive(network: Network, box: Box) -> Json:
    """The ReLU units that the reference method proves inactive on a box, with some room; rows as in certificates."""
    bounds, layers = Reference(network.layers, *box, {}).bounds, network.layers
    relus = {place: layer for place, layer in enumerate(layers) if isinstance(layer, Relu)}
    limits = {place: [high for _, high in bounds[layer.source]] for place, layer in relus.items()}
    return rows({place: [k for k, high in enumerate(own) if high < -1e-3] for place, own in limits.items()})


def random_reads(rng: np.random.Generator, network: Network) -> Reads:
    """Some units of one to three layers before the last."""
    number = min(int(rng.integers(1, 4)), len(network.layers) - 1)
    places = sorted(rng.choice(len(network.layers) - 1, number, replace=False).tolist())
    return [[place, some(rng, network.layers[place].width)] for place in places]


def some(rng: np.random.Generator, width: int) -> list[int]:
    """At least one of so many units."""
    return sorted(rng.choice(width, int(rng.integers(1, width + 1)), replace=False).tolist())


def values_read(network: Network, reads: Reads, points: np.ndarray) -> np.ndarray:
    """The units read at points, ``[m, n_read]``."""
    values = evaluate(network.layers, points)
    return np.column_stack([values[place][:, units] for place, units in reads])  # type: ignore[call-overload]


def fitted(network: Network, reads: Reads, box: Box) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The least-squares fit to the outputs; the largest distance of each at points."""
    points = sample(box, 300)
    values, outputs = values_read(network, reads, points).astype(float), evaluate(network.layers, points)[-1]
    columns = np.column_stack([values, np.ones(len(points))])
    solution = np.linalg.lstsq(columns, outputs.astype(float), rcond=1e-9)[0]
    weight, bias = solution[:-1].T.astype(F32), solution[-1].astype(F32)
    return weight, bias, np.abs(values @ weight.T.astype(float) + bias - outputs).max(axis=0)


def tried(seed: int, width: float, room: float, bench: Bench) -> Tried:
    """A fitted readout of random units, with removed units or without, judged."""
    rng = np.random.default_rng(seed)
    network = ending(rng) if rng.random() < 0.5 else mixed(rng, blocks=2, width=4)
    box, reads = random_box(rng, network.n_in, width), random_reads(rng, network)
    removed = inactive(network, box) if rng.random() < 0.8 else []
    weight, bias, distance = fitted(network, reads, box)
    epsilon = (room * distance + (room > 1) * 1e-4).astype(F32)
    bundle = bench.show(serving(network, box, readout(reads, weight, bias), epsilon, removed).written())
    accepted, points = judge(bundle).accepted, sample(box, 300)
    read = values_read(network, reads, points)
    ours = evaluate((Input(read.shape[1]), dense(0, weight, bias)), read)[-1]
    near = within(ours, evaluate(network.layers, points)[-1], epsilon)
    count = sum(len(units) for _, units in removed)
    return Tried(accepted, not accepted or doubts(bundle) == [], near, count, len(reads))


@settings(deadline=None, max_examples=120)
@given(
    seed=st.integers(0, 2**32 - 1), width=st.sampled_from([0.0, 1e-3, 0.1, 1.0]), room=st.sampled_from([0.9, 1.1, 3])
)
def test_a_readout_is_accepted_only_where_it_is_near(seed: int, width: float, room: float, bench: Bench) -> None:
    """Accepted: within its bounds at all points, and the bundle is true. Beyond one at a point: rejected."""
    result = tried(seed, width, room, bench)
    assert result.true
    assert not result.accepted or result.near
    assert not (result.accepted and room < 1)


def test_readouts_of_several_layers_behind_removed_units_are_accepted_too(bench: Bench) -> None:
    """So that the theorem is about something."""
    results = [tried(seed, 0.1, 3, bench) for seed in range(60)]
    accepted = [result for result in results if result.accepted]
    assert len(accepted) > 30
    assert sum(result.removed > 0 and result.layers > 1 for result in accepted) > 5


@settings(deadline=None, max_examples=80)
@given(
    seed=st.integers(0, 2**32 - 1),
    powers=st.lists(st.integers(-149, 127), min_size=3, max_size=3),
    size=st.integers(-149, 100),
    bound=st.sampled_from([0.0, 2.0**-149, 2.0**-130, 1.0, 2.0**100, float(np.finfo(F32).max)]),
)
def test_extreme_weights_of_hidden_units(seed: int, powers: list[int], size: int, bound: float, bench: Bench) -> None:
    """Weights and boxes from subnormal to huge: both checkers say the same, and accept only what is true."""
    rng = np.random.default_rng(seed)
    network = chain(rng, [1, 3, 2, 2])
    box = np.array([F32(rng.choice([0, -1, 0.5]) * 2.0**size)]), np.array([F32(2.0**size)])
    reads: Reads = [[int(rng.integers(0, 3)), [0]], [3, [0, 1]]]
    weight = (rng.choice([-1, 0, 1, 1.5], (2, 3)) * 2.0 ** np.array(powers)).astype(F32)
    bias = (rng.choice([-1, 0, 1], 2) * 2.0 ** rng.integers(-149, 126)).astype(F32)
    removed = inactive(network, box) if rng.random() < 0.5 else []
    opened = serving(network, box, readout(reads, weight, bias), np.array([bound, bound]), removed)
    bundle = bench.show(opened.written())
    assert not judge(bundle).accepted or doubts(bundle) == []


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), power=st.integers(118, 127))
def test_where_readouts_are_taken_to_overflow(seed: int, power: int, bench: Bench) -> None:
    """All bounds are the largest number, so that overflow decides: both checkers at the same weight, and rightly."""
    rng = np.random.default_rng(seed)
    network = chain(rng, [2, 4, 3, 1])
    box, reads = random_box(rng, 2, 1.0), random_reads(rng, network)
    weight = np.full((1, sum(len(units) for _, units in reads)), 2.0**power, F32)  # type: ignore[arg-type]
    largest = np.array([np.finfo(F32).max])
    opened = serving(network, box, readout(reads, weight, np.zeros(1, F32)), largest)
    bundle = bench.show(opened.written())
    points = sample(box, 300)
    with np.errstate(over="ignore"):
        sums = np.abs(values_read(network, reads, points).astype(float)).sum(axis=1).max() * 2.0**power
    accepted = judge(bundle).accepted
    assert not accepted or (doubts(bundle) == [] and sums <= 2.0**126)
