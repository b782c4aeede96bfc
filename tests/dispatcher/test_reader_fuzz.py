"""Readers of hostile bytes raise `UnusableBundle` and nothing else, and memory stays in proportion to the bytes."""

from __future__ import annotations

import json
import tracemalloc
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.encode import canonical_json, digest, read_json
from dispatcher.errors import UnusableBundle
from dispatcher.files import (
    FAMILY_FILE,
    MAX_WIDTH,
    PARENT_FILE,
    family_files,
    member_bytes,
    member_file,
    read_family,
    read_member,
    read_network,
)
from dispatcher.manifest import read_manifest
from dispatcher.plan import whole_member
from tests.dispatcher.bundle_samples import make_family
from tests.dispatcher.network_samples import random_network

PARENT = random_network(5)
FILES = family_files(make_family(PARENT, 3))
FAMILY = json.loads(FILES[FAMILY_FILE])
MEMBER = member_bytes(whole_member(PARENT), "p")
MANIFEST = canonical_json(
    {
        "format": "netslicer-bundle/1",
        "mode": "bitwise",
        "source": "parent.onnx",
        "options": {},
        "tools": {},
        "truncated": False,
        "files": [{"path": "a/b", "sha256": "0" * 64, "size": 1}],
    }
)

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 5),
    st.sampled_from([2**24, 2**31, 2**63, 10**30]),
    st.text(max_size=4),
    st.sampled_from(["3f800000", "7fc00000", "0x0.0p+0", "inf", "nan", "dense", "concat", "../x", "\ud800"]),
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)


def places(value, path=()):
    """Paths of everything inside a JSON value."""
    yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from places(child, (*path, key))


@st.composite
def mutated_values(draw, content: bytes):
    """Canonical bytes of a file in which some values were replaced, dropped or doubled."""
    record = json.loads(content)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from([place for place in places(record) if place] or [()]))
        if not path:
            continue
        place = record
        for key in path[:-1]:
            place = place[key]
        match draw(st.sampled_from(["replace", "drop", "double"])):
            case "replace":
                place[path[-1]] = draw(values)
            case "drop":
                del place[path[-1]]
            case "double":
                place[path[-1]] = [place[path[-1]]] * 2
    return canonical_json(record)


@st.composite
def mutated_bytes(draw, content: bytes):
    """Bytes of a file with some overwritten, removed or inserted."""
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        stop = min(len(content), start + draw(st.integers(0, 9)))
        content = content[:start] + draw(st.binary(max_size=5)) + content[stop:]
    return content


def mutated(content: bytes):
    return mutated_values(content) | mutated_bytes(content)


READERS = {
    "json": (MEMBER, lambda content: read_json(content, "x")),
    "network": (FILES[PARENT_FILE], read_network),
    "member": (MEMBER, lambda content: read_member(content, PARENT, "p", "m")),
    "family": (FILES[FAMILY_FILE], lambda content: read_family(FILES | {FAMILY_FILE: content})),
    "manifest": (MANIFEST, read_manifest),
}


@pytest.mark.parametrize(("content", "read"), READERS.values(), ids=READERS)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_only_unusable_bundle_comes_out(content, read, data):
    read(content)
    with suppress(UnusableBundle):
        read(data.draw(mutated(content)))


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_families_of_mutated_members_and_parents_only_raise_unusable_bundle(data):
    parent = data.draw(mutated(FILES[PARENT_FILE]) | st.just(FILES[PARENT_FILE]))
    member = data.draw(mutated_values(MEMBER))
    record = FAMILY | {"parent": digest(parent), "members": [digest(member)]}
    files = {PARENT_FILE: parent, FAMILY_FILE: canonical_json(record), member_file(digest(member)): member}
    with suppress(UnusableBundle):
        read_family(files)


def layers_of(*records):
    return canonical_json({"format": "netslicer-network/1", "layers": [{"name": "", **record} for record in records]})


WIDE = {"kind": "input", "width": MAX_WIDTH}
HOSTILE = {
    "wide input": layers_of(WIDE),
    "wide relus": layers_of(WIDE, {"kind": "relu", "source": 0}, {"kind": "relu", "source": 1}),
    "wide sum": layers_of(WIDE, {"kind": "add", "sources": [0, 0]}),
    "wide concat": layers_of({"kind": "input", "width": 1000}, {"kind": "concat", "sources": [0] * 10_000}),
    "no rows of a wide source": layers_of(WIDE, {"kind": "dense", "source": 0, "weight": [], "bias": ""}),
    "promised rows": layers_of(WIDE, {"kind": "dense", "source": 0, "weight": [""] * 1000, "bias": "00" * 4000}),
    "doubling": layers_of(WIDE | {"width": 1}, *({"kind": "concat", "sources": [i, i]} for i in range(5000))),
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_small_files_ask_for_little_memory(content):
    tracemalloc.start()
    try:
        with suppress(UnusableBundle):
            read_network(content)
        assert tracemalloc.get_traced_memory()[1] < 16 * 2**20
    finally:
        tracemalloc.stop()


def test_a_deep_tree_over_many_inputs_asks_for_little_memory():
    inputs, depth = 20_000, 2000  # a box for every level would be 640 MB
    parent = layers_of({"kind": "input", "width": inputs}, {"kind": "gather", "source": 0, "indices": [0]})
    layer = {"prefixes": [], "constants": []}
    member = canonical_json(
        {
            "format": "netslicer-member/1",
            "parent": digest(parent),
            "layers": [{**layer, "units": list(range(inputs))}, {**layer, "units": [0]}],
        }
    )
    tree = [  # the high child of every level is a leaf, whose box waits until all levels below were seen
        {"axis": level, "threshold": "0x0.0p+0", "low": level + 1, "high": 2 * depth - level} for level in range(depth)
    ]
    tree += [{"cell": cell} for cell in range(depth + 1)]
    family = {
        "format": "netslicer-family/1",
        "mode": "bitwise",
        "parent": digest(parent),
        "domain": {"lower": ["-0x1.0000000000000p+0"] * inputs, "upper": ["0x1.0000000000000p+0"] * inputs},
        "tree": tree,
        "members": [digest(member)],
        "cells": [0] * (depth + 1),
    }
    files = {PARENT_FILE: parent, FAMILY_FILE: canonical_json(family), member_file(digest(member)): member}
    tracemalloc.start()
    try:
        assert len(read_family(files).cells) == depth + 1
        assert tracemalloc.get_traced_memory()[1] < 64 * 2**20
    finally:
        tracemalloc.stop()
