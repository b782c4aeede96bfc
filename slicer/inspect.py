"""`inspect`: what a model or a bundle is, before anything is done with it."""

from __future__ import annotations

from pathlib import Path

from dispatcher.cost import cost
from dispatcher.errors import UnusableInput
from dispatcher.layers import Input
from dispatcher.literal import hex_text
from dispatcher.load import load_bundle
from dispatcher.tree import tree_depth
from slicer.network import Network
from slicer.readers import read_network

Record = dict[str, object]


def inspect_path(path: Path) -> tuple[Record, list[str]]:
    """The record of a model file or a bundle directory, with stable keys, and the same as lines of text.

    Raises
    ------
    UnusableInput
        If it is neither.
    """
    if not path.exists():
        raise UnusableInput("expected a model file or a bundle directory, got nothing there", where=str(path))
    return _bundle(path) if path.is_dir() else _model(read_network(path), path)


def _model(network: Network, path: Path) -> tuple[Record, list[str]]:
    """A model: its layers and costs."""
    layers = [
        {"position": p, "kind": type(layer).__name__.lower(), "name": layer.name, "width": layer.width}
        | ({} if isinstance(layer, Input) else {"sources": list(layer.sources)})
        for p, layer in enumerate(network.layers)
    ]
    counts = cost(network.layers)
    record: Record = {
        "kind": "model",
        "path": str(path),
        "inputs": network.n_in,
        "outputs": network.n_out,
        "relu_units": counts.relu_units,
        "mac": counts.mac,
        "connections": counts.connections,
        "parent_digest": network.digest,
        "layers": layers,
    }
    lines = [f"{path}: {network.describe()}", f"read as {network.digest}"]
    return record, [*lines, *(f"{x['position']:>5}  {x['kind']:<12} {x['width']:>7}  {x['name']}" for x in layers)]


def _bundle(path: Path) -> tuple[Record, list[str]]:
    """A bundle: what it claims and how it routes; its proofs are the business of ``slicer audit``."""
    bundle = load_bundle(path)
    family = bundle.family
    counts = cost(family.parent)
    record: Record = {
        "kind": "bundle",
        "path": str(path),
        "digest": bundle.digest,
        "mode": family.mode,
        "inputs": len(family.lower),
        "outputs": family.parent[-1].width,
        "relu_units": counts.relu_units,
        "mac": counts.mac,
        "cells": len(family.cells),
        "members": len(family.members),
        "tree_depth": tree_depth(family.tree),
        "domain": {"lower": [hex_text(x) for x in family.lower], "upper": [hex_text(x) for x in family.upper]},
    }
    lines = [
        f"{path}: bundle {bundle.digest}",
        f"mode {family.mode}; {len(family.cells)} cells, {len(family.members)} distinct members, "
        f"routes of at most {record['tree_depth']} comparisons",
        f"parent: {len(family.lower)} inputs, {family.parent[-1].width} outputs, "
        f"{counts.relu_units} ReLUs, {counts.mac:,} MAC",
        "domain:",
    ]
    bounds = zip(family.lower, family.upper, strict=True)
    return record, [*lines, *(f"{i:>5}  {lower!s:>14} … {upper!s}" for i, (lower, upper) in enumerate(bounds))]
