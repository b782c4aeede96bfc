"""Every execution lies inside the bounds, and the bounds are those of the reference method but for float64 rounding."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import pytest
from exact_reference import Reference, real_values
from hypothesis import given, settings
from hypothesis import strategies as st
from rigorous_kit import F32, chain, evaluate, network_bytes, random_box, random_layers, sample

from dispatcher.layers import Concat, Elementwise, Gather, Input, Layers, Relu, dense, freeze
from slicer.certificate.rigorous.closings import Failure, Verification, verify
from slicer.certificate.rigorous.extend import with_errors, with_margins
from slicer.certificate.rigorous.parent import Parent
from slicer.certificate.rigorous.proof import ACTIVE, INACTIVE, Node

Facts = dict[tuple[int, int], str]
seeds = st.integers(0, 2**32 - 1)


def states(parent: Parent, marks: Facts) -> bytes:
    result = bytearray(parent.size)
    for (layer, unit), mark in marks.items():
        result[parent.relus[layer] + unit] = INACTIVE if mark == "inactive" else ACTIVE
    return bytes(result)


def unproved(parent: Parent, nodes: list[Node], margin: float) -> list[Failure]:
    return verify(parent, nodes, margin).outcome()[1]


class Interval(NamedTuple):
    """One layer's bounds on the box and its S (but for the flushed terms of r′), ``[1, width]``."""

    lower: np.ndarray
    upper: np.ndarray
    scale: np.ndarray


def all_bounds(layers: Layers, lower: np.ndarray, upper: np.ndarray, facts: Facts) -> list[Interval]:
    """Bounds of every layer with every undecided unit tightened, as for a closing below the last layer."""
    parent = Parent(network_bytes(layers))
    box = lower.astype(float), upper.astype(float)
    run = Verification(parent, [Node(0, box, states(parent, facts), states(parent, {}))], 0.0)
    run.deepest[:] = len(layers)
    known = []
    with np.errstate(all="ignore"):
        for position, (layer, span) in enumerate(zip(parent.layers, parent.spans, strict=True)):
            run.descend(position)
            lower, upper, noise = (array[span].T for array in (run.bounds.lower, run.bounds.upper, run.bounds.noise))
            known.append(Interval(lower, upper, noise / (layer.rounding + parent.kappa)))
    return known


def facts_that_hold(rng: np.random.Generator, layers: Layers, values: list[np.ndarray]) -> tuple[Facts, np.ndarray]:
    """Random facts, and which of the points they hold at (at least one)."""
    facts: Facts = {}
    holds = np.ones(len(values[0]), bool)
    for position, layer in enumerate(layers):
        for unit in range(layer.width if isinstance(layer, Relu) else 0):
            z = values[layer.sources[0]][:, unit]
            inactive = np.median(z[holds]) <= 0
            kept = holds & (z <= 0 if inactive else z >= 0)
            if rng.random() < 0.3 and kept.any():
                facts[position, unit], holds = "inactive" if inactive else "active", kept
    return facts, holds


@settings(deadline=None, max_examples=150)
@given(seed=seeds)
def test_eval32_of_points_where_the_facts_hold_lies_inside_the_bounds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    inputs = int(rng.integers(1, 4))
    layers = random_layers(rng, inputs, int(rng.integers(1, 8)), int(rng.integers(0, 14)))
    lower, upper = random_box(rng, inputs, 2.0)
    values = evaluate(layers, sample(rng, lower, upper, 500))
    facts, holds = facts_that_hold(rng, layers, values)
    for known, value in zip(all_bounds(layers, lower, upper, facts), values, strict=True):
        assert (known.lower <= value[holds]).all()
        assert (value[holds] <= known.upper).all()


