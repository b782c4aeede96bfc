"""The reference method of CERTIFICATE.md §4–§5 in exact rational arithmetic, unit by unit: slow and plain."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from dispatcher.layers import Add, Concat, Dense, Elementwise, Gather, Layers, Relu

U, T = Fraction(1, 2**24), Fraction(1, 2**126)
Interval = tuple[Fraction, Fraction]
Terms = dict[tuple[int, int], Fraction]


def exact(value: Any) -> Fraction:
    return Fraction(float(value))


class Reference:
    """Intervals and noise of every unit on a box with facts {(relu layer, unit): "inactive" or "active"}."""

    def __init__(self, layers: Layers, lower: Any, upper: Any, facts: dict[tuple[int, int], str]) -> None:
        self.layers, self.facts = layers, facts
        self.bounds: list[list[Interval]] = [
            [(exact(low), exact(high)) for low, high in zip(lower, upper, strict=True)]
        ]
        self.noise: list[list[Fraction]] = [[Fraction(0)] * len(self.bounds[0])]
        self.by_interval_rule = [list(self.bounds[0])]
        self._facts(0)
        for position in range(1, len(layers)):
            self.bounds.append([])
            self.noise.append([])
            for unit in range(layers[position].width):
                self._interval(position, unit)
            self._facts(position)
            self._backward_all(position)

    def terms(self, position: int, unit: int) -> tuple[Terms, Fraction]:
        """The affine function of a unit of a layer other than relu: weights by (layer, unit), and the constant."""
        layer = self.layers[position]
        match layer:
            case Dense():
                row = enumerate(layer.weight[unit])
                return {(layer.source, j): exact(w) for j, w in row}, exact(layer.bias[unit])
            case Elementwise():
                c, key = exact(layer.constant[unit]), (layer.source, unit)
                if layer.op == "add":
                    return {key: Fraction(1)}, c
                return {key: c if layer.op == "mul" else 1 / c}, Fraction(0)
            case Gather():
                return {(layer.source, int(layer.indices[unit])): Fraction(1)}, Fraction(0)
            case Concat():
                for source in layer.sources:
                    if unit < self.layers[source].width:
                        return {(source, unit): Fraction(1)}, Fraction(0)
                    unit -= self.layers[source].width
            case Add():
                first, second = layer.sources
                same = {(first, unit): Fraction(2)}
                return same if first == second else {(s, unit): Fraction(1) for s in layer.sources}, Fraction(0)
        raise AssertionError(layer)

    def size(self, key: tuple[int, int]) -> Fraction:
        return max(abs(bound) for bound in self.bounds[key[0]][key[1]])

    def _noise(self, position: int, terms: Terms, constant: Fraction) -> Fraction:
        """The table of §4."""
        layer = self.layers[position]
        total = sum((abs(w) * self.size(key) for key, w in terms.items()), abs(constant))
        match layer:
            case Dense():
                n = len(terms)
                gamma = (n + 1) * U / (1 - (n + 1) * U)
                return gamma * total + sum(((3 + abs(w) + self.size(key)) * T for key, w in terms.items()), 3 * T)
            case Add():
                return U * total + 3 * T
            case Elementwise():
                if layer.op == "add":
                    return U * total + 3 * T
                ((key, w),) = terms.items()
                return U * total + (1 + abs(w) + (self.size(key) if layer.op == "mul" else 0)) * T
        return Fraction(0)

    def _interval(self, position: int, unit: int) -> None:
        layer = self.layers[position]
        if isinstance(layer, Relu):
            low, high = self.bounds[layer.source][unit]
            self.bounds[position].append((max(low, Fraction(0)), max(high, Fraction(0))))
            self.noise[position].append(Fraction(0))
            return
        terms, constant = self.terms(position, unit)
        noise = self._noise(position, terms, constant)
        ends = [[w * bound for bound in self.bounds[p][i]] for (p, i), w in terms.items()]
        low, high = sum(map(min, ends), constant) - noise, sum(map(max, ends), constant) + noise
        self.bounds[position].append((low, high))
        self.noise[position].append(noise)

    def _relus(self, position: int) -> list[int]:
        return [p for p, layer in enumerate(self.layers) if isinstance(layer, Relu) and layer.source == position]

    def _facts(self, position: int) -> None:
        for relu in self._relus(position):
            for unit, (low, high) in enumerate(self.bounds[position]):
                fact = self.facts.get((relu, unit))
                if fact:
                    inactive = fact == "inactive"
                    new = (low, min(high, Fraction(0))) if inactive else (max(low, Fraction(0)), high)
                    self.bounds[position][unit] = new

    def _backward_all(self, position: int) -> None:
        self.by_interval_rule.append(list(self.bounds[position]))
        if not self._relus(position):
            return
        bounds = list(self.bounds[position])
        for unit, (low, high) in enumerate(bounds):
            if low < 0 < high:
                above, below = self.backward(position, unit, 1)[0], -self.backward(position, unit, -1)[0]
                bounds[unit] = max(low, below), min(high, above)
        self.bounds[position] = bounds

    def backward(self, position: int, unit: int, sign: int) -> tuple[Fraction, Fraction]:
        """Upper bound of sign·unit, and the noise N in it."""
        waiting: Terms = {(position, unit): Fraction(sign)}
        total = share = Fraction(0)
        for p in range(position, 0, -1):
            layer = self.layers[p]
            for key in [key for key in waiting if key[0] == p]:
                coefficient = waiting.pop(key)
                if isinstance(layer, Relu):
                    slope, offset = self._line(layer.source, key[1], coefficient)
                    total += coefficient * offset if coefficient > 0 else 0
                    terms = {(layer.source, key[1]): slope}
                else:
                    terms, constant = self.terms(p, key[1])
                    total += coefficient * constant
                    share += abs(coefficient) * self.noise[p][key[1]]
                for source, w in terms.items():
                    waiting[source] = waiting.get(source, Fraction(0)) + coefficient * w
        total += sum(max(a * bound for bound in self.bounds[0][i]) for (_, i), a in waiting.items())
        return total + share, share

    def _line(self, source: int, unit: int, coefficient: Fraction) -> tuple[Fraction, Fraction]:
        low, high = self.bounds[source][unit]
        if high <= 0:
            return Fraction(0), Fraction(0)
        if low >= 0:
            return Fraction(1), Fraction(0)
        slope = high / (high - low)
        if coefficient > 0:
            return slope, max(-slope * low, (1 - slope) * high)
        return max(Fraction(0), min(Fraction(1), 4 * slope - 2)), Fraction(0)


class IntervalRule(Reference):
    """The same without the backward rule, as §4 has it where it speaks of overflow."""

    def _backward_all(self, position: int) -> None:
        """Leave the bounds as they are."""


def real_values(layers: Layers, point: Any, reference: Reference, errors: Any = None) -> list[list[Fraction]]:
    """Every unit's value in real arithmetic, plus ``errors()`` · noise for an execution of the noisy network."""
    values = [[exact(x) for x in point]]
    for position, layer in enumerate(layers[1:], 1):
        row = []
        for unit in range(layer.width):
            if isinstance(layer, Relu):
                row.append(max(values[layer.source][unit], Fraction(0)))
                continue
            terms, constant = reference.terms(position, unit)
            error = reference.noise[position][unit] * exact(errors()) if errors else Fraction(0)
            row.append(sum((w * values[p][i] for (p, i), w in terms.items()), constant) + error)
        values.append(row)
    return values
