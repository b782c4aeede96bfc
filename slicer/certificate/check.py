#!/usr/bin/env python3
"""Exact checker of netslicer bundles: one file, Python 3.11 or newer, the standard library, nothing else.

    python3 -I -S check.py BUNDLE [--cells 10%|0-9,17] [--seed N] [--jobs N] [--trust solver] [--json FILE]

Written from CERTIFICATE.md alone, to whose sections the numbers below refer. Checked: the manifest and every digest
(§7), every file with a meaning in strict canonical form (§8), the parent (§2), that nothing overflows on the domain
(§4), the routing tree (§7), that every member is what the removals give, byte for byte (§3), and in every cell each
closing of the proof tree, and that every path closes every removed unit, in mode ``decision`` every output that is not
to win, in mode ``epsilon`` all errors of a readout (§5, §6). Not checked: see NOT_COVERED.

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
             is at least -s l too, as §5 asks. The lower line has the reference slope, of this s.
    input    c += max(A l, A u) = A l + A+ (u - l)

and the bound is ceil((c + error) / 2^F). No slot overflows: let q be 2 for an input (whose H is at most 1), 1 + abs(b)
+ r + sum of abs(w_j) q_j for an affine unit, with H = q in r, twice that of its source for a relu. Then q bounds H, and
in the rows of a unit every coefficient (slopes are at most 1), c and every offset, but for the roundings of at most
2^20 settled units, 2^-F q each: 2 max(q) is enough. `Fixed` chooses an S that holds it.

*Completeness.* Every node is bounded afresh by the reference method, with F = 44; if that proves not all, with F = 512:
at the largest scale, 2^128, and through dozens of layers all roundings are then far below 2^-10 t, less than §5 makes
producers leave.

*Float32* (§3): a product of two float32 numbers is exact in binary64; a sum or quotient rounded to binary64, which has
53 >= 2 · 24 + 2 bits, then to float32, is correctly rounded (Figueroa 1995). So it is in the subnormal range: there
sums are exact, and a quotient is halfway between two float32 numbers or at least 2^-49 of its size away from that.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import re
import reprlib
import stat
import struct
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from fractions import Fraction
from functools import cache, lru_cache, partial
from hashlib import file_digest, sha256
from itertools import chain, compress
from operator import add, mul, truediv
from typing import Any, BinaryIO, NamedTuple

STATEMENT = (
    "For every vector x of finite float32 numbers in the domain, the member of the cell to which the routing tree sends"
    " x and family/parent.json have {} under eval32{}, and neither meets a NaN or an infinity."
)
CLAIMS = {
    "bitwise": ("equal outputs", " (-0 = 0)"),
    "epsilon": ("outputs that differ by at most their bounds in family/family.json", ""),
    "argmax": ("their largest output in the same place", ", the first of equal ones"),
    "argmin": ("their smallest output in the same place", ", the first of equal ones"),
}
ATTESTED = "If no removed unit that is only attested by a solver is active where it was removed: "
NOT_COVERED = (
    "that family/parent.json is the network of the source model (slicer audit reads the model and compares)",
    "inputs outside the domain; FMA, other orders of sums, precisions or rounding modes, flush to zero",
    "compilers and hardware that do not implement IEEE-754 binary32; whether the parent is a good model",
)
MANIFEST, PARENT, FAMILY = "manifest.json", "family/parent.json", "family/family.json"
CERTIFICATE, MEMBER, SHA256 = "certificates/{:06d}.json", "family/members/{}.json", "[0-9a-f]{64}"
NAME, CHANGED = "[A-Za-z0-9_-][A-Za-z0-9_.-]*", "expected sha256 and size as in the manifest"
MAX_JSON, MAX_FILE, MAX_NESTING = 2**26, 2**34, 32  # bytes of a file that is read, that is only hashed; levels
LARGEST = (2 - 2.0**-23) * 2.0**127  # float32 number
MAX_UNITS = 2**20  # of the network; §4 asks for less than 2^20 sources of a dense unit
MAX_OUTPUTS = 64  # of a network that decides: its margins are as many as pairs of outputs
MAX_WEIGHTS = 2**20  # of the errors of a readout, which grow with the square of the outputs
MAX_SLOT = 4096  # bits; S is about 110 for ordinary networks
MAX_WAITING = 2**24  # numbers in the boxes and facts of the open splits of a proof tree
BITS = (44, 512)  # F of the first and of the second attempt
CHUNK = 256  # rows of a batch
FLOAT32 = struct.Struct(">f")  # the bits in big-endian order
U, T = Fraction(1, 2**24), Fraction(1, 2**126)  # u and t of §4

Json = Any  # what json.loads gives
Pair = tuple[int, int]  # layer and unit
Claim = tuple[int, int]  # number of a relu's source, -1 (inactive: <= 0) or 1 (active: >= 0)
Box = tuple[tuple[float, ...], tuple[float, ...]]  # lower and upper corner


class Accepted(Counter[str]):
    """A cell whose removals are proved or attested: its nodes, closings, removed and among them attested units."""


class Rejected(Exception):
    """What is wrong: (the place: file and what in it; expected / got). A verdict, raised where it is found."""


class UnusableError(Exception):
    """There is nothing to check: no directory, no manifest, another format."""


def require(holds: object, where: str, why: str) -> None:
    """Reject unless something holds."""
    if not holds:
        raise Rejected(where, why)


def single(value: float) -> float:
    """The float32 number nearest to a binary64 number, ties to even; OverflowError where that is infinite."""
    return float(FLOAT32.unpack(FLOAT32.pack(value))[0])


# ------------------------------------------------------------------------------------------------ canonical JSON (§8)
_TO_SQUARE, _NO_BRACKETS = bytes.maketrans(b"{}", b"[]"), bytes(set(range(256)) - set(b"[]{}"))


def canonical(value: Json) -> bytes:
    """The only accepted spelling of a value."""
    return (json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True) + "\n").encode()


def read_json(data: bytes, where: str) -> Field:
    """Decode canonical JSON: bounded nesting, small integers, no other numbers, the same bytes when written again."""
    try:
        value = json.loads(data.decode("ascii"), parse_int=_integer, parse_float=_integer, parse_constant=_integer)
        same = canonical(value) == data
    except (ValueError, RecursionError) as error:
        raise Rejected(where, f"expected ASCII JSON: {str(error)[:200]}") from error
    require(same, where, "expected canonical JSON: unique sorted keys, no spaces, one newline at the end")
    brackets = re.sub(rb'"[^"\\]*(?:\\.[^"\\]*)*"', b"", data).translate(_TO_SQUARE, _NO_BRACKETS)
    for _ in range(MAX_NESTING):
        brackets = brackets.replace(b"[]", b"")
    require(not brackets, where, f"expected at most {MAX_NESTING} levels of nesting")
    return Field(value, where)


def _integer(text: str) -> int:
    """A number that JSON may hold: an integer of at most 15 digits."""
    if len(text) > 16 or not text.removeprefix("-").isdecimal():
        raise ValueError(f"unexpected number {text[:40]}")
    return int(text)


class Field(NamedTuple):
    """A value in a JSON file and its place; every method rejects values of another form than it is asked for."""

    value: Json
    where: str

    def require(self, holds: object, expected: str) -> None:
        """Reject this value unless something holds."""
        if not holds:
            raise Rejected(self.where, f"expected {expected}, got {reprlib.repr(self.value)}")

    def record(self, *keys: str, optional: Iterable[str] = ()) -> dict[str, Field]:
        """An object with these keys and no others."""
        self.require(isinstance(self.value, dict), "an object")
        self.require(set(keys) <= set(self.value) <= {*keys, *optional}, f"the keys {[*keys, *optional]}")
        return {key: Field(value, f"{self.where} {key}") for key, value in self.value.items()}

    def get(self, key: str) -> Json:
        """The value of a key, or None, also if this is no object."""
        return self.value.get(key) if isinstance(self.value, dict) else None

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

    def units(self, layers: Sequence[Layer], *, relu: bool = True) -> list[Pair]:
        """``[[(relu) layer, [unit, …]], …]``: layers and units strictly increasing, no empty list of units."""
        pairs: list[Pair] = []
        for entry in self.items():
            first, second = entry.items(2)
            layer = first.integer(pairs[-1][0] + 1 if pairs else 0, len(layers) - 1)
            first.require(layers[layer].op == "relu" or not relu, "a relu layer")
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
    """A layer of the parent."""

    op: str  # input, dense, add, mul, div, relu, copy (gather and concat)
    width: int
    reads: Sequence[Sequence[Pair]] = ()  # the (layer, unit) that each unit depends on
    weight: Sequence[Sequence[float]] = ()  # of a dense layer, a row for each unit
    constant: Sequence[float] = ()  # of an elementwise layer; a dense layer's bias
    units: Sequence[int] = ()  # their numbers in the whole network; a copy has the number of the original
    inputs: Sequence[Sequence[int]] = ()  # the numbers of what each unit reads


def read_parent(file: Field) -> list[Layer]:
    """The layers of ``family/parent.json``."""
    fields = file.record("format", "layers")
    fields["format"].equal("netslicer-network/1")
    layers: list[Layer] = []
    total = numbered = 0
    for entry in fields["layers"].items():
        layer = _read_layer(entry, layers)
        total += layer.width
        entry.require(layer.width > 0 and total < MAX_UNITS, f"at least one unit, less than {MAX_UNITS} in all")
        inputs = [[layers[source].units[k] for source, k in pairs] for pairs in layer.reads]
        units = list(chain(*inputs)) if layer.op == "copy" else range(numbered, numbered + layer.width)
        numbered = max(numbered, units[-1] + 1)
        layers.append(layer._replace(units=units, inputs=inputs))
    fields["layers"].require(layers, "at least one layer")
    return layers


def _read_layer(entry: Field, before: list[Layer]) -> Layer:
    kind = str(entry.get("kind"))
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
    if kind == "gather":
        chosen = [index.integer(0, widths[0] - 1) for index in fields["indices"].items()]
        return Layer("copy", len(chosen), [[(sources[0], unit)] for unit in chosen])
    read = [[(source, unit) for unit in range(width)] for source, width in zip(sources, widths, strict=True)]
    if kind == "dense":
        rows = list(fields["weight"].items())
        weight, bias = [row.vector(widths[0]) for row in rows], fields["bias"].vector(len(rows))
        return Layer(kind, len(rows), read[:1] * len(rows), weight, bias)
    if kind == "concat":
        return Layer("copy", sum(widths), [[pair] for pair in chain(*read)])
    if kind == "elementwise":
        op, constant = fields["op"].text("add|mul|div"), fields["constant"].vector(widths[0])
        entry.require(op != "div" or min(map(abs, constant)) >= 2.0**-126, "divisors of at least 2^-126")
        return Layer(op, widths[0], [[pair] for pair in read[0]], constant=constant)
    entry.require(kind == "relu" or widths == [widths[0]] * 2, "two sources of one width")
    return Layer(kind, widths[0], list(zip(*read, strict=True)))


# ------------------------------------------------------------------------------------------------ members (§3)
_OPERATIONS: dict[str, Callable[..., float]] = {
    "add": add, "mul": mul, "div": truediv, "copy": float, "relu": partial(max, 0.0),
}  # fmt: skip
Constants = dict[int, float]  # of a layer, by unit
Prefixes = dict[int, tuple[int, str]]  # of a dense layer, by unit: first term that is not constant, sum before it
Rows = Sequence[Sequence[float]]
Readout = tuple[list[Pair], Rows, Sequence[float]]  # units read, weight, bias
Slim = tuple[Constants, Prefixes, list[Sequence[Pair]]]  # the third: what each unit still needs


def member_of(
    layers: Sequence[Layer],
    parent: str,
    removed: Iterable[Pair],
    fixed: Constants | None = None,
    readout: tuple[Json, list[Pair]] | None = None,
) -> bytes:
    """The member file that removing (relu layer, unit) pairs gives; OverflowError if a constant is infinite.

    Outputs may be ``fixed``, or a ``readout`` is in their place: as JSON, and the (layer, unit) pairs that it reads.
    """
    slim = list(_slim(layers, frozenset(removed)))
    for unit, value in (fixed or {}).items():
        slim[-1][0][unit] = value
        slim[-1][1].pop(unit, None)
        slim[-1][2][unit] = []
    needed: list[set[int]] = [set() for _ in layers]
    needed[0] = set(range(layers[0].width))
    for source, k in readout[1] if readout else [(-1, k) for k in range(layers[-1].width)]:
        needed[source].add(k)
    for place in range(len(layers) - 1, 0, -1):
        for source, k in chain.from_iterable(slim[place][2][unit] for unit in needed[place]):
            needed[source].add(k)
    rows = []
    for layer, (known, begun, _), units in zip(layers, slim, map(sorted, needed), strict=True):
        rows.append({
            "units": units,
            "prefixes": [[k, *begun[k]] for k in units if k in begun],
            "constants": [[k, FLOAT32.pack(known[k]).hex()] for k in units if k in known and layer.op == "dense"],
        })  # fmt: skip
    ending = {"readout": readout[0]} if readout else {}
    return canonical({"format": "netslicer-member/1", "parent": parent, "layers": rows, **ending})


def _slim(layers: Sequence[Layer], removed: frozenset[Pair]) -> Iterator[Slim]:
    """One layer after the other: what is constant and what is needed without the removed units."""
    constants: list[Constants] = []
    for place, layer in enumerate(layers):
        known, begun, needs = Constants(), Prefixes(), list(layer.reads)
        constants.append(known)
        values: list[float | None] = []
        for unit, reads in enumerate(layer.reads):
            if not (layer.op == "dense" and unit):  # all units of a dense layer read the same
                values = [constants[source].get(k) for source, k in reads]
            if layer.op == "dense":
                row = layer.weight[unit]
                first, acc = _prefix(row, values)
                if first == len(row):
                    known[unit] = single((acc or 0.0) + layer.constant[unit])
                elif acc is not None:
                    begun[unit] = first, FLOAT32.pack(acc).hex()
                needs[unit] = [reads[j] for j in range(first, len(row)) if row[j] and values[j] != 0]
            elif (place, unit) in removed:
                known[unit] = 0.0
            elif None not in values:
                known[unit] = single(_OPERATIONS[layer.op](*values, *layer.constant[unit : unit + 1]))
        yield known, begun, needs


def _prefix(row: Sequence[float], values: Sequence[float | None]) -> tuple[int, float | None]:
    """The first term of a dense unit that is neither zero nor constant; the sum before it, None if all is zero."""
    acc = None
    for j, (weight, constant) in enumerate(zip(row, values, strict=True)):
        if weight and constant is None:
            return j, acc
        if weight and constant:
            acc = single((acc or 0.0) + single(weight * constant))
    return len(row), acc


def fixed_outputs(decision: str, outputs: int, classes: Collection[int]) -> Constants:
    """The outputs that are constant because they cannot win, or because they always do."""
    lost = -LARGEST if decision == "argmax" else LARGEST
    return {k: 0.0 if k in classes else lost for k in range(outputs) if k not in classes or len(classes) == 1}


def margins(layers: Sequence[Layer], decision: str) -> list[Layer]:
    """The two layers by which it is proved that outputs do not win (§5)."""
    last, first = layers[-1], 1 + max(chain.from_iterable(layer.units for layer in layers))
    n, sign = last.width, 1.0 if decision == "argmax" else -1.0
    good = last.op == "dense" and 2 <= n <= MAX_OUTPUTS
    require(good, PARENT, f"expected a last layer that is dense, with 2 to {MAX_OUTPUTS} outputs, to decide")
    rows = [[sign * ((j == k) - (j == i)) for j in range(n)] for k in range(n) for i in range(n)]
    units = range(first, first + n * n)
    relu = range(units.stop, units.stop + n * n)
    return [
        Layer("dense", n * n, (), rows, [0.0] * (n * n), units, [last.units] * (n * n)),
        Layer("relu", n * n, (), units=relu, inputs=[[unit] for unit in units]),
    ]


def errors(layers: Sequence[Layer], readout: Readout, epsilon: Sequence[float]) -> list[Layer]:
    """The four layers by which it is proved that a readout is within its bounds (§5)."""
    first, (read, weight, bias) = 1 + max(chain.from_iterable(layer.units for layer in layers)), readout
    n, given = len(bias), [*layers[-1].units, *(layers[place].units[k] for place, k in read)]
    require(2 * n * len(given) <= MAX_WEIGHTS, PARENT, f"expected errors of at most {MAX_WEIGHTS} weights")
    rows = [[float(j == i) for j in range(n)] + [-w for w in weight[i]] for i in range(n)]
    rows += [[-w for w in row] for row in rows]
    units = [range(start, start + 2 * n) for start in range(first, first + 6 * n, 2 * n)]
    alone = [[[unit] for unit in row] for row in units]
    return [
        Layer("copy", len(given), units=given),
        Layer("dense", 2 * n, (), rows, [-b for b in bias] + [*bias], units[0], [given] * (2 * n)),
        Layer("add", 2 * n, (), (), [-bound for bound in epsilon] * 2, units[1], alone[0]),
        Layer("relu", 2 * n, (), units=units[2], inputs=alone[1]),
    ]


# ------------------------------------------------------------------------------------------------ affine units (§4)
def affine_unit(layer: Layer, k: int) -> tuple[list[Fraction], Fraction, list[Fraction], Fraction]:
    """Unit k of an affine layer: weights, bias, and its noise by the table of §4: a multiple of each H, and a rest."""
    n, c = len(layer.inputs[k]), Fraction(layer.constant[k]) if layer.constant else Fraction(0)
    if layer.op == "dense":
        weights, gamma = list(map(Fraction, layer.weight[k])), Fraction(n + 1, 2**24 - n - 1)
        sizes = list(map(abs, weights))
        return weights, c, [gamma * size + T for size in sizes], gamma * abs(c) + (3 * n + 3 + sum(sizes)) * T
    if layer.op == "add":
        return [Fraction(1)] * n, c, [U] * n, U * abs(c) + 3 * T
    if layer.op == "mul":
        return [c], Fraction(0), [U * abs(c) + T], (1 + abs(c)) * T
    return [1 / c], Fraction(0), [U / abs(c)], (1 + 1 / abs(c)) * T


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


Row = tuple[list[int], int, list[int], int]  # of an affine unit: weights, bias, noise by H, other noise; units of 2^-F


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
        self.pending: dict[int, int] = defaultdict(int)  # unit -> packed coefficients, units of 2^-2F
        for k, (unit, sign) in enumerate(rows):
            self.pending[unit] += sign << (2 * bits + slot * k)

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

    def __init__(self, units: Sequence[int], sources: Sequence[int]) -> None:
        self.units, self.sources = units, sources

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
                batch.pending[source] += batch.pending.pop(unit)
            else:
                value, positive = batch.settle(unit)
                slope = (high << batch.bits) // (high - low)
                batch.constant += positive * (high - (slope * high >> batch.bits))
                alpha = min(max(4 * slope - (2 << batch.bits), 0), 1 << batch.bits)
                batch.pending[source] += positive * slope + ((value - positive) * alpha if alpha else 0)


class Affine:
    """Affine units with common sources; ``columns[k]``: their weights of source k, in units of 2^-F like all here."""

    def __init__(self, units: Sequence[int], sources: Sequence[int], slot: int, bits: int, rows: Sequence[Row]) -> None:
        self.units, self.sources, self.slot, self.bits = units, sources, slot, bits
        weights, self.bias, noise, rest = zip(*rows, strict=True)
        self.columns = list(zip(*weights, strict=True))
        self.packed = [pack(column, slot) for column in self.columns]
        self.sized = [pack(list(map(abs, column)), slot) for column in self.columns]
        self.noisy = [pack(column, slot) for column in zip(*noise, strict=True)]
        self.packed_bias, self.packed_rest = pack(self.bias, slot), pack(rest, slot)

    def load(self, bounds: Bounds) -> list[int]:
        """Of every unit abs(bias) + sum of abs(weight) · H, rounded up."""
        sizes = [max(-bounds.low[source], bounds.high[source]) for source in self.sources]
        sums = unpack(sum(map(mul, self.sized, sizes)), self.slot, len(self.units))
        return [abs(b) + (s + sum(sizes) >> self.bits) + 2 for b, s in zip(self.bias, sums, strict=True)]

    def interval(self, bounds: Bounds) -> None:
        """The interval rule; slot i is unit i."""
        slot, count, twice = self.slot, len(self.units), self.bits + 1
        sides = [(bounds.low[source], bounds.high[source]) for source in self.sources]
        middle = sum(map(mul, self.packed, [low + high for low, high in sides]))
        spread = sum(map(mul, self.sized, [high - low for low, high in sides]))
        noise = sum(map(mul, self.noisy, [max(-low, high) for low, high in sides]))
        noise = (noise >> self.bits & masks(slot, self.bits, count)[2]) + self.packed_rest
        ones, top, rest, half = masks(slot, twice, count)
        above = ((middle + spread + top) >> twice & rest) - half + ones + self.packed_bias + noise
        below = ((middle - spread + top) >> twice & rest) - half + self.packed_bias - noise
        for side, packed in ((bounds.low, below), (bounds.high, above), (bounds.noise, noise)):
            side[self.units[0] : self.units[-1] + 1] = unpack(packed, slot, count)

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
                batch.pending[source] += sum(map(mul, present, compress(column, values)))


class Fixed:
    """The network in fixed point, ready for bounds on boxes in the domain; ``begun`` has its first layers, if given."""

    def __init__(self, layers: Sequence[Layer], domain: Box, bits: int, begun: Fixed | None = None) -> None:
        numbered = [layer for layer in layers if layer.op != "copy"]
        self.bits, self.domain = bits, domain
        self.exponents = [math.frexp(max(-x, y))[1] if x or y else -149 for x, y in zip(*domain, strict=True)]
        self.reach = [2 << bits for _ in self.exponents]  # q of the docstring, in units of 2^-F
        self.rows: list[list[Row]] = []
        if begun:
            self.exponents, self.reach, self.rows = begun.exponents[:], begun.reach[:], begun.rows[:]
        for layer in numbered[1 + len(self.rows) :]:
            self.rows.append([self._append(layer, k) for k in range(layer.width)])
        self.slot = (bits + max(self.reach).bit_length() + 11) // 8 * 8
        require(self.slot <= MAX_SLOT, PARENT, "expected a network less deep, or of less different weights")
        # By place, as are the switches: sources of relus.
        self.blocks = [[], *map(self._blocks, numbered[1:], self.rows)]
        self.place = [place for place, layer in enumerate(numbered) for _ in layer.units]
        switched = {source for layer in numbered if layer.op == "relu" for (source,) in layer.inputs}
        self.switches = [[unit for unit in layer.units if unit in switched] for layer in numbered]

    def _append(self, layer: Layer, k: int) -> Row:
        """Scale the next unit, an affine one by the root of the sum of its squared terms."""
        inputs = layer.inputs[k]
        if layer.op == "relu":
            self.exponents.append(self.exponents[inputs[0]])
            self.reach.append(2 * self.reach[inputs[0]])
            return [], 0, [], 0
        weights, bias, slopes, rest = affine_unit(layer, k)
        sources = [self.exponents[source] for source in inputs]
        norm = math.hypot(bias, rest, *map(math.ldexp, weights, sources), *map(math.ldexp, slopes, sources))
        exponent = min(math.frexp(norm)[1], 128)
        shift, shifts = self.bits - exponent, [self.bits - exponent + source for source in sources]
        fixed, fixed_bias = list(map(scaled, weights, shifts)), scaled(bias, shift)
        noise = [entry + 2 for entry in map(scaled, slopes, shifts)]  # rounding up, and what the weight lacks
        fixed_rest = scaled(rest, shift) + 3  # the same, and rounding up the sum of noise · H
        sizes = [(abs(weight) + entry) * self.reach[j] for weight, entry, j in zip(fixed, noise, inputs, strict=True)]
        self.exponents.append(exponent)
        self.reach.append((sum(sizes) >> self.bits) + abs(fixed_bias) + fixed_rest + (1 << self.bits) + 2)
        return fixed, fixed_bias, noise, fixed_rest

    def _blocks(self, layer: Layer, rows: Sequence[Row]) -> list[Relu | Affine]:
        """A layer's blocks: the units of a dense one have common sources, those of other affine ones have not."""
        if layer.op == "relu":
            return [Relu(layer.units, [source for (source,) in layer.inputs])]
        step = layer.width if layer.op == "dense" else 1
        starts = [(k, slice(k, k + step)) for k in range(0, layer.width, step)]
        return [Affine(layer.units[own], layer.inputs[k], self.slot, self.bits, rows[own]) for k, own in starts]

    def _set(self, box: Box) -> Bounds:
        """Bounds of the inputs."""
        bounds = Bounds(len(self.exponents))
        for k, (low, high) in enumerate(zip(*box, strict=True)):
            shift = self.bits - self.exponents[k]
            bounds.low[k], bounds.high[k] = scaled(Fraction(low), shift), -scaled(Fraction(-high), shift)
        return bounds

    def overflows(self, box: Box) -> list[int]:
        """The units whose sums may exceed 2^126 on a box, by the interval rule (§4)."""
        bounds, found = self._set(box), []
        for block in chain(*self.blocks):
            loads = zip(block.units, block.load(bounds), strict=True) if isinstance(block, Affine) else ()
            found += [unit for unit, load in loads if load > 1 << (126 + self.bits - self.exponents[unit])]
            block.interval(bounds)
        return found

    def bounds(self, box: Box, facts: Collection[Claim], claims: Collection[Claim]) -> Bounds:
        """Bounds on a box, given facts, as far as claims need them."""
        bounds, known, wanted = self._set(box), set(facts), {(unit, -sign) for unit, sign in claims}
        low, high = bounds.low, bounds.high
        last = max(self.place[unit] for unit, _ in claims)
        for place in range(last + 1):
            for block in self.blocks[place]:
                block.interval(bounds)
            for unit in self.switches[place]:
                low[unit] = max(low[unit], 0) if (unit, 1) in known else low[unit]
                high[unit] = min(high[unit], 0) if (unit, -1) in known else high[unit]
            rows = [(unit, sign) for unit in self.switches[place] if low[unit] < 0 < high[unit] for sign in (1, -1)]
            self._tighten(bounds, place, rows if place < last else [row for row in rows if row in wanted])
        return bounds

    def _tighten(self, bounds: Bounds, place: int, rows: Sequence[tuple[int, int]]) -> None:
        """The backward rule: upper bounds of units (1) and of their negatives (-1)."""
        for chunk in (rows[k : k + CHUNK] for k in range(0, len(rows), CHUNK)):
            batch = Batch(self.slot, self.bits, chunk, bounds)
            for block in chain(*reversed(self.blocks[: place + 1])):
                block.eliminate(batch)
            for (unit, sign), value in zip(chunk, batch.upper(), strict=True):
                if sign > 0:
                    bounds.high[unit] = min(bounds.high[unit], value)
                else:
                    bounds.low[unit] = max(bounds.low[unit], -value)

    def unproved(self, box: Box, facts: Collection[Claim], claims: dict[Pair, Claim]) -> list[tuple[Pair, float]]:
        """The claims that the bounds on a box do not prove, with these bounds."""
        bounds = self.bounds(box, facts, claims.values())
        ends = {pair: (bounds.high if sign < 0 else bounds.low)[unit] for pair, (unit, sign) in claims.items()}
        wrong = [(pair, unit) for pair, (unit, sign) in claims.items() if ends[pair] * sign < 0]
        return [(pair, float(ends[pair] * Fraction(2) ** (self.exponents[unit] - self.bits))) for pair, unit in wrong]


