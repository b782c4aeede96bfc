"""Networks with numbers from 1e-45 to 1e36, on boxes far smaller than the domain: what §5 proves is proved, no more."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
from hypothesis import event, given, settings

from slicer.certificate import check
from tests.exact.reference import Bounds, Reference
from tests.exact.test_bounds import Both
from tests.random_networks import seeds

MARGIN = Fraction(1, 2**10)
LARGE = 2.0**122  # sums of a few such terms may exceed 2^126, but few do


def magnitude(rng: np.random.Generator, low: float = -45, high: float = 36) -> float:
    """A number of either sign that may be anything, or of ordinary size."""
    return float(rng.choice([-1, 1]) * 10.0 ** (rng.uniform(low, high) if rng.random() < 0.7 else rng.uniform(-1, 1)))


def float32(values) -> np.ndarray:
    return np.asarray(values, np.float32).astype(float)


def text(values: np.ndarray) -> str:
    return np.asarray(values, ">f4").tobytes().hex()


def layer(kind: str, **fields: object) -> dict:
    return {"kind": kind, "name": ""} | fields


class Odd:
    """A random network of wide-spread numbers; ``ends`` are about the last layer's values on the domain."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        corners = float32([[magnitude(rng, high=30) * rng.integers(2) for _ in range(2)] for _ in range(2)])
        self.domain: check.Box = tuple(corners.min(0).tolist()), tuple(corners.max(0).tolist())
        self.layers, self.ends = [layer("input", width=2)], (corners.min(0), corners.max(0))
        for _ in range(int(rng.integers(1, 4))):
            for append in rng.permutation([self.dense, self.dense, self.operator, self.sum])[: rng.integers(1, 4)]:
                append()
            self.append(layer("relu", source=len(self.layers) - 1), [np.maximum(end, 0) for end in self.ends])

    def append(self, record: dict, ends: list[np.ndarray]) -> None:
        self.layers.append(record)
        self.ends = ends[0], ends[1]

    def size(self) -> np.ndarray:
        return np.maximum(-self.ends[0], self.ends[1])

    def dense(self) -> None:
        """Weights that are anything, or make terms of one size; a bias that takes a bound to about zero, or any."""
        n, size = len(self.ends[0]), np.maximum(self.size(), 1e-45)
        limit = np.minimum(LARGE / n / size, LARGE)
        target = magnitude(self.rng)
        rows = [magnitude(self.rng) if self.rng.integers(2) else target / size for _ in range(3)]
        weight = float32([np.clip(row * self.rng.normal(size=n), -limit, limit) for row in rows])
        low, high = (op(weight * self.ends[0], weight * self.ends[1]).sum(1) for op in (np.minimum, np.maximum))
        room = 2.0**-21 * (np.abs(weight) @ self.size()) + self.size().sum() * 2.0**-126
        choice = [np.zeros(3), -low + room, -high - room, np.full(3, np.clip(magnitude(self.rng), -LARGE, LARGE))]
        bias = float32(choice[self.rng.integers(4)])
        record = layer("dense", source=len(self.layers) - 1, weight=list(map(text, weight)), bias=text(bias))
        self.append(record, [low + bias - room, high + bias + room])

    def operator(self) -> None:
        size, op = np.maximum(self.size(), 1e-45), str(self.rng.choice(["add", "mul", "div"]))
        constant = np.array([magnitude(self.rng) for _ in size])
        limit = {"add": LARGE, "mul": np.minimum(LARGE / size, LARGE), "div": LARGE}[op]
        constant = float32(np.clip(constant, -limit, limit))
        if op == "div":
            least = np.maximum(size / LARGE, 2.0**-126)
            constant = float32(np.copysign(np.maximum(np.abs(constant), least), constant))
        apply = {"add": np.add, "mul": np.multiply, "div": np.divide}[op]
        ends = sorted((apply(end, constant) for end in self.ends), key=lambda end: end.sum())
        noise = np.abs(ends).max(0) * 2.0**-20 + (4 + size) * 2.0**-126
        record = layer("elementwise", source=len(self.layers) - 1, op=op, constant=text(constant))
        self.append(record, [np.minimum(*ends) - noise, np.maximum(*ends) + noise])

    def sum(self) -> None:
        """The last layer twice: with itself."""
        self.append(layer("add", sources=[len(self.layers) - 1] * 2), [2.01 * end for end in self.ends])

    def box(self) -> check.Box:
        """A box in the domain, of any size down to a point."""
        lower, upper = [], []
        for low, high in zip(*self.domain, strict=True):
            points = [low, high, *np.clip(float32([magnitude(self.rng) for _ in range(3)]), low, high).tolist()]
            ends = sorted(self.rng.choice(points, 2).tolist())
            lower.append(ends[0])
            upper.append(ends[1])
        return tuple(lower), tuple(upper)

    def parent(self) -> bytes:
        return check.canonical({"format": "netslicer-network/1", "layers": self.layers})


