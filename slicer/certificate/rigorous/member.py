"""A member rebuilt from the parent and the removed units (CERTIFICATE.md §3): its bytes are compared, never trusted.

All arithmetic here is float32, one operation at a time, in the declared order.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from slicer.certificate.rigorous.form import LARGEST, Indices, Mask, canonical, expect
from slicer.certificate.rigorous.parent import Layer, Parent

Vector = NDArray[np.float32]
OVERFLOW = "expected finite constants: without the removed units a sum overflows"


Constants = Mapping[int, float]


def rebuild(
    parent: Parent,
    removed: Collection[int],
    fixed: Constants | None = None,
    readout: tuple[object, Indices] | None = None,
) -> bytes:
    """The file of the member without the removed units, whose ``fixed`` outputs are constants.

    Or it ends in a ``readout``, as JSON and the units that it reads.

    Raises
    ------
    Refusal
        If a constant overflows, as it cannot if the units are inactive.
    """
    member, own = _Member(parent, removed), parent.layers[: parent.depth]
    member.needed[member.outputs if readout is None else readout[1]] = True
    with np.errstate(all="ignore"):
        for position, layer in enumerate(own):
            member.propagate(position, layer)
    for output, value in (fixed or {}).items():
        member.values[member.outputs.start + output] = value
    layers = [member.entry(position, layer) for position, layer in reversed([*enumerate(own)])]
    ending = {} if readout is None else {"readout": readout[0]}
    return canonical({"format": "netslicer-member/1", "parent": parent.digest, "layers": layers[::-1], **ending})


def fixed_outputs(decision: str, outputs: int, classes: Collection[int]) -> dict[int, float]:
    """The outputs that are constant because they cannot win, or because they always do."""
    lost = -LARGEST if decision == "argmax" else LARGEST
    return {k: 0.0 if k in classes else lost for k in range(outputs) if k not in classes or len(classes) == 1}


class _Member:
    """Of all units: whether they are removed and ``needed``, and the ``values`` of constant units; NaN for the others.

    Of a dense layer also the non-zero ``terms`` ``[n_out, n_in]``, and for each unit the ``first`` term whose source
    unit is not constant, the sum of the terms before (``start``), and whether one of these is not zero (``recorded``).
    """

    def __init__(self, parent: Parent, removed: Collection[int]) -> None:
        self.spans, self.values = parent.spans, np.full(parent.size, np.nan, np.float32)
        self.removed, self.needed = np.zeros((2, parent.size), bool)
        self.removed[[*removed]] = True
        self.outputs = parent.spans[parent.depth - 1]
        self.needed[parent.spans[0]] = True
        self.dense: dict[int, tuple[Mask, NDArray[np.int64], Vector, Mask]] = {}

    def propagate(self, position: int, layer: Layer) -> None:
        """The constant units of one layer; those of the layers before it are known. NaN makes NaN in all operations."""
        own, given = self.spans[position], self.values[layer.units]
        factor, divisor, constant = (a.astype(np.float32) for a in (layer.factor, layer.divisor, layer.constant))
        if layer.kind == "dense":
            values = self._dense(position, given, factor, constant)
        else:
            values = given.sum(axis=0) * factor / divisor + constant
        if layer.kind == "relu":
            values = np.where(self.removed[own], np.float32(0), np.maximum(values, 0))
        expect(not np.isinf(values).any(), f"layer {position}", OVERFLOW)
        self.values[own] = values

    def _dense(self, position: int, given: Vector, weight: Vector, bias: Vector) -> Vector:
        """Constants and prefixes of a dense layer: its terms in order up to the first that is not constant."""
        terms, width = weight != 0, len(bias)
        varying = np.column_stack([terms & np.isnan(given), np.ones(width, bool)])
        first = varying.argmax(axis=1)  # n_in if every term is constant
        start, recorded = np.zeros(width, np.float32), np.zeros(width, bool)
        for column in np.flatnonzero(np.nan_to_num(given)):  # a term with a zero constant is zero: it changes no sum
            rows = terms[:, column] & (column < first)
            start[rows] += weight[rows, column] * given[column]
            recorded |= rows
        expect(np.isfinite(start).all(), f"layer {position}", OVERFLOW)
        self.dense[position] = terms, first, start, recorded
        return np.where(first == len(given), start + bias, np.float32(np.nan))

    def entry(self, position: int, layer: Layer) -> dict[str, object]:
        """The member's entry for one layer, whose needed units mark the source units that they need."""
        own, units = self.spans[position], layer.units
        needed, values, prefixes, constants = self.needed[own], self.values[own], [], []
        if layer.kind != "dense":
            self.needed[units[:, needed]] = True
        else:
            terms, first, start, recorded = self.dense[position]
            varying = needed & np.isnan(values)
            late = np.arange(len(units)) >= first[varying, None]
            self.needed[units] |= (terms[varying] & late).any(axis=0) & (self.values[units] != 0)
            chosen = np.flatnonzero(varying & recorded).tolist()
            prefixes = [[unit, int(first[unit]), _bits(start[unit])] for unit in chosen]
            chosen = np.flatnonzero(needed & ~varying).tolist()
            constants = [[unit, _bits(values[unit])] for unit in chosen]
        return {"units": np.flatnonzero(needed).tolist(), "prefixes": prefixes, "constants": constants}


def _bits(value: np.float32) -> str:
    """A float32 number as eight hex digits."""
    return bytes(np.array(value, ">f4")).hex()
