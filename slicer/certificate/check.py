#!/usr/bin/env python3
"""Exact checker of netslicer bundles: one file, Python 3.11 or newer, the standard library, nothing else.

    python3 -I -S check.py BUNDLE [--cells 10%|0-9,17] [--seed N] [--jobs N] [--json FILE]

Exit status: 0 nothing is wrong, 1 rejected, 2 nothing to check. The rules are those of CERTIFICATE.md, to whose sections
the numbers below refer; this file was written from that document alone.

Checked: the manifest and every digest (§7), every file with a meaning in strict canonical form (§8), the parent network (§2),
that nothing overflows on the domain (§4), the routing tree (§7), that every member is what the removals give, byte for byte
(§3), and in every cell each closing of the proof tree, and that every path closes every removed unit (§5, §6).
Not checked: that ``family/parent.json`` is the network in the source model (``slicer audit`` reads the model and compares).

Arithmetic
----------
Floats only carry float32 numbers exactly, choose scales (any scale is sound) and format messages. Bounds are Python integers.

*Scale.* Unit v has an exponent d_v and stands for v / 2^d_v; its bounds are integers in units of 2^-F, rounded outward. A
weight becomes w = floor(exact weight · 2^(d_j - d_i) · 2^F). It is less than one unit too small, so the products with sources of
magnitude at most H_j are less than (sum of H_j) · 2^-F units away: `extra`, added to the noise of §4, like 1 for the bias.

*Interval rule.* With m_j = l_j + u_j and g_j = u_j - l_j, twice the sum of w_j v_j is within sum of abs(w_j) g_j of sum of w_j m_j.

*Backward rule.* A batch bounds many rows at once, each a unit or its negative: row r <= sum of A_r v + c_r. Slot r of the integer
P_v = sum of A_r · 2^(r S) holds row r's coefficient of v in units of 2^-F; so the sum of P_i w_i is a matrix product, all rows in
one integer, in units of 2^-2F. `Batch.settle` rounds down to units of 2^-F: A v loses at most max(u, 0) units of 2^-2F, which
`Batch.error` collects, the same for all rows. Packed integers are plain sums (a negative slot borrows from the next one);
with 2^(S-1) added to every slot no slot is negative, and shifts and masks work slot by slot: where the sign bit is
set, ``(sign << k) - sign`` is a mask of the k bits below it, which leaves A+ = max(A, 0). Then

    affine   c += A b + abs(A) r = A (b - r) + A+ · 2 r
    relu     (undecided) slope s = floor(u 2^F / (u - l)); c += A+ · ceil((1 - s) u): as s <= u / (u - l), this offset is at
             least -s l too, as §5 asks. The lower line has slope 1 or 0 by the reference rule.
    input    c += max(A l, A u) = A l + A+ (u - l)

and the bound is ceil((c + error) / 2^F). No slot overflows: with p_i = max(1, sum of abs(w_j) p_j) over sources, p of a relu
that of its source and p = 1 of inputs, no coefficient in a row of unit i exceeds p_i (slopes are at most 1), but for roundings of at
most 2^20 settled units, 2^-F p each: 2 max(p) is enough. Likewise q_i = abs(b) + r + sum of abs(w_j) q_j, twice as much for a
relu, H for inputs, bounds c, every H and every relu's offset. `Fixed` takes S so that both fit.

*Completeness.* Every node is bounded afresh by the reference method, with F = 44; if that does not prove it, with F = 160.
If bounds of a unit cross, no execution fulfils the facts, and there is nothing to prove.

*Float32* (§3): a product of two float32 numbers is exact in binary64; a sum or quotient rounded to binary64 (53 >= 2 · 24 + 2
bits), then to float32, is correctly rounded (Figueroa 1995), also in the subnormal range: there sums are exact, and
a quotient is exactly halfway between two float32 numbers or at least 2^-49 of its size away from it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import random
import re
import stat
import struct
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from itertools import chain
from operator import add, itemgetter, lshift, mul, truediv
from typing import Any, NamedTuple

STATEMENT = (
    "For every vector x of finite float32 numbers in the domain, the member of the cell to which the routing tree sends x and "
    "family/parent.json have equal outputs under eval32 (IEEE-754 equality, -0 = 0); neither meets a NaN or an infinity."
)
NOT_COVERED = (
    "that family/parent.json is the network of the source model (slicer audit reads the model and compares)",
    "inputs outside the domain; FMA, other orders of sums, precisions or rounding modes, flush to zero",
    "compilers and hardware that do not implement IEEE-754 binary32; whether the parent is a good model",
)

MAX_JSON, MAX_FILE = 2**28, 2**34  # bytes of files that are read, that are only hashed
MAX_NESTING = 32
MAX_UNITS = 2**20  # units of the network in all; §4 needs less than 2^20 sources of a dense unit
MAX_SLOT = 4096  # bits; about 110 for ordinary networks
BITS = (44, 160)  # F of the first and of the second attempt
CHUNK = 256  # rows of a batch
Q = 149  # every float32 number is an integer in units of 2^-149
ONE = 1 << Q

Json = Any  # what json.loads gives
Pair = tuple[int, int]  # layer and unit
Box = tuple[tuple[float, ...], tuple[float, ...]]  # lower and upper corner


# ------------------------------------------------------------------------------------------------ verdicts


@dataclass(frozen=True, slots=True)
class Accepted:
    """A cell whose removals are proved."""

    nodes: int
    closings: int
    removed: int


class Rejected(Exception):  # noqa: N818 - a verdict, raised where it is found
    """What is wrong: the place (file, and what in it), and expected / got."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(where, why)
        self.where, self.why = where, why


