#!/usr/bin/env python3
"""Exact checker of netslicer bundles: one file, Python 3.11 or newer, the standard library, nothing else.

    python3 -I -S check.py BUNDLE [--cells 10%|0-9,17] [--seed N] [--jobs N] [--json FILE]

Exit status: 0 nothing is wrong, 1 rejected, 2 nothing to check. The rules are those of CERTIFICATE.md, to whose
sections the numbers below refer; this file was written from that document alone.

Checked: the manifest and every digest (§7), every file with a meaning in strict canonical form (§8), the parent (§2),
that nothing overflows on the domain (§4), the routing tree (§7), that every member is what the removals give, byte for
byte (§3), and in every cell each closing of the proof tree, and that every path closes every removed unit (§5, §6).
Not checked: that family/parent.json is the network in the source model (`slicer audit` reads the model and compares).

Arithmetic
----------
Floats only carry float32 numbers exactly, choose scales (any scale is sound) and format messages. Bounds are integers.

*Scale.* Unit v has an exponent e and stands for v / 2^e; its bounds are integers in units of 2^-F, rounded outward. A
weight becomes w = floor(weight · 2^(e of source - e) · 2^F), less than one unit too small: the products with sources of
magnitude at most H_j lack less than (sum of H_j) · 2^-F. That, and a unit for the bias, is added to the noise of §4.

*Interval rule.* With m_j = l_j + u_j and g_j = u_j - l_j, twice the sum of w_j v_j differs from the sum of w_j m_j by
at most the sum of abs(w_j) g_j.

*Backward rule.* A batch bounds many rows at once, each a unit or its negative: row <= sum of A v + c. The slots, of S
bits, of one integer P_v hold the coefficients A of v in all rows in units of 2^-F: the sum of P_i w_i is a matrix
product, in units of 2^-2F. `Batch.settle` rounds it down to units of 2^-F: A v loses at most max(u, 0) units of 2^-2F,
which `Batch.error` collects, the same for all rows. Packed integers are plain sums (a negative slot borrows from the
next one). With 2^(S-1) added to every slot none is negative, and shifts and masks work slot by slot: where the sign bit
is set, ``(sign << k) - sign`` is a mask of the k bits below it, which leaves A+ = max(A, 0). Then

    affine   c += A b + abs(A) r = A (b - r) + A+ · 2 r
    relu     (undecided) slope s = floor(u 2^F / (u - l)); c += A+ · ceil((1 - s) u): as s <= u / (u - l), this offset
             is at least -s l too, as §5 asks. The lower line has slope 1 or 0 by the reference rule.
    input    c += max(A l, A u) = A l + A+ (u - l)

and the bound is ceil((c + error) / 2^F). No slot overflows: let p be 1 for an input, max(1, sum of abs(w_j) p_j) for an
affine unit, that of its source for a relu. No coefficient in a row of a unit exceeds its p (slopes are at most 1), but
for the roundings of at most 2^20 settled units, 2^-F p each: 2 max(p) is enough. Likewise q = H for an input,
abs(b) + r + sum of abs(w_j) q_j for an affine unit, twice that of its source for a relu, bounds c, H and every offset.
`Fixed` chooses an S that holds both.

*Completeness.* Every node is bounded afresh by the reference method, with F = 44; if that proves not all, F = 160.
(Only the H beside t is replaced by the constant q, which matters where values are near t = 2^-126.) If bounds of a unit
cross, no execution fulfils the facts, and there is nothing to prove.

*Float32* (§3): a product of two float32 numbers is exact in binary64; a sum or quotient rounded to binary64, which has
53 >= 2 · 24 + 2 bits, then to float32, is correctly rounded (Figueroa 1995). So it is in the subnormal range: there
sums are exact, and a quotient is halfway between two float32 numbers or at least 2^-49 of its size away from that.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import random
import re
import reprlib
import stat
import struct
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from fractions import Fraction
from functools import cache, lru_cache, partial
from itertools import chain, compress
from operator import add, mul, truediv
from typing import Any, BinaryIO, NamedTuple

STATEMENT = (
    "For every vector x of finite float32 numbers in the domain, the member of the cell to which the routing tree sends"
    " x and family/parent.json have equal outputs under eval32 (-0 = 0), and neither meets a NaN or an infinity."
)
NOT_COVERED = (
    "that family/parent.json is the network of the source model (slicer audit reads the model and compares)",
    "inputs outside the domain; FMA, other orders of sums, precisions or rounding modes, flush to zero",
    "compilers and hardware that do not implement IEEE-754 binary32; whether the parent is a good model",
)
NAME, MODELS = "[A-Za-z0-9_-][A-Za-z0-9_.-]*", frozenset(("parent.onnx", "parent.nnet"))
MANIFEST, PARENT, FAMILY = "manifest.json", "family/parent.json", "family/family.json"
CERTIFICATE, MEMBER, SHA256 = "certificates/{:06d}.json", "family/members/{}.json", "[0-9a-f]{64}"
CHANGED = "expected sha256 and size as in the manifest"
MAX_JSON, MAX_FILE = 2**26, 2**34  # bytes of a file that is read, that is only hashed
MAX_NESTING = 32
LARGEST = (2 - 2.0**-23) * 2.0**127  # float32 number
MAX_UNITS = 2**20  # of the network; §4 asks for less than 2^20 sources of a dense unit
MAX_TERMS = 2**24  # numbers in the matrices as which elementwise and add layers are written here
MAX_SLOT = 4096  # bits; S is about 110 for ordinary networks
MAX_WAITING = 2**24  # numbers in the boxes and facts of the open splits of a proof tree
BITS = (44, 160)  # F of the first and of the second attempt
CHUNK = 256  # rows of a batch

Json = Any  # what json.loads gives
Pair = tuple[int, int]  # layer and unit
Box = tuple[tuple[float, ...], tuple[float, ...]]  # lower and upper corner


class Accepted(NamedTuple):
    """A cell whose removals are proved."""

    nodes: int
    closings: int
    removed: int


class Rejected(Exception):
    """What is wrong: (the place: file and what in it; expected / got). A verdict, raised where it is found."""


class UnusableError(Exception):
    """There is nothing to check: no directory, no manifest, another format."""


def require(holds: object, where: str, why: str) -> None:
    """Reject unless something holds."""
    if not holds:
        raise Rejected(where, why)


def digest(data: bytes) -> str:
    """The sha256 of some bytes."""
    return hashlib.sha256(data).hexdigest()


def single(value: float) -> float:
    """The float32 number nearest to a binary64 number, ties to even; OverflowError where that is infinite."""
    return float(struct.unpack("<f", struct.pack("<f", value))[0])


def bits_of(value: float) -> str:
    """A float32 number as eight hexadecimal digits."""
    return struct.pack(">f", value).hex()


# ------------------------------------------------------------------------------------------------ canonical JSON (§8)
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_TO_SQUARE, _NO_BRACKETS = bytes.maketrans(b"{}", b"[]"), bytes(set(range(256)) - set(b"[]{}"))


def canonical(value: Json) -> bytes:
    """The only accepted spelling of a value."""
    return (json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True) + "\n").encode()


def read_json(data: bytes, where: str) -> Field:
    """Decode canonical JSON: bounded nesting, small integers, no other numbers, the same bytes when written again."""
    try:
        value = json.loads(data.decode("ascii"), parse_int=_integer, parse_float=_refuse, parse_constant=_refuse)
        same = canonical(value) == data
    except (ValueError, RecursionError) as error:
        raise Rejected(where, f"expected ASCII JSON: {str(error)[:200]}") from error
    require(same, where, "expected canonical JSON: unique sorted keys, no spaces, one newline at the end")
    brackets = _STRING.sub(b"", data).translate(_TO_SQUARE, _NO_BRACKETS)
    for _ in range(MAX_NESTING):
        brackets = brackets.replace(b"[]", b"")
    require(not brackets, where, f"expected at most {MAX_NESTING} levels of nesting")
    return Field(value, where)


def _integer(text: str) -> int:
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
            raise Rejected(self.where, f"expected {expected}, got {reprlib.repr(self.value)}")

    def record(self, *keys: str, optional: Iterable[str] = ()) -> dict[str, Field]:
        """An object with these keys and no others."""
        self.require(isinstance(self.value, dict), "an object")
        self.require(set(keys) <= set(self.value) <= {*keys, *optional}, f"the keys {[*keys, *optional]}")
        return {key: Field(value, f"{self.where} {key}") for key, value in self.value.items()}

    def items(self, length: int | None = None) -> Iterator[Field]:
        """A list."""
        self.require(isinstance(self.value, list) and length in {None, len(self.value)}, f"a list ({length or 'any'})")
        return (Field(value, f"{self.where}[{k}]") for k, value in enumerate(self.value))

    def integer(self, low: int, high: int) -> int:
        """An integer from low to high (true and false are none)."""
        self.require(type(self.value) is int and low <= self.value <= high, f"an integer from {low} to {high}")
        return int(self.value)

    def equal(self, expected: Json) -> None:
        """The expected value, of the same type."""
        self.require(type(self.value) is type(expected) and self.value == expected, reprlib.repr(expected))

    def text(self, pattern: str = "(?s:.*)") -> str:
        """A text of this pattern."""
        self.require(isinstance(self.value, str) and re.fullmatch(pattern, self.value), f"a text like {pattern}")
        return str(self.value)

    def number(self) -> float:
        """A float32 number as float.hex() writes it."""
        text = self.text(r"-?0x[01]\.[0-9a-f]{1,13}p[+-][0-9]{1,3}")
        value = float.fromhex(text)  # below 2^1000: finite
        self.require(value.hex() == text and abs(value) <= LARGEST and single(value) == value, "a float32 number")
        return value

    def box(self, dimension: int) -> Box:
        """A closed box."""
        fields = self.record("lower", "upper")
        lower, upper = (tuple(entry.number() for entry in fields[key].items(dimension)) for key in ("lower", "upper"))
        self.require(all(map(float.__le__, lower, upper)), "lower <= upper")
        return lower, upper

    def vector(self, length: int) -> tuple[float, ...]:
        """Finite float32 numbers, eight hexadecimal digits each."""
        values = struct.unpack(f">{length}f", bytes.fromhex(self.text(f"[0-9a-f]{{{8 * length}}}")))
        self.require(all(map(math.isfinite, values)), "finite numbers")
        return values

    def units(self, layers: Sequence[Layer]) -> list[Pair]:
        """``[[relu layer, [unit, …]], …]``: layers and units strictly increasing, no empty list of units."""
        pairs: list[Pair] = []
        for entry in self.items():
            first, second = entry.items(2)
            layer = first.integer(pairs[-1][0] + 1 if pairs else 0, len(layers) - 1)
            first.require(layers[layer].kind == "relu", "a relu layer")
            second.require(second.value, "at least one unit")
            unit = -1
            for k in second.items():
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
    weight: Sequence[Sequence[float]] = ()
    constant: Sequence[float] = ()
    reads: Sequence[tuple[Pair, ...]] = ()


def read_parent(file: Field) -> list[Layer]:
    """The layers of ``family/parent.json``."""
    fields = file.record("format", "layers")
    fields["format"].equal("netslicer-network/1")
    layers: list[Layer] = []
    units = 0
    for entry in fields["layers"].items():
        layers.append(_read_layer(entry, layers))
        units += layers[-1].width
        entry.require(layers[-1].width > 0 and units < MAX_UNITS, f"at least one unit, less than {MAX_UNITS} in all")
    fields["layers"].require(layers, "at least one layer")
    return layers


def _read_layer(entry: Field, before: list[Layer]) -> Layer:
    kind = str(entry.value.get("kind")) if isinstance(entry.value, dict) else ""
    entry.require(kind in _KEYS, f"a layer of one of the kinds {sorted(_KEYS)}")
    fields = entry.record("kind", "name", *_KEYS[kind])
    fields["name"].text()
    entry.require((kind == "input") == (not before), "an input as first layer and nowhere else")
    if kind == "input":
        return Layer(kind, fields["width"].integer(1, MAX_UNITS))
    listed = fields["sources"].items() if "sources" in fields else [fields["source"]]
    sources = [source.integer(0, len(before) - 1) for source in listed]
    widths = [before[source].width for source in sources]
    entry.require(sources and sum(widths) < MAX_UNITS, f"at least one source, and less than {MAX_UNITS} units")
    if kind == "dense":
        rows = list(fields["weight"].items())
        weight, bias = [row.vector(widths[0]) for row in rows], fields["bias"].vector(len(rows))
        return Layer(kind, len(rows), source=sources[0], weight=weight, constant=bias)
    if kind == "gather":
        chosen = [index.integer(0, widths[0] - 1) for index in fields["indices"].items()]
        return Layer(kind, len(chosen), "copy", reads=[((sources[0], unit),) for unit in chosen])
    read = [[(source, unit) for unit in range(width)] for source, width in zip(sources, widths, strict=True)]
    if kind == "concat":
        return Layer(kind, sum(widths), "copy", reads=[(pair,) for pair in chain(*read)])
    if kind == "elementwise":
        op, constant = fields["op"].text("add|mul|div"), fields["constant"].vector(widths[0])
        entry.require(op != "div" or min(map(abs, constant)) >= 2.0**-126, "divisors of at least 2^-126")
        return Layer(kind, widths[0], op, constant=constant, reads=[(pair,) for pair in read[0]])
    entry.require(kind == "relu" or widths == [widths[0]] * 2, "two sources of one width")
    return Layer(kind, widths[0], kind, reads=list(zip(*read, strict=True)))


# ------------------------------------------------------------------------------------------------ members (§3)
_OPERATIONS: dict[str, Callable[..., float]] = {
    "add": add, "mul": mul, "div": truediv, "copy": lambda value: value,
    "relu": lambda value: value if value > 0 else 0.0,
}  # fmt: skip
Constants = dict[int, float]  # of a layer, by unit
Prefix = tuple[float, int | None, bool]  # of a dense unit: constant sum, first other term, whether it is recorded


def member_of(layers: Sequence[Layer], parent: str, removed: Iterable[Pair]) -> bytes:
    """The member file that removing (relu layer, unit) pairs gives; OverflowError if a constant is infinite."""
    constants, prefixes = _constants(layers, frozenset(removed))
    rows = []
    for known, begun, needed in zip(constants, prefixes, _needed(layers, constants, prefixes), strict=True):
        dense = [(unit, *begun[unit]) for unit in sorted(needed) if unit in begun]
        rows.append({
            "units": sorted(needed),
            "prefixes": [[unit, first, bits_of(value)] for unit, value, first, recorded in dense if recorded],
            "constants": [[unit, bits_of(known[unit])] for unit, _, first, _ in dense if first is None],
        })  # fmt: skip
    return canonical({"format": "netslicer-member/1", "parent": parent, "layers": rows})


def _constants(layers: Sequence[Layer], removed: frozenset[Pair]) -> tuple[list[Constants], list[dict[int, Prefix]]]:
    """Of every layer the constant units, and the prefixes if it is dense."""
    constants: list[Constants] = []
    prefixes: list[dict[int, Prefix]] = []
    for place, layer in enumerate(layers):
        begun = {unit: _prefix(row, constants[layer.source]) for unit, row in enumerate(layer.weight)}
        known = {k: single(value + layer.constant[k]) for k, (value, first, _) in begun.items() if first is None}
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
                return acc, j, recorded
            if constant:
                acc, recorded = single(acc + single(weight * constant)), True
    return acc, None, False


def _needed(layers: Sequence[Layer], constants: list[Constants], prefixes: list[dict[int, Prefix]]) -> list[set[int]]:
    """The needed units of every layer, found from the last to the first."""
    needed: list[set[int]] = [set() for _ in layers]
    needed[0], needed[-1] = set(range(layers[0].width)), set(range(layers[-1].width))
    for place in range(len(layers) - 1, 0, -1):
        layer, known = layers[place], constants[layers[place].source]
        for unit in needed[place]:
            if layer.kind == "dense":
                row, first = layer.weight[unit], prefixes[place][unit][1]
                terms = range(len(row) if first is None else first, len(row))
                needed[layer.source].update(j for j in terms if row[j] and known.get(j) != 0)
            else:
                for source, k in layer.reads[unit]:
                    needed[source].add(k)
    return needed


# ------------------------------------------------------------------------------------------------ affine units (§4)
class Part(NamedTuple):
    """A layer whose units are numbered on; gather and concat have none: they only give other names to units.

    ``sources``: the units read, one by each unit (relu), all by all (dense), one or two by each (elementwise, add).
    """

    place: int
    layer: Layer
    units: range
    sources: Sequence[int]

    def gamma(self) -> Fraction:
        """The relative error of every term (§4)."""
        n = len(self.sources)
        return Fraction(n + 1, 2**24 - n - 1) if self.layer.kind == "dense" else Fraction(1, 2**24)

    def row(self, k: int) -> tuple[list[Fraction], Fraction, Fraction]:
        """Affine unit k: weight of every source, bias, and the multiple of t = 2^-126 in its error, without H."""
        layer = self.layer
        c = Fraction(layer.constant[k]) if layer.constant else Fraction(0)
        if layer.kind == "dense":
            weights = list(map(Fraction, layer.weight[k]))
            return weights, c, 3 * len(weights) + 3 + sum(map(abs, weights), Fraction(0))
        weight = {"add": Fraction(1), "mul": c, "div": 1 / (c or Fraction(1))}[layer.op]
        own, weights = len(self.sources) // layer.width, [Fraction(0)] * len(self.sources)
        weights[own * k : own * (k + 1)] = [weight] * own
        return weights, *((c, Fraction(3)) if layer.op == "add" else (Fraction(0), 1 + abs(weight)))


def network_parts(layers: Sequence[Layer]) -> list[Part]:
    """The parts in order."""
    parts: list[Part] = []
    names: list[Sequence[int]] = []  # of every layer the numbers of its units
    terms = 0
    for place, layer in enumerate(layers):
        read = names[layer.source] if layer.kind == "dense" else [names[k][unit] for k, unit in chain(*layer.reads)]
        terms += len(read) * layer.width * (layer.kind in {"elementwise", "add"})
        require(terms <= MAX_TERMS, f"{PARENT} layers[{place}]", f"expected at most {MAX_TERMS} terms for this checker")
        if layer.op == "copy":
            names.append(read)
        else:
            first = parts[-1].units.stop if parts else 0
            names.append(range(first, first + layer.width))
            parts.append(Part(place, layer, range(first, first + layer.width), read))
    return parts


def scaled(value: Fraction, shift: int) -> int:
    """Floor of value · 2^shift."""
    return (value.numerator << max(shift, 0)) // (value.denominator << max(-shift, 0))


# ------------------------------------------------------------------------------------------------ bounds (§5)
@lru_cache(maxsize=1024)
def masks(slot: int, bits: int, count: int) -> tuple[int, int, int, int]:
    """For ``count`` slots of S bits, and F: 1 in each, the top bit, the lower S - F bits, the top bit of these."""
    ones = ((1 << slot * count) - 1) // ((1 << slot) - 1)
    return ones, ones << (slot - 1), ones * ((1 << (slot - bits)) - 1), ones << (slot - bits - 1)


def pack(values: Sequence[int], slot: int) -> int:
    """Signed integers, one in each slot."""
    data = b"".join([(value + (1 << (slot - 1))).to_bytes(slot // 8, "little") for value in values])
    return int.from_bytes(data, "little") - masks(slot, 0, len(values))[1]


def unpack(packed: int, slot: int, count: int) -> list[int]:
    """The signed integers in the slots."""
    step, half = slot // 8, 1 << (slot - 1)
    data = (packed + masks(slot, 0, count)[1]).to_bytes(step * count, "little")
    return [int.from_bytes(data[k : k + step], "little") - half for k in range(0, step * count, step)]


class Bounds:
    """Bounds of all units on one box, and the noise of the affine ones, in units of 2^-F."""

    def __init__(self, count: int) -> None:
        self.low, self.high, self.noise = [0] * count, [0] * count, [0] * count


class Batch:
    """Rows being bounded from above: row <= sum over units of A · unit + c."""

    def __init__(self, slot: int, bits: int, rows: Sequence[tuple[int, int]], bounds: Bounds) -> None:
        self.slot, self.bits, self.count, self.bounds = slot, bits, len(rows), bounds
        self.ones, self.top, self.rest, self.half = masks(slot, bits, len(rows))
        self.constant = self.error = 0  # packed c; an error that is the same for all rows: units of 2^-2F
        self.pending: dict[int, int] = {}  # unit -> packed coefficients, units of 2^-2F
        for k, (unit, sign) in enumerate(rows):
            self.add(unit, sign << (2 * bits + slot * k))

    def add(self, unit: int, packed: int) -> None:
        """Add to a unit's coefficients."""
        self.pending[unit] = self.pending[unit] + packed if unit in self.pending else packed

    def settle(self, unit: int) -> tuple[int, int]:
        """Take a unit's coefficients A in units of 2^-F, rounded down: packed A and A+."""
        shift = self.slot - self.bits - 1
        raised = (self.pending.pop(unit) + self.top) >> self.bits & self.rest
        sign = raised >> shift & self.ones  # 1 where A >= 0
        self.error += max(self.bounds.high[unit], 0)
        return raised - self.half, raised & ((sign << shift) - sign)

    def upper(self) -> list[int]:
        """The rows' upper bounds, when only inputs have coefficients."""
        for unit in list(self.pending):
            low, high = self.bounds.low[unit], self.bounds.high[unit]
            value, positive = self.settle(unit)
            self.constant += value * low + positive * (high - low)
        return [-(-(constant + self.error) >> self.bits) for constant in unpack(self.constant, self.slot, self.count)]


