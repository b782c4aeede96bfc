"""The reference method of CERTIFICATE.md §5 in exact fractions, one unit and one layer at a time: slow and plain.

It reads ``family/parent.json`` as text, shares no code with any checker, and keeps every layer kind as a layer (the
exact checker resolves gather and concat to names of units).
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

U, T = Fraction(1, 2**24), Fraction(1, 2**126)
Interval = tuple[Fraction, Fraction]
Fact = tuple[int, int, int]  # relu layer, unit, -1 (inactive) or 1 (active)


def numbers(text: str) -> list[Fraction]:
    """Float32 numbers of eight hexadecimal digits each."""
    return [Fraction(value) for (value,) in struct.iter_unpack(">f", bytes.fromhex(text))]


@dataclass
class Reference:
    """A network, as its layers are written in ``family/parent.json``."""

    layers: list[dict]

    @classmethod
    def of(cls, parent: bytes) -> Reference:
        layers = json.loads(parent)["layers"]
        for layer in layers:
            for key in ("bias", "constant"):
                if key in layer:
                    layer[key] = numbers(layer[key])
            if "weight" in layer:
                layer["weight"] = [numbers(row) for row in layer["weight"]]
            layer["sources"] = layer.get("sources", [layer["source"]] if "source" in layer else [])
        return cls(layers)

    def terms(self, place: int, unit: int, widths: Sequence[int]) -> tuple[list[tuple[int, int, Fraction]], Fraction]:
        """An affine unit as (layer, unit, weight) terms and a constant."""
        layer = self.layers[place]
        source = layer["sources"][0]
        kind, zero, one = layer["kind"], Fraction(0), Fraction(1)
        if kind == "dense":
            return [(source, j, w) for j, w in enumerate(layer["weight"][unit])], layer["bias"][unit]
        if kind == "add":
            return [(k, unit, one) for k in layer["sources"]], zero
        if kind == "gather":
            return [(source, layer["indices"][unit], one)], zero
        if kind == "concat":
            for k in layer["sources"]:
                if unit < widths[k]:
                    return [(k, unit, one)], zero
                unit -= widths[k]
        c = layer["constant"][unit]
        return {"add": ([(source, unit, one)], c), "mul": ([(source, unit, c)], zero)}.get(layer["op"]) or (
            [(source, unit, 1 / c)],
            zero,
        )

    def noise(self, place: int, terms: list[tuple[int, int, Fraction]], bias: Fraction, H: dict) -> Fraction:
        """The table of §4."""
        layer, n = self.layers[place], len(terms)
        load = abs(bias) + sum(abs(w) * H[k, j] for k, j, w in terms)
        match layer["kind"], layer.get("op"):
            case "dense", _:
                gamma = (n + 1) * U / (1 - (n + 1) * U)
                return gamma * load + sum((3 + abs(w) + H[k, j]) * T for k, j, w in terms) + 3 * T
            case "elementwise", "mul":
                return U * load + (1 + abs(terms[0][2]) + H[terms[0][:2]]) * T
            case "elementwise", "div":
                return U * load + (1 + abs(terms[0][2])) * T
            case (("gather" | "concat"), _):
                return Fraction(0)
        return U * load + 3 * T

    def bounds(self, lower: Sequence[Fraction], upper: Sequence[Fraction], facts: Iterable[Fact] = ()) -> Bounds:
        """Intervals of every unit of every layer, by layers in order."""
        state = Bounds(self, {}, {}, {}, set(facts))
        for place in range(len(self.layers)):
            state.bound_layer(place, lower, upper)
        return state


@dataclass
class Bounds:
    """Intervals [place, unit], noise, and the noise part N of each backward bound [place, unit, sign]."""

    network: Reference
    interval: dict[tuple[int, int], Interval]
    error: dict[tuple[int, int], Fraction]
    noise_part: dict[tuple[int, int, int], Fraction]
    facts: set[Fact]

    def bound_layer(self, place: int, lower: Sequence[Fraction], upper: Sequence[Fraction]) -> None:
        layers = self.network.layers
        layer = layers[place]
        for unit in range(self.width(place)):
            if layer["kind"] == "input":
                self.interval[place, unit] = lower[unit], upper[unit]
            elif layer["kind"] == "relu":
                low, high = self.interval[layer["sources"][0], unit]
                dead = high <= 0 or (place, unit, -1) in self.facts
                self.interval[place, unit] = (Fraction(0),) * 2 if dead else (max(low, 0), max(high, 0))
            else:
                self.interval[place, unit] = self.affine_interval(place, unit)
            self.tighten(place, unit, lower, upper)

    def width(self, place: int) -> int:
        layer = self.network.layers[place]
        match layer["kind"]:
            case "input":
                return layer["width"]
            case "dense":
                return len(layer["bias"])
            case "gather":
                return len(layer["indices"])
            case "concat":
                return sum(self.width(k) for k in layer["sources"])
        return self.width(layer["sources"][0])

    def affine_interval(self, place: int, unit: int) -> Interval:
        terms, bias = self.terms(place, unit)
        H = {(k, j): max(abs(x) for x in self.interval[k, j]) for k, j, _ in terms}
        r = self.error[place, unit] = self.network.noise(place, terms, bias, H)
        ends = [sorted(w * x for x in self.interval[k, j]) for k, j, w in terms]
        return sum(low for low, _ in ends) + bias - r, sum(high for _, high in ends) + bias + r

    def terms(self, place: int, unit: int) -> tuple[list[tuple[int, int, Fraction]], Fraction]:
        return self.network.terms(place, unit, [self.width(k) for k in range(place)])

    def tighten(self, place: int, unit: int, lower: Sequence[Fraction], upper: Sequence[Fraction]) -> None:
        """Facts and the backward rule, for the source unit of a relu layer."""
        relus = [k for k, r in enumerate(self.network.layers) if r["kind"] == "relu" and r["sources"][0] == place]
        low, high = self.interval[place, unit]
        if any((k, unit, -1) in self.facts for k in relus):
            high = min(high, Fraction(0))
        if any((k, unit, 1) in self.facts for k in relus):
            low = max(low, Fraction(0))
        self.interval[place, unit] = low, high
        if relus and low < 0 < high:
            above, below = (self.backward(place, unit, sign, lower, upper) for sign in (1, -1))
            self.interval[place, unit] = max(low, -below), min(high, above)

    def backward(
        self, place: int, unit: int, sign: int, lower: Sequence[Fraction], upper: Sequence[Fraction]
    ) -> Fraction:
        """Upper bound of sign · unit."""
        A: list[dict[int, Fraction]] = [{} for _ in range(place + 1)]
        A[place][unit], c, N = Fraction(sign), Fraction(0), Fraction(0)
        for p in range(place, 0, -1):
            for i, a in A[p].items():
                if self.network.layers[p]["kind"] == "relu":
                    c += self.relu_step(p, i, a, A)
                    continue
                terms, bias = self.terms(p, i)
                for k, j, w in terms:
                    A[k][j] = A[k].get(j, Fraction(0)) + a * w
                c, N = c + a * bias, N + abs(a) * self.error[p, i]
        self.noise_part[place, unit, sign] = N
        return c + N + sum(max(a * lower[i], a * upper[i]) for i, a in A[0].items())

    def relu_step(self, place: int, unit: int, a: Fraction, A: list[dict[int, Fraction]]) -> Fraction:
        """Replace a relu unit by a line; return the offset."""
        source = self.network.layers[place]["sources"][0]
        low, high = self.interval[source, unit]
        if high <= 0:
            return Fraction(0)
        slope, offset = Fraction(1), Fraction(0)
        if low < 0:
            slope = high / (high - low)
        if low < 0 and a > 0:
            offset = a * max(-slope * low, (1 - slope) * high)
        elif low < 0:
            slope = max(Fraction(0), min(Fraction(1), 4 * slope - 2))
        A[source][unit] = A[source].get(unit, Fraction(0)) + a * slope
        return offset