class UnusableError(Exception):
    """There is nothing to check: no directory, no manifest, another format."""


def require(holds: object, where: str, why: str) -> None:
    """Reject unless something holds."""
    if not holds:
        raise Rejected(where, why)


# ------------------------------------------------------------------------------------------------ canonical JSON (§8)

_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_TO_SQUARE, _NO_BRACKETS = bytes.maketrans(b"{}", b"[]"), bytes(set(range(256)) - set(b"[]{}"))


def canonical(value: Json) -> bytes:
    """The only accepted spelling of a value."""
    return (json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True) + "\n").encode()


def digest(data: bytes) -> str:
    """The sha256 of some bytes."""
    return hashlib.sha256(data).hexdigest()


def single(value: float) -> float:
    """The float32 number nearest to a binary64 number, ties to even; OverflowError where that is infinite."""
    result: float = struct.unpack("<f", struct.pack("<f", value))[0]
    return result


def bits_of(value: float) -> str:
    """A float32 number as eight hexadecimal digits."""
    return struct.pack(">f", value).hex()


def quanta(value: float) -> int:
    """A float32 number in units of 2^-149, exactly."""
    return int(math.ldexp(value, Q))


def read_json(data: bytes, where: str) -> Field:
    """Decode canonical JSON: bounded nesting, small integers, no other numbers, the same bytes when written again."""
    brackets = _STRING.sub(b"", data).translate(_TO_SQUARE, _NO_BRACKETS)
    for _ in range(MAX_NESTING):
        brackets = brackets.replace(b"[]", b"")
    require(not brackets, where, f"expected balanced brackets, at most {MAX_NESTING} deep")
    try:
        value = json.loads(data.decode("ascii"), parse_int=_small, parse_float=_refuse, parse_constant=_refuse)
    except ValueError as error:
        raise Rejected(where, f"expected ASCII JSON: {str(error)[:200]}") from error
    require(canonical(value) == data, where, "expected canonical JSON: sorted unique keys, no spaces, one final newline")
    return Field(value, where)


def _small(text: str) -> int:
    return int(text) if len(text) <= 16 else _refuse(text)


def _refuse(text: str) -> int:
    raise ValueError(f"unexpected number {text[:40]}")


