#!/usr/bin/env python3
"""Exact checker of netslicer bundles: one file, the standard library, nothing else (Python 3.11 or newer).

    python3 -I -S check.py BUNDLE [--cells 10%|0-9,17] [--seed N] [--jobs N] [--json FILE]

Exit status: 0 nothing is wrong, 1 rejected, 2 there is no bundle that could be checked. The rules are those of
CERTIFICATE.md (section numbers below refer to it); this file was written from that document alone.

What is checked
---------------
The manifest and every digest (§7), every file that has meaning in strict canonical form (§8), the parent network (§2), that
nothing overflows on the domain (§4), the routing tree (§7), that every member is what the removals give, byte for byte (§3),
and in every cell every closing of the proof tree and the coverage of its removed units on every path (§5, §6).
Not checked: that ``family/parent.json`` is the network in ``parent.onnx`` or ``parent.nnet`` (``slicer audit`` reads the
model again and compares); further listed files beyond their digests; what §1 lists as not claimed.

Arithmetic
----------
Floating-point numbers only carry float32 values exactly, choose scales (any scale is sound) and format messages. Bounds are
Python integers. All of them bound the noisy network of §4, so all errors below are simply added to its noise.

*Scale.* Unit v has an exponent d_v and stands for v / 2^d_v; bounds of it are integers in units of 2^-F: lower bounds are
rounded down, upper bounds up. A weight becomes w~ = floor(w 2^(d_j - d_i) 2^F), so it is less than one unit too small, and
the products with sources of magnitude H_j are less than sum_j H_j units of 2^-2F too small: `extra` in `Affine.noise`.

*Interval rule.* With m = l + u and d = u - l of the sources, 2 sum_j w~_j v_j is in sum_j w~_j m_j -+ sum_j |w~_j| d_j.

*Backward rule.* A batch bounds many rows, each one unit of a layer or its negative, at once. Slot r of the integer
P_v = sum_r A_r 2^(r S) is row r's coefficient of unit v, in units of 2^-F. So sum_i P_i w~_i is a matrix product, one big
integer for all rows, in units of 2^-2F. `Batch.settle` rounds the sum down to units of 2^-F: the coefficient loses less
than one unit and A v at most max(u, 0) of these, which `Batch.error` collects; the same for every row. Signed slots are plain sums
(a negative slot borrows from the next); adding 2^(S-1) to every slot makes them all non-negative, so shifts and masks work slot
by slot. The positive part of a slot is the slot where its sign bit says so: `(sign << k) - sign` is the mask. Then

    affine   c += A b + |A| r = A (b - r) + A+ (2 r)
    relu     undecided, slope s = floor(u / (u - l)) in units of 2^-F, c += A+ o with o = ceil((1 - s) u). As s is at most
             u / (u - l), o is also at least -s l, which is what §5 asks for. Below: lower slope 1 or 0 by the reference rule
    input    c += max(A l, A u) = A l + A+ (u - l)

A row's upper bound is the ceiling of (c + error) / 2^F. Slots are wide enough: S bits hold twice the sum over all paths of
|w~| (it bounds every coefficient, as no slope exceeds 1) and twice the sum over all paths of |w~| (|b| + r + o + H), on the domain.

*Completeness.* Bounds are those of the reference method, computed from scratch in every node, with an error of about 2^-F.
A node that is not proved with F = 44 is tried again with F = 160.

*Float32 emulation* (members, §3). A product of two float32 numbers is exact in binary64. A sum, a product or a quotient rounded to
binary64 (53 >= 2 24 + 2 bits) and then to binary32 is the correctly rounded one (Figueroa 1995), also where it is
subnormal: sums are exact there, and a quotient cannot come closer than 2^-49, relatively, to a point halfway.

Limits
------
Hostile files end in a reasoned rejection. Time is linear in the size of the bundle's files times that of the network. Refused: JSON files
above 256 MiB or nested more than 32 deep, others above 16 GiB, integers beyond 15 digits, networks of more than 2^20 units.
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
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from operator import itemgetter, lshift, mul
from typing import Any, NamedTuple, NoReturn

STATEMENT = (
    "For every vector x of finite float32 numbers in the domain, the member of the cell to which the routing tree sends x and the parent "
    "family/parent.json give equal outputs under eval32 (IEEE-754 equality, -0 = 0), and neither meets a NaN or an infinity."
)
NOT_COVERED = (
    "that family/parent.json is the network of the source model (slicer audit reads the model again and compares)",
    "inputs outside the domain; evaluation with FMA, another order of sums, another precision or rounding mode, flush to zero",
    "compilers and hardware that do not implement IEEE-754 binary32; whether the parent is a good model",
    "files without meaning for the proof, beyond their digests",
)

MAX_JSON, MAX_FILE = 2**28, 2**34  # bytes
MAX_DEPTH = 32  # nesting of JSON
MAX_UNITS = 2**20  # of the network; §4 asks for less than 2^20 inputs of a dense unit
MAX_SLOT = 4096  # bits
BITS = (44, 160)  # F of the first and of the second attempt
CHUNK = 256  # rows of a batch: integers stay in the processor's cache
Q = 149  # every float32 number is an integer in units of 2^-149
TINY = 126  # t = 2^-126 (§4)


# ---------------------------------------------------------------------------------------------------- verdicts


@dataclass(frozen=True, slots=True)
class Accepted:
    """A cell whose removals are all proved: nodes of its tree, closings verified, units removed."""

    nodes: int
    closings: int
    removed: int


@dataclass(frozen=True, slots=True)
class Rejected:
    """What is wrong: the place (file and what in it), and expected / got."""

    where: str
    why: str


class RejectError(Exception):
    """Carries a rejection from the place that found it."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(where, why)
        self.verdict = Rejected(where, why)


class UnusableError(Exception):
    """There is nothing to check: no directory, no manifest, another format, or no memory."""


def reject(where: str, why: str) -> NoReturn:
    """Stop with a rejection."""
    raise RejectError(where, why)


def require(condition: bool, where: str, why: str) -> None:  # noqa: FBT001 - the condition is the subject
    """Reject unless the condition holds."""
    if not condition:
        raise RejectError(where, why)


# ---------------------------------------------------------------------------------------------------- canonical JSON (§8)

_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_BRACKETS = bytes.maketrans(b"{}", b"[]")
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
Json = Any  # what json.loads gives: checked before use, key by key


def canonical(value: Json) -> bytes:
    """The only accepted spelling of a value."""
    return (json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True) + "\n").encode()


def read_json(data: bytes, where: str) -> Json:
    """Decode canonical JSON: bounded nesting, no floating-point literals, the same bytes when written again."""
    brackets = _STRING.sub(b"", data).translate(_BRACKETS, _NOT_BRACKETS)
    for _ in range(MAX_DEPTH):
        brackets = brackets.replace(b"[]", b"")
    require(not brackets, where, f"expected balanced brackets, nested at most {MAX_DEPTH} deep")
    try:
        value = json.loads(data.decode("ascii"), parse_float=_refuse, parse_constant=_refuse, parse_int=_integer)
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError are ValueErrors
        reject(where, f"expected JSON: {str(error)[:200]}")
    require(
        canonical(value) == data,
        where,
        "expected canonical JSON (sorted unique keys, no spaces, one newline at the end)",
    )
    return value


def _refuse(text: str) -> NoReturn:
    raise ValueError(f"floating-point literal {text[:40]}")


def _integer(text: str) -> int:
    if len(text) > 16:  # 15 digits and a sign
        raise ValueError(f"integer of {len(text)} characters")
    return int(text)


def record(value: Json, where: str, required: Iterable[str], optional: Iterable[str] = ()) -> dict[str, Json]:
    """A JSON object with the required keys and no unknown ones."""
    require(isinstance(value, dict), where, "expected an object")
    missing, unknown = set(required) - set(value), set(value) - set(required) - set(optional)
    require(not missing, where, f"expected the keys {sorted(missing)}")
    require(not unknown, where, f"unknown keys {sorted(unknown)[:5]}"[:200])
    result: dict[str, Json] = value
    return result


def items(value: Json, where: str) -> list[Json]:
    """A JSON list."""
    require(isinstance(value, list), where, "expected a list")
    result: list[Json] = value
    return result


def integer(value: Json, where: str, low: int, high: int) -> int:
    """An integer in [low, high]; true and false are none."""
    require(
        type(value) is int and low <= value <= high,
        where,
        f"expected an integer from {low} to {high}, got {value!r:.60}",
    )
    result: int = value
    return result


