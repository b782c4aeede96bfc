"""The family's files: how parent, members and tree are written in a bundle, and read back strictly.

``family/parent.json``, ``family/members/<digest>.json`` and ``family/family.json``, canonical JSON throughout. The
grammar is normative in ``slicer/certificate/CERTIFICATE.md``; reading validates everything the classes promise.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dispatcher.encode import Fields, canonical_json, digest, read_json
from dispatcher.errors import UnusableBundle, UnusableInput
from dispatcher.layers import Add, Concat, Dense, Elementwise, Gather, Input, Layer, Layers, Relu, check_layers, freeze
from dispatcher.literal import bits_text, bits_value, hex_text, hex_value
from dispatcher.plan import Constant, Family, Leaf, Member, MemberLayer, Prefix, Split, Tree

NETWORK_FORMAT = "netslicer-network/1"
MEMBER_FORMAT = "netslicer-member/1"
FAMILY_FORMAT = "netslicer-family/1"
MAX_WIDTH = 1 << 24

PARENT_FILE = "family/parent.json"
FAMILY_FILE = "family/family.json"


def member_file(name: str) -> str:
    """Path of a member's file in the bundle, from its digest."""
    return f"family/members/{name}.json"


# ---------------------------------------------------------------------------------------------------- networks


def network_bytes(layers: Layers) -> bytes:
    """Canonical bytes of a parent network. ``start`` vectors are not written: a parent's are zero."""
    return canonical_json({"format": NETWORK_FORMAT, "layers": [_layer_record(layer) for layer in layers]})


def _layer_record(layer: Layer) -> dict[str, object]:
    """One layer as a JSON object."""
    record: dict[str, object] = {"kind": type(layer).__name__.lower(), "name": layer.name}
    match layer:
        case Input():
            record |= {"width": layer.width}
        case Dense():
            if layer.start.any():
                raise ValueError("a parent network has no constant prefixes")
            rows = [bits_text(row) for row in layer.weight]
            record |= {"source": layer.source, "weight": rows, "bias": bits_text(layer.bias)}
        case Elementwise():
            record |= {"source": layer.source, "op": layer.op, "constant": bits_text(layer.constant)}
        case Relu():
            record |= {"source": layer.source}
        case Gather():
            record |= {"source": layer.source, "indices": [int(index) for index in layer.indices]}
        case Concat() | Add():
            record |= {"sources": list(layer.sources)}
    return record


def read_network(content: bytes, where: str = PARENT_FILE) -> Layers:
    """Parse and validate a parent network.

    Raises
    ------
    UnusableBundle
        Naming the layer and key.
    """
    fields = read_json(content, where)
    _expect_format(fields, NETWORK_FORMAT)
    layers: list[Layer] = []
    for record in fields.records("layers"):
        layers.append(_read_layer(record, [layer.width for layer in layers]))
        record.done()
    fields.done()
    return _checked(tuple(layers), where)


def _checked(layers: Layers, where: str) -> Layers:
    """The layers, validated; problems become bundle errors."""
    try:
        check_layers(layers)
    except UnusableInput as error:
        raise UnusableBundle(error.what, where=f"{where}: {error.where}") from error
    return layers


def _read_layer(record: Fields, widths: list[int]) -> Layer:
    """One layer from its JSON object; ``widths`` are those of the layers before it."""
    kind, name = record.text("kind"), record.text("name")
    if kind == "input":
        return Input(record.integer("width", 1, MAX_WIDTH), name)
    if kind in ("concat", "add"):
        return _read_join(record, kind, name, widths)
    source = record.integer("source", 0, len(widths) - 1)
    match kind:
        case "dense":
            return _read_dense(record, source, name, widths[source])
        case "elementwise":
            constant = freeze(record.parsed("constant", bits_value), np.float32)
            return Elementwise(source, record.parsed("op", _read_op), constant, name)
        case "relu":
            return Relu(source, widths[source], name)
        case "gather":
            return Gather(source, freeze(np.array(record.integers("indices", widths[source])), np.int64), name)
    raise UnusableBundle(f"unknown layer kind {kind[:40]!r}", where=record.where)