class Relu:
    """Units that are relu of their sources."""

    def __init__(self, part: Part) -> None:
        self.units, self.sources = part.units, part.sources

    def interval(self, bounds: Bounds) -> None:
        """The source's interval, cut at 0."""
        for unit, source in zip(self.units, self.sources, strict=True):
            low, high = bounds.low[source], bounds.high[source]
            bounds.low[unit], bounds.high[unit] = (max(low, 0), high) if high > 0 else (0, 0)

    def eliminate(self, batch: Batch) -> None:
        """Replace every unit by a line above it where A > 0, below it where A < 0."""
        for unit, source in zip(self.units, self.sources, strict=True):
            if unit not in batch.pending:
                continue
            low, high = batch.bounds.low[source], batch.bounds.high[source]
            if high <= 0:
                del batch.pending[unit]
            elif low >= 0:
                batch.add(source, batch.pending.pop(unit))
            else:
                value, positive = batch.settle(unit)
                slope = (high << batch.bits) // (high - low)
                batch.constant += positive * (high - (slope * high >> batch.bits))
                below = (value - positive) << batch.bits if 1024 * high >= -1000 * low else 0
                batch.add(source, positive * slope + below)


class Affine:
    """Affine units; ``columns[k]`` are their weights of source k, in units of 2^-F like bias and tiny."""

    def __init__(self, part: Part, slot: int, bits: int, rows: Sequence[tuple[list[int], int, int]]) -> None:
        self.units, self.sources, self.slot, self.bits = part.units, part.sources, slot, bits
        weights, self.bias, tiny = zip(*rows, strict=True)
        self.columns = list(zip(*weights, strict=True))
        self.gamma = scaled(part.gamma(), bits) + 1
        self.packed = [pack(column, slot) for column in self.columns]
        self.sized = [pack(list(map(abs, column)), slot) for column in self.columns]
        self.packed_bias, self.packed_tiny = pack(self.bias, slot), pack(tiny, slot)
        self.sized_bias = pack(list(map(abs, self.bias)), slot)

    def load(self, bounds: Bounds) -> tuple[int, int]:
        """Packed, rounded up: abs(bias) + sum of abs(weight) · H; and the error of rounded weights and bias."""
        ones, _, rest, _ = masks(self.slot, self.bits, len(self.units))
        sizes = [max(-bounds.low[source], bounds.high[source]) for source in self.sources]
        extra = ((sum(sizes) >> self.bits) + 3) * ones
        return (sum(map(mul, self.sized, sizes)) >> self.bits & rest) + self.sized_bias + extra, extra

    def interval(self, bounds: Bounds) -> None:
        """The interval rule; slot i is unit i."""
        F, slot, count = self.bits, self.slot, len(self.units)
        load, extra = self.load(bounds)
        noise = (load * self.gamma >> F & masks(slot, F, count)[2]) + extra + self.packed_tiny
        sides = [(bounds.low[source], bounds.high[source]) for source in self.sources]
        middle = sum(map(mul, self.packed, [low + high for low, high in sides]))
        spread = sum(map(mul, self.sized, [high - low for low, high in sides]))
        ones, top, rest, half = masks(slot, F + 1, count)
        above = ((middle + spread + top) >> (F + 1) & rest) - half + ones + self.packed_bias + noise
        below = ((middle - spread + top) >> (F + 1) & rest) - half + self.packed_bias - noise
        for side, packed in ((bounds.low, below), (bounds.high, above), (bounds.noise, noise)):
            side[self.units.start : self.units.stop] = unpack(packed, slot, count)

    def eliminate(self, batch: Batch) -> None:
        """Replace the units by their affine functions and noise: a matrix product."""
        bounds, values = batch.bounds, [0] * len(self.units)
        for k, unit in enumerate(self.units):
            if unit in batch.pending:
                values[k], positive = batch.settle(unit)
                noise = bounds.noise[unit]
                batch.constant += values[k] * (self.bias[k] - noise) + positive * (2 * noise)
        present = list(filter(None, values))
        for source, column in zip(self.sources, self.columns, strict=True) if present else ():
            if bounds.low[source] or bounds.high[source]:
                batch.add(source, sum(map(mul, present, compress(column, values))))