def equal(value: Json, expected: Json, where: str) -> None:
    """Reject another value (or type) than the expected one."""
    require(
        type(value) is type(expected) and value == expected, where, f"expected {expected!r:.100}, got {value!r:.100}"
    )


def is_digest(value: Json) -> bool:
    """Whether this is a sha256 in lower-case hexadecimal digits."""
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None


def digest(data: bytes) -> str:
    """The sha256 of some bytes."""
    return hashlib.sha256(data).hexdigest()


# ---------------------------------------------------------------------------------------------------- float32 numbers


def single(value: float) -> float:
    """The float32 number nearest to a binary64 number, ties to even; OverflowError beyond the largest one."""
    result: float = struct.unpack("<f", struct.pack("<f", value))[0]
    return result


def number(value: Json, where: str) -> float:
    """A finite float32 number written as Python's `float.hex` writes it."""
    with suppress(ValueError, OverflowError):
        if isinstance(value, str) and len(value) <= 32:
            result = float.fromhex(value)
            if math.isfinite(result) and result.hex() == value and single(result) == result:
                return result
    reject(where, f"expected a float32 number as float.hex() writes it, got {value!r:.60}")


def vector(value: Json, where: str, length: int | None = None) -> tuple[float, ...]:
    """Finite float32 numbers of eight hexadecimal digits each, in one text."""
    require(
        isinstance(value, str) and re.fullmatch("(?:[0-9a-f]{8})*", value) is not None,
        where,
        "expected hex digits, eight per number",
    )
    count = len(value) // 8
    require(length is None or count == length, where, f"expected {length} numbers, got {count}")
    result = struct.unpack(f">{count}f", bytes.fromhex(value))
    require(all(map(math.isfinite, result)), where, "expected finite numbers")
    return result


def bits_of(value: float) -> str:
    """A float32 number as eight hexadecimal digits."""
    return struct.pack(">f", value).hex()


def in_quanta(value: float) -> int:
    """A float32 number, exactly, in units of 2^-149."""
    return int(math.ldexp(value, Q))


def numbers(value: Json, where: str, length: int) -> tuple[float, ...]:
    """A list of float32 numbers."""
    values = items(value, where)
    require(len(values) == length, where, f"expected {length} numbers, got {len(values)}")
    return tuple(number(entry, f"{where}[{k}]") for k, entry in enumerate(values))


Box = tuple[tuple[float, ...], tuple[float, ...]]  # lower and upper corner


def read_box(value: Json, where: str, dimension: int) -> Box:
    """A closed box with lower <= upper."""
    fields = record(value, where, ("lower", "upper"))
    lower, upper = (numbers(fields[key], f"{where}.{key}", dimension) for key in ("lower", "upper"))
    for axis, (low, high) in enumerate(zip(lower, upper, strict=True)):
        require(low <= high, f"{where} axis {axis}", f"expected lower <= upper, got {low} > {high}")
    return lower, upper


# ---------------------------------------------------------------------------------------------------- the parent (§2)