def _read_join(record: Fields, kind: str, name: str, widths: list[int]) -> Concat | Add:
    """A layer with several sources."""
    sources = tuple(record.integers("sources", len(widths)))
    if kind == "concat":
        return Concat(sources, sum(widths[source] for source in sources), name)
    if len(sources) != 2:
        raise UnusableBundle(f"expected two sources, got {len(sources)}", where=record.where)
    return Add((sources[0], sources[1]), widths[sources[0]], name)


def _read_dense(record: Fields, source: int, name: str, n_in: int) -> Dense:
    """A Dense layer from rows of bits."""
    bias = freeze(record.parsed("bias", bits_value), np.float32)
    rows = record.items("weight")
    if len(rows) != len(bias) or any(not isinstance(row, str) or len(row) != 8 * n_in for row in rows):
        raise UnusableBundle(f"expected {len(bias)} rows of {n_in} float32 values", where=f"{record.where}: weight")
    try:
        flat = bits_value("".join(rows))
    except ValueError as error:
        raise UnusableBundle(str(error), where=f"{record.where}: weight") from error
    weight = freeze(flat.reshape(len(bias), n_in), np.float32)
    return Dense(source, weight, bias, freeze(np.zeros(len(bias)), np.float32), name)


def _read_op(text: str) -> str:
    """The name of an element-wise operator."""
    if text not in ("add", "mul", "div"):
        raise ValueError(f"expected add, mul or div, got {text[:40]!r}")
    return text


# ---------------------------------------------------------------------------------------------------- members


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
    return canonical_json({"format": MEMBER_FORMAT, "parent": parent_digest, "layers": layers})


def read_member(content: bytes, parent: Layers, parent_digest: str, where: str) -> Member:
    """Parse a member and check that it fits the parent (its equality is proved by certificates, not here)."""
    fields = read_json(content, where)
    _expect_format(fields, MEMBER_FORMAT)
    if fields.text("parent") != parent_digest:
        raise UnusableBundle("expected the bundle's parent, got another digest", where=f"{where}: parent")
    records = list(fields.records("layers"))
    fields.done()
    if len(records) != len(parent):
        raise UnusableBundle(f"expected {len(parent)} layers, got {len(records)}", where=where)
    layers = tuple(_read_member_layer(record, layer) for record, layer in zip(records, parent, strict=True))
    _check_member(parent, layers, where)
    return Member(layers)


def _read_member_layer(record: Fields, layer: Layer) -> MemberLayer:
    """One layer of a member."""
    units = tuple(record.integers("units", layer.width, increasing=True))
    prefixes = tuple(Prefix(int(u), int(f), v) for u, f, v in _rows(record, "prefixes", 3))
    constants = tuple(Constant(int(u), v) for u, v in _rows(record, "constants", 2))
    record.done()
    named = [row.unit for row in prefixes] + [row.unit for row in constants]
    if named and (not isinstance(layer, Dense) or not set(named) <= set(units) or len(set(named)) != len(named)):
        raise UnusableBundle("expected prefixes and constants of distinct kept Dense units", where=record.where)
    return MemberLayer(units, prefixes, constants)


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


def _check_member(parent: Layers, entries: tuple[MemberLayer, ...], where: str) -> None:
    """Check that the input is whole, the output complete and every unit's element-wise sources are kept."""
    if len(entries[0].units) != parent[0].width or len(entries[-1].units) != parent[-1].width:
        raise UnusableBundle("expected a member with all inputs and all outputs", where=where)
    for position, layer in enumerate(parent):
        kept = np.array(entries[position].units, np.int64)
        for source, wanted in _wanted(layer, kept, parent):
            if not np.isin(wanted, np.array(entries[source].units, np.int64)).all():
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
            pairs, offset = [], 0
            for source in layer.sources:
                width = parent[source].width
                pairs.append((source, kept[(kept >= offset) & (kept < offset + width)] - offset))
                offset += width
            return pairs
        case _:
            return [(source, kept) for source in layer.sources]


# ---------------------------------------------------------------------------------------------------- families


