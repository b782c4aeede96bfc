"""The bounds of the exact checker: those of the reference method, rounded outward."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slicer.certificate import check
from tests.exact.reference import Reference, T
from tests.random_networks import chain, mixed, networks, random_box, seeds

NEAR = Fraction(1, 2**30)


def corners(box) -> check.Box:
    return tuple(map(float, box.lower)), tuple(map(float, box.upper))


class Both:
    """A network in the checker's form and in the reference's."""

    def __init__(self, parent: bytes, domain: check.Box, bits: int = 44) -> None:
        self.layers = check.read_parent(check.read_json(parent, "parent"))
        self.parts = check.network_parts(self.layers)
        self.fixed = check.Fixed(self.parts, domain, bits)
        self.reference = Reference.of(parent)
        self.relus = [part for part in self.parts if part.layer.kind == "relu"]

    def claims(self, pairs) -> list[check.Claim]:
        sources = {(part.place, k): source for part in self.relus for k, source in enumerate(part.sources)}
        return [check.Claim(place, unit, sources[place, unit], sign) for place, unit, sign in pairs]

    def all_claims(self) -> list[check.Claim]:
        return self.claims((p.place, k, sign) for p in self.relus for k in range(p.layer.width) for sign in (-1, 1))

    def names(self) -> list[list[int]]:
        """Of every layer the numbers of its units: the checker's, as it gives gather and concat no numbers."""
        names: list[list[int]] = []
        parts = {part.place: part for part in self.parts}
        for place, layer in enumerate(self.layers):
            names.append(list(parts[place].units) if place in parts else [names[k][j] for ((k, j),) in layer.reads])
        return names

    def intervals(self, box: check.Box, facts):
        """(place, checker's and reference's interval, scale) of all units that relus read; None if they cross."""
        bounds = self.fixed.bounds(box, self.claims(facts), self.all_claims())
        lower, upper = ([Fraction(x) for x in corner] for corner in box)
        exact = self.reference.bounds(lower, upper, facts)
        if bounds is None:
            return None
        names, found = self.names(), []
        for part in self.relus:
            source = self.layers[part.place].reads[0][0][0]
            for k in range(part.layer.width):
                unit = names[source][k]
                size = Fraction(2) ** self.fixed.units[unit].exponent
                own = bounds.low[unit] * size / 2**self.fixed.bits, bounds.high[unit] * size / 2**self.fixed.bits
                found.append(((source, k), own, exact.interval[source, k], size))
        return found


def random_facts(rng: np.random.Generator, both: Both, share: float):
    units = [(part.place, k) for part in both.relus for k in range(part.layer.width)]
    return {(*unit, int(rng.choice((-1, 1)))) for unit in units if rng.random() < share}


@settings(deadline=None, max_examples=60)
@given(networks(), seeds, st.sampled_from([0.001, 0.1, 1.0]), st.sampled_from([0.0, 0.2]))
def test_bounds_are_the_reference_bounds_rounded_outward(network, seed, width, share):
    rng = np.random.default_rng(seed)
    box = corners(random_box(rng, network.n_in, width))
    both = Both(network.content, box)
    if not both.relus:
        return
    intervals = both.intervals(box, random_facts(rng, both, share))
    for _, (low, high), (exact_low, exact_high), size in intervals or ():
        if low < 0 < high:  # else the checker may know more: it bounds the claimed side of decided units too
            assert exact_low - NEAR * size <= low <= exact_low
            assert exact_high <= high <= exact_high + NEAR * size


@settings(deadline=None, max_examples=20)
@given(seeds, st.integers(1, 4))
def test_bounds_hold_for_noisy_executions(seed, blocks):
    rng = np.random.default_rng(seed)
    network = mixed(rng, blocks)
    box = corners(random_box(rng, network.n_in))
    both = Both(network.content, box)
    if not both.relus:
        return
    lower, upper = ([Fraction(x) for x in corner] for corner in box)
    exact = both.reference.bounds(lower, upper)
    own = {place: interval for place, interval, *_ in both.intervals(box, set())}
    for _ in range(5):
        values: dict[tuple[int, int], Fraction] = {}
        for place, layer in enumerate(both.reference.layers):
            for unit in range(exact.width(place)):
                if layer["kind"] == "input":
                    share = Fraction(int(rng.integers(0, 5)), 4)
                    values[place, unit] = lower[unit] + share * (upper[unit] - lower[unit])
                elif layer["kind"] == "relu":
                    values[place, unit] = max(values[layer["sources"][0], unit], Fraction(0))
                else:
                    terms, bias = exact.terms(place, unit)
                    noise = int(rng.integers(-1, 2)) * exact.error[place, unit]
                    values[place, unit] = sum((w * values[k, j] for k, j, w in terms), bias) + noise
        for place, (low, high) in own.items():
            assert low <= values[place] <= high