def failures(fixed: Callable[[int], Fixed], found: Callable[[Fixed], list[Any]]) -> list[Any]:
    """What fails in coarse and then in fine arithmetic as well."""
    return found(fixed(BITS[0])) and found(fixed(BITS[1]))


# ------------------------------------------------------------------------------------------------ the bundle (§7)
def halves(fields: dict[str, Field], box: Box, *, strict: bool) -> tuple[Box, Box]:
    """The low and the high part of a closed box, cut at a threshold in both, below the upper end if ``strict``."""
    lower, upper = box
    axis, threshold = fields["axis"].integer(0, len(lower) - 1), fields["threshold"].number()
    fits = lower[axis] <= threshold < upper[axis] or (threshold == upper[axis] and not strict)
    fields["threshold"].require(fits, "a number in the " + ("box, not its upper end" if strict else "node's box"))
    low = lower, (*upper[:axis], threshold, *upper[axis + 1 :])
    return low, ((*lower[:axis], threshold, *lower[axis + 1 :]), upper)


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
    for prefix in queue:  # which grows
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
                        found = file_digest(file, "sha256").hexdigest(), file.tell()  # type: ignore[arg-type] # has readinto
                    require(found == entries[path], where, CHANGED)
                    missing.remove(path)
    require(not missing, str(sorted(missing)[:1])[:200], "listed in the manifest, but absent")