def family_files(family: Family) -> dict[str, bytes]:
    """All files of a family by their paths in the bundle."""
    parent = network_bytes(family.parent)
    parent_digest = digest(parent)
    members = [member_bytes(member, parent_digest) for member in family.members]
    record = {
        "format": FAMILY_FORMAT,
        "mode": family.mode,
        "parent": parent_digest,
        "domain": {"lower": [hex_text(x) for x in family.lower], "upper": [hex_text(x) for x in family.upper]},
        "tree": [_node_record(node) for node in family.tree],
        "members": [digest(content) for content in members],
        "cells": list(family.cells),
    }
    files = {PARENT_FILE: parent, FAMILY_FILE: canonical_json(record)}
    return files | {member_file(digest(content)): content for content in members}


def _node_record(node: Split | Leaf) -> dict[str, object]:
    """One routing node as a JSON object."""
    if isinstance(node, Leaf):
        return {"cell": node.cell}
    return {"axis": node.axis, "threshold": hex_text(node.threshold), "low": node.low, "high": node.high}


def read_family(read: Callable[[str], bytes] | Mapping[str, bytes]) -> Family:
    """Parse a family through a function (or mapping) from bundle path to verified bytes."""
    get = read.__getitem__ if isinstance(read, Mapping) else read
    parent_content = get(PARENT_FILE)
    parent, parent_digest = read_network(parent_content), digest(parent_content)
    fields = read_json(get(FAMILY_FILE), FAMILY_FILE)
    _expect_format(fields, FAMILY_FORMAT)
    if fields.text("parent") != parent_digest:
        raise UnusableBundle("expected the bundle's parent, got another digest", where=f"{FAMILY_FILE}: parent")
    mode = fields.parsed("mode", _read_mode)
    lower, upper = _read_domain(fields.record("domain"))
    nodes = list(fields.records("tree"))
    tree = tuple(_read_node(node, len(nodes), len(lower)) for node in nodes)
    members = []
    for name in fields.items("members"):
        content = get(member_file(str(name)))
        if digest(content) != name:
            raise UnusableBundle("expected a member named by its sha256", where=member_file(str(name)))
        members.append(read_member(content, parent, parent_digest, member_file(str(name))))
    cells = fields.integers("cells", max(1, len(members)))
    fields.done()
    return Family(mode, parent, lower, upper, tree, tuple(members), tuple(cells))


def _read_mode(text: str) -> str:
    """The strength of equivalence that this version knows."""
    if text != "bitwise":
        raise ValueError(f"expected the mode bitwise, got {text[:40]!r}")
    return text


def _read_domain(fields: Fields) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The domain's corners as float32 vectors with lower ≤ upper."""
    corners = []
    for key in ("lower", "upper"):
        try:
            values = [hex_value(str(text)) for text in fields.items(key)]
        except ValueError as error:
            raise UnusableBundle(str(error), where=f"{fields.where}: {key}") from error
        corners.append(freeze(np.array(values, np.float32), np.float32))
    fields.done()
    lower, upper = corners
    if lower.shape != upper.shape or not (lower <= upper).all():
        raise UnusableBundle("expected lower ≤ upper for every input", where=fields.where)
    return lower, upper


def _read_node(record: Fields, nodes: int, inputs: int) -> Split | Leaf:
    """One routing node."""
    if "cell" in record:
        leaf = Leaf(record.integer("cell", 0, nodes))
        record.done()
        return leaf
    axis, threshold = record.integer("axis", 0, inputs - 1), record.parsed("threshold", hex_value)
    split = Split(axis, float(threshold), record.integer("low", 0, nodes - 1), record.integer("high", 0, nodes - 1))
    record.done()
    return split


def tree_depth(tree: Tree) -> int:
    """Number of tests on the longest route."""
    depth = [0] * len(tree)
    for position, node in enumerate(tree):
        if isinstance(node, Split):
            depth[node.low] = depth[node.high] = depth[position] + 1
    return max(depth)


def _expect_format(fields: Fields, expected: str) -> None:
    """Refuse any other format or version."""
    got = fields.text("format")
    if got != expected:
        raise UnusableBundle(f"expected format {expected}, got {got[:60]!r}", where=fields.where)