class Unit(NamedTuple):
    """The scale of a unit, and p and q of the docstring (q in units of 2^-F)."""

    exponent: int
    p: int
    q: int


class Fixed:
    """The network in fixed point, ready for bounds on any box in the domain; rejects what may overflow on it (§4)."""

    def __init__(self, parts: Sequence[Part], domain: Box, bits: int) -> None:
        self.bits = bits
        sizes = [max(abs(low), abs(high)) for low, high in zip(*domain, strict=True)]
        self.units = [Unit(math.frexp(size)[1], 1, 2 << bits) for size in sizes]
        rows = [[self._append(part, k) for k in range(part.layer.width)] for part in parts[1:]]
        wide = max(max(unit.p.bit_length(), unit.q.bit_length() - bits) for unit in self.units)
        self.slot = (2 * bits + wide + 11) // 8 * 8
        require(self.slot <= MAX_SLOT, PARENT, "expected a network less deep, or of less different weights")
        self.blocks = [
            Relu(part) if part.layer.kind == "relu" else Affine(part, self.slot, bits, own)
            for part, own in zip(parts[1:], rows, strict=True)
        ]
        self.place = [place for place, part in enumerate(parts) for _ in part.units]  # 0: input, 1: blocks[0], …
        switched = {source for part in parts if part.layer.kind == "relu" for source in part.sources}
        self.switches = [[unit for unit in part.units if unit in switched] for part in parts]  # sources of relus
        require(max(sizes) <= 2.0**126, f"{FAMILY} domain", "expected corners of at most 2^126")
        self._check_overflow(self._set(domain))

    def _append(self, part: Part, k: int) -> tuple[list[int], int, int]:
        """Scale the next unit, an affine one by the root of the sum of its squared terms; its weights, bias, tiny."""
        if part.layer.kind == "relu":
            source = self.units[part.sources[k]]
            self.units.append(source._replace(q=2 * source.q))
            return [], 0, 0
        weights, bias, tiny = part.row(k)
        sources = [self.units[source] for source in part.sources]
        norm = math.hypot(bias, *(math.ldexp(w, unit.exponent) for w, unit in zip(weights, sources, strict=True)))
        exponent = max(min(math.frexp(norm)[1], 128), -149)
        shift = self.bits - exponent
        fixed = [scaled(weight, shift + unit.exponent) for weight, unit in zip(weights, sources, strict=True)]
        tiny += sum(unit.q * Fraction(2) ** (unit.exponent - self.bits) for unit in compress(sources, weights))
        fixed_bias, fixed_tiny = scaled(bias, shift), scaled(tiny, shift - 126) + 1
        sizes = [abs(weight) + 1 for weight in fixed]
        p, q = (sum(map(mul, sizes, column)) >> self.bits for column in list(zip(*sources, strict=True))[1:])
        q += abs(fixed_bias) + 4
        q += q // 4 + fixed_tiny + 4  # the noise is at most q / 8, and rounding
        self.units.append(Unit(exponent, p + 1, q))
        return fixed, fixed_bias, fixed_tiny

    def _set(self, box: Box) -> Bounds:
        """Bounds of the inputs."""
        bounds = Bounds(len(self.units))
        for k, (low, high) in enumerate(zip(*box, strict=True)):
            shift = self.bits - self.units[k].exponent
            bounds.low[k], bounds.high[k] = scaled(Fraction(low), shift), -scaled(-Fraction(high), shift)
        return bounds

    def _check_overflow(self, bounds: Bounds) -> None:
        """The interval rule on the domain: no sum may exceed 2^126."""
        for block in self.blocks:
            loads = unpack(block.load(bounds)[0], self.slot, len(block.units)) if isinstance(block, Affine) else ()
            for unit, load in zip(block.units, loads, strict=False):
                fits = load <= 1 << max(126 + self.bits - self.units[unit].exponent, 0)
                require(fits, PARENT, f"expected sums of at most 2^126 on the domain, not so in its unit {unit}")
            block.interval(bounds)

    def bounds(self, box: Box, facts: Iterable[Claim], claims: Sequence[Claim]) -> Bounds | None:
        """Bounds on a box, given facts, as far as claims need them; None if they cross: nothing fulfils the facts."""
        bounds = self._set(box)
        low, high, known = bounds.low, bounds.high, {(fact.source, fact.sign) for fact in facts}
        last = max(self.place[claim.source] for claim in claims)
        for place in range(last + 1):
            if place:
                self.blocks[place - 1].interval(bounds)
            for unit in self.switches[place]:
                if (unit, -1) in known:
                    high[unit] = min(high[unit], 0)
                if (unit, 1) in known:
                    low[unit] = max(low[unit], 0)
            self._tighten(bounds, place, claims if place == last else None)
            if any(low[unit] > high[unit] for unit in self.switches[place]):
                return None
        return bounds

    def unproved(self, box: Box, facts: Iterable[Claim], claims: Sequence[Claim]) -> list[tuple[Claim, float]]:
        """The claims that the bounds do not prove, with these bounds."""
        bounds = self.bounds(box, facts, claims)
        if bounds is None:
            return []
        ends = [(claim, (bounds.high if claim.sign < 0 else bounds.low)[claim.source]) for claim in claims]
        return [(c, math.ldexp(end, self.units[c.source].exponent - self.bits)) for c, end in ends if end * c.sign < 0]

    def _tighten(self, bounds: Bounds, place: int, claims: Sequence[Claim] | None) -> None:
        """The backward rule for a block: all its undecided units, or only what the claims need."""
        low, high = bounds.low, bounds.high
        if claims is None:
            rows = [(unit, sign) for unit in self.switches[place] if low[unit] < 0 < high[unit] for sign in (1, -1)]
        else:
            rows = sorted({(c.source, -c.sign) for c in claims if self.place[c.source] == place})
            rows = [(unit, sign) for unit, sign in rows if (high[unit] > 0 if sign > 0 else low[unit] < 0)]
        for chunk in (rows[k : k + CHUNK] for k in range(0, len(rows), CHUNK)):
            batch = Batch(self.slot, self.bits, chunk, bounds)
            for block in reversed(self.blocks[:place]):
                block.eliminate(batch)
            for (unit, sign), value in zip(chunk, batch.upper(), strict=True):
                if sign > 0:
                    high[unit] = min(high[unit], value)
                else:
                    low[unit] = max(low[unit], -value)