def manifest_bytes(root: str) -> bytes:
    """The manifest, if this is a bundle of the known format at all."""
    try:
        with open_file(root, MANIFEST, MAX_JSON) as file:
            data = file.read(MAX_JSON)
        manifest = read_json(data, MANIFEST)
        manifest.require(manifest.get("format") == "netslicer-bundle/1", "the format netslicer-bundle/1")
    except Rejected as error:
        raise UnusableError(f"{root}: {': '.join(error.args)}") from error
    return data


def read_manifest(file: Field) -> tuple[str, dict[str, tuple[str, int]]]:
    """The mode; (sha256, size) of the listed files by path."""
    fields = file.record("format", "mode", "source", "options", "tools", "truncated", "files")
    fields["mode"].text("bitwise|decision|epsilon")
    for key, kind in (("truncated", bool), ("options", dict), ("tools", dict)):
        fields[key].require(isinstance(fields[key].value, kind), f"a value of type {kind.__name__}")
    entries: dict[str, tuple[str, int]] = {}
    for entry in fields["files"].items():
        row = entry.record("path", "sha256", "size")
        path = row["path"].text()
        fits = re.fullmatch(f"{NAME}(?:/{NAME})*", path) and next(reversed(entries), "") < path != MANIFEST
        row["path"].require(fits, "increasing plain relative paths, not the manifest")
        entries[path] = row["sha256"].text(SHA256), row["size"].integer(0, MAX_FILE)
    models = {"parent.onnx", "parent.nnet"}.intersection(entries)
    fields["source"].require({fields["source"].text("parent[.](onnx|nnet)")} == models, "a listed file, the one model")
    return str(fields["mode"].value), entries


