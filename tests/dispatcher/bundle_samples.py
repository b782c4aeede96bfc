"""Families and bundles for the tests of `dispatcher`, written without any code of `slicer`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from dispatcher.encode import canonical_json, digest
from dispatcher.files import family_files, member_bytes, network_bytes
from dispatcher.layers import Layers, freeze
from dispatcher.literal import hex_text
from dispatcher.manifest import FileEntry, Manifest, manifest_bytes
from dispatcher.plan import Family, Leaf, Member, Mode, Split, Tree, whole_member

SOURCE = "parent.onnx"


def halving_tree(lower: np.ndarray, upper: np.ndarray, cells: int) -> Tree:
    """A tree of midpoint cuts, axis by axis, with this many cells in preorder."""
    nodes: list[Split | Leaf | None] = []

    def build(low: np.ndarray, high: np.ndarray, count: int, axis: int) -> int:
        position = len(nodes)
        if count == 1:
            nodes.append(Leaf(sum(isinstance(node, Leaf) for node in nodes)))
            return position
        nodes.append(None)  # a split, once its children's positions are known
        threshold = np.float32((float(low[axis]) + float(high[axis])) / 2)
        low_high, high_low = high.copy(), low.copy()
        low_high[axis] = high_low[axis] = threshold
        following = (axis + 1) % len(low)
        first = build(low, low_high, count - count // 2, following)
        second = build(high_low, high, count // 2, following)
        nodes[position] = Split(axis, float(threshold), first, second)
        return position

    build(lower, upper, cells, 0)
    return tuple(nodes)


def make_family(layers: Layers, cells: int = 1, member: Callable[[int], Member] | None = None) -> Family:
    """A family over ``[-1, 1]^n``; every cell is served by the whole parent unless ``member`` is given."""
    lower = freeze(np.full(layers[0].width, -1), np.float32)
    upper = freeze(np.full(layers[0].width, 1), np.float32)
    chosen = [member(cell) if member else whole_member(layers) for cell in range(cells)]
    distinct = list(dict.fromkeys(chosen))
    tree = halving_tree(lower, upper, cells)
    places = tuple(distinct.index(one) for one in chosen)
    return Family("bitwise", layers, lower, upper, tree, tuple(distinct), places)


def empty_certificate(family: Family, cell: int) -> bytes:
    """A certificate that removes nothing and proves nothing."""
    parent = digest(network_bytes(family.parent))
    record = {
        "format": "netslicer-certificate/2",
        "mode": family.mode,
        "cell": cell,
        "box": {"lower": [hex_text(x) for x in family.lower], "upper": [hex_text(x) for x in family.upper]},
        "parent": parent,
        "member": digest(member_bytes(family.members[family.cells[cell]], parent)),
        "removed": [],
        "tree": [{}],
    }
    return canonical_json(record)


def bundle_files(family: Family) -> dict[str, bytes]:
    """All files of a bundle but the manifest."""
    certificates = {
        f"certificates/{cell:06d}.json": empty_certificate(family, cell) for cell in range(len(family.cells))
    }
    return family_files(family) | certificates | {SOURCE: b"a model file"}


def write_bundle(root: Path, files: Mapping[str, bytes], mode: Mode = "bitwise") -> Path:
    """Write files and their manifest."""
    manifest = Manifest(
        mode=mode,
        source=SOURCE,
        options={"cells": 1},
        tools={"netslicer": "0"},
        truncated=False,
        files={path: FileEntry.of(content) for path, content in files.items()},
    )
    for path, content in {**files, "manifest.json": manifest_bytes(manifest)}.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return root


def make_bundle(root: Path, family: Family) -> Path:
    """A whole bundle on disk."""
    return write_bundle(root, bundle_files(family), family.mode)


def make_attested_bundle(root: Path, family: Family, attested: Mapping[int, list[object]]) -> Path:
    """A bundle some of whose certificates have attested units, by cell."""
    files = bundle_files(family)
    for cell, rows in attested.items():
        name = f"certificates/{cell:06d}.json"
        files[name] = canonical_json(json.loads(files[name]) | {"attested": rows})
    return write_bundle(root, files)
