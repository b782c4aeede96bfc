"""The parent network as the checker sees it: read strictly (CERTIFICATE.md §2), prepared once for all cells."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from slicer.certificate.rigorous import form
from slicer.certificate.rigorous.form import Array, Indices, Refusal, expect

FILE = "family/parent.json"
U, T = 2.0**-24, 2.0**-126
MAX_UNITS = (1 << 20) - 1  # of the whole network, so that a small file cannot ask for much memory
_KEYS = {
    "input": ("width",),
    "dense": ("source", "weight", "bias"),
    "elementwise": ("source", "op", "constant"),
    "relu": ("source",),
    "gather": ("source", "indices"),
    "concat": ("sources",),
    "add": ("sources",),
}


@dataclass(frozen=True, eq=False)
class Link:
    """Part of a layer that is neither dense nor relu: units ``place`` add ``scale · source[units]``, ``[n]`` each."""

    source: int
    place: slice
    units: Indices
    scale: Array

    @cached_property
    def groups(self) -> tuple[Indices, Indices, Indices]:
        """An order of the link by source unit, the beginning of each group of equal ones, and the groups' units."""
        order = np.argsort(self.units, kind="stable")
        units, first = np.unique(self.units[order], return_index=True)
        return order, first, units


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer: a dense one has ``weight`` ``[n_out, n_in]`` and ``constant`` (its bias), the others have links.

    ``rounding`` is the factor of S in r (CERTIFICATE.md §4); 0 for layers that move numbers, which make no error.
    ``operand`` is an element-wise layer's constant, ``constant`` what it adds.
    """

    kind: str
    sources: tuple[int, ...]
    width: int
    constant: Array
    rounding: float = 0.0
    weight: Array = field(default_factory=lambda: np.zeros((0, 0)))
    links: tuple[Link, ...] = ()
    operand: Array = field(default_factory=lambda: np.zeros(0))

    @cached_property
    def magnitude(self) -> Array:
        """``abs(weight)`` transposed, ``[n_in, n_out]``."""
        return np.ascontiguousarray(np.abs(self.weight).T)


class Parent:
    """The layers of ``family/parent.json``, and what every check needs to know about them.

    Attributes
    ----------
    readers:
        For every layer the positions of the layers that read it, once for each time that it is named as a source.
    offset:
        First number of every relu layer in vectors over all relu units, ``[relu_units]``.
    exact:
        Whether the interval rule gives the same bounds of a layer as the backward rule does.
    kappa:
        The rounding constant κ of the package docstring.
    """

    def __init__(self, content: bytes) -> None:
        self.digest = hashlib.sha256(content).hexdigest()
        self.layers: list[Layer] = []
        file = form.record(form.read(content, FILE), FILE, ("format", "layers"))
        form.fixed(file, FILE, format="netslicer-network/1")
        units = 0
        for position, value in enumerate(form.items(file["layers"], FILE)):
            where = f"{FILE}: layers[{position}]"
            self.layers.append(self._layer(value, position, where))
            expect(self.layers[-1].width > 0, where, "expected at least one unit")
            units += self.layers[-1].width
            expect(units <= MAX_UNITS, where, f"expected at most {MAX_UNITS} units in all layers")
        expect(self.layers, FILE, "expected at least the input layer")
        self.inputs, self.longest = self.layers[0].width, max(layer.width for layer in self.layers)
        self.units = [np.arange(layer.width) for layer in self.layers]
        self.readers: list[list[int]] = [[] for _ in self.layers]
        for position, layer in enumerate(self.layers):
            for source in layer.sources:
                self.readers[source].append(position)
        self.only_relu = [[self.layers[p].kind for p in readers] == ["relu"] for readers in self.readers]
        self.offset: dict[int, int] = {}
        self.relu_units, own = 0, {0}
        for position, layer in enumerate(self.layers):
            if layer.kind in ("shift", "mul", "div") and layer.sources[0] in own:
                own.add(position)  # every unit of it depends on an input of its own
            if layer.kind == "relu":
                self.offset[position] = self.relu_units
                self.relu_units += layer.width
        self.exact = [layer.kind == "dense" and layer.sources[0] in own for layer in self.layers]
        merged = sum(np.bincount(link.units).max(initial=0) for layer in self.layers for link in layer.links)
        self.kappa = (self.longest + int(merged) + 5 * len(self.layers) + 16) * 2.0**-50

    def relus(self, position: int) -> Iterator[tuple[int, slice]]:
        """The relu layers that read a layer, each with its place in vectors over all relu units."""
        for reader in self.readers[position]:
            if self.layers[reader].kind == "relu":
                yield reader, slice(self.offset[reader], self.offset[reader] + self.layers[reader].width)

    def unit_lists(self, value: object, where: str) -> list[tuple[int, list[int]]]:
        """Rows [relu layer, [unit, …]], everything strictly increasing, no empty list of units."""
        last = -1
        for row in form.items(value, where):
            if not isinstance(row, list) or len(row) != 2:
                raise Refusal(where, "expected rows [relu layer, [unit, …]]")
            layer, units = row
            if type(layer) is not int or layer not in self.offset:
                raise Refusal(where, f"expected the position of a relu layer, got {ascii(layer)[:40]}")
            if layer <= last:
                raise Refusal(where, "expected strictly increasing layers")
            if not form.integers(units, where, self.layers[layer].width, increasing=True):
                raise Refusal(where, "expected no empty list of units")
            last = layer
        rows: list[tuple[int, list[int]]] = value  # type: ignore[assignment] # checked above
        return rows

    def flat(self, rows: Iterable[tuple[int, list[int]]]) -> list[int]:
        """Numbers of the units of such rows in vectors over all relu units."""
        return [self.offset[layer] + unit for layer, units in rows for unit in units]

    def _layer(self, value: object, position: int, where: str) -> Layer:
        """One layer from its JSON object; the layers before it are known."""
        kind = value.get("kind") if isinstance(value, dict) else None
        expect(isinstance(kind, str) and kind in _KEYS, where, f"expected a kind of layer: {', '.join(_KEYS)}")
        fields = form.record(value, where, ("kind", "name", *_KEYS[str(kind)]))
        form.text(fields["name"], where)
        expect((kind == "input") == (position == 0), where, "expected the input at position 0 and nowhere else")
        if kind == "input":
            width = form.integer(fields["width"], where, MAX_UNITS + 1)
            return Layer("input", (), width, np.zeros(width))
        listed = [fields["source"]] if "source" in fields else fields["sources"]
        sources = tuple(form.integers(listed, f"{where}: sources", position))
        widths = [self.layers[source].width for source in sources]
        expect(0 < sum(widths) <= 2 * MAX_UNITS, where, f"expected at least one source, and at most {MAX_UNITS} units")
        if kind == "dense":
            return _dense(fields, sources, widths[0], where)
        if kind == "relu":
            return Layer("relu", sources, widths[0], np.zeros(widths[0]))
        return _linked(str(kind), fields, sources, widths, where)


def _dense(fields: dict[str, Any], sources: tuple[int, ...], n_in: int, where: str) -> Layer:
    """A dense layer over ``n_in`` source units; its rounding is γ_{n+1}."""
    rows = form.items(fields["weight"], f"{where}: weight")
    weight = np.array([form.vector(row, f"{where}: weight", n_in) for row in rows]).reshape(len(rows), n_in)
    bias, rounding = form.vector(fields["bias"], f"{where}: bias", len(rows)), (n_in + 1) * U / (1 - (n_in + 1) * U)
    return Layer("dense", sources, len(rows), bias, rounding, weight)


def _linked(kind: str, fields: dict[str, Any], sources: tuple[int, ...], widths: list[int], where: str) -> Layer:
    """An element-wise, gather, concat or add layer as links; only the first and the last round."""
    if kind == "elementwise":
        return _elementwise(fields, sources[0], widths[0], where)
    if kind == "gather":
        indices = np.array(form.integers(fields["indices"], f"{where}: indices", widths[0]), np.int64)
        return Layer(kind, sources, len(indices), np.zeros(len(indices)), links=(_link(sources[0], indices),))
    if kind == "add":
        expect(len(sources) == 2 and widths[0] == widths[1], where, "expected two sources of equal width")
        links = tuple(_link(source, np.arange(widths[0])) for source in sources)
        return Layer(kind, sources, widths[0], np.zeros(widths[0]), U, links=links)
    starts = np.cumsum([0, *widths]).tolist()
    links = tuple(_link(*entry) for entry in zip(sources, map(np.arange, widths), starts, strict=False))
    return Layer(kind, sources, starts[-1], np.zeros(starts[-1]), links=links)


def _elementwise(fields: dict[str, Any], source: int, width: int, where: str) -> Layer:
    """An element-wise layer; its kind is the operation: shift (add), mul or div."""
    operand, op = form.vector(fields["constant"], f"{where}: constant", width), fields["op"]
    expect(op in ("add", "mul", "div"), f"{where}: op", "expected add, mul or div")
    if op == "add":
        return Layer("shift", (source,), width, operand, U, links=(_link(source, np.arange(width)),), operand=operand)
    expect(op == "mul" or (np.abs(operand) >= T).all(), where, "expected divisors of at least 2^-126 in magnitude")
    link = Link(source, slice(0, width), np.arange(width), operand if op == "mul" else 1 / operand)
    return Layer(op, (source,), width, np.zeros(width), U, links=(link,), operand=operand)


def _link(source: int, units: Indices, start: int = 0) -> Link:
    """A link that moves units as they are."""
    return Link(source, slice(start, start + len(units)), units, np.ones(len(units)))