def cell_boxes(tree: Field, domain: Box) -> list[Box]:
    """The closed boxes of the cells in their order; checks the routing tree."""
    boxes, waiting = list[Box](), [(0, domain)]
    for k, node in enumerate(tree.items()):
        node.require(waiting and waiting[-1][0] == k, "this node where its parent says")
        _, box = waiting.pop()
        if node.get("cell") is not None:
            node.record("cell")["cell"].equal(len(boxes))
            boxes.append(box)
        else:
            fields = node.record("axis", "threshold", "low", "high")
            low, high = halves(fields, box, strict=True)
            fields["low"].equal(k + 1)
            waiting += [(fields["high"].integer(k + 2, len(tree.value)), high), (k + 1, low)]
    tree.require(not waiting, "both children of every split")
    return boxes


class Demands(NamedTuple):
    """Lists of units, of each of which every path closes one inactive; what they are, in words."""

    pairs: Sequence[Sequence[Pair]] = ()
    what: str = ""


class Proof:
    """What proof trees are about: the parent, or another proof's layers, with those by which proofs extend them."""

    def __init__(self, layers: Sequence[Layer], domain: Box, begun: Proof | None = None) -> None:
        self.layers = layers
        self.fixed = cache(lambda bits: Fixed(layers, domain, bits, begun.fixed(bits) if begun else None))

    def check(self, tree: Field, root: Box, removed: Sequence[Pair], demands: Demands) -> tuple[int, int]:
        """Nodes and closings of a tree, walked in preorder: all must hold, every path close what it has to."""
        closings, waiting = 0, [(root, dict[Pair, Claim]())]  # open nodes, with the closings above them
        for node in tree.items():
            node.require(waiting, "no node after the last leaf")
            box, facts = waiting.pop()
            split = () if node.get("axis") is None else ("axis", "threshold")
            fields = node.record(*split, optional=("inactive", "active"))
            claims: dict[Pair, Claim] = {}
            for key, sign in (("inactive", -1), ("active", 1)):
                if key in fields:
                    pairs = fields[key].units(self.layers)
                    fields[key].require(pairs, "a list that is left out rather than empty")
                    node.require(not any(k in facts or k in claims for k in pairs), "no unit closed twice on one path")
                    claims |= {(place, k): (self.layers[place].inputs[k][0], sign) for place, k in pairs}
            self._prove(node.where, box, facts, claims)
            closings += len(claims)
            facts = facts | claims if claims else facts
            if split:
                low, high = halves(fields, box, strict=False)
                waiting += [(high, facts), (low, facts)]
                node.require(len(waiting) * (len(box[0]) + len(facts)) < MAX_WAITING, "a tree less deep")
            else:
                missing = [pair for pair in removed if facts.get(pair, (0, 0))[1] != -1]
                node.require(not missing, f"all removed units closed on the path to this leaf, not {missing[:1]}")
                good = all(any(facts.get(pair, (0, 0))[1] == -1 for pair in pairs) for pairs in demands.pairs)
                node.require(good, f"{demands.what} closed on the path to this leaf")
        tree.require(not waiting, "both children of every split")
        return len(tree.value), closings

    def _prove(self, where: str, box: Box, facts: dict[Pair, Claim], claims: dict[Pair, Claim]) -> None:
        """Prove the claims of a node."""
        unproved = failures(self.fixed, lambda fixed: fixed.unproved(box, facts.values(), claims)) if claims else []
        for pair, bound in unproved:
            inactive = claims[pair][1] < 0
            phase, limit = ("inactive", "an upper bound <= 0") if inactive else ("active", "a lower bound >= 0")
            why = f"expected {limit}, got {bound:.6g}; not proved: {len(unproved)} of {len(claims)} closings"
            raise Rejected(f"{where} {phase}: relu layer {pair[0]} unit {pair[1]}", why)