# ------------------------------------------------------------------------------------------------ certificates (§6)
class Claim(NamedTuple):
    """A closing: unit of a relu layer, its source in the network, -1 (inactive: <= 0) or 1 (active: >= 0)."""

    layer: int
    unit: int
    source: int
    sign: int


class Node(NamedTuple):
    """A node of the proof: its place, its box, the facts there, and what it claims."""

    where: str
    box: Box
    facts: tuple[Claim, ...]
    claims: list[Claim]


def proof_nodes(tree: Field, box: Box, removed: Sequence[Pair], bundle: Bundle) -> Iterator[Node]:
    """Walk a proof tree in preorder; its form is checked, and that every path closes the removed units."""
    waiting: list[tuple[Box, tuple[Claim, ...]]] = [(box, ())]
    for node in tree.items():
        node.require(waiting, "no node after the last leaf")
        (lower, upper), facts = waiting.pop()
        split = ("axis", "threshold") if isinstance(node.value, dict) and "axis" in node.value else ()
        fields = node.record(*split, optional=("inactive", "active"))
        phases = [(fields[key], sign) for key, sign in (("inactive", -1), ("active", 1)) if key in fields]
        for listed, _ in phases:
            listed.require(listed.value, "a list that is left out rather than empty")
        claims = [Claim(*pair, bundle.sources[pair], sign) for f, sign in phases for pair in f.units(bundle.layers)]
        closed = [(claim.layer, claim.unit) for claim in (*facts, *claims)]
        node.require(len(set(closed)) == len(closed), "no unit closed twice on one path")
        yield Node(node.where, (lower, upper), facts, claims)
        facts = (*facts, *claims) if claims else facts
        if split:
            axis, threshold = fields["axis"].integer(0, len(lower) - 1), fields["threshold"].number()
            fields["threshold"].require(lower[axis] <= threshold <= upper[axis], "a number in the node's box")
            low, high = cut((lower, upper), axis, threshold)
            waiting += [(high, facts), (low, facts)]
            node.require(len(waiting) * (len(lower) + len(facts)) < MAX_WAITING, "a tree less deep")
        else:
            missing = set(removed).difference((claim.layer, claim.unit) for claim in facts if claim.sign < 0)
            node.require(not missing, f"all removed units closed on the path to this leaf, not {sorted(missing)[:1]}")
    tree.require(not waiting, "both children of every split")