@settings(deadline=None, max_examples=60)
@given(seed=seeds, direction=st.sampled_from(["none", "random", "up", "down"]))
def test_real_and_noisy_executions_lie_inside_the_bounds(seed: int, direction: str) -> None:
    rng = np.random.default_rng(seed)
    layers = random_layers(rng, 2, 3, int(rng.integers(0, 9)))
    lower, upper = random_box(rng, 2)
    reference = Reference(layers, lower, upper, {})
    choices = {"random": lambda: rng.uniform(-1, 1), "up": lambda: 1.0, "down": lambda: -1.0}
    known = all_bounds(layers, lower, upper, {})
    for point in sample(rng, lower, upper, 3):
        values = real_values(layers, point, reference, choices.get(direction))
        for entry, row in zip(known, values, strict=True):
            for unit, value in enumerate(row):
                assert Fraction(entry.lower[0, unit]) <= value <= Fraction(entry.upper[0, unit])


@settings(deadline=None, max_examples=100)
@given(seed=seeds)
def test_bounds_contain_the_exact_reference_and_differ_by_rounding_only(seed: int) -> None:
    rng = np.random.default_rng(seed)
    layers = random_layers(rng, 2, 4, int(rng.integers(0, 10)))
    lower, upper = random_box(rng, 2, 2.0)
    values = evaluate(layers, sample(rng, lower, upper, 100))
    facts, _ = facts_that_hold(rng, layers, values)
    reference = Reference(layers, lower, upper, facts)
    size = 1e-30
    for position, entry in enumerate(all_bounds(layers, lower, upper, facts)):
        exact = reference.bounds[position]
        size = max(size, float(entry.scale.max()))
        only_relus = {type(layer) for layer in layers if position in getattr(layer, "sources", ())} == {Relu}
        for unit, (low, high) in enumerate(exact):
            assert Fraction(entry.lower[0, unit]) <= low
            assert Fraction(entry.upper[0, unit]) >= high
            unread = only_relus and entry.upper[0, unit] <= 0  # the relu is 0, whatever the lower bound of its source
            assert unread or float(low) - entry.lower[0, unit] <= 1e-9 * size
            assert entry.upper[0, unit] - float(high) <= 1e-9 * size


def bounded(parent: Parent, lower: np.ndarray, upper: np.ndarray) -> Verification:
    """All layers bounded on one box, without facts."""
    node = Node(0, (lower.astype(float), upper.astype(float)), states(parent, {}), states(parent, {}))
    run = Verification(parent, [node], 0.0)
    run.deepest[:] = len(parent.layers)
    with np.errstate(all="ignore"):
        for position in range(len(parent.layers)):
            run.descend(position)
    return run


@settings(deadline=None, max_examples=40)
@given(seed=seeds, decision=st.sampled_from(["argmax", "argmin"]))
def test_bounds_of_margins_contain_the_exact_reference_and_differ_by_rounding_only(seed: int, decision: str) -> None:
    """The checker's own extension of the parent, against differences of outputs written here."""
    rng = np.random.default_rng(seed)
    layers = chain(rng, 2, *([4] * int(rng.integers(0, 3))), int(rng.integers(2, 4)))
    n, sign, last = layers[-1].width, 1 if decision == "argmax" else -1, len(layers) - 1
    pairs = [(k, i) for k in range(n) for i in range(n)]
    weight = np.array([[sign * ((j == k) - (j == i)) for j in range(n)] for k, i in pairs])
    lower, upper = random_box(rng, 2, 2.0)
    parent = with_margins(Parent(network_bytes(layers)), decision)
    run = bounded(parent, lower, upper)
    exact = Reference((*layers, dense(last, weight), Relu(last + 1, n * n)), lower, upper, {}).bounds[last + 1]
    size = 1e-30 + max(abs(float(end)) for ends in exact for end in ends)
    for place, (low, high) in zip(range(parent.spans[-2].start, parent.spans[-2].stop), exact, strict=True):
        assert Fraction(run.bounds.lower[place, 0]) <= low
        assert 0 <= Fraction(run.bounds.upper[place, 0]) - high <= 1e-9 * size
    assert all(high > 0 for (k, i), (_, high) in zip(pairs, exact, strict=True) if k == i)