@pytest.mark.parametrize("scale", [1e-37, 1e-30, 1e-12, 1.0, 1e6])
@pytest.mark.parametrize("bits", check.BITS)
def test_bounds_of_extreme_scales(scale, bits):
    """The slots are wide enough, and the relative precision stays: intermediate units are huge or tiny."""
    rng = np.random.default_rng(1)
    network = chain(rng, [3, 6, 6, 6, 2], scale=scale)
    box = corners(random_box(rng, 3))
    both = Both(network.content, box, bits)
    for _, own, exact, _ in both.intervals(box, set()):
        size = max(map(abs, exact))
        assert exact[0] - NEAR * size <= own[0]
        assert own[1] <= exact[1] + NEAR * size
        if own[0] < 0 < own[1]:
            assert own[0] <= exact[0] <= exact[1] <= own[1]


@pytest.mark.parametrize("constant", ["3f800000", "80800000", "00000001", "7e000000", "fe000000"])
@pytest.mark.parametrize("kind", ["add", "mul", "div", "sum"])
@pytest.mark.parametrize("size", [1e-38, 1e-30, 0.5])
def test_noise_of_operators_near_underflow(kind, constant, size):
    """Where a product or a quotient is subnormal the multiples of t count (the checker's are a few times larger)."""
    if kind == "div" and constant == "00000001":
        return
    layer = {"kind": "elementwise", "name": "", "source": 0, "op": kind, "constant": constant}
    if kind == "sum":
        layer = {"kind": "add", "name": "", "sources": [0, 0]}
    layers = [{"kind": "input", "name": "", "width": 1}, layer, {"kind": "relu", "name": "", "source": 1}]
    parent = check.canonical({"format": "netslicer-network/1", "layers": layers})
    corner = check.single(size)
    box = ((-corner,), (corner,))
    ((_, own, exact, _),) = Both(parent, box, bits=300).intervals(box, set())
    assert own[0] <= exact[0] < exact[1] <= own[1]
    assert own[1] - own[0] <= (exact[1] - exact[0]) * (1 + NEAR) + 16 * T


@settings(deadline=None, max_examples=60)
@given(seeds, st.integers(6, 12))
def test_rounding_is_outward_when_it_is_coarse(seed, bits):
    """With few bits the rounding of coefficients, weights and bias exceeds the noise: it must all be accounted for.

    The hidden units are active, so that the reference bounds do not depend on rounded decisions.
    """
    rng = np.random.default_rng(seed)
    layers = [{"kind": "input", "name": "", "width": 2}]
    for k, n in enumerate((2, 5, 4, 3)):
        weight = rng.normal(size=((5, 4, 3, 6)[k], n)).astype(">f4")
        bias = np.float32(rng.normal(size=len(weight)) if k == 3 else 1 + 2 * np.abs(weight).sum(1) * 20**k).astype(
            ">f4"
        )
        rows = [row.tobytes().hex() for row in weight]
        layers.append({"kind": "dense", "name": "", "source": 2 * k, "weight": rows, "bias": bias.tobytes().hex()})
        layers.append({"kind": "relu", "name": "", "source": 2 * k + 1})
    box = corners(random_box(rng, 2))
    both = Both(check.canonical({"format": "netslicer-network/1", "layers": layers}), box, bits)
    for (place, _), own, exact, _ in both.intervals(box, set()):
        assert place == 7 or exact[0] > 0
        assert own[0] <= exact[0] <= exact[1] <= own[1] or not own[0] < 0 < own[1]


@settings(deadline=None, max_examples=60)
@given(seeds, st.integers(6, 30))
def test_rounded_weights_and_bias_are_made_up_for(seed, bits):
    """Without any noise the interval rule still contains the exact image of the box."""
    rng = np.random.default_rng(seed)
    network = chain(rng, [int(rng.integers(1, 30)), 5], scale=10.0 ** rng.integers(-3, 4))
    box = corners(random_box(rng, network.n_in))
    fixed = Both(network.content, box, bits).fixed
    affine = fixed.blocks[0]
    affine.gamma = affine.packed_tiny = 0
    bounds = fixed._set(box)
    affine.interval(bounds)
    for i, unit in enumerate(affine.units):
        weight, bias = network.layers[1].weight[i], Fraction(float(network.layers[1].bias[i]))
        ends = [sorted(Fraction(float(w)) * Fraction(x[j]) for x in box) for j, w in enumerate(weight)]
        size = Fraction(2) ** (fixed.units[unit].exponent - bits)
        assert bounds.low[unit] * size <= bias + sum(low for low, _ in ends)
        assert bounds.high[unit] * size >= bias + sum(high for _, high in ends)


