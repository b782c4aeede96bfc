"""The bounds of the exact checker: those of the reference method, rounded outward."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slicer.certificate import check
from tests.exact.reference import Reference
from tests.random_networks import chain, mixed, networks, random_box, seeds

NEAR = Fraction(1, 2**30)


def corners(box) -> check.Box:
    return tuple(map(float, box.lower)), tuple(map(float, box.upper))


class Both:
    """A network in the checker's form and in the reference's."""

    def __init__(self, parent: bytes, domain: check.Box, bits: int = 44) -> None:
        self.layers = check.read_parent(check.read_json(parent, "parent"))
        self.fixed = check.Fixed(self.layers, domain, bits)
        self.reference = Reference.of(parent)
        self.relus = [place for place, layer in enumerate(self.layers) if layer.op == "relu"]

    def claims(self, triples) -> dict[check.Pair, check.Claim]:
        return {(place, k): (self.layers[place].inputs[k][0], sign) for place, k, sign in triples}

    def all_units(self) -> list[check.Pair]:
        return [(place, k) for place in self.relus for k in range(self.layers[place].width)]

    def all_claims(self) -> list[check.Claim]:
        return [(self.layers[place].inputs[k][0], sign) for place, k in self.all_units() for sign in (-1, 1)]

    def bounds(self, box: check.Box, facts) -> check.Bounds:
        return self.fixed.bounds(box, self.claims(facts).values(), self.all_claims())

    def intervals(self, box: check.Box, facts):
        """(place, checker's and reference's interval, scale) of all units that relus read; None if they cross."""
        bounds = self.bounds(box, facts)
        lower, upper = ([Fraction(x) for x in corner] for corner in box)
        exact = self.reference.bounds(lower, upper, facts)
        if any(low > high for low, high in zip(bounds.low, bounds.high, strict=True)):
            return None
        found = []
        for place in self.relus:
            source = self.layers[place].reads[0][0][0]
            for k in range(self.layers[place].width):
                unit = self.layers[source].units[k]
                size = Fraction(2) ** self.fixed.exponents[unit]
                own = bounds.low[unit] * size / 2**self.fixed.bits, bounds.high[unit] * size / 2**self.fixed.bits
                found.append(((source, k), own, exact.interval[source, k], size))
        return found


def random_facts(rng: np.random.Generator, both: Both, share: float):
    return {(*unit, int(rng.choice((-1, 1)))) for unit in both.all_units() if rng.random() < share}


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


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("seed", range(5))
def test_facts_about_undecided_units_tighten_them_and_what_reads_them(seed, sign):
    network, box = chain(np.random.default_rng(seed), [2, 6, 6, 2]), ((-1.0, -1.0), (1.0, 1.0))
    both = Both(network.content, box)
    before = both.intervals(box, ())
    fact = next(
        (*unit, sign) for unit, (_, (low, high), _, _) in zip(both.all_units(), before, strict=True) if low < 0 < high
    )
    after = both.intervals(box, {fact})
    for _, (low, high), (exact_low, exact_high), size in after:
        assert exact_low - NEAR * size <= low
        assert high <= exact_high + NEAR * size
    closer = [
        max(now[0] - then[0], then[1] - now[1]) for (_, then, _, _), (_, now, _, _) in zip(before, after, strict=True)
    ]
    assert sum(change > 0 for change in closer) > 1


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
    """Where a product or a quotient is subnormal the multiples of t count."""
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
    assert own[1] - own[0] <= (exact[1] - exact[0]) * (1 + NEAR)


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


def without_noise(weights, bias, slopes, rest):
    """An affine unit as `affine_unit` gives it, of a network in real numbers."""
    return weights, bias, [0 * slope for slope in slopes], 0 * rest


@settings(deadline=None, max_examples=60)
@given(seeds, st.integers(6, 30))
def test_rounded_weights_and_bias_are_made_up_for(seed, bits):
    """Without any noise the interval rule still contains the exact image of the box."""
    rng = np.random.default_rng(seed)
    network = chain(rng, [int(rng.integers(1, 30)), 5], scale=10.0 ** rng.integers(-3, 4))
    box = corners(random_box(rng, network.n_in))
    with pytest.MonkeyPatch.context() as patch:
        silent = check.affine_unit
        patch.setattr(check, "affine_unit", lambda *unit: without_noise(*silent(*unit)))
        fixed = Both(network.content, box, bits).fixed
    (affine,) = fixed.blocks[1]
    bounds = fixed._set(box)
    affine.interval(bounds)
    for i, unit in enumerate(affine.units):
        weight, bias = network.layers[1].weight[i], Fraction(float(network.layers[1].bias[i]))
        ends = [sorted(Fraction(float(w)) * Fraction(x[j]) for x in box) for j, w in enumerate(weight)]
        size = Fraction(2) ** (fixed.exponents[unit] - bits)
        assert bounds.low[unit] * size <= bias + sum(low for low, _ in ends)
        assert bounds.high[unit] * size >= bias + sum(high for _, high in ends)


@settings(deadline=None, max_examples=60)
@given(seeds, st.integers(6, 30))
def test_sums_of_magnitudes_are_rounded_up(seed, bits):
    """What must not exceed 2^126 is not taken for less than it is, however coarse the units are."""
    rng = np.random.default_rng(seed)
    network = chain(rng, [int(rng.integers(1, 30)), 5], scale=10.0 ** rng.integers(-3, 4))
    box = corners(random_box(rng, network.n_in))
    fixed = Both(network.content, box, bits).fixed
    (affine,) = fixed.blocks[1]
    for i, (unit, load) in enumerate(zip(affine.units, affine.load(fixed._set(box)), strict=True)):
        weight, bias = network.layers[1].weight[i], Fraction(float(network.layers[1].bias[i]))
        terms = [abs(Fraction(float(w))) * max(abs(Fraction(x[j])) for x in box) for j, w in enumerate(weight)]
        assert abs(bias) + sum(terms) <= load * Fraction(2) ** (fixed.exponents[unit] - bits)


def test_many_rows_are_bounded_in_several_batches(monkeypatch):
    rng = np.random.default_rng(2)
    network = chain(rng, [3, 7, 7, 7, 2])
    box = corners(random_box(rng, 3))
    both = Both(network.content, box)
    whole = both.bounds(box, ())
    monkeypatch.setattr(check, "CHUNK", 3)
    parts = both.bounds(box, ())
    ends = zip(whole.low + whole.high, parts.low + parts.high, strict=True)
    assert all(
        abs(one - other) <= 2**8 for one, other in ends
    )  # only the collected rounding error depends on the batch


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
    fixed = [both.fixed, check.Fixed(both.layers, box, check.BITS[1])]
    for (place, k), sign in itertools.product(both.all_units(), (-1, 1)):
        source = both.layers[place].reads[0][0][0]
        low, high = exact.interval[source, k]
        bound = high if sign < 0 else -low
        N = exact.noise_part.get((source, k, -sign), exact.error.get((source, k), Fraction(0)))
        claims = both.claims([(place, k, sign)])
        proved = any(not each.unproved(box, both.claims(facts).values(), claims) for each in fixed)
        if bound <= -N / 1024:
            assert proved
        elif bound > 0 and low < 0 < high:
            assert not proved
