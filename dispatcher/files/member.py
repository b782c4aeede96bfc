"""A member's file: per parent layer the units that are left, the constant prefixes and the constants. No weights."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dispatcher.encode import Fields, canonical_json, read_json
from dispatcher.errors import UnusableBundle
from dispatcher.files.network import MAX_WIDTH, expect_format
from dispatcher.layers import Concat, Dense, Gather, Input, Layer, Layers, freeze
from dispatcher.literal import bits_text, bits_value
from dispatcher.plan import Constant, Member, MemberLayer, Prefix, Readout, concat_slices

MEMBER_FORMAT = "netslicer-member/1"

SharedLayers = dict[tuple[int, ...], MemberLayer]  # without prefixes and constants, by their units


def member_file(name: str) -> str:
    """Path of a member's file in the bundle, from its digest."""
    return f"family/members/{name}.json"


def member_bytes(member: Member, parent_digest: str) -> bytes:
    """Canonical bytes of a member; its sha256 is the member's name."""
    layers = [
        {
            "units": list(layer.units),
            "prefixes": [[p.unit, p.first, bits_text(np.array([p.value]))] for p in layer.prefixes],
            "constants": [[c.unit, bits_text(np.array([c.value]))] for c in layer.constants],
        }
        for layer in member.layers
    ]
    record: dict[str, object] = {"format": MEMBER_FORMAT, "parent": parent_digest, "layers": layers}
    if member.readout is not None:
        record["readout"] = readout_record(member.readout)
    return canonical_json(record)


def readout_record(readout: Readout) -> dict[str, object]:
    """A readout as members and certificates write it."""
    reads = [[layer, list(units)] for layer, units in readout.reads]
    return {"reads": reads, "weight": [bits_text(row) for row in readout.weight], "bias": bits_text(readout.bias)}


def read_member(
    content: bytes, parent: Layers, parent_digest: str, where: str, shared: SharedLayers | None = None
) -> Member:
    """Parse a member and check that it fits the parent (its equality is proved by certificates, not here).

    Members that are read with the same ``shared`` hold equal lists of units once: most of a large family's memory.

    Raises
    ------
    UnusableBundle
        Naming the layer and key.
    """
    fields = read_json(content, where)
    expect_format(fields, MEMBER_FORMAT)
    if fields.text("parent") != parent_digest:
        raise UnusableBundle("expected the bundle's parent, got another digest", where=f"{where}: parent")
    records = list(fields.records("layers"))
    readout = _read_readout(fields.record("readout"), parent) if "readout" in fields else None
    fields.done()
    if len(records) != len(parent):
        raise UnusableBundle(f"expected {len(parent)} layers, got {len(records)}", where=where)
    shared = {} if shared is None else shared
    layers = tuple(_read_member_layer(record, layer, shared) for record, layer in zip(records, parent, strict=True))
    member = Member(layers, readout)
    _check_member(parent, member, where)
    return member


def _read_readout(record: Fields, parent: Layers) -> Readout:
    """Reads, weight and bias."""
    reads = tuple(_read_units(entry, parent, f"{record.where}: reads") for entry in record.items("reads"))
    if not reads or any(a[0] >= b[0] for a, b in itertools.pairwise(reads)):
        raise UnusableBundle("expected units of strictly increasing layers", where=f"{record.where}: reads")
    rows = record.texts("weight")
    try:
        weight = [bits_value(row) for row in rows]
        bias = bits_value(record.text("bias"))
    except ValueError as error:
        raise UnusableBundle(str(error), where=record.where) from error
    record.done()
    n_read, n_out = sum(len(units) for _, units in reads), parent[-1].width
    if [len(row) for row in weight] != [n_read] * n_out or len(bias) != n_out:
        raise UnusableBundle(f"expected {n_out} rows of {n_read} numbers, and {n_out} biases", where=record.where)
    if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
        raise UnusableBundle("expected finite numbers", where=record.where)
    return Readout(reads, freeze(np.array(weight), np.float32), freeze(bias, np.float32))