_KEYS = {
    "input": {"width"},
    "dense": {"source", "weight", "bias"},
    "elementwise": {"source", "op", "constant"},
    "relu": {"source"},
    "gather": {"source", "indices"},
    "concat": {"sources"},
    "add": {"sources"},
}


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer of the parent; fields that its kind does not have are empty.

    ``weight`` is [width][source width]; ``constant`` also holds the bias of a dense layer.
    """

    kind: str
    width: int
    sources: tuple[int, ...] = ()
    weight: tuple[tuple[float, ...], ...] = ()
    constant: tuple[float, ...] = ()
    op: str = ""
    indices: tuple[int, ...] = ()


def read_parent(data: bytes, where: str) -> tuple[Layer, ...]:
    """The layers of ``family/parent.json``."""
    fields = record(read_json(data, where), where, ("format", "layers"))
    equal(fields["format"], "netslicer-network/1", f"{where} format")
    layers: list[Layer] = []
    units = 0
    for place, entry in enumerate(items(fields["layers"], where)):
        layer = _read_layer(entry, f"{where} layer {place}", layers)
        units += layer.width
        require(layer.width > 0, f"{where} layer {place}", "expected at least one unit")
        require(units < MAX_UNITS, f"{where} layer {place}", f"expected less than {MAX_UNITS} units in all")
        layers.append(layer)
    require(len(layers) > 0, where, "expected at least one layer")
    return tuple(layers)


def _read_layer(entry: Json, where: str, before: list[Layer]) -> Layer:
    """One layer, given those before it."""
    kind = entry.get("kind") if isinstance(entry, dict) else None
    require(isinstance(kind, str) and kind in _KEYS, where, f"expected one of the kinds {sorted(_KEYS)}")
    fields = record(entry, where, _KEYS[kind] | {"kind", "name"})
    require(isinstance(fields["name"], str), where, "expected a text as name")
    require((kind == "input") == (not before), where, "expected the input as first layer and nowhere else")
    if kind == "input":
        return Layer(kind, integer(fields["width"], f"{where} width", 1, MAX_UNITS - 1))
    listed = items(fields["sources"], where) if "sources" in fields else [fields["source"]]
    sources = tuple(integer(source, f"{where} source", 0, len(before) - 1) for source in listed)
    widths = [before[source].width for source in sources]
    if kind == "dense":
        rows = items(fields["weight"], where)
        weight = tuple(vector(row, f"{where} weight {i}", widths[0]) for i, row in enumerate(rows))
        return Layer(kind, len(rows), sources, weight, vector(fields["bias"], f"{where} bias", len(rows)))
    if kind == "elementwise":
        op, constant = fields["op"], vector(fields["constant"], f"{where} constant", widths[0])
        require(op in ("add", "mul", "div"), f"{where} op", f"expected add, mul or div, got {op!r:.60}")
        require(op != "div" or min(map(abs, constant)) >= 2.0**-TINY, where, "expected divisors of at least 2^-126")
        return Layer(kind, widths[0], sources, (), constant, op)
    if kind == "gather":
        indices = items(fields["indices"], where)
        chosen = tuple(integer(index, f"{where} indices", 0, widths[0] - 1) for index in indices)
        return Layer(kind, len(chosen), sources, indices=chosen)
    if kind == "concat":
        return Layer(kind, sum(widths), sources)
    require(kind == "relu" or (len(widths) == 2 and widths[0] == widths[1]), where, "expected two sources of one width")
    return Layer(kind, widths[0], sources)


# ---------------------------------------------------------------------------------------------------- members (§3)

Constants = dict[int, float]  # by unit of a layer


class Prefix(NamedTuple):
    """The constant beginning of a dense unit: its sum, the first other term (None: no other), whether it is recorded."""

    value: float
    first: int | None
    recorded: bool


def _prefix(row: Sequence[float], constants: Constants) -> Prefix:
    """Sum the terms of a dense unit in order, as long as they are constant (a zero term changes no bit)."""
    acc, recorded = 0.0, False
    for j, weight in enumerate(row):
        if weight:
            constant = constants.get(j)
            if constant is None:
                return Prefix(acc, j, recorded)
            if constant:
                acc, recorded = single(acc + single(weight * constant)), True
    return Prefix(acc, None, recorded)


def _elementwise(op: str, value: float, constant: float) -> float:
    """One declared elementwise operation."""
    if op == "add":
        return single(value + constant)
    return single(value * constant) if op == "mul" else single(value / constant)


def _sources_of(layer: Layer, layers: Sequence[Layer], unit: int) -> list[tuple[int, int]]:
    """(layer, unit) that a unit of a layer other than dense reads."""
    if layer.kind == "gather":
        return [(layer.sources[0], layer.indices[unit])]
    if layer.kind == "concat":
        for source in layer.sources:
            if unit < layers[source].width:
                return [(source, unit)]
            unit -= layers[source].width
    return [(source, unit) for source in layer.sources]


def _constants(layers: Sequence[Layer], removed: Sequence[set[int]]) -> tuple[list[Constants], list[dict[int, Prefix]]]:
    """Constant units of every layer, and the prefixes of the units of the dense ones."""
    constants: list[Constants] = []
    prefixes: list[dict[int, Prefix]] = []
    for place, layer in enumerate(layers):
        known: Constants = {}
        begun: dict[int, Prefix] = {}
        for unit in range(layer.width if layer.kind != "input" else 0):
            if layer.kind == "dense":
                prefix = begun[unit] = _prefix(layer.weight[unit], constants[layer.sources[0]])
                if prefix.first is None:
                    known[unit] = single(prefix.value + layer.constant[unit])
                continue
            values = [constants[source].get(j) for source, j in _sources_of(layer, layers, unit)]
            if layer.kind == "relu" and unit in removed[place]:
                known[unit] = 0.0
            elif None not in values:
                known[unit] = _apply(layer, unit, [value for value in values if value is not None])
        constants.append(known)
        prefixes.append(begun)
    return constants, prefixes


def _apply(layer: Layer, unit: int, values: list[float]) -> float:
    """The declared evaluation of a unit (not dense, not input)."""
    if layer.kind == "relu":
        return values[0] if values[0] > 0 else 0.0
    if layer.kind == "elementwise":
        return _elementwise(layer.op, values[0], layer.constant[unit])
    return single(values[0] + values[1]) if layer.kind == "add" else values[0]


def _needed(layers: Sequence[Layer], constants: list[Constants], prefixes: list[dict[int, Prefix]]) -> list[set[int]]:
    """Needed units of every layer, from the last to the first."""
    needed: list[set[int]] = [set() for _ in layers]
    needed[0], needed[-1] = set(range(layers[0].width)), set(range(layers[-1].width))
    for place in range(len(layers) - 1, 0, -1):
        layer = layers[place]
        for unit in needed[place]:
            if layer.kind != "dense":
                for source, j in _sources_of(layer, layers, unit):
                    needed[source].add(j)
                continue
            first, row, source = prefixes[place][unit].first, layer.weight[unit], layer.sources[0]
            if first is not None:
                known = constants[source]
                needed[source].update(j for j in range(first, len(row)) if row[j] and known.get(j) != 0)
    return needed


def member_of(layers: Sequence[Layer], parent: str, removed: Iterable[tuple[int, int]], where: str) -> bytes:
    """The member file that the removed units (relu layer, unit) give."""
    by_layer: list[set[int]] = [set() for _ in layers]
    for place, unit in removed:
        by_layer[place].add(unit)
    try:
        constants, prefixes = _constants(layers, by_layer)
    except OverflowError:
        reject(where, "a constant of the member overflows float32")
    rows = []
    for known, begun, units in zip(constants, prefixes, _needed(layers, constants, prefixes), strict=True):
        dense = [(unit, begun[unit]) for unit in sorted(units) if unit in begun]
        rows.append({
            "units": sorted(units),
            "prefixes": [[unit, p.first, bits_of(p.value)] for unit, p in dense if p.recorded and p.first is not None],
            "constants": [[unit, bits_of(known[unit])] for unit, p in dense if p.first is None],
        })  # fmt: skip
    return canonical({"format": "netslicer-member/1", "parent": parent, "layers": rows})


# ---------------------------------------------------------------------------------------------------- exact network (§4)


class Row(NamedTuple):
    """An affine unit: (sum of weights · sources) / denominator + bias, and what §4 says of its error.

    Weights and bias are exact integers; bias and ``tiny`` in units of 2^-149. The error is at most
    gamma · (abs(bias) + sum of abs(weight) · H) + tiny · t, plus t · (sum of H) where ``tiny_sources`` is 1.
    """

    sources: Sequence[int]
    weights: Sequence[int]
    denominator: int
    bias: int
    gamma: tuple[int, int]
    tiny: int
    tiny_sources: int


class Part(NamedTuple):
    """Units ``first``, ``first + 1``, … of the network in which gather and concat are mere names of units.

    A part is an input (no rows, no sources), a relu (its sources) or affine (its rows).
    """

    layer: int
    first: int
    width: int
    sources: Sequence[int]
    rows: Sequence[Row]
    dense: bool


def network_parts(layers: Sequence[Layer]) -> tuple[list[Part], list[list[int]]]:
    """The parts in order, and for every layer the unit of the network that each of its units is."""
    parts: list[Part] = []
    names: list[list[int]] = []
    count = 0
    for place, layer in enumerate(layers):
        if layer.kind in ("gather", "concat"):
            pairs = (_sources_of(layer, layers, unit)[0] for unit in range(layer.width))
            names.append([names[source][unit] for source, unit in pairs])
            continue
        read = [names[source] for source in layer.sources]
        rows = _rows(layer, read) if layer.kind in ("dense", "elementwise", "add") else []
        parts.append(
            Part(place, count, layer.width, read[0] if layer.kind == "relu" else (), rows, layer.kind == "dense")
        )
        names.append(list(range(count, count + layer.width)))
        count += layer.width
    return parts, names


def _rows(layer: Layer, read: list[list[int]]) -> list[Row]:
    """The affine units of a layer whose source layers are the given units."""
    if layer.kind == "dense":
        n = len(read[0])
        return [
            _dense_row(read[0], weights, bias, n) for weights, bias in zip(layer.weight, layer.constant, strict=True)
        ]
    u, one = (1, 2**24), 1 << Q
    if layer.kind == "add":
        return [Row(pair, (1, 1), 1, 0, u, 3 * one, 0) for pair in zip(*read, strict=True)]
    rows = []
    for source, constant in zip(read[0], map(in_quanta, layer.constant), strict=True):
        if layer.op == "add":
            rows.append(Row((source,), (1,), 1, constant, u, 3 * one, 0))
        elif layer.op == "mul":
            rows.append(Row((source,), (constant,), one, 0, u, one + abs(constant), 1))
        else:  # 1 / c with the sign in the numerator
            numerator = one if constant > 0 else -one
            rows.append(Row((source,), (numerator,), abs(constant), 0, u, one + 1 + one * one // abs(constant), 0))
    return rows


def _dense_row(sources: list[int], weights: Sequence[float], bias: float, n: int) -> Row:
    """A dense unit with n sources: gamma_(n+1), and (2 n + 3 + sum of abs(w)) t + t · sum of H."""
    exact = list(map(in_quanta, weights))
    gamma = (n + 1, 2**24 - n - 1)
    return Row(sources, exact, 1 << Q, in_quanta(bias), gamma, ((2 * n + 3) << Q) + sum(map(abs, exact)), 1)


def domain_magnitudes(parts: Sequence[Part], domain: Box, where: str) -> list[int]:
    """H of every unit on the domain by the interval rule, in units of 2^-149; rejects a possible overflow (§4)."""
    limit = 1 << (TINY + Q)
    lows, highs = ([in_quanta(x) for x in corner] for corner in domain)
    require(
        all(abs(x) <= limit for x in lows + highs),
        "family/family.json domain",
        "expected corners of at most 2^126 in magnitude",
    )
    for part in parts[1:]:
        for source in part.sources:
            lows.append(max(lows[source], 0))
            highs.append(max(highs[source], 0))
        for unit, row in enumerate(part.rows):
            low, high, load, tiny = _unit_interval(row, lows, highs)
            require(
                load <= limit,
                f"{where} layer {part.layer} unit {unit}",
                "expected sums of at most 2^126 in magnitude on the domain",
            )
            noise = load * row.gamma[0] // row.gamma[1] + (tiny >> TINY) + 2
            lows.append(low - noise)
            highs.append(high + noise)
    return [max(-low, high) for low, high in zip(lows, highs, strict=True)]


def _unit_interval(row: Row, lows: list[int], highs: list[int]) -> tuple[int, int, int, int]:
    """Interval without noise, load (abs(bias) + sum of abs(w) H) and multiple of t in the noise, all rounded outward."""
    low = high = load = 0
    tiny = row.tiny
    for source, weight in zip(row.sources, row.weights, strict=True):
        below, above = lows[source] * weight, highs[source] * weight
        low, high = low + min(below, above), high + max(below, above)
        load += max(abs(below), abs(above))
        tiny += max(-lows[source], highs[source]) * row.tiny_sources
    return (
        low // row.denominator + row.bias,
        -(-high // row.denominator) + row.bias,
        -(-load // row.denominator) + abs(row.bias),
        tiny,
    )


# ---------------------------------------------------------------------------------------------------- bounds (§5)


class Layout(NamedTuple):
    """Masks for a number of slots."""

    ones: int  # 1 in every slot
    bias: int  # the top bit of every slot
    mask: int  # the lower S - F bits of every slot
    half: int  # the top bit of these


@lru_cache(maxsize=1024)
def layout(slot: int, bits: int, count: int) -> Layout:
    """The masks of ``count`` slots of ``slot`` bits for rounding off ``bits`` bits."""
    ones = ((1 << slot * count) - 1) // ((1 << slot) - 1)
    return Layout(ones, ones << (slot - 1), ones * ((1 << (slot - bits)) - 1), ones << (slot - bits - 1))


def unpack(packed: int, slot: int, count: int) -> list[int]:
    """The signed slots of a packed integer."""
    step, half = slot // 8, 1 << (slot - 1)
    data = (packed + layout(slot, 0, count).bias).to_bytes(step * count, "little")
    return [int.from_bytes(data[k : k + step], "little") - half for k in range(0, step * count, step)]


def pack(values: Iterable[int], slot: int) -> int:
    """Signed integers, one in each slot."""
    return sum(value << slot * k for k, value in enumerate(values))


def pick(chosen: Sequence[int]) -> Callable[[Sequence[int]], Sequence[int]]:
    """A function that takes the chosen entries of a sequence."""
    if len(chosen) == 1:
        return lambda values: (values[chosen[0]],)
    return itemgetter(*chosen) if chosen else lambda values: ()


class Bounds:
    """Bounds of all units on one box, and the noise of the affine ones, in units of 2^-F."""

    def __init__(self, count: int) -> None:
        self.low, self.high, self.noise = [0] * count, [0] * count, [0] * count

    def live(self, units: Sequence[int]) -> list[int]:
        """Places in a list of units of those that are not exactly zero."""
        return [k for k, unit in enumerate(units) if self.low[unit] or self.high[unit]]


class Batch:
    """Rows being bounded from above: row <= sum over units of A · unit + c."""

    def __init__(self, slot: int, bits: int, count: int, bounds: Bounds) -> None:
        self.slot, self.bits, self.count, self.bounds = slot, bits, count, bounds
        self.layout = layout(slot, bits, count)
        self.pending: dict[int, int] = {}  # unit -> packed coefficients in units of 2^-2F
        self.constant = 0  # packed, in units of 2^-2F
        self.error = 0  # the same for all rows, in units of 2^-2F

    def add(self, unit: int, packed: int) -> None:
        """Add to a unit's coefficients."""
        self.pending[unit] = self.pending[unit] + packed if unit in self.pending else packed

    def settle(self, unit: int) -> tuple[int, int]:
        """Take a unit's coefficients, rounded down to units of 2^-F: (all, the positive ones)."""
        shift = self.slot - self.bits - 1
        biased = (self.pending.pop(unit) + self.layout.bias) >> self.bits & self.layout.mask
        sign = biased >> shift & self.layout.ones  # 1 where the coefficient is not negative
        self.error += max(self.bounds.high[unit], 0)
        return biased - self.layout.half, biased & ((sign << shift) - sign)

    def upper(self) -> list[int]:
        """The rows' upper bounds, when nothing is pending."""
        return [-(-(constant + self.error) >> self.bits) for constant in unpack(self.constant, self.slot, self.count)]