class Bundle:
    """A bundle whose manifest, files, parent and family are in order; its cells are still to be checked."""

    def __init__(self, root: str) -> None:
        self.root = root
        data = manifest_bytes(root)
        self.digest, (self.mode, self.entries) = sha256(data).hexdigest(), read_manifest(read_json(data, MANIFEST))
        check_files(root, self.entries)
        self.layers = read_parent(read_json(self.read(PARENT), PARENT))
        self.parent, _ = self.entries[PARENT]  # digest and size of what was read
        self._read_family(read_json(self.read(FAMILY), FAMILY))
        plain = Proof(self.layers, self.domain)
        large = failures(plain.fixed, lambda fixed: fixed.overflows(self.domain))
        extended = [*self.layers, *margins(self.layers, self.decision)] if self.decision else []
        self.proof = Proof(extended, self.domain, plain) if extended else plain
        require(not large, PARENT, f"expected sums of at most 2^126 on the domain, not so in its units {large[:3]}")

    def read(self, path: str) -> bytes:
        """The content of a listed file, if it has the listed size and digest."""
        with open_file(self.root, path, MAX_JSON) as file:
            data = file.read(MAX_JSON)
        require(self.entries.get(path) == (sha256(data).hexdigest(), len(data)), path, CHANGED)
        return data

    def _read_family(self, file: Field) -> None:
        named = [self.mode] * (self.mode != "bitwise")  # a key named as the mode says more about the claim
        fields = file.record("format", "mode", "parent", "domain", "tree", "members", "cells", *named)
        for key, value in (("format", "netslicer-family/1"), ("mode", self.mode), ("parent", self.parent)):
            fields[key].equal(value)
        self.decision = fields["decision"].text("argmax|argmin") if "decision" in fields else ""
        bounds = fields["epsilon"].items(self.layers[-1].width) if "epsilon" in fields else ()
        self.epsilon = [bound.number() for bound in bounds]
        require(min(self.epsilon, default=0) >= 0, f"{FAMILY} epsilon", "expected no negative bound")
        self.domain = fields["domain"].box(self.layers[0].width)
        fields["domain"].require(max(map(abs, chain(*self.domain))) <= 2.0**126, "corners of at most 2^126")
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

    def check_cell(self, cell: int, *, trust: bool) -> Accepted:
        """Check a cell's certificate and member, in which solvers' words may count; raises Rejected."""
        where, file = CERTIFICATE.format(cell), MEMBER.format(self.members[cell])
        certificate = read_json(self.read(where), where)
        keys = ("format", "mode", "cell", "box", "parent", "member", "removed", "tree")
        optional = ["attested", "readout"] if self.mode == "epsilon" else ["attested"]
        fields = certificate.record(*keys, *["classes"] * bool(self.decision), optional=optional)
        values = ("netslicer-certificate/2", self.mode, cell, self.parent, self.members[cell])
        for key, value in zip(("format", "mode", "cell", "parent", "member"), values, strict=True):
            fields[key].equal(value)
        box, removed = fields["box"].box(len(self.domain[0])), fields["removed"].units(self.layers)
        fields["box"].require(box == self.boxes[cell], "the box that the routing tree gives")
        try:
            member, proof, demands = self._claimed(fields, box, removed)
        except OverflowError as error:
            raise Rejected(file, "a constant overflows float32") from error
        attested = set(fields["attested"].units(self.layers) if "attested" in fields else [])
        if "attested" in fields:
            fields["attested"].require(attested and attested.issubset(removed), "some of the removed units")
            fields["attested"].require(trust, "proofs only: a solver's word counts only with --trust solver")
        same = member == self.read(file) and sha256(member).hexdigest() == self.members[cell]
        require(same, file, f"expected the member that the removals of {where} give")
        proved = [pair for pair in removed if pair not in attested]
        nodes, closings = proof.check(fields["tree"], box, proved, demands)
        return Accepted(removed=len(removed), attested=len(attested), nodes=nodes, closings=closings)

    def _claimed(self, fields: dict[str, Field], box: Box, removed: list[Pair]) -> tuple[bytes, Proof, Demands]:
        """The member's file, and how it is proved, besides the removals."""
        if "readout" in fields:
            return self._ending(fields["readout"], box, removed)
        if not self.decision:
            return member_of(self.layers, self.parent, removed), self.proof, Demands()
        classes = self._classes(fields["classes"])
        n, place = self.layers[-1].width, len(self.layers) + 1
        lost = [[(place, k * n + i) for i in classes] for k in range(n) if k not in classes]
        member = member_of(self.layers, self.parent, removed, fixed_outputs(self.decision, n, classes))
        return member, self.proof, Demands(lost, "every output outside of classes")

    def _ending(self, file: Field, box: Box, removed: list[Pair]) -> tuple[bytes, Proof, Demands]:
        """The same for a member with a readout, which must not overflow on its cell (§4)."""
        fields, n = file.record("reads", "weight", "bias"), self.layers[-1].width
        read = fields["reads"].units(self.layers[:-1], relu=False)
        fields["reads"].require(read, "at least one unit")
        weight = [row.vector(len(read)) for row in fields["weight"].items(n)]
        layers = [*self.layers, *errors(self.layers, (read, weight, fields["bias"].vector(n)), self.epsilon)]
        proof, sums = Proof(layers, self.domain, self.proof), {*layers[-3].units}
        large = failures(proof.fixed, lambda fixed: [*sums.intersection(fixed.overflows(box))])
        file.require(not large, "sums of at most 2^126 on the cell")
        every = [[(len(layers) - 1, k)] for k in range(2 * n)]
        member = member_of(self.layers, self.parent, removed, readout=(file.value, read))
        return member, proof, Demands(every, "all errors of the readout")

    def _classes(self, file: Field) -> list[int]:
        """The outputs that may win."""
        n, classes = self.layers[-1].width, list[int]()
        for entry in file.items():
            classes.append(entry.integer(classes[-1] + 1 if classes else 0, n - 1))
        file.require(classes, "at least one output")
        return classes