@settings(deadline=None, max_examples=40)
@given(seed=seeds, size=st.sampled_from([1e-30, 1.0, 1e30]))
def test_bounds_of_errors_contain_the_exact_reference_and_differ_by_rounding_only(seed: int, size: float) -> None:
    """The same of the errors of a readout, above and below, of any units; outputs may be inputs, named twice."""
    rng = np.random.default_rng(seed)
    layers = chain(rng, 2, 4, 3, 2) if rng.random() < 0.6 else (Input(2), Concat((0, 0), 4))
    n, last = layers[-1].width, len(layers) - 1
    before = [(place, unit) for place in range(last) for unit in range(layers[place].width)]
    read = [before[k] for k in sorted(rng.choice(len(before), int(rng.integers(1, len(before) + 1)), replace=False))]
    weight, bias = (rng.normal(size=(n, len(read))) * size).astype(F32), (rng.normal(size=n) * size).astype(F32)
    epsilon = rng.uniform(0, size, n).astype(F32)
    own = np.column_stack([np.eye(n), -weight])
    gathers = [Gather(place, freeze(np.array([unit]), np.int64)) for place, unit in read]
    first = last + len(read) + 1
    further = (
        *gathers,
        Concat((last, *range(last + 1, first)), own.shape[1]),
        dense(first, np.concatenate([own, -own]), np.concatenate([-bias, bias])),
        Elementwise(first + 1, "add", freeze(-np.tile(epsilon, 2), F32)),
        Relu(first + 2, 2 * n),
    )
    lower, upper = random_box(rng, 2, 2.0)
    numbers, parent = (weight.astype(float), bias.astype(float), epsilon.astype(float)), Parent(network_bytes(layers))
    parent = with_errors(parent, np.array([parent.spans[place].start + unit for place, unit in read]), *numbers)
    run, exact = bounded(parent, lower, upper), Reference((*layers, *further), lower, upper, {}).bounds[first + 2]
    largest = 1e-30 + max(abs(float(end)) for ends in exact for end in ends)
    for place, (_, high) in zip(range(parent.spans[-2].start, parent.spans[-2].stop), exact, strict=True):
        assert 0 <= Fraction(run.bounds.upper[place, 0]) - high <= 1e-9 * largest


def wired(rng: np.random.Generator) -> Layers:
    """Pre-activations (layer 3) that a relu and another layer read: their lower bounds matter even where inactive."""

    def weight(*shape: int) -> np.ndarray:
        return rng.normal(size=shape)

    first, second = dense(0, weight(4, 2), weight(4) / 2), dense(2, weight(4, 4), weight(4))
    third = dense(5, weight(4, 8), weight(4))
    return (Input(2), first, Relu(1, 4), second, Relu(3, 4), Concat((4, 3), 8), third, Relu(6, 4))


@pytest.mark.parametrize(("simple", "margin"), [(True, 0.0), (True, 1000.0), (False, 0.0), (False, 1000.0)])
@pytest.mark.parametrize("seed", range(40))
def test_closing_bounds_and_their_noise_are_those_of_the_reference(seed: int, simple: bool, margin: float) -> None:
    """Also where closings of the same node above are true, which the reference method does not make use of."""
    rng = np.random.default_rng(seed)
    layers = chain(rng, 2, 4, 4, 4, 1) if simple else wired(rng)
    lower, upper = random_box(rng, 2, 2.0)
    parent, reference = Parent(network_bytes(layers)), Reference(layers, lower, upper, {})
    above, below, source = (4, 6, 5) if simple else (4, 7, 6)
    marks = {(below, unit): str(rng.choice(["inactive", "active"])) for unit in range(4)}
    marks |= {(above, unit): "inactive" for unit, (_, high) in enumerate(reference.bounds[3]) if high < -1e-3}
    node = Node(7, (lower.astype(float), upper.astype(float)), states(parent, {}), states(parent, marks))
    run = Verification(parent, [node], margin)
    with np.errstate(all="ignore"):
        for position in range(source + 1):
            run.descend(position)
    size = 1.0 + max(abs(float(end)) for ends in reference.bounds[source] for end in ends)
    for unit in range(4):
        inactive = marks[below, unit] == "inactive"
        low, high = reference.by_interval_rule[source][unit]
        own = (high if inactive else -low) + Fraction(margin) * reference.noise[source][unit]
        bound, noise = reference.backward(source, unit, 1 if inactive else -1)
        expected = float(own if own <= 0 else min(own, bound + Fraction(margin) * noise))
        assert run.proved[parent.relus[below] + unit, 0] == pytest.approx(expected, abs=1e-8 * size)


