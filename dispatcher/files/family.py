"""The family's file: domain, routing tree, members by their digests, and which member serves each cell."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from dispatcher.encode import Fields, canonical_rows, digest, read_json
from dispatcher.errors import UnusableBundle
from dispatcher.files.member import SharedLayers, member_bytes, member_file, read_member
from dispatcher.files.network import PARENT_FILE, expect_format, network_bytes, read_network
from dispatcher.layers import Layers, freeze
from dispatcher.literal import hex_text, hex_value
from dispatcher.plan import Family, Leaf, Member, Split

FAMILY_FORMAT = "netslicer-family/1"
FAMILY_FILE = "family/family.json"

T = TypeVar("T", bound=str)

_DIGEST = re.compile(r"[0-9a-f]{64}")


def family_files(family: Family) -> dict[str, bytes]:
    """All files of a family by their paths in the bundle."""
    parent_digest = digest(network_bytes(family.parent))
    contents = [member_bytes(member, parent_digest) for member in family.members]
    names = [digest(content) for content in contents]
    members = {member_file(name): content for name, content in zip(names, contents, strict=True)}
    return plan_files(family, names) | members


def plan_files(family: Family, members: list[str]) -> dict[str, bytes]:
    """The files of a family but those of its members, whose digests are given, by their paths in the bundle."""
    parent = network_bytes(family.parent)
    record: dict[str, object] = {
        "format": FAMILY_FORMAT,
        "mode": family.mode,
        "parent": digest(parent),
        "domain": {"lower": [hex_text(x) for x in family.lower], "upper": [hex_text(x) for x in family.upper]},
        "members": members,
        "cells": list(family.cells),
    }
    if family.decision is not None:
        record["decision"] = family.decision
    if family.epsilon is not None:
        record["epsilon"] = [hex_text(bound) for bound in family.epsilon]
    return {PARENT_FILE: parent, FAMILY_FILE: canonical_rows("tree", map(_node_record, family.tree), record)}


def _node_record(node: Split | Leaf) -> dict[str, object]:
    """One routing node as a JSON object."""
    if isinstance(node, Leaf):
        return {"cell": node.cell}
    return {"axis": node.axis, "threshold": hex_text(node.threshold), "low": node.low, "high": node.high}


def read_family(read: Callable[[str], bytes] | Mapping[str, bytes]) -> Family:
    """Parse a family through a function (or mapping) from bundle path to verified bytes.

    Raises
    ------
    UnusableBundle
        Naming file and key. A function says by the same error that it has no such file.
    """
    get = _getter(read)
    parent_content = get(PARENT_FILE)
    parent, parent_digest = read_network(parent_content), digest(parent_content)
    fields = read_json(get(FAMILY_FILE), FAMILY_FILE)
    expect_format(fields, FAMILY_FORMAT)
    if fields.text("parent") != parent_digest:
        raise UnusableBundle("expected the bundle's parent, got another digest", where=f"{FAMILY_FILE}: parent")
    mode = fields.parsed("mode", _one_of("bitwise", "decision", "epsilon"))
    decision = fields.parsed("decision", _one_of("argmax", "argmin")) if mode == "decision" else None
    epsilon = _numbers(fields, "epsilon") if mode == "epsilon" else None
    lower, upper = _read_domain(fields.record("domain"))
    nodes = list(fields.records("tree"))
    tree = tuple(_read_node(node, len(nodes), len(lower)) for node in nodes)
    members = _read_members(fields, get, parent, parent_digest)
    cells = fields.integers("cells", max(1, len(members)))
    fields.done()
    return Family(mode, parent, lower, upper, tree, members, tuple(cells), decision, epsilon)


def _getter(read: Callable[[str], bytes] | Mapping[str, bytes]) -> Callable[[str], bytes]:
    """A function that raises `UnusableBundle` for a missing file."""
    if not isinstance(read, Mapping):
        return read
    files = read

    def get(path: str) -> bytes:
        if path not in files:
            raise UnusableBundle("expected this file, got nothing", where=path)
        return files[path]

    return get


def _read_members(
    fields: Fields, get: Callable[[str], bytes], parent: Layers, parent_digest: str
) -> tuple[Member, ...]:
    """The distinct members, each from the file that its digest names."""
    names = fields.texts("members")
    if any(not _DIGEST.fullmatch(name) for name in names) or len(set(names)) != len(names):
        raise UnusableBundle("expected distinct sha256 digests", where=f"{FAMILY_FILE}: members")
    members = []
    shared: SharedLayers = {}
    for name in names:
        content = get(member_file(name))
        if digest(content) != name:
            raise UnusableBundle("expected a member named by its sha256", where=member_file(name))
        members.append(read_member(content, parent, parent_digest, member_file(name), shared))
    return tuple(members)


def _one_of(*known: T) -> Callable[[str], T]:
    """A parser of the words that this version knows."""

    def parse(text: str) -> T:
        for word in known:
            if text == word:
                return word
        raise ValueError(f"expected {' or '.join(known)}, got {text[:40]!r}")

    return parse


def _read_domain(fields: Fields) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The domain's corners as float32 vectors."""
    lower, upper = _numbers(fields, "lower"), _numbers(fields, "upper")
    fields.done()
    return lower, upper


def _numbers(fields: Fields, key: str) -> NDArray[np.float32]:
    """A list of float32 numbers."""
    try:
        values = [hex_value(text) for text in fields.texts(key)]
    except ValueError as error:
        raise UnusableBundle(str(error), where=f"{fields.where}: {key}") from error
    return freeze(np.array(values, np.float32), np.float32)


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