def cut(box: Box, axis: int, threshold: float) -> tuple[Box, Box]:
    """The low and the high part of a closed box; both have the threshold."""
    lower, upper = box
    low = lower, (*upper[:axis], threshold, *upper[axis + 1 :])
    return low, ((*lower[:axis], threshold, *lower[axis + 1 :]), upper)


# ------------------------------------------------------------------------------------------------ the bundle (§7)
def open_file(root: str, path: str, limit: int) -> BinaryIO:
    """Open a regular file of limited size, following no link, without waiting for a pipe."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        file = os.fdopen(os.open(f"{root}/{path}", flags), "rb")
    except (OSError, ValueError) as error:
        raise Rejected(path, f"expected a readable file: {type(error).__name__}") from error
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode) or status.st_size > limit:
        file.close()
        raise Rejected(path, f"expected a file of at most {limit} bytes")
    return file


def check_files(root: str, entries: dict[str, tuple[str, int]]) -> None:
    """Reject unlisted, absent and changed files, links, devices, and directories without listed files."""
    folders = {path[:k] for path in entries for k, letter in enumerate(path) if letter == "/"}
    missing, queue = set(entries), [""]
    while queue:
        prefix = queue.pop()
        with os.scandir(f"{root}/{prefix}") as listing:
            for entry in listing:
                path = prefix + entry.name
                where = repr(path)[:200]
                if entry.is_dir(follow_symlinks=False):
                    require(path in folders, where, "a directory without listed files")
                    queue.append(f"{path}/")
                elif path != MANIFEST:
                    require(path in entries, where, "a file that the manifest does not list")
                    require(entry.is_file(follow_symlinks=False), where, "a link or a device")
                    with open_file(root, path, MAX_FILE) as file:
                        found = hashlib.file_digest(file, "sha256").hexdigest(), file.tell()  # type: ignore[arg-type] # has readinto
                    require(found == entries[path], where, CHANGED)
                    missing.remove(path)
    require(not missing, str(sorted(missing)[:1])[:200], "listed in the manifest, but absent")


def manifest_bytes(root: str) -> bytes:
    """The manifest, if this is a bundle of the known format at all."""
    try:
        with open_file(root, MANIFEST, MAX_JSON) as file:
            data = file.read(MAX_JSON)
        manifest = read_json(data, MANIFEST)
        known = isinstance(manifest.value, dict) and manifest.value.get("format") == "netslicer-bundle/1"
        manifest.require(known, "the format netslicer-bundle/1")
    except Rejected as error:
        raise UnusableError(f"{root}: {': '.join(error.args)}") from error
    return data


def read_manifest(file: Field) -> dict[str, tuple[str, int]]:
    """(sha256, size) of the listed files by path."""
    fields = file.record("format", "mode", "source", "options", "tools", "truncated", "files")
    fields["mode"].equal("bitwise")
    for key, kind in (("truncated", bool), ("options", dict), ("tools", dict)):
        fields[key].require(isinstance(fields[key].value, kind), f"a value of type {kind.__name__}")
    entries: dict[str, tuple[str, int]] = {}
    before = ""
    for entry in fields["files"].items():
        row = entry.record("path", "sha256", "size")
        path = row["path"].text()
        plain = re.fullmatch(f"{NAME}(?:/{NAME})*", path)
        row["path"].require(plain and before < path != MANIFEST, "increasing plain relative paths, not the manifest")
        entries[path], before = (row["sha256"].text(SHA256), row["size"].integer(0, MAX_FILE)), path
    models = {fields["source"].text("parent[.](onnx|nnet)")}
    fields["source"].require(models == MODELS.intersection(entries), "a listed file, the one model")
    return entries


def cell_boxes(tree: Field, domain: Box) -> list[Box]:
    """The closed boxes of the cells in their order; checks the routing tree."""
    boxes: list[Box] = []
    waiting = [(0, domain)]
    for k, node in enumerate(tree.items()):
        node.require(waiting and waiting[-1][0] == k, "this node where its parent says")
        _, (lower, upper) = waiting.pop()
        if isinstance(node.value, dict) and "cell" in node.value:
            node.record("cell")["cell"].equal(len(boxes))
            boxes.append((lower, upper))
            continue
        fields = node.record("axis", "threshold", "low", "high")
        axis, threshold = fields["axis"].integer(0, len(lower) - 1), fields["threshold"].number()
        fields["threshold"].require(lower[axis] <= threshold < upper[axis], "a number in the box, not its upper end")
        fields["low"].equal(k + 1)
        low, high = cut((lower, upper), axis, threshold)
        waiting += [(fields["high"].integer(k + 2, len(tree.value)), high), (k + 1, low)]
    tree.require(not waiting, "both children of every split")
    return boxes


class Bundle:
    """A bundle whose manifest, files, parent and family are in order; its cells are still to be checked."""

    def __init__(self, root: str) -> None:
        self.root = root
        data = manifest_bytes(root)
        self.digest, self.entries = digest(data), read_manifest(read_json(data, MANIFEST))
        check_files(root, self.entries)
        content = self.read(PARENT)
        self.parent, self.layers = digest(content), read_parent(read_json(content, PARENT))
        self._read_family(read_json(self.read(FAMILY), FAMILY))
        parts = network_parts(self.layers)
        relus = [part for part in parts if part.layer.kind == "relu"]
        self.sources = {(part.place, k): source for part in relus for k, source in enumerate(part.sources)}
        self.fixed = cache(partial(Fixed, parts, self.domain))
        self.fixed(BITS[0])

    def read(self, path: str) -> bytes:
        """The content of a listed file, if it has the listed size and digest."""
        with open_file(self.root, path, MAX_JSON) as file:
            data = file.read(MAX_JSON)
        require(self.entries.get(path) == (digest(data), len(data)), path, CHANGED)
        return data

    def _read_family(self, file: Field) -> None:
        fields = file.record("format", "mode", "parent", "domain", "tree", "members", "cells")
        for key, value in (("format", "netslicer-family/1"), ("mode", "bitwise"), ("parent", self.parent)):
            fields[key].equal(value)
        self.domain = fields["domain"].box(self.layers[0].width)
        self.boxes = cell_boxes(fields["tree"], self.domain)
        members, used = [member.text(SHA256) for member in fields["members"].items()], 0
        self.members: list[str] = []  # by cell
        for cell in fields["cells"].items(len(self.boxes)):
            position = cell.integer(0, min(used, len(members) - 1))
            used = max(used, position + 1)
            self.members.append(members[position])
        once = used == len(members) == len(set(members))
        fields["members"].require(once, "every member once, used, in the order of first cells")
        files = {PARENT, FAMILY, *map(CERTIFICATE.format, range(len(self.boxes))), *map(MEMBER.format, members)}
        odd = sorted(files ^ {path for path in self.entries if path.startswith(("family/", "certificates/"))})
        require(not odd, str(odd[:1])[:200], "expected a certificate for each cell, a file for each member, no others")

    def check_cell(self, cell: int) -> Accepted:
        """Check a cell's certificate and member; raises Rejected."""
        where, file = CERTIFICATE.format(cell), MEMBER.format(self.members[cell])
        certificate = read_json(self.read(where), where)
        fields = certificate.record("format", "mode", "cell", "box", "parent", "member", "removed", "tree")
        values = ("netslicer-certificate/1", "bitwise", cell, self.parent, self.members[cell])
        for key, value in zip(("format", "mode", "cell", "parent", "member"), values, strict=True):
            fields[key].equal(value)
        box, removed = fields["box"].box(len(self.domain[0])), fields["removed"].units(self.layers)
        fields["box"].require(box == self.boxes[cell], "the box that the routing tree gives")
        try:
            member = member_of(self.layers, self.parent, removed)
        except OverflowError as error:
            raise Rejected(file, "a constant overflows float32") from error
        same = member == self.read(file) and digest(member) == self.members[cell]
        require(same, file, f"expected the member that the removals of {where} give")
        nodes = closings = 0
        for node in proof_nodes(fields["tree"], box, removed, self):
            self._prove(node)
            nodes, closings = nodes + 1, closings + len(node.claims)
        return Accepted(nodes, closings, len(removed))

    def _prove(self, node: Node) -> None:
        """Prove the claims of a node."""
        unproved: list[tuple[Claim, float]] = []
        for bits in BITS if node.claims else ():
            unproved = self.fixed(bits).unproved(node.box, node.facts, node.claims)
            if not unproved:
                return
        for claim, bound in unproved:
            phase, limit = ("inactive", "an upper bound <= 0") if claim.sign < 0 else ("active", "a lower bound >= 0")
            why = f"expected {limit}, got {bound:.6g}; not proved: {len(unproved)} of {len(node.claims)} closings"
            raise Rejected(f"{node.where} {phase}: relu layer {claim.layer} unit {claim.unit}", why)