@settings(deadline=None, max_examples=200)
@given(st.integers(-2000, 2000), st.integers(0, 4000), st.lists(st.integers(-(2**12), 2**12), min_size=1, max_size=5))
def test_the_lines_of_a_relu_bound_it(low, width, coefficients):
    """A · relu(v) <= A' · v + c at both ends of the interval and at 0, where the difference is greatest."""
    bits, slot, high = 6, 64, low + width
    bounds = check.Bounds(2)
    bounds.low[0], bounds.high[0] = low, high
    relu = check.Relu(check.Part(1, check.Layer("relu", 1), range(1, 2), [0]))
    relu.interval(bounds)
    batch = check.Batch(slot, bits, [(1, 1)] * len(coefficients), bounds)
    batch.pending[1] = check.pack(coefficients, slot)
    relu.eliminate(batch)
    slopes = check.unpack(batch.pending.get(0, 0), slot, len(coefficients))
    constants = check.unpack(batch.constant, slot, len(coefficients))
    for value in {low, high, *({0} if low <= 0 <= high else ())}:
        for A, slope, constant in zip(coefficients, slopes, constants, strict=True):
            assert A * max(value, 0) <= slope * value + ((constant + batch.error) << bits)


def test_many_rows_are_bounded_in_several_batches(monkeypatch):
    rng = np.random.default_rng(2)
    network = chain(rng, [3, 7, 7, 7, 2])
    box = corners(random_box(rng, 3))
    both = Both(network.content, box)
    whole = both.fixed.bounds(box, (), both.all_claims())
    monkeypatch.setattr(check, "CHUNK", 3)
    parts = both.fixed.bounds(box, (), both.all_claims())
    ends = zip(whole.low + whole.high, parts.low + parts.high, strict=True)
    assert all(
        abs(one - other) <= 2**8 for one, other in ends
    )  # only the collected rounding error depends on the batch


def test_crossing_bounds_prove_everything():
    """Facts that no execution fulfils: x <= -1 is false on [0, 1], so all claims hold vacuously."""
    rng = np.random.default_rng(3)
    network = chain(rng, [2, 4, 4, 1])
    box = ((0.0, 0.0), (1.0, 1.0))
    both = Both(network.content, box)
    bounds = both.fixed.bounds(box, (), both.all_claims())
    first = both.relus[0]
    proved = {(first.place, k, 1): bounds.low[source] for k, source in enumerate(first.sources)}
    proved |= {(first.place, k, -1): -bounds.high[source] for k, source in enumerate(first.sources)}
    place, unit, sign = max(proved, key=proved.get)
    assert proved[place, unit, sign] > 0
    claims = both.claims([(both.relus[1].place, k, s) for k, s in itertools.product(range(4), (-1, 1))])
    assert both.fixed.unproved(box, (), claims)
    assert not both.fixed.unproved(box, both.claims([(place, unit, -sign)]), claims)


def test_packing_is_exact():
    values = [5, -1, 0, -(2**30), 2**30, -7]
    assert check.unpack(check.pack(values, 64), 64, len(values)) == values


@settings(deadline=None, max_examples=100)
@given(st.lists(st.integers(-(2**60), 2**60), min_size=1, max_size=6))
def test_settling_rounds_down_and_splits_by_sign(values):
    """Coefficients lose less than one unit each, whatever the signs of their neighbours in the packed integer."""
    bits, slot = 20, 96
    batch = check.Batch(slot, bits, [(0, 0)] * len(values), check.Bounds(1))
    batch.pending[0] = check.pack(values, slot)
    settled, positive = (check.unpack(packed, slot, len(values)) for packed in batch.settle(0))
    assert settled == [value >> bits for value in values]
    assert positive == [max(value >> bits, 0) for value in values]


@settings(deadline=None, max_examples=60)
@given(networks(), seeds, st.sampled_from([1e-6, 0.01, 0.3, 1.0]), st.sampled_from([0.0, 0.2]))
def test_claims_are_proved_with_the_producers_margin_and_never_beyond_the_reference(network, seed, width, share):
    rng = np.random.default_rng(seed)
    box = corners(random_box(rng, network.n_in, width))
    both = Both(network.content, box)
    facts = random_facts(rng, both, share)
    lower, upper = ([Fraction(x) for x in corner] for corner in box)
    exact = both.reference.bounds(lower, upper, facts)
    if any(low > high for low, high in exact.interval.values()):
        return
    fixed = [both.fixed, check.Fixed(both.parts, box, check.BITS[1])]
    for part in both.relus:
        source = both.layers[part.place].reads[0][0][0]
        for k, sign in itertools.product(range(part.layer.width), (-1, 1)):
            low, high = exact.interval[source, k]
            bound = high if sign < 0 else -low
            N = exact.noise_part.get((source, k, -sign), exact.error.get((source, k), Fraction(0)))
            claims = both.claims([(part.place, k, sign)])
            proved = any(not each.unproved(box, both.claims(facts), claims) for each in fixed)
            if bound <= -N / 1024:
                assert proved
            elif bound > 0 and low < 0 < high:
                assert not proved