class Inputs:
    """The units of the input layer; `Fixed.unproved` sets their bounds."""

    def __init__(self, part: Part) -> None:
        self.units = range(part.first, part.first + part.width)

    def interval(self, bounds: Bounds) -> None:
        """Nothing to do."""

    def eliminate(self, batch: Batch) -> None:
        """Take the maximum over the box."""
        for unit in filter(batch.pending.__contains__, self.units):
            low, high = batch.bounds.low[unit], batch.bounds.high[unit]
            value, positive = batch.settle(unit)
            batch.constant += value * low + positive * (high - low)


class Relu:
    """Units that are relu of their sources."""

    def __init__(self, part: Part, bits: int) -> None:
        self.units, self.sources, self.bits = range(part.first, part.first + part.width), part.sources, bits

    def interval(self, bounds: Bounds) -> None:
        """[0, 0] where the source is at most 0, else its interval cut at 0."""
        for unit, source in zip(self.units, self.sources, strict=True):
            low, high = bounds.low[source], bounds.high[source]
            bounds.low[unit], bounds.high[unit] = (max(low, 0), high) if high > 0 else (0, 0)

    def eliminate(self, batch: Batch) -> None:
        """Replace every unit by lines above and below it."""
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
                slope = (high << self.bits) // (high - low)
                batch.constant += positive * (high - (slope * high >> self.bits))
                lower_line = (value - positive) << self.bits if 1024 * high >= 1000 * -low else 0
                batch.add(source, positive * slope + lower_line)