# ------------------------------------------------------------------------------------------------ the report
@lru_cache(maxsize=1)
def _bundle(root: str, manifest: str) -> Bundle:
    """The bundle in this process; workers inherit or open it."""
    bundle = Bundle(root)
    require(bundle.digest == manifest, MANIFEST, "changed while it was being checked")
    return bundle


def _verdict(root: str, manifest: str, trust: bool, cell: int) -> Accepted | Rejected:
    """Check one cell, in any process."""
    try:
        return _bundle(root, manifest).check_cell(cell, trust=trust)
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


def check_bundle(root: str, spec: str | None, seed: int, jobs: int, *, trust: bool = False) -> dict[str, Json]:
    """Check a bundle. The report has the same keys for every outcome and does not depend on ``jobs``."""
    report: dict[str, Json] = {"format": "netslicer-check/1", "outcome": "rejected", "proved": None, "parent": None}
    report |= {"bundle": sha256(manifest_bytes(root)).hexdigest(), "not_covered": list(NOT_COVERED), "findings": []}
    report |= dict.fromkeys(("cells", "checked", "accepted", "rejected", "nodes", "closings", "removed"), 0)
    report["attested"] = []  # [cell, number of units]
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
        for k, verdict in enumerate(run(partial(_verdict, root, bundle.digest, trust), cells)):
            if isinstance(verdict, Accepted):
                report["attested"] += [[cells[k], verdict["attested"]]] * (verdict["attested"] > 0)
                report |= {key: report[key] + verdict[key] for key in ("nodes", "closings", "removed")}
            else:
                report["findings"].append({"cell": cells[k], "where": verdict.args[0], "why": verdict.args[1]})
            if sys.stderr.isatty():
                sys.stderr.write(f"\rcells {k + 1}/{len(cells)} " + "\n" * (k + 1 == len(cells)))
    rejected = len(report["findings"])
    report |= {"parent": bundle.parent, "cells": total, "checked": len(cells), "rejected": rejected}
    report["accepted"] = len(cells) - rejected
    if not rejected:
        proved = STATEMENT.format(*CLAIMS[bundle.decision or bundle.mode])
        good = {"outcome": "accepted", "proved": proved}
        good = {"outcome": "attested", "proved": ATTESTED + proved} if report["attested"] else good
        report |= good if len(cells) == total else {"outcome": "no objection"}
    return report