# ------------------------------------------------------------------------------------------------ the report
@lru_cache(maxsize=1)
def _bundle(root: str, manifest: str) -> Bundle:
    """The bundle in this process; workers inherit or open it."""
    bundle = Bundle(root)
    require(bundle.digest == manifest, MANIFEST, "changed while it was being checked")
    return bundle


def _verdict(root: str, manifest: str, cell: int) -> Accepted | Rejected:
    """Check one cell, in any process."""
    try:
        return _bundle(root, manifest).check_cell(cell)
    except Rejected as verdict:
        return verdict


def choose_cells(spec: str, total: int, seed: int) -> list[int]:
    """Cells of a specification: ``10%`` (a seeded sample, at least one) or ``0-9,17``."""
    if match := re.fullmatch(r"([0-9]{1,3}(?:[.][0-9]{1,6})?)%", spec):
        count = min(total, max(1, math.ceil(total * float(match[1]) / 100)))
        return sorted(random.Random(seed).sample(range(total), count))  # noqa: S311 - reproducible, no secret
    cells: set[int] = set()
    for part in spec.split(","):
        match = re.fullmatch("([0-9]{1,9})(?:-([0-9]{1,9}))?", part.strip())
        if not match or not int(match[1]) <= int(match[2] or match[1]) < total:
            raise UnusableError(f"--cells: expected 10% or cells below {total} such as 0-9,17, got {spec!r:.60}")
        cells.update(range(int(match[1]), int(match[2] or match[1]) + 1))
    return sorted(cells)