class Affine:
    """Affine units (elementwise, add): few terms each. ``rows`` are the scaled terms (source, weight) of each unit."""

    def __init__(self, part: Part, scaled: Scaled, bits: int) -> None:
        self.units, self.bits = range(part.first, part.first + part.width), bits
        self.rows = [
            list(zip(row.sources, scaled.weights[unit], strict=True))
            for unit, row in zip(self.units, part.rows, strict=True)
        ]
        self.bias = [scaled.bias[unit] for unit in self.units]
        self.tiny = [scaled.tiny[unit] for unit in self.units]
        self.gamma = -(-(part.rows[0].gamma[0] << bits) // part.rows[0].gamma[1])

    def interval(self, bounds: Bounds) -> None:
        """The interval rule."""
        low, high, F = bounds.low, bounds.high, self.bits
        for unit, row, bias, tiny in zip(self.units, self.rows, self.bias, self.tiny, strict=True):
            below = sum(weight * (low if weight > 0 else high)[source] for source, weight in row)
            above = sum(weight * (high if weight > 0 else low)[source] for source, weight in row)
            magnitudes = [max(-low[source], high[source]) for source, _ in row]
            extra = (sum(magnitudes) >> F) + 1
            load = sum(abs(weight) * magnitude for (_, weight), magnitude in zip(row, magnitudes, strict=True)) >> F
            bounds.noise[unit] = noise = ((load + abs(bias) + extra + 2) * self.gamma >> F) + extra + 2 + tiny
            low[unit], high[unit] = (below >> F) + bias - noise, -(-above >> F) + bias + noise

    def eliminate(self, batch: Batch) -> None:
        """Replace every unit by its affine function and its noise."""
        for unit, row, bias in zip(self.units, self.rows, self.bias, strict=True):
            if unit in batch.pending:
                value, positive = batch.settle(unit)
                noise = batch.bounds.noise[unit]
                batch.constant += value * (bias - noise) + positive * (2 * noise)
                for source, weight in row:
                    batch.add(source, value * weight)


class Dense:
    """Dense units: all read the same sources. ``columns[k]`` are the units' scaled weights of source k."""

    def __init__(self, part: Part, scaled: Scaled, bits: int) -> None:
        self.units, self.bits, self.slot = range(part.first, part.first + part.width), bits, scaled.slot
        self.sources = part.rows[0].sources
        self.columns = list(zip(*(scaled.weights[unit] for unit in self.units), strict=True))
        self.bias = [scaled.bias[unit] for unit in self.units]
        self.gamma = -(-(part.rows[0].gamma[0] << bits) // part.rows[0].gamma[1])
        self.packed = [pack(column, self.slot) for column in self.columns]
        self.packed_abs = [pack(map(abs, column), self.slot) for column in self.columns]
        self.packed_bias = pack(self.bias, self.slot)
        self.packed_abs_bias = pack(map(abs, self.bias), self.slot)
        self.packed_tiny = pack((scaled.tiny[unit] for unit in self.units), self.slot)

    def interval(self, bounds: Bounds) -> None:
        """The interval rule for all units at once: slot i is unit i."""
        places, F, slot, count = bounds.live(self.sources), self.bits, self.slot, len(self.units)
        lows, highs = ([side[self.sources[k]] for k in places] for side in (bounds.low, bounds.high))
        magnitudes = [max(-low, high) for low, high in zip(lows, highs, strict=True)]
        chosen = pick(places)
        weights, absolute = chosen(self.packed), chosen(self.packed_abs)
        middle = sum(map(mul, weights, [low + high for low, high in zip(lows, highs, strict=True)]))
        spread = sum(map(mul, absolute, [high - low for low, high in zip(lows, highs, strict=True)]))
        rounding, halving = layout(slot, F, count), layout(slot, F + 1, count)
        extra = (sum(magnitudes) >> F) + 1
        load = (
            (sum(map(mul, absolute, magnitudes)) >> F & rounding.mask)
            + self.packed_abs_bias
            + (extra + 2) * rounding.ones
        )
        noise = (load * self.gamma >> F & rounding.mask) + self.packed_tiny + (extra + 2) * rounding.ones
        above = ((middle + spread + halving.bias) >> (F + 1) & halving.mask) - halving.half + halving.ones
        below = ((middle - spread + halving.bias) >> (F + 1) & halving.mask) - halving.half
        span = slice(self.units.start, self.units.stop)
        bounds.noise[span] = unpack(noise, slot, count)
        bounds.high[span] = unpack(above + self.packed_bias + noise, slot, count)
        bounds.low[span] = unpack(below + self.packed_bias - noise, slot, count)

    def eliminate(self, batch: Batch) -> None:
        """Replace the units by their affine functions and noise: a matrix product."""
        present = [k for k, unit in enumerate(self.units) if unit in batch.pending]
        if not present:
            return
        values = []
        for k in present:
            value, positive = batch.settle(self.units[k])
            noise = batch.bounds.noise[self.units[k]]
            batch.constant += value * (self.bias[k] - noise) + positive * (2 * noise)
            values.append(value)
        chosen = pick(present)
        for k in batch.bounds.live(self.sources):
            batch.add(self.sources[k], sum(map(mul, values, chosen(self.columns[k]))))

    def start(self, batch: Batch, uppers: list[int], lowers: list[int]) -> None:
        """What `eliminate` does to the rows +unit (of uppers), then -unit (of lowers), without any rounding."""
        plus, minus, F, first = pick(uppers), pick(lowers), batch.bits, self.units.start
        places = [batch.slot * row for row in range(batch.count)]
        behind = batch.slot * len(uppers)
        for k in batch.bounds.live(self.sources):
            packed = sum(map(lshift, plus(self.columns[k]), places))
            negated = packed if lowers == uppers else sum(map(lshift, minus(self.columns[k]), places))
            batch.add(self.sources[k], (packed - (negated << behind)) << F)
        noise = batch.bounds.noise
        ends = [self.bias[k] + noise[first + k] for k in uppers] + [noise[first + k] - self.bias[k] for k in lowers]
        batch.constant += pack(ends, batch.slot) << F


class Scaled:
    """Scales, weights, bias and constant noise of all units in units of 2^-F, and the slot width."""

    def __init__(self, parts: Sequence[Part], magnitudes: Sequence[int], bits: int) -> None:
        self.exponent: list[int] = []
        self.weights: dict[int, list[int]] = {}
        self.bias: dict[int, int] = {}
        self.tiny: dict[int, int] = {}
        self._paths: list[
            int
        ] = []  # at least the sum over all paths to a unit of the product of abs(weight), rounded up
        self._reach: list[int] = []  # at least every |c| and every |interval| of a unit, in units of 2^-F
        for part in parts:
            for k in range(part.width):
                unit = part.first + k
                if part.rows:
                    self._affine(unit, part.rows[k], magnitudes, bits)
                elif part.sources:
                    self._like(part.sources[k], magnitudes[unit], bits)
                else:
                    self.exponent.append(_exponent(magnitudes[unit]))
                    self._paths.append(1)
                    self._reach.append(2 << bits)
        wide = max(max(self._paths).bit_length(), max(self._reach).bit_length() - bits)
        self.slot = -(-(2 * bits + wide + 4) // 8) * 8
        require(
            self.slot <= MAX_SLOT,
            "family/parent.json",
            "the magnitudes of its weights differ too much for this checker",
        )

    def _like(self, source: int, magnitude: int, bits: int) -> None:
        """A relu unit has its source's scale; its line adds an offset of at most the magnitude."""
        self.exponent.append(self.exponent[source])
        self._paths.append(self._paths[source])
        self._reach.append(self._reach[source] + _scaled(magnitude, 1, bits - self.exponent[source] - Q) + 2)

    def _affine(self, unit: int, row: Row, magnitudes: Sequence[int], bits: int) -> None:
        """Scale a unit by the smaller of its magnitude and the root of the sum of squares of its terms."""
        terms = [
            math.ldexp(w / row.denominator, self.exponent[v]) for w, v in zip(row.weights, row.sources, strict=True)
        ]
        size = math.frexp(math.hypot(math.ldexp(row.bias, -Q), *terms))[1]
        exponent = max(min(size, _exponent(magnitudes[unit])), -Q)
        shift = bits - exponent
        weights = [
            _scaled(w, row.denominator, shift + self.exponent[v]) for w, v in zip(row.weights, row.sources, strict=True)
        ]
        tiny = row.tiny + row.tiny_sources * sum(magnitudes[v] for v in row.sources)
        self.exponent.append(exponent)
        self.weights[unit], self.bias[unit] = weights, _scaled(row.bias, 1, shift - Q)
        self.tiny[unit] = _scaled(tiny, 1, shift - Q - TINY) + 1
        sizes = [abs(weight) + 1 for weight in weights]
        self._paths.append(max(1, (sum(map(mul, sizes, [self._paths[v] for v in row.sources])) >> bits) + 1))
        reach = (sum(map(mul, sizes, [self._reach[v] for v in row.sources])) >> bits) + abs(self.bias[unit]) + 4
        self._reach.append(reach + reach // 4 + self.tiny[unit] + 4)  # gamma is below 1/8


def _exponent(magnitude: int) -> int:
    """The least d, at least -149, with magnitude (in units of 2^-149) below 2^d."""
    return max(magnitude.bit_length() - Q, -Q)


def _scaled(numerator: int, denominator: int, shift: int) -> int:
    """Floor of numerator / denominator · 2^shift."""
    return (numerator << shift) // denominator if shift >= 0 else numerator // (denominator << -shift)


class Unproved(NamedTuple):
    """A closing that does not hold by the bounds: its place in the list of claims and the offending bound."""

    claim: int
    bound: float


Claim = tuple[int, int]  # unit of the network, -1 (at most 0) or +1 (at least 0)


class Fixed:
    """The network in fixed point, ready for bounds on any box in the domain."""

    def __init__(self, parts: Sequence[Part], magnitudes: Sequence[int], bits: int) -> None:
        scaled = Scaled(parts, magnitudes, bits)
        self.bits, self.slot, self.exponent = bits, scaled.slot, scaled.exponent
        self.count = len(magnitudes)
        self.blocks: list[Inputs | Relu | Affine | Dense] = []
        self.block_of: list[int] = []
        for place, part in enumerate(parts):
            self.block_of.extend([place] * part.width)
            if part.rows:
                self.blocks.append((Dense if part.dense else Affine)(part, scaled, bits))
            else:
                self.blocks.append(Relu(part, bits) if part.sources else Inputs(part))
        read = {source for part in parts for source in part.sources}
        self.switches = [[unit for unit in block.units if unit in read] for block in self.blocks]

    def unproved(self, box: Box, facts: Iterable[Claim], claims: Sequence[Claim]) -> list[Unproved]:
        """The claims that the bounds on a box, given facts, do not prove."""
        bounds = Bounds(self.count)
        self._set_box(bounds, box)
        last = max(self.block_of[unit] for unit, _ in claims)
        inactive = {unit for unit, sign in facts if sign < 0}
        active = {unit for unit, sign in facts if sign > 0}
        for place, block in enumerate(self.blocks[: last + 1]):
            block.interval(bounds)
            switches = self.switches[place]
            for unit in switches:
                if unit in inactive:
                    bounds.high[unit] = min(bounds.high[unit], 0)
                if unit in active:
                    bounds.low[unit] = max(bounds.low[unit], 0)
            if place < last:
                uppers = lowers = [unit for unit in switches if bounds.low[unit] < 0 < bounds.high[unit]]
            else:
                mine = [(unit, sign) for unit, sign in claims if self.block_of[unit] == place]
                uppers = sorted({unit for unit, sign in mine if sign < 0 < bounds.high[unit]})
                lowers = sorted({unit for unit, sign in mine if bounds.low[unit] < 0 < sign})
            self._tighten(bounds, place, uppers, lowers)
        found = []
        for k, (unit, sign) in enumerate(claims):
            bound = bounds.high[unit] if sign < 0 else bounds.low[unit]
            if bound * sign < 0:
                found.append(Unproved(k, math.ldexp(bound, self.exponent[unit] - self.bits)))
        return found

    def _set_box(self, bounds: Bounds, box: Box) -> None:
        """The input's bounds."""
        for unit, (low, high) in enumerate(zip(*box, strict=True)):
            shift = self.bits - self.exponent[unit] - Q
            bounds.low[unit], bounds.high[unit] = (
                _scaled(in_quanta(low), 1, shift),
                -_scaled(-in_quanta(high), 1, shift),
            )

    def _tighten(self, bounds: Bounds, place: int, uppers: list[int], lowers: list[int]) -> None:
        """Tighten the upper and the lower bounds of some units of a block by the backward rule."""
        results: list[tuple[int, int, int]] = []  # (unit, sign, upper bound of sign · unit)
        for start in range(0, max(len(uppers), len(lowers)), CHUNK // 2):
            some, others = uppers[start : start + CHUNK // 2], lowers[start : start + CHUNK // 2]
            values = self._backward(bounds, place, some, others)
            results.extend(zip(some + others, [1] * len(some) + [-1] * len(others), values, strict=True))
        for unit, sign, value in results:
            if sign > 0:
                bounds.high[unit] = min(bounds.high[unit], value)
            else:
                bounds.low[unit] = max(bounds.low[unit], -value)

    def _backward(self, bounds: Bounds, place: int, uppers: list[int], lowers: list[int]) -> list[int]:
        """Upper bounds of +unit for the uppers and of -unit for the lowers."""
        batch, block = Batch(self.slot, self.bits, len(uppers) + len(lowers), bounds), self.blocks[place]
        if isinstance(block, Dense):
            first = block.units.start
            block.start(batch, [unit - first for unit in uppers], [unit - first for unit in lowers])
        else:
            for row, (unit, sign) in enumerate([(unit, 1) for unit in uppers] + [(unit, -1) for unit in lowers]):
                batch.add(unit, sign << (2 * self.bits + self.slot * row))
            block.eliminate(batch)
        for earlier in reversed(self.blocks[:place]):
            earlier.eliminate(batch)
        return batch.upper()


# ---------------------------------------------------------------------------------------------------- certificates (§6)

UnitLists = list[tuple[int, int]]  # (relu layer, unit), increasing


def unit_lists(value: Json, where: str, layers: Sequence[Layer]) -> UnitLists:
    """``[[relu layer, [unit, …]], …]``: layers and units strictly increasing, no empty list of units."""
    result: UnitLists = []
    before = -1
    for entry in items(value, where):
        require(isinstance(entry, list) and len(entry) == 2, where, "expected pairs [layer, units]")
        place = integer(entry[0], f"{where} layer", before + 1, len(layers) - 1)
        require(layers[place].kind == "relu", where, f"expected a relu layer, got layer {place}")
        units = items(entry[1], where)
        require(len(units) > 0, where, f"expected units of layer {place}")
        last = -1
        for unit in units:
            last = integer(unit, f"{where} unit of layer {place}", last + 1, layers[place].width - 1)
            result.append((place, last))
        before = place
    return result


class Closing(NamedTuple):
    """A claim of a node: unit of a relu layer, the source unit in the network, and -1 (inactive) or +1 (active)."""

    layer: int
    unit: int
    source: int
    sign: int


class Step(NamedTuple):
    """A node of the proof: its number, box, facts (those on the way to it) and claims."""

    node: int
    box: Box
    facts: list[Closing]
    claims: list[Closing]


class Split(NamedTuple):
    """An open split on the way to the current node; ``facts`` counts those known to both children."""

    axis: int
    lower: float
    upper: float
    threshold: float
    facts: int
    in_high: bool


class Path:
    """Where a walk of a proof tree in preorder stands: box, facts, open splits, and removed units not closed yet."""

    def __init__(self, box: Box, removed: UnitLists) -> None:
        self.lower, self.upper = list(box[0]), list(box[1])
        self.removed, self.missing = frozenset(removed), set(removed)
        self.facts: list[Closing] = []
        self.closed: set[tuple[int, int]] = set()
        self.splits: list[Split] = []

    def close(self, claims: list[Closing], where: str) -> None:
        """Turn the current node's claims into facts."""
        for claim in claims:
            key = (claim.layer, claim.unit)
            require(
                key not in self.closed, where, f"relu layer {claim.layer} unit {claim.unit} is closed twice on one path"
            )
            self.closed.add(key)
            self.facts.append(claim)
            if claim.sign < 0:
                self.missing.discard(key)

    def cut(self, axis: int, threshold: float) -> None:
        """Go to the low child."""
        self.splits.append(Split(axis, self.lower[axis], self.upper[axis], threshold, len(self.facts), in_high=False))
        self.upper[axis] = threshold

    def leave_leaf(self, where: str) -> bool:
        """Go to the next high child; False if there is none."""
        require(
            not self.missing,
            where,
            f"removed unit {min(self.missing, default=None)} (relu layer, unit) is not closed on this path",
        )
        while self.splits and self.splits[-1].in_high:
            split = self.splits.pop()
            self.lower[split.axis] = split.lower
        if not self.splits:
            return False
        split = self.splits[-1]
        self.splits[-1] = split._replace(in_high=True)
        self.lower[split.axis], self.upper[split.axis] = split.threshold, split.upper
        for fact in self.facts[split.facts :]:
            key = (fact.layer, fact.unit)
            self.closed.discard(key)
            if key in self.removed:
                self.missing.add(key)
        del self.facts[split.facts :]
        return True


def proof_steps(
    nodes: list[Json],
    box: Box,
    removed: UnitLists,
    network: tuple[Sequence[Layer], Sequence[Sequence[int]]],
    where: str,
) -> Iterator[Step]:
    """Walk a proof tree without recursion; yield the nodes that claim something, check the form and the coverage of all."""
    path, open_end = Path(box, removed), True
    for k, node in enumerate(nodes):
        place = f"{where} tree[{k}]"
        require(open_end, place, "expected no node after the last leaf")
        record(node, place, (), ("inactive", "active", "axis", "threshold"))
        claims = _claims(node, place, network)
        if claims:
            yield Step(k, (tuple(path.lower), tuple(path.upper)), list(path.facts), claims)
        path.close(claims, place)
        if "axis" in node or "threshold" in node:
            record(node, place, ("axis", "threshold"), ("inactive", "active"))
            axis = integer(node["axis"], f"{place} axis", 0, len(path.lower) - 1)
            threshold = number(node["threshold"], f"{place} threshold")
            low, high = path.lower[axis], path.upper[axis]
            require(low <= threshold <= high, place, f"expected a threshold from {low} to {high}, got {threshold}")
            path.cut(axis, threshold)
        else:
            open_end = path.leave_leaf(place)
    require(not open_end, f"{where} tree", "expected further nodes: a split lacks a child")


def _claims(
    node: dict[str, Json], where: str, network: tuple[Sequence[Layer], Sequence[Sequence[int]]]
) -> list[Closing]:
    """The closings of a node, inactive ones first."""
    layers, names = network
    claims = []
    for key, sign in (("inactive", -1), ("active", 1)):
        for place, unit in unit_lists(node[key], f"{where} {key}", layers) if key in node else ():
            claims.append(Closing(place, unit, names[layers[place].sources[0]][unit], sign))
    return claims


# ---------------------------------------------------------------------------------------------------- the bundle (§7)

MANIFEST, PARENT, FAMILY = "manifest.json", "family/parent.json", "family/family.json"
_MANIFEST_KEYS = ("format", "mode", "source", "options", "tools", "truncated", "files")


def open_file(root: str, path: str) -> tuple[int, int]:
    """Open a regular file inside the bundle without following links: (descriptor, size)."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(os.path.join(root, *path.split("/")), flags)  # noqa: PTH118 - no links are to be resolved
    except (OSError, ValueError) as error:
        reject(path, f"expected a readable file: {getattr(error, 'strerror', None) or error}")
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        reject(path, "expected a regular file")
    return descriptor, status.st_size


def read_file(root: str, path: str, limit: int) -> bytes:
    """The content of a file of at most ``limit`` bytes."""
    descriptor, size = open_file(root, path)
    with os.fdopen(descriptor, "rb") as file:
        require(size <= limit, path, f"expected at most {limit} bytes, got {size}")
        data = file.read(limit + 1)
    require(len(data) <= limit, path, f"expected at most {limit} bytes")
    return data


class Entry(NamedTuple):
    """What the manifest says of a file."""

    sha256: str
    size: int


def read_manifest(data: bytes) -> dict[str, Entry]:
    """The files that the manifest lists."""
    fields = record(read_json(data, MANIFEST), MANIFEST, _MANIFEST_KEYS)
    equal(fields["mode"], "bitwise", f"{MANIFEST} mode")
    require(
        fields["source"] in ("parent.onnx", "parent.nnet"), MANIFEST, "expected the source parent.onnx or parent.nnet"
    )
    require(
        isinstance(fields["options"], dict) and isinstance(fields["tools"], dict),
        MANIFEST,
        "expected objects: options, tools",
    )
    require(isinstance(fields["truncated"], bool), f"{MANIFEST} truncated", "expected true or false")
    entries: dict[str, Entry] = {}
    before = ""
    for k, entry in enumerate(items(fields["files"], f"{MANIFEST} files")):
        where = f"{MANIFEST} files[{k}]"
        record(entry, where, ("path", "sha256", "size"))
        path = entry["path"]
        require(isinstance(path, str) and _is_plain(path), where, f"expected a plain relative path, got {path!r:.100}")
        require(before < path != MANIFEST, where, f"expected increasing paths and not the manifest, got {path!r:.100}")
        require(is_digest(entry["sha256"]), where, "expected a sha256 of 64 lower-case hex digits")
        entries[path] = Entry(entry["sha256"], integer(entry["size"], f"{where} size", 0, MAX_FILE))
        before = path
    require(fields["source"] in entries, MANIFEST, f"expected the listed file {fields['source']}")
    return entries


def _is_plain(path: str) -> bool:
    """Whether a path stays inside: no empty segment, no dots alone, no other separators or control characters."""
    segments = path.split("/")
    return path.isprintable() and not set("\\:") & set(path) and all(s not in {"", ".", ".."} for s in segments)


def check_listing(root: str, entries: dict[str, Entry]) -> None:
    """Reject files that are not listed, listed files that are absent, links, devices and empty directories."""
    folders = {path[:k] for path in entries for k, letter in enumerate(path) if letter == "/"}
    found, queue = set(), [""]
    while queue:
        folder = queue.pop()
        with os.scandir(os.path.join(root, folder)) as listing:  # noqa: PTH118 - no links are to be resolved
            for entry in listing:
                path = f"{folder}/{entry.name}" if folder else entry.name
                shown = repr(path)[:200]
                if entry.is_dir(follow_symlinks=False):
                    require(path in folders, shown, "a directory without listed files")
                    queue.append(path)
                else:
                    require(
                        entry.is_file(follow_symlinks=False), shown, "expected a regular file, got a link or a device"
                    )
                    require(path in entries or path == MANIFEST, shown, "a file that the manifest does not list")
                    found.add(path)
    absent = sorted(set(entries) - found)
    require(not absent, repr(absent[:1])[:200], "listed in the manifest, but absent")


def cell_boxes(tree: list[Json], domain: Box, where: str) -> list[Box]:
    """The closed boxes of the cells, in their order; checks the routing tree (nodes in preorder, children's positions)."""
    boxes: list[Box] = []
    waiting: list[tuple[int | None, Box]] = [(None, domain)]  # (the position that the parent gives, box)
    for k, node in enumerate(tree):
        place = f"{where} tree[{k}]"
        require(len(waiting) > 0, place, "expected no node after the last leaf")
        position, box = waiting.pop()
        require(position in (None, k), place, f"expected the node at its parent's position {position}")
        if isinstance(node, dict) and "cell" in node:
            equal(record(node, place, ("cell",))["cell"], len(boxes), f"{place} cell")
            boxes.append(box)
            continue
        record(node, place, ("axis", "threshold", "low", "high"))
        axis = integer(node["axis"], f"{place} axis", 0, len(domain[0]) - 1)
        threshold = number(node["threshold"], f"{place} threshold")
        lower, upper = box
        require(
            lower[axis] <= threshold < upper[axis], place, f"expected a threshold in [{lower[axis]}, {upper[axis]})"
        )
        equal(node["low"], k + 1, f"{place} low")
        high = integer(node["high"], f"{place} high", k + 2, len(tree) - 1)
        waiting.append((high, ((*lower[:axis], threshold, *lower[axis + 1 :]), upper)))
        waiting.append((k + 1, (lower, (*upper[:axis], threshold, *upper[axis + 1 :]))))
    require(not waiting, f"{where} tree", "expected further nodes: a split lacks a child")
    return boxes


class Bundle:
    """A bundle whose manifest, listing, parent and family are in order; cells are checked one by one.

    Raises RejectError or UnusableError.
    """

    def __init__(self, root: str) -> None:
        self.root = root
        data = _manifest_bytes(root)
        self.digest, self.entries = digest(data), read_manifest(data)
        check_listing(root, self.entries)
        content = self.read(PARENT)
        self.parent, self.layers = digest(content), read_parent(content, PARENT)
        self._read_family()
        self.parts, self.names = network_parts(self.layers)
        self.magnitudes = domain_magnitudes(self.parts, self.domain, PARENT)
        self.fixed = lru_cache(maxsize=None)(partial(Fixed, self.parts, self.magnitudes))

    def read(self, path: str) -> bytes:
        """The content of a listed file, if it has the listed size and digest."""
        require(path in self.entries, path, "expected this file in the bundle")
        data = read_file(self.root, path, MAX_JSON)
        require(
            len(data) == self.entries[path].size, path, f"expected {self.entries[path].size} bytes, got {len(data)}"
        )
        require(digest(data) == self.entries[path].sha256, path, "its sha256 is not the one in the manifest")
        return data

    def _read_family(self) -> None:
        """Domain, cells and members of ``family/family.json``; every member and certificate file belongs to a cell."""
        keys = ("format", "mode", "parent", "domain", "tree", "members", "cells")
        fields = record(read_json(self.read(FAMILY), FAMILY), FAMILY, keys)
        equal(fields["format"], "netslicer-family/1", f"{FAMILY} format")
        equal(fields["mode"], "bitwise", f"{FAMILY} mode")
        equal(fields["parent"], self.parent, f"{FAMILY} parent")
        self.domain = read_box(fields["domain"], f"{FAMILY} domain", self.layers[0].width)
        self.boxes = cell_boxes(items(fields["tree"], FAMILY), self.domain, FAMILY)
        members, cells = items(fields["members"], f"{FAMILY} members"), items(fields["cells"], f"{FAMILY} cells")
        require(all(map(is_digest, members)), f"{FAMILY} members", "expected digests")
        require(len(set(members)) == len(members), f"{FAMILY} members", "expected every member once")
        require(
            len(cells) == len(self.boxes), f"{FAMILY} cells", f"expected {len(self.boxes)} positions, got {len(cells)}"
        )
        used = 0
        for cell, position in enumerate(cells):
            integer(position, f"{FAMILY} cells[{cell}]", 0, min(used, len(members) - 1))
            used = max(used, position + 1)
        require(
            used == len(members), f"{FAMILY} members", "expected every member to be used, in the order of first cells"
        )
        self.members: list[str] = [members[position] for position in cells]
        expected = {f"family/members/{member}.json" for member in members} | set(
            map(certificate_path, range(len(cells)))
        )
        listed = {path for path in self.entries if path.startswith(("family/members/", "certificates/"))}
        extra, absent = sorted(listed - expected), sorted(expected - listed)
        require(
            not extra and not absent,
            (extra + absent)[0] if extra or absent else "",
            "expected just one file for each member and cell",
        )

    def check_files(self) -> None:
        """Sizes and digests of all listed files."""
        for path, entry in self.entries.items():
            descriptor, size = open_file(self.root, path)
            with os.fdopen(descriptor, "rb") as file:
                require(size == entry.size, path, f"expected {entry.size} bytes, got {size}")
                found = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type] # FileIO and BufferedReader differ in stubs only
            require(found == entry.sha256, path, "its sha256 is not the one in the manifest")

    def check_cell(self, cell: int) -> Accepted | Rejected:
        """The verdict on a cell: its certificate and its member."""
        try:
            return self._check_cell(cell)
        except RejectError as error:
            return error.verdict

    def _check_cell(self, cell: int) -> Accepted:
        where = certificate_path(cell)
        keys = ("format", "mode", "cell", "box", "parent", "member", "removed", "tree")
        fields = record(read_json(self.read(where), where), where, keys)
        expected = {
            "format": "netslicer-certificate/1",
            "mode": "bitwise",
            "cell": cell,
            "parent": self.parent,
            "member": self.members[cell],
        }
        for key, value in expected.items():
            equal(fields[key], value, f"{where} {key}")
        box = read_box(fields["box"], f"{where} box", self.layers[0].width)
        require(box == self.boxes[cell], f"{where} box", "expected the cell's box as the routing tree gives it")
        removed = unit_lists(fields["removed"], f"{where} removed", self.layers)
        file = f"family/members/{self.members[cell]}.json"
        content = self.read(file)
        require(digest(content) == self.members[cell], file, "expected its sha256 as its name")
        require(
            content == member_of(self.layers, self.parent, removed, where),
            file,
            f"expected the member that the removals of {where} give",
        )
        nodes, closings = items(fields["tree"], f"{where} tree"), 0
        for step in proof_steps(nodes, box, removed, (self.layers, self.names), where):
            self._check_step(step, where)
            closings += len(step.claims)
        return Accepted(len(nodes), closings, len(removed))

    def _check_step(self, step: Step, where: str) -> None:
        """Every claim of a node."""
        facts = [(closing.source, closing.sign) for closing in step.facts]
        claims = [(closing.source, closing.sign) for closing in step.claims]
        for bits in BITS:
            unproved = self.fixed(bits).unproved(step.box, facts, claims)
            if not unproved:
                return
        closing, bound = step.claims[unproved[0].claim], unproved[0].bound
        said = f"{'inactive' if closing.sign < 0 else 'active'}: relu layer {closing.layer} unit {closing.unit}"
        side = "an upper bound of at most 0" if closing.sign < 0 else "a lower bound of at least 0"
        reject(
            f"{where} tree[{step.node}] {said}",
            f"expected {side}, got {bound:.6g} ({len(unproved)} of {len(claims)} closings are not proved)",
        )


def certificate_path(cell: int) -> str:
    """The file of a cell's certificate."""
    return f"certificates/{cell:06d}.json"


def _manifest_bytes(root: str) -> bytes:
    """The manifest's content, if this is a bundle of the known format at all."""
    if not os.path.isdir(root):  # noqa: PTH112 - pathlib is slower to import and adds nothing here
        raise UnusableError(f"{root}: expected a directory")
    try:
        data = read_file(root, MANIFEST, MAX_JSON)
        value = read_json(data, MANIFEST)
    except RejectError as error:
        raise UnusableError(f"{error.verdict.where}: {error.verdict.why}") from error
    found = value.get("format") if isinstance(value, dict) else None
    if found != "netslicer-bundle/1":
        raise UnusableError(f"{MANIFEST}: expected the format netslicer-bundle/1, got {found!r:.100}")
    return data


# ---------------------------------------------------------------------------------------------------- all cells


@lru_cache(maxsize=1)
def _opened(root: str, manifest: str) -> Bundle:
    """The bundle of this process (workers inherit it or open it again)."""
    bundle = Bundle(root)
    require(bundle.digest == manifest, MANIFEST, "the bundle changes while it is being checked")
    bundle.fixed(BITS[0])
    return bundle


def _check(root: str, manifest: str, cell: int) -> Accepted | Rejected:
    """One cell, in any process."""
    try:
        return _opened(root, manifest).check_cell(cell)
    except RejectError as error:
        return error.verdict


def check_cells(bundle: Bundle, cells: Sequence[int], jobs: int) -> Iterator[Accepted | Rejected]:
    """Verdicts in the order of the cells."""
    work = partial(_check, bundle.root, bundle.digest)
    if jobs == 1 or len(cells) < 2:
        yield from map(work, cells)
        return
    with ProcessPoolExecutor(min(jobs, len(cells))) as pool:
        yield from pool.map(work, cells)


def choose_cells(spec: str, total: int, seed: int) -> list[int]:
    """Cells of a specification: ``10%`` (a seeded sample, at least one) or ``0-9,17``."""
    if match := re.fullmatch(r"(\d{1,3}(?:\.\d{1,6})?)%", spec):
        count = min(total, max(1, math.ceil(total * float(match[1]) / 100)))
        return sorted(random.Random(seed).sample(range(total), count))  # noqa: S311 - reproducible, not secret
    cells: set[int] = set()
    for part in spec.split(","):
        match = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", part.strip())
        if match is None or not int(match[1]) <= int(match[2] or match[1]) < total:
            raise UnusableError(
                f"--cells: expected 10% or cells from 0 to {total - 1} such as 0-9,17, got {spec!r:.60}"
            )
        cells.update(range(int(match[1]), int(match[2] or match[1]) + 1))
    return sorted(cells)


def check_bundle(
    root: str, spec: str | None, seed: int, jobs: int, progress: Callable[[int, int], None]
) -> dict[str, Json]:
    """Check a bundle; the report has the same keys for every outcome and does not depend on ``jobs``."""
    report: dict[str, Json] = {
        "format": "netslicer-check/1", "outcome": "rejected", "mode": "bitwise", "bundle": None, "parent": None,
        "cells": 0, "checked": 0, "accepted": 0, "rejected": 0, "removed": 0, "nodes": 0, "closings": 0,
        "statement": None, "not_covered": list(NOT_COVERED), "findings": [],
    }  # fmt: skip
    findings = report["findings"]
    try:
        report["bundle"] = digest(_manifest_bytes(root))
        bundle = _opened(root, report["bundle"])
        report.update(parent=bundle.parent, cells=len(bundle.boxes))
        bundle.check_files()
    except RejectError as error:
        findings.append({"cell": None, "where": error.verdict.where, "why": error.verdict.why})
        return report
    chosen = list(range(len(bundle.boxes))) if spec is None else choose_cells(spec, len(bundle.boxes), seed)
    for cell, verdict in zip(chosen, check_cells(bundle, chosen, jobs), strict=True):
        report["checked"] += 1
        if isinstance(verdict, Accepted):
            report["accepted"] += 1
            for key in ("nodes", "closings", "removed"):
                report[key] += getattr(verdict, key)
        else:
            report["rejected"] += 1
            findings.append({"cell": cell, "where": verdict.where, "why": verdict.why})
        progress(report["checked"], len(chosen))
    if not findings:
        complete = len(chosen) == len(bundle.boxes)
        report["outcome"], report["statement"] = ("accepted", STATEMENT) if complete else ("no objection", None)
    return report


# ---------------------------------------------------------------------------------------------------- command line


def _progress(done: int, total: int) -> None:
    """A line that rewrites itself, on terminals only."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\rcells {done}/{total}" + ("\n" if done == total else ""))
        sys.stderr.flush()


def _text(report: dict[str, Json]) -> str:
    """The report for people."""
    lines = [
        f"bundle    {report['bundle']}",
        f"parent    {report['parent']}",
        f"cells     {report['cells']}: {report['accepted']} accepted, {report['rejected']} rejected, {report['cells'] - report['checked']} not checked",
        f"removed   {report['removed']} units in all cells",
        f"verified  {report['closings']} closings in {report['nodes']} nodes",
    ]
    lines += [f"finding   {finding['where']}: {finding['why']}" for finding in report["findings"][:20]]
    lines += [
        f"proved    {report['statement'] or 'nothing (only a check of all cells without findings proves the claim)'}"
    ]
    lines += [f"not covered: {text}" for text in report["not_covered"]]
    return "\n".join([*lines, report["outcome"], ""]).encode("ascii", "backslashreplace").decode()


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Exact checker of netslicer bundles.",
        epilog="Exit status: 0 nothing is wrong, 1 rejected, 2 nothing to check.",
    )
    parser.add_argument("bundle", help="the bundle's directory")
    parser.add_argument(
        "--cells", metavar="SPEC", help="only these cells: 10%% (a random sample) or 0-9,17; never accepts the bundle"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the sample (default 0)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: all cores)")
    parser.add_argument(
        "--json", metavar="FILE", help="also write the report as JSON (- for standard output instead of text)"
    )
    arguments = parser.parse_args(argv)
    if arguments.jobs < 1:
        parser.error("--jobs: expected at least 1")
    return arguments


def main(argv: Sequence[str] | None = None) -> int:
    """Check the bundle that the command line names; return the exit status."""
    arguments = _arguments(argv)
    try:
        report = check_bundle(arguments.bundle, arguments.cells, arguments.seed, arguments.jobs, _progress)
        if arguments.json not in (None, "-"):
            with open(arguments.json, "wb") as file:  # noqa: PTH123 - one file, no pathlib needed
                file.write(canonical(report))
    except (UnusableError, OSError, MemoryError, BrokenProcessPool) as error:
        sys.stderr.write(
            f"nothing was checked: {error or type(error).__name__}\n".encode("ascii", "backslashreplace").decode()
        )
        return 2
    sys.stdout.write(canonical(report).decode() if arguments.json == "-" else _text(report))
    return 1 if report["outcome"] == "rejected" else 0


if __name__ == "__main__":
    sys.exit(main())