def _read_units(entry: object, parent: Layers, where: str) -> tuple[int, tuple[int, ...]]:
    """Units of a layer before the last."""
    if not (isinstance(entry, list) and len(entry) == 2 and isinstance(entry[1], list) and entry[1]):
        raise UnusableBundle("expected rows [layer, [unit, …]]", where=where)
    layer, units = entry
    if type(layer) is not int or not 0 <= layer < len(parent) - 1:
        raise UnusableBundle("expected layers before the last", where=where)
    good = all(type(unit) is int and 0 <= unit < parent[layer].width for unit in units)
    if not good or any(a >= b for a, b in itertools.pairwise(units)):
        raise UnusableBundle("expected strictly increasing units of the layer", where=where)
    return layer, tuple(units)


def _read_member_layer(record: Fields, layer: Layer, shared: SharedLayers) -> MemberLayer:
    """One layer of a member; one that lists units only is taken from ``shared``, or added."""
    units = tuple(record.integers("units", layer.width, increasing=True))
    prefixes = tuple(Prefix(unit, first, value) for unit, first, value in _rows(record, "prefixes", 3))
    constants = tuple(Constant(unit, value) for unit, value in _rows(record, "constants", 2))
    record.done()
    named = [row.unit for row in prefixes] + [row.unit for row in constants]
    if named and (not isinstance(layer, Dense) or not set(named) <= set(units) or len(set(named)) != len(named)):
        raise UnusableBundle("expected prefixes and constants of distinct kept Dense units", where=record.where)
    if isinstance(layer, Dense) and any(not 0 < row.first < layer.weight.shape[1] for row in prefixes):
        raise UnusableBundle("expected prefixes that end inside their rows", where=record.where)
    plain = shared.setdefault(units, MemberLayer(units))
    return MemberLayer(plain.units, prefixes, constants) if named else plain


def _rows(record: Fields, key: str, length: int) -> list[list[Any]]:
    """Rows of integers ending with one float32 in bits, by increasing unit."""
    where, rows = f"{record.where}: {key}", []
    for row in record.items(key):
        good = isinstance(row, list) and len(row) == length and isinstance(row[-1], str) and len(row[-1]) == 8
        if not good or any(type(value) is not int or not 0 <= value < MAX_WIDTH for value in row[:-1]):
            raise UnusableBundle(f"expected rows of {length - 1} integers and one float32", where=where)
        try:
            value = bits_value(row[-1])[0]
        except ValueError as error:
            raise UnusableBundle(str(error), where=where) from error
        if not np.isfinite(value):
            raise UnusableBundle("expected finite numbers", where=where)
        rows.append([*row[:-1], value])
    if any(a[0] >= b[0] for a, b in itertools.pairwise(rows)):
        raise UnusableBundle("expected strictly increasing units", where=where)
    return rows


def _check_member(parent: Layers, member: Member, where: str) -> None:
    """Check that the input is whole, what leaves complete, and every unit's element-wise sources are kept."""
    units = [np.array(entry.units, np.int64) for entry in member.layers]
    if len(units[0]) != parent[0].width or (member.readout is None and len(units[-1]) != parent[-1].width):
        raise UnusableBundle("expected a member with all inputs and all outputs", where=where)
    for place, read in member.readout.reads if member.readout else ():
        if not np.isin(read, units[place]).all():
            raise UnusableBundle("expected the units that are read to be kept", where=f"{where}: layers[{place}]")
    for position, layer in enumerate(parent):
        for source, wanted in _wanted(layer, units[position], parent):
            if not np.isin(wanted, units[source]).all():
                raise UnusableBundle(
                    "expected the sources of kept units to be kept", where=f"{where}: layers[{position}]"
                )


def _wanted(layer: Layer, kept: NDArray[np.int64], parent: Layers) -> list[tuple[int, NDArray[np.int64]]]:
    """The source units that the kept units of a layer other than Dense read: (source, units) pairs."""
    match layer:
        case Input() | Dense():
            return []
        case Gather():
            return [(layer.source, layer.indices[kept])]
        case Concat():
            return concat_slices(layer, parent, kept)
        case _:
            return [(source, kept) for source in layer.sources]