def check_bundle(root: str, spec: str | None, seed: int, jobs: int) -> dict[str, Json]:
    """Check a bundle. The report has the same keys for every outcome and does not depend on ``jobs``."""
    counts = dict.fromkeys(("cells", "checked", "accepted", "rejected", "nodes", "closings", "removed"), 0)
    report: dict[str, Json] = {"format": "netslicer-check/1", "outcome": "rejected", "proved": None, "parent": None}
    report |= {"bundle": digest(manifest_bytes(root)), **counts, "not_covered": list(NOT_COVERED), "findings": []}
    _bundle.cache_clear()  # of an earlier call
    try:
        bundle = _bundle(root, report["bundle"])
    except Rejected as error:
        report["findings"].append({"cell": None, "where": error.args[0], "why": error.args[1]})
        return report
    total = len(bundle.boxes)
    cells = range(total) if spec is None else choose_cells(spec, total, seed)
    with ProcessPoolExecutor(jobs) as pool:  # starts processes only when it is used
        run = map if jobs == 1 else pool.map
        for cell, verdict in zip(cells, run(partial(_verdict, root, bundle.digest), cells), strict=True):
            report["checked"] += 1
            if isinstance(verdict, Accepted):
                report |= {key: report[key] + value for key, value in verdict._asdict().items()}
            else:
                report["findings"].append({"cell": cell, "where": verdict.args[0], "why": verdict.args[1]})
            if sys.stderr.isatty():
                end = "\n" if report["checked"] == len(cells) else ""
                sys.stderr.write(f"\rcells {report['checked']}/{len(cells)} {end}")
    rejected = len(report["findings"])
    report |= {"parent": bundle.parent, "cells": total, "rejected": rejected, "accepted": len(cells) - rejected}
    if not rejected:
        report |= {"outcome": "accepted", "proved": STATEMENT} if len(cells) == total else {"outcome": "no objection"}
    return report


