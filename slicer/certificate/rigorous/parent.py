"""The parent network as the checker sees it: read strictly (CERTIFICATE.md §2), prepared once for all cells.

The units of all layers are numbered through; vectors over all units are ``[units]``.
"""

from __future__ import annotations

import copy
import hashlib
from dataclasses import dataclass
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
class Layer:
    """One layer: an affine function of ``units``, of which a relu takes the positive part.

    Dense: ``factor`` (its weight) times the units ``[n_in]`` of its source, plus ``constant`` (its bias).
    All others: the sum of the units ``[terms, width]``, times ``factor``, by ``divisor``, plus ``constant``, at most
    one of which does anything. An input reads itself.
    ``rounding`` is the factor of S in r (CERTIFICATE.md §4); 0 for layers that move numbers, which make no error.
    """

    kind: str
    sources: list[int]
    units: Indices
    constant: Array
    factor: Array
    divisor: Array
    rounding: float

    @cached_property
    def scale(self) -> Array:
        """What a layer that is not dense multiplies its units with, ``[width]`` or ``[1]``."""
        return self.factor / self.divisor

    @cached_property
    def magnitude(self) -> Array:
        """``abs(factor)``, of a dense layer ``[n_out, n_in]``."""
        return np.abs(self.factor)


class Parent:
    """The layers of ``family/parent.json``, and what every check needs to know about them.

    Attributes
    ----------
    size:
        Number of all units.
    spans:
        Where the units of every layer stand in vectors over all units.
    relus:
        The first unit of every relu layer.
    readers:
        For every layer the positions of the layers that read it, once for each time that it is named as a source.
    gates:
        For every layer the one that decides which units matter: the relu that is the only reader of a dense layer;
        else the layer itself.
    exact:
        Whether the interval rule gives the same bounds of a layer as the backward rule does.
    kappa:
        The rounding constant κ of the package docstring.
    errors:
        The position of the layer whose relu are the errors of a readout, where a proof extends the parent by them.
    depth, outputs:
        The number of its own layers, without those by which a proof extends it (`extend`), and of their outputs.
    """

    def __init__(self, content: bytes) -> None:
        self.digest = hashlib.sha256(content).hexdigest()
        self.size = 0
        self.layers: list[Layer] = []
        self.spans: list[slice] = []
        self.readers: list[list[int]] = []
        file = form.record(form.read(content, FILE), FILE, ("format", "layers"))
        form.fixed(file, FILE, format="netslicer-network/1")
        for position, value in enumerate(form.items(file["layers"], FILE)):
            where = f"{FILE}: layers[{position}]"
            self.append(self._layer(value, position, where), where)
        expect(self.layers, FILE, "expected at least the input layer")
        self.depth, self.outputs = len(self.layers), len(self.layers[-1].constant)
        self.errors: int | None = None
        self.derive()

    def derive(self) -> None:
        """What follows from the layers."""
        self.inputs, self.longest = len(self.layers[0].constant), max(len(layer.constant) for layer in self.layers)
        self.relus = {p: self.spans[p].start for p, layer in enumerate(self.layers) if layer.kind == "relu"}
        self.gates = [*range(len(self.layers))]
        for position, readers in enumerate(self.readers):
            if self.layers[position].kind == "dense" and len(readers) == 1 and readers[0] in self.relus:
                self.gates[position] = readers[0]
        own = {0}  # layers in which every unit depends on an input of its own
        for position, layer in enumerate(self.layers):
            if layer.kind == "elementwise" and layer.sources[0] in own:
                own.add(position)
        self.exact = [layer.kind == "dense" and layer.sources[0] in own for layer in self.layers]
        moving = [layer for layer in self.layers if layer.kind not in ("input", "dense", "relu")]
        merged = sum(int(np.unique(layer.units, return_counts=True)[1].max()) for layer in moving)
        self.kappa = (self.longest + merged + 5 * len(self.layers) + 16) * 2.0**-50

    def copy(self) -> Parent:
        """Another one of the same layers, which can be extended."""
        other = copy.copy(self)
        other.layers, other.spans = [*self.layers], [*self.spans]
        other.readers = [[*readers] for readers in self.readers]
        return other

    def places(self, position: int) -> list[slice]:
        """Where the relu layers that read a layer stand in vectors over all units."""
        return [self.spans[reader] for reader in self.readers[position] if reader in self.relus]

    def numbers(self, value: object, where: str, *, own: bool = False) -> list[int]:
        """The units in rows [relu layer, [unit, …]], numbered through; everything strictly increasing.

        Only those of the parent's ``own`` layers, or also of those that extend it.
        """
        relus = {layer: self.spans[layer] for layer in self.relus if layer < self.depth or not own}
        return self.listed(value, where, relus, "relu layer")

    def listed(self, value: object, where: str, spans: dict[int, slice], what: str) -> list[int]:
        """The same of other layers, by position; ``what`` they are, in words."""
        numbers: list[int] = []
        for row in form.items(value, where):
            if not isinstance(row, list) or len(row) != 2:
                raise Refusal(where, f"expected rows [{what}, [unit, …]]")
            layer, units = row
            if type(layer) is not int or layer not in spans:
                raise Refusal(where, f"expected the position of a {what}, got {ascii(layer)[:40]}")
            start = spans[layer].start
            if numbers and numbers[-1] >= start:
                raise Refusal(where, "expected strictly increasing layers")
            if not form.integers(units, where, spans[layer].stop - start, increasing=True):
                raise Refusal(where, "expected no empty list of units")
            numbers += [start + unit for unit in units]
        return numbers

    def append(self, layer: Layer, where: str) -> None:
        """Number a layer's units and make it known to its sources."""
        span = slice(self.size, self.size + len(layer.constant))
        expect(span.stop > span.start, where, "expected at least one unit")
        expect(span.stop <= MAX_UNITS, where, f"expected at most {MAX_UNITS} units in all layers")
        for source in layer.sources:
            self.readers[source].append(len(self.layers))
        self.layers.append(layer)
        self.readers.append([])
        self.spans.append(span)
        self.size = span.stop

    def _layer(self, value: object, position: int, where: str) -> Layer:
        """One layer from its JSON object; the layers before it are known."""
        kind = value.get("kind") if isinstance(value, dict) else None
        expect(isinstance(kind, str) and kind in _KEYS, where, f"expected a kind of layer: {', '.join(_KEYS)}")
        fields = form.record(value, where, ("kind", "name", *_KEYS[str(kind)]))
        form.text(fields["name"], where)
        expect((kind == "input") == (position == 0), where, "expected the input at position 0 and nowhere else")
        if kind == "input":
            units = np.arange(form.integer(fields["width"], where, MAX_UNITS + 1))
            return _moving(fields, where, [], [units])
        listed = [fields["source"]] if "source" in fields else fields["sources"]
        sources = form.integers(listed, f"{where}: sources", position)
        total = sum(len(self.layers[source].constant) for source in sources)
        expect(0 < total <= 2 * MAX_UNITS, where, f"expected at least one source, and at most {MAX_UNITS} units")
        given = [np.arange(self.spans[source].start, self.spans[source].stop) for source in sources]
        return (_dense if kind == "dense" else _moving)(fields, where, sources, given)


