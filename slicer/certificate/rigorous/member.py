"""A member rebuilt from the parent and the removed units (CERTIFICATE.md §3): its bytes are compared, never trusted.

All arithmetic here is float32, one operation at a time, in the declared order.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from slicer.certificate.rigorous.form import Refusal, canonical
from slicer.certificate.rigorous.parent import Layer, Parent

Mask = NDArray[np.bool_]
Vector = NDArray[np.float32]


def rebuild(parent: Parent, removed: Iterable[tuple[int, list[int]]]) -> bytes:
    """The file of the member without the removed units, given as rows (relu layer, units)."""
    member, rows = _Member(parent), dict(removed)
    with np.errstate(all="ignore"):
        for position, layer in enumerate(parent.layers):
            known, values = member.constants(position, layer, rows.get(position, []))
            if not np.isfinite(values[known]).all():
                raise Refusal(
                    f"layer {position}", "expected finite constants: without the removed units a sum overflows"
                )
            member.known.append(known)
            member.values.append(np.where(known, values, np.float32(0)))
    for position in reversed(range(len(parent.layers))):
        member.need(position, parent.layers[position])
    layers = [member.record(position) for position in range(len(parent.layers))]
    return canonical({"format": "netslicer-member/1", "parent": parent.digest, "layers": layers})


class _Member:
    """For every layer, which units are constant (``known``) with which ``values``, and which are ``needed``.

    Of a dense layer also the non-zero ``terms`` ``[n_out, n_in]``, and for each unit the ``first`` term whose source
    unit is not constant, the sum of the terms before (``start``), and whether one of these is not zero (``recorded``).
    """

    def __init__(self, parent: Parent) -> None:
        self.needed = [np.zeros(layer.width, bool) for layer in parent.layers]
        self.needed[0][:] = self.needed[-1][:] = True
        self.known: list[Mask] = []
        self.values: list[Vector] = []
        self.dense: dict[int, tuple[Mask, NDArray[np.int64], Vector, Mask]] = {}

    def constants(self, position: int, layer: Layer, removed: list[int]) -> tuple[Mask, Vector]:
        """Which units of one layer are constant, and their values; those of the layers before it are known."""
        known, values = np.ones(layer.width, bool), np.zeros(layer.width, np.float32)
        for link in layer.links:
            known[link.place] &= self.known[link.source][link.units]
            values[link.place] += self.values[link.source][link.units]
        operand = layer.operand.astype(np.float32)
        match layer.kind:
            case "input":
                known[:] = False
            case "dense":
                return self._dense(position, layer, layer.sources[0])
            case "relu":
                known, values = self.known[layer.sources[0]].copy(), np.maximum(self.values[layer.sources[0]], 0)
                known[removed], values[removed] = True, 0
            case "shift":
                values += operand
            case "mul":
                values *= operand
            case "div":
                values /= operand
        return known, values

    def _dense(self, position: int, layer: Layer, source: int) -> tuple[Mask, Vector]:
        """Constants and prefixes of a dense layer: its terms in order up to the first that is not constant."""
        weight, values = layer.weight.astype(np.float32), self.values[source]
        terms = weight != 0
        varying = np.column_stack([terms & ~self.known[source], np.ones(layer.width, bool)])
        first = varying.argmax(axis=1)  # n_in if every term is constant
        start, recorded = np.zeros(layer.width, np.float32), np.zeros(layer.width, bool)
        for column in np.flatnonzero(values):  # a term with a zero constant is zero: it changes no sum
            rows = terms[:, column] & (column < first)
            start[rows] += weight[rows, column] * values[column]
            recorded |= rows
        self.dense[position] = terms, first, start, recorded
        return first == weight.shape[1], start + layer.constant.astype(np.float32)

    def need(self, position: int, layer: Layer) -> None:
        """Mark the source units that the layer's needed units need."""
        needed = self.needed[position]
        for link in layer.links:
            self.needed[link.source][link.units[needed[link.place]]] = True
        if layer.kind == "relu":
            self.needed[layer.sources[0]] |= needed
        elif layer.kind == "dense":
            source, (terms, first, _, _) = layer.sources[0], self.dense[position]
            rows = needed & ~self.known[position]
            late = np.arange(terms.shape[1]) >= first[rows, None]
            zero = self.known[source] & (self.values[source] == 0)
            self.needed[source] |= (terms[rows] & late).any(axis=0) & ~zero

    def record(self, position: int) -> dict[str, object]:
        """The member's entry for one layer."""
        needed, known, prefixes, constants = self.needed[position], self.known[position], [], []
        if position in self.dense:
            _, first, start, recorded = self.dense[position]
            chosen = np.flatnonzero(needed & ~known & recorded).tolist()
            prefixes = [[unit, int(first[unit]), _bits(start[unit])] for unit in chosen]
            chosen = np.flatnonzero(needed & known).tolist()
            constants = [[unit, _bits(self.values[position][unit])] for unit in chosen]
        return {"units": np.flatnonzero(needed).tolist(), "prefixes": prefixes, "constants": constants}


def _bits(value: np.float32) -> str:
    """A float32 number as eight hex digits."""
    return bytes(np.array(value, ">f4")).hex()