def report_text(report: dict[str, Json]) -> str:
    """The report for people."""
    lines = ["outcome     {outcome}", "bundle      {bundle}", "parent      {parent}",
             "cells       {cells}: {checked} checked, {accepted} accepted, {rejected} rejected",
             "removed     {removed} units, by {closings} closings in {nodes} nodes"]  # fmt: skip
    lines = [line.format(**report) for line in lines]
    lines += [f"finding     {finding['where']}: {finding['why']}" for finding in report["findings"][:20]]
    lines += ["proved      " + (report["proved"] or "nothing: only all cells without a finding prove the claim")]
    lines += [f"not covered {text}" for text in report["not_covered"]]
    return "\n".join([*lines, ""]).encode("ascii", "backslashreplace").decode()


def main(argv: Sequence[str] | None = None) -> int:
    """Check the bundle that the command line names; return the exit status."""
    exits = "Exit status: 0 nothing is wrong, 1 rejected, 2 nothing to check."
    parser = argparse.ArgumentParser(description="Exact checker of netslicer bundles.", epilog=exits)
    parser.add_argument("bundle", help="the bundle's directory")
    parser.add_argument("--cells", metavar="SPEC", help="some cells only: 10%% (a random sample) or 0-9,17")
    parser.add_argument("--seed", type=int, default=0, help="of the sample (default 0)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: all cores)")
    parser.add_argument("--json", metavar="FILE", help="also write the report as JSON")
    arguments = parser.parse_args(argv)
    try:
        report = check_bundle(arguments.bundle, arguments.cells, arguments.seed, max(arguments.jobs, 1))
        if arguments.json:
            with open(arguments.json, "wb") as file:  # noqa: PTH123 - pathlib would serve for nothing else
                file.write(canonical(report))
    except (UnusableError, OSError, MemoryError, BrokenProcessPool) as error:
        sys.stderr.write(ascii(f"stopped: {error or type(error).__name__}")[1:-1] + "\n")
        return 2
    sys.stdout.write(report_text(report))
    return 1 if report["outcome"] == "rejected" else 0


if __name__ == "__main__":
    sys.exit(main())