class ByIntervalRule(Bounds):
    """The reference's bounds by the interval rule only, as §4 wants them."""

    def tighten(self, *_: object) -> None:
        pass


def largest_sum(reference: Reference, domain: check.Box) -> Fraction:
    """The largest abs(b) + sum of abs(w) · H of all units on the domain."""
    state, sums = ByIntervalRule(reference, {}, {}, {}, set()), [Fraction(0)]
    for place in range(len(reference.layers)):
        state.bound_layer(place, *([Fraction(x) for x in corner] for corner in domain))
        for unit in range(state.width(place) if (place, 0) in state.error else 0):
            terms, bias = state.terms(place, unit)
            sums.append(abs(bias) + sum(abs(w) * max(map(abs, state.interval[k, j])) for k, j, w in terms))
    return max(sums)


@settings(deadline=None, max_examples=150)
@given(seeds)
def test_claims_are_proved_with_the_producers_margin_and_never_beyond_the_reference(seed):
    odd = Odd(np.random.default_rng(seed))
    both = Both(odd.parent(), odd.domain)
    fixed = [both.fixed, check.Fixed(both.layers, odd.domain, check.BITS[1])]
    overflows = largest_sum(both.reference, odd.domain) > 2**126
    event("overflows" if overflows else "does not overflow")
    assert bool(fixed[1].overflows(odd.domain)) == overflows
    for each in fixed:
        bounds = each.bounds(odd.domain, (), both.all_claims())  # the slots are wide enough
        assert all(
            -reach <= low <= high <= reach for low, high, reach in zip(bounds.low, bounds.high, each.reach, strict=True)
        )
    for box in () if overflows else (odd.domain, odd.box(), odd.box()):
        exact = both.reference.bounds(*([Fraction(x) for x in corner] for corner in box))
        for (place, k), sign in itertools.product(both.all_units(), (-1, 1)):
            source = both.layers[place].reads[0][0][0]
            low, high = exact.interval[source, k]
            bound = high if sign < 0 else -low
            N = exact.noise_part.get((source, k, -sign), exact.error.get((source, k), Fraction(0)))
            claims = both.claims([(place, k, sign)])
            failures = [each.unproved(box, (), claims) for each in fixed]
            if bound <= -MARGIN * N:
                event("to be proved")
                assert not all(failures)
            elif bound > 0:
                event("not to be proved")
                assert all(failures)


def test_noise_of_many_large_inputs_with_weights_of_zero_fits_into_the_slots():
    """H beside t: as weights may be off by t = 2^-126, inputs of 2^120 give a unit that is zero a noise of 2^10."""
    n, corner = 2**16, 2.0**120
    layers = [
        layer("input", width=n),
        layer("dense", source=0, weight=["00000000" * n], bias="00000000"),
        layer("relu", source=1),
    ]
    box = ((-corner,) * n, (corner,) * n)
    both = Both(check.canonical({"format": "netslicer-network/1", "layers": layers}), box)
    bounds, size = both.bounds(box, ()), Fraction(2) ** (both.fixed.exponents[n] - both.fixed.bits)
    noise = (n * Fraction(corner) + 3 * n + 3) / 2**126
    assert noise <= bounds.high[n] * size <= noise * (1 + Fraction(1, 2**20))
    assert -noise * (1 + Fraction(1, 2**20)) <= bounds.low[n] * size <= -noise


def test_an_input_that_is_always_zero_makes_no_scale_coarser():
    """Its weight of -1000 says nothing about the size of values near 1e-19: the first attempt proves the closing."""
    layers = [
        layer("input", width=2),
        layer("dense", source=0, weight=[text(np.array([-1e3, 1e-13]))], bias="00000000"),
        layer("dense", source=1, weight=[text(np.array([-1e-16]))], bias="00000000"),
        layer("relu", source=2),
    ]
    domain = ((0.0, 2.0**-21), (0.0, 2.0**-20))
    both = Both(check.canonical({"format": "netslicer-network/1", "layers": layers}), domain)
    assert not both.fixed.unproved(domain, (), both.claims([(3, 0, -1)]))
