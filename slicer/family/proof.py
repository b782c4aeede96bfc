"""A cell's proof, read back from the certificate that this run wrote and the checker accepted.

It is for making a smaller claim from it, not for checking: auditors have parsers of their own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slicer.search.tree import ProofTree

Rows = Sequence[tuple[int, Sequence[int]]]


@dataclass(frozen=True, eq=False, slots=True)
class Proof:
    """Flat numbers of all removed units, and of those of them that rest on a solver's word; the tree for the others.

    In mode ``decision`` also the outputs that may win; None in others.
    """

    removed: NDArray[np.int64]
    attested: NDArray[np.int64]
    tree: ProofTree
    classes: list[int] | None


def read_proof(certificate: bytes, offsets: Mapping[int, int]) -> Proof:
    """The proof in a certificate; the flat numbering begins at ``offsets`` for each ReLU layer.

    Closings of other layers are left out: errors mean nothing without the readout whose they are.
    """
    record = json.loads(certificate)
    tree, waiting = ProofTree(), [(-1, 0)]  # (parent, side) of the nodes to come, in preorder
    for node in record["tree"]:
        parent, side = waiting.pop()
        index = tree.add(_flat(node.get("inactive", ()), offsets), _flat(node.get("active", ()), offsets))
        if "axis" in node:
            tree.split(index, node["axis"], float.fromhex(node["threshold"]), (index + 1, -1))
            waiting += [(index, 1), (index, 0)]
        if side:
            low = tree.nodes[parent].children
            assert low is not None  # the low child came before
            tree.nodes[parent].children = (low[0], index)
    removed, attested = (_flat(record.get(key, ()), offsets) for key in ("removed", "attested"))
    return Proof(removed, attested, tree, record.get("classes"))


def _flat(rows: Rows, offsets: Mapping[int, int]) -> NDArray[np.int64]:
    """Flat numbers of units given as (layer, [unit, …])."""
    return np.array([offsets[layer] + unit for layer, units in rows if layer in offsets for unit in units], np.int64)