def _dense(fields: dict[str, Any], where: str, sources: list[int], given: list[Indices]) -> Layer:
    """A dense layer over ``n_in`` source units; its rounding is γ_{n+1}."""
    rows, n_in = form.items(fields["weight"], f"{where}: weight"), len(given[0])
    weight = np.array([form.vector(row, f"{where}: weight", n_in) for row in rows]).reshape(len(rows), n_in)
    bias = form.vector(fields["bias"], f"{where}: bias", len(rows))
    return Layer("dense", sources, given[0], bias, weight, np.ones(1), (n_in + 1) * U / (1 - (n_in + 1) * U))


def _moving(fields: dict[str, Any], where: str, sources: list[int], given: list[Indices]) -> Layer:
    """A layer of any other kind: element-wise layers and sums round, the others move numbers."""
    kind, units = fields["kind"], given[0]
    if kind == "gather":
        units = units[form.integers(fields["indices"], f"{where}: indices", len(units))]
    elif kind == "concat":
        units = np.concatenate(given)
    elif kind == "add":
        expect([*map(len, given)] == [len(units)] * 2, where, "expected two sources of equal width")
        units = np.array(given)
    units = np.atleast_2d(units)
    operands: dict[str, Array] = {"add": np.zeros(units.shape[1]), "mul": np.ones(1), "div": np.ones(1)}  # no effect
    if kind == "elementwise":
        operand, op = form.vector(fields["constant"], f"{where}: constant", units.shape[1]), fields["op"]
        expect(op in ("add", "mul", "div"), f"{where}: op", "expected add, mul or div")
        expect(op != "div" or (np.abs(operand) >= T).all(), where, "expected divisors of at least 2^-126 in magnitude")
        operands[op] = operand
    rounding = U if kind in ("add", "elementwise") else 0.0
    return Layer(kind, sources, units, operands["add"], operands["mul"], operands["div"], rounding)