def report_text(report: dict[str, Json]) -> str:
    """The report for people."""
    lines = ["outcome     {outcome}", "bundle      {bundle}", "parent      {parent}",
             "cells       {cells}: {checked} checked, {accepted} accepted, {rejected} rejected",
             "removed     {removed} units, by {closings} closings in {nodes} nodes"]  # fmt: skip
    lines = [line.format(**report) for line in lines]
    lines += [f"finding     {finding['where']}: {finding['why']}" for finding in report["findings"][:20]]
    lines += [f"attested    {units} units of cell {cell}" for cell, units in report["attested"][:20]]
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
    parser.add_argument("--trust", choices=["solver"], help="let units go on a solver's word; the outcome is attested")
    parser.add_argument("--json", metavar="FILE", help="also write the report as JSON")
    given = parser.parse_args(argv)
    try:
        trust = given.trust == "solver"
        report = check_bundle(given.bundle, given.cells, given.seed, max(given.jobs, 1), trust=trust)
        if given.json:
            with open(given.json, "wb") as file:  # noqa: PTH123 - pathlib would serve for nothing else
                file.write(canonical(report))
    except (UnusableError, OSError, MemoryError, BrokenExecutor) as error:
        sys.stderr.write(ascii(f"stopped: {error or type(error).__name__}")[1:-1] + "\n")
        return 2
    sys.stdout.write(report_text(report))
    return 1 if report["outcome"] == "rejected" else 0


if __name__ == "__main__":
    sys.exit(main())