class Field:
    """A value in a JSON file and its place; every method rejects values of another form than it is asked for."""

    __slots__ = ("value", "where")

    def __init__(self, value: Json, where: str) -> None:
        self.value, self.where = value, where

    def require(self, holds: object, expected: str) -> None:
        """Reject this value unless something holds."""
        if not holds:
            raise Rejected(self.where, f"expected {expected}, got {self.value!r:.80}")

    def record(self, *keys: str, optional: Iterable[str] = ()) -> dict[str, Field]:
        """An object with just these keys."""
        self.require(isinstance(self.value, dict), "an object")
        found = set(self.value)
        self.require(found.issuperset(keys) and found <= {*keys, *optional}, f"the keys {[*keys, *optional]}")
        return {key: Field(value, f"{self.where} {key}") for key, value in self.value.items()}

    def items(self, length: int | None = None) -> list[Field]:
        """A list."""
        self.require(isinstance(self.value, list) and length in {None, len(self.value)}, f"a list of {length or 'any'} length")
        return [Field(value, f"{self.where}[{k}]") for k, value in enumerate(self.value)]

    def integer(self, low: int, high: int) -> int:
        """An integer from low to high (true and false are none)."""
        self.require(type(self.value) is int and low <= self.value <= high, f"an integer from {low} to {high}")
        return int(self.value)

    def equal(self, expected: Json) -> None:
        """This very value."""
        self.require(type(self.value) is type(expected) and self.value == expected, repr(expected)[:100])

    def text(self, pattern: str = "(?s:.*)") -> str:
        """A text of this pattern."""
        self.require(isinstance(self.value, str) and re.fullmatch(pattern, self.value), f"a text like {pattern}")
        return str(self.value)

    def digest(self) -> str:
        """A sha256."""
        return self.text("[0-9a-f]{64}")

    def number(self) -> float:
        """A float32 number as float.hex() writes it."""
        text = self.text(r"-?0x[01]\.[0-9a-f]{1,13}p[+-][0-9]{1,3}")
        value = float.fromhex(text)  # below 2^1000: finite
        self.require(value.hex() == text and abs(value) < 2.0**128 and single(value) == value, "a float32 number")
        return value

    def box(self, dimension: int) -> Box:
        """A closed box."""
        fields = self.record("lower", "upper")
        lower, upper = (tuple(entry.number() for entry in fields[key].items(dimension)) for key in ("lower", "upper"))
        self.require(all(map(float.__le__, lower, upper)), "lower <= upper")
        return lower, upper

    def vector(self, length: int | None = None) -> tuple[float, ...]:
        """Finite float32 numbers, eight hexadecimal digits each."""
        text = self.text("(?:[0-9a-f]{8})*")
        self.require(length in {None, len(text) // 8}, f"{length} numbers")
        values = struct.unpack(f">{len(text) // 8}f", bytes.fromhex(text))
        self.require(all(map(math.isfinite, values)), "finite numbers")
        return values

    def units(self, layers: Sequence[Layer]) -> list[Pair]:
        """``[[relu layer, [unit, …]], …]``: layers and units strictly increasing, no empty list of units."""
        pairs: list[Pair] = []
        for entry in self.items():
            first, second = entry.items(2)
            layer = first.integer(pairs[-1][0] + 1 if pairs else 0, len(layers) - 1)
            first.require(layers[layer].kind == "relu", "a relu layer")
            unit, listed = -1, second.items()
            second.require(listed, "at least one unit")
            for k in listed:
                unit = k.integer(unit + 1, layers[layer].width - 1)
                pairs.append((layer, unit))
        return pairs


# ------------------------------------------------------------------------------------------------ the parent (§2)

_KEYS = {
    "input": ("width",), "dense": ("source", "weight", "bias"), "elementwise": ("source", "op", "constant"),
    "relu": ("source",), "gather": ("source", "indices"), "concat": ("sources",), "add": ("sources",),
}  # fmt: skip


class Layer(NamedTuple):
    """A layer of the parent. Dense: ``source``, ``weight`` [width][source width] and ``constant`` (the bias).

    Else ``reads`` lists the (layer, unit) that each unit depends on (none for the input).
    """

    kind: str
    width: int
    op: str = ""
    source: int = 0
    weight: tuple[tuple[float, ...], ...] = ()
    constant: tuple[float, ...] = ()
    reads: tuple[tuple[Pair, ...], ...] = ()


def read_parent(file: Field) -> list[Layer]:
    """The layers of ``family/parent.json``."""
    fields = file.record("format", "layers")
    fields["format"].equal("netslicer-network/1")
    layers: list[Layer] = []
    for entry in fields["layers"].items():
        layers.append(_read_layer(entry, layers))
        entry.require(0 < layers[-1].width and sum(layer.width for layer in layers) < MAX_UNITS, f"1 to {MAX_UNITS} units")
    fields["layers"].require(layers, "at least one layer")
    return layers


def _read_layer(entry: Field, before: list[Layer]) -> Layer:
    kind = entry.value.get("kind") if isinstance(entry.value, dict) else None
    entry.require(isinstance(kind, str) and kind in _KEYS, f"a layer of one of the kinds {sorted(_KEYS)}")
    entry.require((kind == "input") == (not before), "an input as first layer and nowhere else")
    fields = entry.record("kind", "name", *_KEYS[kind])
    fields["name"].text()
    if kind == "input":
        return Layer(kind, fields["width"].integer(1, MAX_UNITS))
    listed = fields["sources"].items() if "sources" in fields else [fields["source"]]
    sources = [source.integer(0, len(before) - 1) for source in listed]
    entry.require(sources, "at least one source")
    source, n = sources[0], before[sources[0]].width
    if kind == "dense":
        weight = tuple(row.vector(n) for row in fields["weight"].items())
        return Layer(kind, len(weight), "", source, weight, fields["bias"].vector(len(weight)))
    reads = tuple(((source, unit),) for unit in range(n))
    if kind == "elementwise":
        op, constant = fields["op"].text("add|mul|div"), fields["constant"].vector(n)
        entry.require(op != "div" or min(map(abs, constant)) >= 2.0**-126, "divisors of at least 2^-126")
        return Layer(kind, n, op, constant=constant, reads=reads)
    if kind == "gather":
        reads = tuple(((source, index.integer(0, n - 1)),) for index in fields["indices"].items())
    elif kind == "concat":
        entry.require(sum(before[k].width for k in sources) < MAX_UNITS, f"less than {MAX_UNITS} units")
        reads = tuple(((k, unit),) for k in sources for unit in range(before[k].width))
    elif kind == "add":
        entry.require(len(sources) == 2 and before[sources[1]].width == n, "two sources of one width")
        reads = tuple(((source, unit), (sources[1], unit)) for unit in range(n))
    return Layer(kind, len(reads), {"relu": "relu", "add": "add"}.get(kind, "copy"), reads=reads)


# ------------------------------------------------------------------------------------------------ members (§3)

_OPERATIONS: dict[str, Callable[..., float]] = {
    "add": add, "mul": mul, "div": truediv, "copy": lambda value: value,
    "relu": lambda value: value if value > 0 else 0.0,
}  # fmt: skip
Constants = dict[int, float]  # of a layer, by unit


class Prefix(NamedTuple):
    """The constant beginning of a dense unit: its sum, the first other term (None: no other), whether it is recorded."""

    value: float
    first: int | None
    recorded: bool


def member_of(layers: Sequence[Layer], parent: str, removed: Iterable[Pair]) -> bytes:
    """The member file that removing (relu layer, unit) pairs gives; OverflowError if a constant is infinite."""
    constants, prefixes = _constants(layers, frozenset(removed))
    rows = []
    for known, begun, needed in zip(constants, prefixes, _needed(layers, constants, prefixes), strict=True):
        units = sorted(needed)
        recorded = [(unit, begun[unit]) for unit in units if unit in begun and begun[unit].recorded]
        rows.append({
            "units": units,
            "prefixes": [[unit, p.first, bits_of(p.value)] for unit, p in recorded if p.first is not None],
            "constants": [[unit, bits_of(known[unit])] for unit in units if unit in begun and begun[unit].first is None],
        })  # fmt: skip
    return canonical({"format": "netslicer-member/1", "parent": parent, "layers": rows})


def _constants(layers: Sequence[Layer], removed: frozenset[Pair]) -> tuple[list[Constants], list[dict[int, Prefix]]]:
    """Of every layer the constant units, and the prefixes if it is dense."""
    constants: list[Constants] = []
    prefixes: list[dict[int, Prefix]] = []
    for place, layer in enumerate(layers):
        begun = {unit: _prefix(row, constants[layer.source]) for unit, row in enumerate(layer.weight)}
        known = {unit: single(p.value + layer.constant[unit]) for unit, p in begun.items() if p.first is None}
        for unit, reads in enumerate(layer.reads):
            values = [constants[source].get(k) for source, k in reads]
            if (place, unit) in removed:
                known[unit] = 0.0
            elif None not in values:
                known[unit] = single(_OPERATIONS[layer.op](*values, *layer.constant[unit : unit + 1]))
        constants.append(known)
        prefixes.append(begun)
    return constants, prefixes


def _prefix(row: Sequence[float], constants: Constants) -> Prefix:
    """Sum the terms of a dense unit in order as long as they are constant; a zero term changes nothing."""
    acc, recorded = 0.0, False
    for j, weight in enumerate(row):
        if weight:
            constant = constants.get(j)
            if constant is None:
                return Prefix(acc, j, recorded)
            if constant:
                acc, recorded = single(acc + single(weight * constant)), True
    return Prefix(acc, None, recorded=False)


def _needed(layers: Sequence[Layer], constants: list[Constants], prefixes: list[dict[int, Prefix]]) -> list[set[int]]:
    """The needed units of every layer, found from the last to the first."""
    needed: list[set[int]] = [set() for _ in layers]
    needed[0], needed[-1] = set(range(layers[0].width)), set(range(layers[-1].width))
    for place in range(len(layers) - 1, 0, -1):
        layer, known = layers[place], constants[layers[place].source]
        for unit in needed[place]:
            if layer.kind == "dense":
                row, first = layer.weight[unit], prefixes[place][unit].first
                terms = range(len(row) if first is None else first, len(row))
                needed[layer.source].update(j for j in terms if row[j] and known.get(j) != 0)
            else:
                for source, k in layer.reads[unit]:
                    needed[source].add(k)
    return needed


# ------------------------------------------------------------------------------------------------ noise, overflow (§4)


class Row(NamedTuple):
    """An affine unit: (sum of weight · source) / denominator + bias, all integers; bias in units of 2^-149.

    Its error is at most gamma · (abs(bias) + sum of abs(weight) · H) + tiny · 2^-149 · t, plus t · (sum of H) if ``operands``.
    """

    sources: Sequence[int]
    weights: Sequence[int]
    denominator: int
    bias: int
    gamma: tuple[int, int]
    tiny: int
    operands: int


class Part(NamedTuple):
    """Consecutive units of the network in which gather and concat are mere names: affine (rows), relu (sources) or input."""

    layer: int
    units: range
    rows: Sequence[Row] = ()
    sources: Sequence[int] = ()
    dense: bool = False


def network_parts(layers: Sequence[Layer]) -> tuple[list[Part], list[list[int]]]:
    """The parts in order, and for every layer the unit of the network that each of its units is."""
    parts: list[Part] = []
    names: list[list[int]] = []
    for place, layer in enumerate(layers):
        reads = [tuple(names[source][unit] for source, unit in pairs) for pairs in layer.reads]
        if layer.op == "copy":
            names.append([unit for (unit,) in reads])
            continue
        first = parts[-1].units.stop if parts else 0
        units = range(first, first + layer.width)
        names.append(list(units))
        if layer.kind == "dense":
            inputs = names[layer.source]
            rows = [_dense_row(inputs, row, bias) for row, bias in zip(layer.weight, layer.constant, strict=True)]
            parts.append(Part(place, units, rows, dense=True))
        elif layer.op in {"add", "mul", "div"}:
            parts.append(Part(place, units, [_row(layer, unit, pair) for unit, pair in enumerate(reads)]))
        else:
            parts.append(Part(place, units, sources=list(chain.from_iterable(reads))))
    return parts, names


def _dense_row(sources: Sequence[int], row: Sequence[float], bias: float) -> Row:
    """Error gamma_(n+1) · (…) + sum of (2 + abs(w) + H) t + 3 t."""
    n, weights = len(sources), [quanta(weight) for weight in row]
    tiny = (2 * n + 3) * ONE + sum(map(abs, weights))
    return Row(sources, weights, ONE, quanta(bias), (n + 1, 2**24 - n - 1), tiny, 1)


def _row(layer: Layer, unit: int, sources: tuple[int, ...]) -> Row:
    """An elementwise or add unit."""
    u, c = (1, 2**24), quanta(layer.constant[unit]) if layer.constant else 0
    if layer.op == "add":
        return Row(sources, [1] * len(sources), 1, c, u, 3 * ONE, 0)
    if layer.op == "mul":
        return Row(sources, [c], ONE, 0, u, ONE + abs(c), 1)
    return Row(sources, [ONE if c > 0 else -ONE], abs(c), 0, u, ONE + 1 + ONE * ONE // abs(c), 0)


def domain_magnitudes(parts: Sequence[Part], domain: Box, where: str) -> list[int]:
    """H of every unit on the domain by the interval rule, in units of 2^-149; rejects where a sum may overflow."""
    limit = ONE << 126
    low, high = ([quanta(x) for x in corner] for corner in domain)
    require(all(abs(x) <= limit for x in low + high), f"{where} domain", "expected corners of at most 2^126")
    for part in parts[1:]:
        low.extend(max(low[source], 0) for source in part.sources)
        high.extend(max(high[source], 0) for source in part.sources)
        for unit, row in enumerate(part.rows):
            ends = [sorted((low[v] * w, high[v] * w)) for v, w in zip(row.sources, row.weights, strict=True)]
            load = abs(row.bias) - sum(min(below, -above) for below, above in ends) // -row.denominator * -1
            load = abs(row.bias) - (-sum(max(-below, above) for below, above in ends) // row.denominator)
            require(load <= limit, f"{where} layer {part.layer} unit {unit}", "expected sums of at most 2^126 on the domain")
            tiny = row.tiny + row.operands * sum(max(-low[v], high[v]) for v in row.sources)
            noise = load * row.gamma[0] // row.gamma[1] + (tiny >> 126) + 2
            low.append(sum(below for below, _ in ends) // row.denominator + row.bias - noise)
            high.append(-(-sum(above for _, above in ends) // row.denominator) + row.bias + noise)
    return [max(-below, above) for below, above in zip(low, high, strict=True)]