@settings(deadline=None, max_examples=60)
@given(seed=seeds)
def test_at_the_border_of_acceptance_eval32_is_still_inactive(seed: int) -> None:
    """The largest bias with which a unit is accepted as inactive: no rounding of float32 makes it positive."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 12))
    weight, lower, upper = rng.normal(size=(1, n)).astype(F32), *random_box(rng, n)
    corners = np.where(weight > 0, upper, lower).astype(F32)
    points = np.vstack([corners, sample(rng, lower, upper, 300)])

    def network(bias: float) -> Layers:
        return (Input(n), dense(0, weight, np.array([bias])), Relu(1, 1))

    def accepted(bias: float) -> bool:
        parent = Parent(network_bytes(network(bias)))
        box = lower.astype(float), upper.astype(float)
        node = Node(0, box, states(parent, {}), states(parent, {(2, 0): "inactive"}))
        return not unproved(parent, [node], 0.0)

    magnitude = float(np.abs(weight).sum() * max(np.abs(lower).max(), np.abs(upper).max())) + 1
    low, high = F32(-3 * magnitude), F32(3 * magnitude)
    assert accepted(low)
    assert not accepted(high)
    while np.nextafter(low, high) < high:
        middle = F32((float(low) + float(high)) / 2)
        middle = np.nextafter(low, high) if middle in (low, high) else middle
        low, high = (middle, high) if accepted(middle) else (low, middle)
    values = evaluate(network(float(low)), points)[1]
    assert values.max() <= 0
    assert values.max() >= -8 * (n + 2) * 2.0**-24 * magnitude  # and the checker gives little away


@settings(deadline=None, max_examples=30)
@given(seed=seeds)
def test_bounds_do_not_depend_on_how_nodes_are_batched(seed: int) -> None:
    """A node's bounds are the same alone and among others, up to the order of summation."""
    rng = np.random.default_rng(seed)
    layers = chain(rng, 3, 9, 9, 9, 2)
    parent = Parent(network_bytes(layers))
    nodes = []
    for position in range(12):
        lower, upper = random_box(rng, 3)
        marks = {(int(rng.choice([2, 4, 6])), int(unit)): str(rng.choice(["inactive", "active"])) for unit in range(9)}
        nodes.append(
            Node(position, (lower.astype(float), upper.astype(float)), states(parent, {}), states(parent, marks))
        )
    together = {failure[:3]: failure[3] for failure in unproved(parent, nodes, 0.0)}
    alone = {failure[:3]: failure[3] for node in nodes for failure in unproved(parent, [node], 0.0)}
    assert together == pytest.approx(alone, rel=1e-6, abs=1e-9)


def extreme(bias: float, weight: float) -> Any:
    return (Input(1), dense(0, np.array([[weight]]), np.array([bias])), Relu(1, 1))


@pytest.mark.parametrize(
    ("bias", "weight", "accepted"),
    [
        (0.0, 0.0, False),  # r > 0 even here: flushed subnormals
        (-(2.0**-120), 0.0, True),
        (-(2.0**-149), 2.0**-149, False),
        (-(2.0**127), 2.0**125, False),  # outside of the range in which §4 excludes overflow
        (-(2.0**125), 2.0**120, True),
    ],
)
def test_tiny_and_huge_numbers(bias: float, weight: float, accepted: bool) -> None:
    parent = Parent(network_bytes(extreme(bias, weight)))
    node = Node(0, (np.array([-1.0]), np.array([1.0])), states(parent, {}), states(parent, {(2, 0): "inactive"}))
    assert (not unproved(parent, [node], 0.0)) == accepted
