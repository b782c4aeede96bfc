"""A family as the JSON text in an emitted Python module.

Keys: ``bundle``; ``lower``, ``upper``; ``tree``, a list of cells and of nodes ``[axis, threshold, low, high]``;
``cells``, each cell's member; ``layers`` of the parent, each with ``kind``, ``width``, ``sources`` and its numbers;
``members``, for every layer ``units`` (missing where all are left) and, where there are any, ``prefixes``
``[unit, first, value]`` and ``constants`` ``[unit, value]``; or, with a readout, an object with these entries as
``layers``, and ``reads``, ``weight`` and ``bias``. Numbers are IEEE-754 bits in hex digits
(`dispatcher.literal.bits_text`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from dispatcher.files.member import readout_record
from dispatcher.layers import Add, Concat, Dense, Elementwise, Gather, Input, Layer, Relu
from dispatcher.literal import bits_text
from dispatcher.plan import Family, Member, MemberLayer
from dispatcher.tree import Leaf, Split


def family_text(family: Family, bundle_digest: str | None) -> str:
    """The JSON text, one line for each layer and member."""
    parts: dict[str, Any] = {
        "bundle": bundle_digest,
        "lower": bits_text(family.lower),
        "upper": bits_text(family.upper),
        "tree": [_node(node) for node in family.tree],
        "cells": list(family.cells),
        "layers": [_layer(layer, family) for layer in family.parent],
        "members": [_member(member, family) for member in family.members],
    }
    return "{" + ",\n".join(f'"{key}": {_lines(key, value)}' for key, value in parts.items()) + "}"


def _member(member: Member, family: Family) -> list[dict[str, Any]] | dict[str, Any]:
    """A member: its layers' entries, and its readout, if it ends in one."""
    entries = [_entry(entry, layer.width) for entry, layer in zip(member.layers, family.parent, strict=True)]
    return entries if member.readout is None else readout_record(member.readout) | {"layers": entries}


def _lines(key: str, value: Sequence[object] | str | None) -> str:
    """JSON, an entry a line where entries are long."""
    if key in ("layers", "members") and value:
        return "[\n" + ",\n".join(json.dumps(one, separators=(",", ":")) for one in value) + "]"
    return json.dumps(value, separators=(",", ":"))


def _node(node: Split | Leaf) -> list[int | str] | int:
    """A routing node."""
    if isinstance(node, Leaf):
        return node.cell
    return [node.axis, bits_text(np.array([node.threshold], np.float32)), node.low, node.high]


def _layer(layer: Layer, family: Family) -> dict[str, Any]:
    """A layer of the parent."""
    record: dict[str, Any] = {"width": layer.width, "sources": list(layer.sources)}
    match layer:
        case Input():
            return record | {"kind": "input"}
        case Dense():
            weight, bias = bits_text(layer.weight.ravel()), bits_text(layer.bias)
            return record | {
                "kind": "dense",
                "n_in": family.parent[layer.source].width,
                "weight": weight,
                "bias": bias,
            }
        case Elementwise():
            return record | {"kind": layer.op, "constant": bits_text(layer.constant)}
        case Relu():
            return record | {"kind": "relu"}
        case Gather():
            return record | {"kind": "gather", "indices": layer.indices.tolist()}
        case Concat():
            return record | {"kind": "concat"}
        case Add():
            return record | {"kind": "sum"}


def _entry(entry: MemberLayer, width: int) -> dict[str, Any]:
    """What a member keeps of a layer."""
    record: dict[str, Any] = {}
    if len(entry.units) < width:
        record["units"] = list(entry.units)
    if entry.prefixes:
        record["prefixes"] = [[row.unit, row.first, _bits(row.value)] for row in entry.prefixes]
    if entry.constants:
        record["constants"] = [[row.unit, _bits(row.value)] for row in entry.constants]
    return record


def _bits(value: np.float32) -> str:
    """The bits of one number."""
    return bits_text(np.array([value], np.float32))
